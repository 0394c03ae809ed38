/**
 * How often a poller calls kevent(2), as what carries the calls out counts them: `host/kernels/kqueue.cc` on the test-only
 * kqueue. On other kernels there is nothing to count, and no test; `npm run test:kqueue` is what runs these.
 */
import assert from "node:assert/strict";
import { Events, Interest, Poller } from "lio-poller";
import { close, socketpair, write } from "lio-poller/io";
import { keventCalls } from "./support/kqueue.js";

const COUNT = 1024;

function describeCalls(calls: () => number): void {
  describe("a poller on kqueue", () => {
    const open: number[] = [];

    afterEach(() => open.splice(0).forEach(close));

    function pairs(count: number): readonly [number, number][] {
      const made = Array.from({ length: count }, () => socketpair());
      open.push(...made.flat());
      return made;
    }

    function callsOf(action: () => void): number {
      const before = calls();
      action();
      return calls() - before;
    }

    it("adds 1,024 descriptors with both interests by 5 calls of kevent(2) at most", () => {
      using poller = new Poller();
      const interest = (Interest.READABLE | Interest.WRITABLE) as Interest;
      const fds = pairs(COUNT / 2).flat();
      const changes = fds.map((fd) => ({ op: "add", fd, key: fd, interest }) as const);
      const made = callsOf(() => assert.ok(poller.apply(changes).every((verdict) => verdict === undefined)));
      assert.ok(made >= 1 && made <= 5, `${made} calls`);
      assert.equal(poller.wait(new Events(COUNT)), COUNT);
    });

    it("makes one call of kevent(2) in a turn in which 1,024 are ready and were re-armed before", () => {
      using poller = new Poller();
      for (const [fd, peer] of pairs(COUNT)) {
        write(peer, Buffer.from("a"));
        poller.add(fd, fd, Interest.READABLE);
      }
      const events = new Events(COUNT);
      for (let turn = 0; turn < 3; turn++) {
        const made = callsOf(() => {
          assert.equal(poller.wait(events), COUNT);
          for (const { key } of events) poller.modify(Number(key), key, Interest.READABLE);
        });
        assert.equal(made, 1, `turn ${turn}`);
      }
    });

    it("changes, replaces and deletes both directions of a descriptor by one call of kevent(2) each (fault 26)", () => {
      using poller = new Poller();
      const [[fd]] = pairs(1) as [[number, number]];
      const both = (Interest.READABLE | Interest.WRITABLE) as Interest;
      assert.equal(
        callsOf(() => poller.add(fd, 1, both)),
        1,
      );
      assert.equal(
        callsOf(() => poller.modify(fd, 1, Interest.READABLE)),
        1,
      );
      assert.equal(
        callsOf(() => poller.delete(fd)),
        1,
      );
    });
  });
}

if (keventCalls !== undefined) describeCalls(keventCalls);
