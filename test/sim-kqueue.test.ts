/**
 * The simulated kqueue against the manuals: kqueue(2) of FreeBSD, NetBSD, OpenBSD, DragonFly and macOS, and where they leave
 * the answer open, the kernels' sources that `src/sim/kqueue-flavours.ts` names.
 */
import assert from "node:assert/strict";
import { Events, Interest, Poller } from "lio-poller";
import { type KqueueFlavour, SimulatedKqueue, type SimulatedIo, WOULD_BLOCK } from "lio-poller/sim";
import { flavours } from "./contract/worlds.js";
import { outcome } from "./simulated.js";
import { type Action, change, type Filter, liftedKqueue } from "./simulated-kqueue.js";

const byte = new Uint8Array(1);

/** A simulated kernel with one kqueue, and short words for what tests do with it. */
function start(flavour: KqueueFlavour) {
  const simulated = new SimulatedKqueue({ flavour });
  const kernel = simulated.open();
  const kqueue = liftedKqueue(kernel);
  const handle = kqueue.create();
  return {
    simulated,
    kernel,
    kqueue,
    handle,
    io: simulated.io,
    clock: simulated.clock,
    /** Makes one change, and returns why it was refused. */
    make: (fd: number, filter: Filter, ...actions: readonly Action[]) =>
      kqueue.control(handle, [change(fd, filter, 1, ...actions)])[0]?.error.tag,
    /** The events that are there, as their number, their filter, `end` if they tell one, and the amount. */
    poll: (capacity = 64) =>
      kqueue
        .wait(handle, [], capacity, 0n)
        .map(({ fd, filter, end, amount }) => [fd, filter, ...(end ? ["end"] : []), Number(amount)]),
  };
}

function fill(io: SimulatedIo, fd: number): void {
  while (io.write(fd, new Uint8Array(1024)) !== WOULD_BLOCK);
}

for (const flavour of flavours) {
  describe(`the knotes of the simulated kqueue of ${flavour}`, () => {
    it("are one to a number and filter; adding one again changes it, and is no error", () => {
      const { io, make, poll, kqueue, handle } = start(flavour);
      const [own, peer] = io.socketpair();
      io.write(peer, byte);
      assert.equal(make(own, "read", "add"), undefined);
      assert.deepEqual(kqueue.control(handle, [change(own, "read", 7, "add")]), []);
      assert.equal(make(own, "write", "add"), undefined);
      assert.deepEqual(poll(), [
        [own, "read", 1],
        [own, "write", 8192],
      ]);
      assert.equal(kqueue.wait(handle, [], 1, 0n)[0]?.generation, 7);
    });

    it("are missed by whatever does not add them", () => {
      const { io, make } = start(flavour);
      const [own] = io.socketpair();
      for (const action of ["delete", "enable", "disable"] as const)
        assert.equal(make(own, "read", action), "not-found");
      make(own, "read", "add");
      assert.equal(make(own, "read", "delete"), undefined);
      assert.equal(make(own, "read", "delete"), "not-found");
      assert.equal(make(own, "user", "add"), "invalid-argument");
    });

    it("are refused for a number that is not open", () => {
      const { make } = start(flavour);
      for (const fd of [50, -1]) {
        assert.equal(make(fd, "read", "add"), "bad-descriptor");
        // XNU looks for the knote first.
        assert.equal(make(fd, "read", "enable"), flavour === "macos" ? "not-found" : "bad-descriptor");
      }
    });

    it("end with their number, whatever duplicates live", () => {
      const { io, make, poll } = start(flavour);
      const [own, peer] = io.socketpair();
      io.write(peer, byte);
      make(own, "read", "add");
      const copy = io.dup(own);
      io.close(own);
      assert.deepEqual(poll(), []);
      assert.equal(io.dup(copy, own), own);
      assert.equal(make(own, "read", "enable"), "not-found");
      make(copy, "read", "add");
      io.dup(peer, copy);
      assert.equal(make(copy, "read", "enable"), "not-found");
    });

    it("stay when they are disabled, and are looked at when they are enabled", () => {
      const { io, make, poll } = start(flavour);
      const [own, peer] = io.socketpair();
      make(own, "read", "add", "disable");
      io.write(peer, byte);
      assert.deepEqual(poll(), []);
      assert.equal(make(own, "read", "enable"), undefined);
      assert.deepEqual(poll(), [[own, "read", 1]]);
      assert.equal(make(own, "read", "disable"), undefined);
      assert.deepEqual(poll(), []);
      io.read(own, byte);
      make(own, "read", "enable");
      assert.deepEqual(poll(), []);
    });

    it("report a state for as long as it lasts, unless EV_CLEAR resets them: then once for each activation", () => {
      const { io, make, poll } = start(flavour);
      const [own, peer] = io.socketpair();
      const [edge, edgePeer] = io.socketpair();
      make(own, "read", "add");
      make(edge, "read", "add", "clear");
      io.write(peer, byte);
      io.write(edgePeer, byte);
      io.write(edgePeer, byte);
      assert.deepEqual(poll(), [
        [own, "read", 1],
        [edge, "read", 2],
      ]);
      assert.deepEqual(poll(), [[own, "read", 1]]);
      io.write(edgePeer, byte);
      assert.deepEqual(poll(), [
        [own, "read", 1],
        [edge, "read", 3],
      ]);
    });

    it("are looked at again when they are taken: what is gone by then is not reported", () => {
      const { io, make, poll } = start(flavour);
      const [own, peer] = io.socketpair();
      make(own, "read", "add", "clear");
      io.write(peer, byte);
      io.read(own, byte);
      assert.deepEqual(poll(), []);
      io.write(peer, byte);
      assert.deepEqual(poll(), [[own, "read", 1]]);
    });

    it("are disabled by EV_DISPATCH when they are reported, each by itself", () => {
      const { io, make, poll } = start(flavour);
      const [own, peer] = io.socketpair();
      make(own, "read", "add", "dispatch");
      make(own, "write", "add", "dispatch");
      assert.deepEqual(poll(), [[own, "write", 8192]]);
      io.write(peer, byte);
      assert.deepEqual(poll(), [[own, "read", 1]]);
      io.write(peer, byte);
      assert.deepEqual(poll(), []);
      make(own, "read", "enable");
      assert.deepEqual(poll(), [[own, "read", 2]]);
    });

    it("with both EV_CLEAR and EV_DISPATCH are disabled, but on NetBSD", () => {
      const { io, make, poll } = start(flavour);
      const [own, peer] = io.socketpair();
      make(own, "read", "add", "clear", "dispatch");
      io.write(peer, byte);
      assert.equal(poll().length, 1);
      io.write(peer, byte);
      assert.equal(poll().length, flavour === "netbsd" ? 1 : 0);
    });

    it("keep the modes that they were made with", () => {
      const { io, make, poll } = start(flavour);
      const [own, peer] = io.socketpair();
      io.write(peer, byte);
      make(own, "read", "add");
      make(own, "read", "add", "clear");
      make(own, "read", "add", "dispatch");
      assert.deepEqual([poll().length, poll().length], [1, 1]);
    });

    it("take what every change bears, but on OpenBSD what EV_ADD bears", () => {
      const { io, kqueue, handle } = start(flavour);
      const [own] = io.socketpair();
      const generation = () => kqueue.wait(handle, [], 1, 0n)[0]?.generation;
      kqueue.control(handle, [change(own, "write", 5, "add")]);
      kqueue.control(handle, [change(own, "write", 6, "enable")]);
      assert.equal(generation(), flavour === "openbsd" ? 5 : 6);
      kqueue.control(handle, [change(own, "write", 7, "add")]);
      assert.equal(generation(), 7);
    });

    it("report an edge again when an enabled one is enabled, but on OpenBSD", () => {
      const { io, make, poll } = start(flavour);
      const [own] = io.socketpair();
      make(own, "write", "add", "clear");
      assert.equal(poll().length, 1);
      make(own, "write", "enable");
      assert.equal(poll().length, flavour === "openbsd" ? 0 : 1);
    });

    it("that are to be enabled and disabled at once are what the kernel makes of it", () => {
      const { io, make, poll } = start(flavour);
      const [own] = io.socketpair();
      const expected = { freebsd: "invalid-argument" } as Partial<Record<KqueueFlavour, string>>;
      make(own, "write", "add");
      assert.equal(make(own, "write", "enable", "disable"), expected[flavour]);
      assert.equal(poll().length, flavour === "macos" ? 0 : 1);
    });

    it("have their turn, each, however little room there is", () => {
      const { io, make, poll } = start(flavour);
      const fds = Array.from({ length: 5 }, () => io.socketpair()[0]);
      for (const fd of fds) make(fd, "write", "add");
      const seen = Array.from({ length: 5 }, () => poll(2).map(([fd]) => fd)).flat();
      assert.deepEqual(seen, [...fds, ...fds]);
    });

    it("of any kind there are changes for are made, whichever of them fail; and then nothing is waited for", () => {
      const { io, kqueue, handle, clock, poll } = start(flavour);
      const [own] = io.socketpair();
      const before = clock.now();
      const changes = [change(own, "read", 1, "delete"), change(own, "write", 1, "add"), change(-1, "read", 1, "add")];
      const failures = [
        { index: 0, error: { tag: "not-found" } },
        { index: 2, error: { tag: "bad-descriptor" } },
      ];
      assert.deepEqual(
        outcome(() => kqueue.wait(handle, changes, 8, 1000n)),
        { refused: { tag: "changes", val: failures } },
      );
      assert.equal(clock.now(), before);
      assert.deepEqual(poll(), [[own, "write", 8192]]);
    });

    it("bring as many events as there were changes, if there was room for fewer", () => {
      const { io, kqueue, handle } = start(flavour);
      const changes = Array.from({ length: 3 }, () => change(io.socketpair()[0], "write", 1, "add"));
      assert.equal(kqueue.wait(handle, changes, 1, 0n).length, 3);
    });
  });

  describe(`the filters of the simulated kqueue of ${flavour}`, () => {
    it("tell what a socket can read and write, and that it is full below its low-water mark", () => {
      const { io, make, poll } = start(flavour);
      const [own, peer] = io.socketpair();
      make(own, "read", "add");
      make(own, "write", "add");
      assert.deepEqual(poll(), [[own, "write", 8192]]);
      io.write(peer, new Uint8Array(5));
      io.write(own, new Uint8Array(192));
      assert.deepEqual(poll(), [
        [own, "write", 8000],
        [own, "read", 5],
      ]);
      io.write(own, new Uint8Array(6000));
      assert.deepEqual(poll(), [[own, "read", 5]]);
      io.read(peer, new Uint8Array(48));
      assert.deepEqual(poll().at(-1), [own, "write", 2048]);
    });

    it("tell the end of either direction of a socket", () => {
      const { io, make, poll } = start(flavour);
      const [own, peer] = io.socketpair();
      for (const fd of [own, peer]) {
        make(fd, "read", "add");
        make(fd, "write", "add", "clear");
      }
      poll();
      io.write(peer, byte);
      io.shutdown(peer, "write");
      assert.deepEqual(poll().toSorted(), [
        [own, "read", "end", 1],
        [peer, "write", "end", 0],
      ]);
      io.shutdown(own, "read");
      // What the peer had sent is gone, so that it is looked at for room once more.
      assert.deepEqual(poll().toSorted(), [
        [own, "read", "end", 0],
        [peer, "write", "end", 0],
      ]);
      io.close(peer);
      assert.deepEqual(poll(), [
        [own, "read", "end", 0],
        [own, "write", "end", 0],
      ]);
    });

    it("tell a reset as the socket's error", () => {
      const { io, kqueue, handle } = start(flavour);
      const [own, peer] = io.tcpPair();
      io.write(own, byte);
      io.close(peer);
      const events = kqueue.wait(handle, [change(own, "read", 1, "add"), change(own, "write", 1, "add")], 8, 0n);
      assert.deepEqual(
        events.map(({ filter, end, error }) => [filter, end, error?.tag]),
        [
          ["read", true, "connection-reset"],
          ["write", true, "connection-reset"],
        ],
      );
      assert.throws(() => io.read(own, byte), { code: "ECONNRESET" });
      assert.equal(io.read(own, byte), 0);
    });

    it("tell what is in a pipe, and room for an atomic write", () => {
      const { io, make, poll } = start(flavour);
      const [reader, writer] = io.pipe();
      make(reader, "read", "add");
      make(writer, "write", "add");
      assert.deepEqual(poll(), [[writer, "write", 16_384]]);
      io.write(writer, new Uint8Array(16_000));
      assert.deepEqual(poll(), [[reader, "read", 16_000]]);
      assert.equal(io.write(writer, new Uint8Array(512)), WOULD_BLOCK);
      io.read(reader, new Uint8Array(128));
      assert.deepEqual(poll(), [
        [reader, "read", 15_872],
        [writer, "write", 512],
      ]);
    });

    it("tell the end of a pipe to its reader, behind what is in it", () => {
      const { io, make, poll } = start(flavour);
      const [reader, writer] = io.pipe();
      io.write(writer, byte);
      make(reader, "read", "add");
      io.close(writer);
      assert.deepEqual(poll(), [[reader, "read", "end", 1]]);
      io.read(reader, byte);
      assert.deepEqual(poll(), [[reader, "read", "end", 0]]);
    });

    it("tell a pipe's writer that the reader is gone; on FreeBSD for the last time", () => {
      const { io, make, kqueue, handle, poll } = start(flavour);
      const [reader, writer] = io.pipe();
      make(writer, "write", "add");
      fill(io, writer);
      assert.deepEqual(poll(), []);
      io.close(reader);
      const [event] = kqueue.wait(handle, [], 1, 0n);
      assert.deepEqual([event?.end, event?.last], [true, flavour === "freebsd"]);
      assert.equal(poll().length, flavour === "freebsd" ? 0 : 1);
      assert.equal(make(writer, "write", "enable"), flavour === "freebsd" ? "not-found" : undefined);
    });

    it("are refused or not where the reader of a pipe is gone already", () => {
      const { io, make, poll } = start(flavour);
      const [reader, writer] = io.pipe();
      io.close(reader);
      const refusals: Partial<Record<KqueueFlavour, string>> = {
        freebsd: "broken-pipe",
        netbsd: "bad-descriptor",
        dragonfly: "broken-pipe",
      };
      assert.equal(make(writer, "write", "add"), refusals[flavour]);
      assert.equal(poll().length, refusals[flavour] === undefined ? 1 : 0);
      assert.equal(make(writer, "read", "add"), undefined);
      assert.deepEqual(poll().at(-1), [writer, "read", "end", 0]);
    });

    it("find the wrong end of a pipe only where pipes go both ways", () => {
      const { io, make, poll } = start(flavour);
      const [reader, writer] = io.pipe();
      const isTwoWay = ["freebsd", "openbsd", "dragonfly"].includes(flavour);
      assert.equal(make(reader, "write", "add"), undefined);
      assert.equal(poll().length, isTwoWay ? 1 : 0);
      assert.equal(
        outcome(() => io.write(reader, byte)),
        isTwoWay ? 1 : "EBADF",
      );
      assert.equal(
        outcome(() => io.read(writer, byte)),
        isTwoWay ? 1 : "EBADF",
      );
    });

    it("find a regular file writable, and readable not at its end", () => {
      const { io, make, poll } = start(flavour);
      const file = io.regular();
      assert.deepEqual([make(file, "read", "add"), make(file, "write", "add")], [undefined, undefined]);
      assert.deepEqual(poll(), [[file, "write", 0]]);
    });

    it("tell the counter of an eventfd, where there are any", () => {
      const { io, make, poll } = start(flavour);
      if (flavour !== "freebsd" && flavour !== "netbsd") {
        assert.throws(() => io.eventfd(), { code: "ENOSYS", syscall: "eventfd" });
        return;
      }
      const fd = io.eventfd(3);
      make(fd, "read", "add");
      assert.deepEqual(poll(), [[fd, "read", 3]]);
    });

    it("have EVFILT_EXCEPT for out-of-band data, where it is", () => {
      const { io, make, poll } = start(flavour);
      const [own, peer] = io.tcpPair();
      if (flavour === "freebsd" || flavour === "netbsd") {
        assert.equal(make(own, "except", "add"), "not-supported");
        return;
      }
      assert.equal(make(own, "except", "add"), undefined);
      io.write(peer, byte);
      assert.deepEqual(poll(), []);
      assert.equal(io.sendUrgent(peer, 33), 1);
      assert.deepEqual(poll(), [[own, "except", 0]]);
      assert.equal(io.receiveUrgent(own), 33);
      assert.throws(() => io.receiveUrgent(own), { code: "EINVAL" });
      // The mark stays until what is behind it is read.
      assert.deepEqual(poll(), [[own, "except", 0]]);
      io.write(peer, byte);
      assert.equal(io.read(own, new Uint8Array(8)), 1, "as far as the mark");
      assert.deepEqual(poll(), [[own, "except", 0]]);
      assert.equal(io.read(own, new Uint8Array(8)), 1);
      assert.deepEqual(poll(), []);
      io.close(peer);
      assert.deepEqual(poll(), flavour === "macos" ? [[own, "except", "end", 0]] : []);
      assert.equal(make(io.pipe()[0], "except", "add"), flavour === "dragonfly" ? "not-supported" : "invalid-argument");
    });
  });

  describe(`the waits and notifiers of the simulated kqueue of ${flavour}`, () => {
    it("last until something happens, or to the timeout", () => {
      const { io, kqueue, handle, clock } = start(flavour);
      const [reader, writer] = io.pipe();
      const before = clock.now();
      const changes = [change(reader, "read", 1, "add")];
      assert.deepEqual(kqueue.wait(handle, changes, 8, 1_000_000n), []);
      assert.equal(clock.now() - before, 1_000_000n);
      clock.after(5, () => io.write(writer, byte));
      assert.equal(kqueue.wait(handle, [], 8, undefined).length, 1);
      assert.equal(clock.now() - before, 6_000_000n);
      io.read(reader, byte);
      assert.throws(() => kqueue.wait(handle, [], 8, undefined), /the simulated wait would block for ever/);
    });

    it("make one event of any number of notifications, and none when the notifier or the kqueue is closed", () => {
      const { kqueue, handle, simulated } = start(flavour);
      const filters = (of: number) => kqueue.wait(of, [], 8, 0n).map(({ filter }) => filter);
      const notifier = kqueue.createNotifier();
      kqueue.notify(notifier);
      kqueue.attachNotifier(notifier, handle);
      assert.deepEqual(filters(handle), []);
      kqueue.notify(notifier);
      kqueue.notify(notifier);
      assert.deepEqual([filters(handle), filters(handle)], [["user"], []]);
      const other = kqueue.create();
      kqueue.attachNotifier(notifier, other);
      kqueue.notify(notifier);
      assert.deepEqual([filters(handle), filters(other)], [[], ["user"]]);
      kqueue.notify(notifier);
      kqueue.closeNotifier(notifier);
      kqueue.notify(notifier);
      assert.deepEqual(filters(other), []);
      const second = kqueue.createNotifier();
      kqueue.attachNotifier(second, other);
      kqueue.close(other);
      const { kevent } = simulated.calls;
      kqueue.notify(second);
      assert.equal(simulated.calls.kevent, kevent);
      assert.equal(kqueue.identify(second), 0n);
      assert.deepEqual(
        outcome(() => kqueue.attachNotifier(second, other)),
        { refused: { tag: "bad-descriptor" } },
      );
      assert.deepEqual(
        outcome(() => kqueue.attachNotifier(99, handle)),
        { refused: { tag: "bad-descriptor" } },
      );
    });

    it("are each instance's own, and given back with it", () => {
      const { simulated, kernel, kqueue, handle } = start(flavour);
      const other = liftedKqueue(simulated.open());
      assert.deepEqual(
        outcome(() => other.descriptor(handle)),
        { refused: { tag: "bad-descriptor" } },
      );
      assert.ok(kqueue.descriptor(handle) >= 1_048_576);
      kernel.close();
      kernel.close();
      assert.deepEqual([simulated.instances, simulated.calls.close], [0, 1]);
    });
  });

  describe(`a poller on the simulated kqueue of ${flavour}`, () => {
    const BOTH = (Interest.READABLE | Interest.WRITABLE) as Interest;

    it("adds 1,024 descriptors with both interests by 5 calls of kevent(2) at most", () => {
      const simulated = new SimulatedKqueue({ flavour });
      using poller = new Poller({ kernel: simulated });
      const fds = Array.from({ length: 512 }, () => simulated.io.socketpair()).flat();
      const before = simulated.calls.kevent;
      const verdicts = poller.apply(fds.map((fd) => ({ op: "add", fd, key: fd, interest: BOTH })));
      assert.ok(verdicts.every((verdict) => verdict === undefined));
      assert.equal(poller.stats().registrations, 1024);
      const made = simulated.calls.kevent - before;
      assert.ok(made <= 5, `${made} calls`);
    });

    it("makes one call of kevent(2) in a turn in which 1,024 are ready and were re-armed before", () => {
      const simulated = new SimulatedKqueue({ flavour });
      using poller = new Poller({ kernel: simulated });
      const pairs = Array.from({ length: 1024 }, () => simulated.io.socketpair());
      for (const [fd, peer] of pairs) {
        simulated.io.write(peer, byte);
        poller.add(fd, fd, Interest.READABLE);
      }
      const events = new Events(1024);
      for (let turn = 0; turn < 3; turn++) {
        const before = simulated.calls.kevent;
        assert.equal(poller.wait(events), 1024);
        for (const { key } of events) poller.modify(Number(key), key, Interest.READABLE);
        assert.equal(simulated.calls.kevent - before, 1);
      }
    });

    it("tells by every wait in level mode that the reader of a pipe is gone, once each, by no call that changes anything", () => {
      for (const isClosedBefore of [true, false]) {
        const simulated = new SimulatedKqueue({ flavour });
        using poller = new Poller({ kernel: simulated });
        const [reader, writer] = simulated.io.pipe();
        const [other] = simulated.io.socketpair();
        if (isClosedBefore) simulated.io.close(reader);
        poller.add(writer, 1, Interest.WRITABLE, { mode: "level" });
        poller.add(other, 2, Interest.WRITABLE, { mode: "level" });
        if (!isClosedBefore) simulated.io.close(reader);
        const events = new Events(4);
        poller.wait(events);
        poller.wait(events);
        const before = simulated.calls.kevent;
        for (let turn = 0; turn < 3; turn++) {
          assert.equal(poller.wait(events), 2);
          const told = events.toArray().find(({ key }) => key === 1);
          assert.deepEqual([told?.writable, told?.hangUp, told?.error], [true, true, false]);
        }
        assert.equal(simulated.calls.kevent - before, 3);
      }
    });

    it("does not spin on a pipe whose reader is gone and that is not armed again, whatever was asked for", () => {
      for (const interest of [Interest.READABLE, Interest.WRITABLE, BOTH]) {
        for (const mode of ["oneshot", "edge-oneshot"] as const) {
          const simulated = new SimulatedKqueue({ flavour });
          using poller = new Poller({ kernel: simulated });
          const [reader, writer] = simulated.io.pipe();
          poller.add(writer, 1, interest, { mode });
          simulated.io.close(reader);
          const events = new Events(1);
          assert.equal(poller.wait(events), 1);
          const before = simulated.calls.kevent;
          assert.equal(poller.wait(events, { timeout: 50 }), 0);
          assert.equal(poller.wait(events, { timeout: 50 }), 0);
          assert.ok(simulated.calls.kevent - before <= 10, `${simulated.calls.kevent - before} calls`);
          poller.modify(writer, 2, interest);
          assert.equal(poller.wait(events), 1);
          assert.equal(events.toArray()[0]?.key, 2);
        }
      }
    });

    it("goes on telling that the reader of a pipe is gone, each time that it is armed again", () => {
      for (const interest of [Interest.WRITABLE, BOTH]) {
        const simulated = new SimulatedKqueue({ flavour });
        using poller = new Poller({ kernel: simulated });
        const [reader, writer] = simulated.io.pipe();
        poller.add(writer, 1, interest);
        const events = new Events(4);
        assert.equal(poller.wait(events), 1);
        simulated.io.close(reader);
        for (let turn = 0; turn < 3; turn++) {
          poller.modify(writer, 1, interest);
          assert.equal(poller.wait(events, { timeout: 1 }), 1, `turn ${turn}`);
          const [event] = events.toArray();
          const told = [event?.readable, event?.writable, event?.hangUp, event?.error];
          assert.deepEqual(told, [interest === BOTH, true, true, false]);
        }
        poller.delete(writer);
        assert.throws(() => poller.modify(writer, 1, interest), { code: "ENOENT" });
      }
    });

    it("does not block when something is refused of more changes than go at once", () => {
      const simulated = new SimulatedKqueue({ flavour });
      using poller = new Poller({ kernel: simulated });
      const pairs = Array.from({ length: 1030 }, () => simulated.io.socketpair());
      const events = new Events(1024);
      for (const [fd, peer] of pairs) {
        simulated.io.write(peer, byte);
        poller.add(fd, fd, Interest.READABLE);
      }
      // Reported, disarmed because they were not armed again, drained, and armed by the next wait.
      assert.deepEqual([poller.wait(events), poller.wait(events)], [1024, 6]);
      assert.equal(poller.wait(events, { timeout: 0 }), 0);
      for (const [fd] of pairs) {
        simulated.io.read(fd, byte);
        poller.modify(fd, fd, Interest.READABLE);
      }
      const first = pairs[0]?.[0] ?? assert.fail();
      simulated.io.close(first);
      const before = simulated.clock.now();
      assert.equal(poller.wait(events, { timeout: 1000 }), 1);
      assert.deepEqual([events.toArray()[0]?.errorCode, simulated.clock.now() - before], ["EBADF", 0n]);
    });

    it("tells each once in a wait in which something else is refused", () => {
      const simulated = new SimulatedKqueue({ flavour });
      using poller = new Poller({ kernel: simulated });
      const [reader, writer] = simulated.io.pipe();
      const [late] = simulated.io.socketpair();
      const events = new Events(8);
      poller.add(late, 2, Interest.WRITABLE);
      assert.deepEqual([poller.wait(events), poller.wait(events, { timeout: 0 })], [1, 0]);
      simulated.io.close(reader);
      poller.add(writer, 1, Interest.WRITABLE, { mode: "level" });
      assert.equal(poller.wait(events), 1);
      poller.modify(late, 2, Interest.WRITABLE);
      simulated.io.close(late);
      poller.wait(events);
      const told = events.toArray().map(({ key, errorCode }) => [key, errorCode]);
      assert.deepEqual(told.toSorted(), [
        [1, undefined],
        [2, "EBADF"],
      ]);
    });
  });
}

describe("the simulated kqueue", () => {
  it("is of a system that there is", () => {
    const mistakes = [{ flavour: "linux" }, { flavour: 1 }, {}] as const;
    for (const options of mistakes) {
      assert.throws(() => new SimulatedKqueue(options as never), { code: "ERR_INVALID_ARG_VALUE" });
    }
    assert.equal(new SimulatedKqueue({ flavour: "macos" }).flavour, "macos");
  });
});
