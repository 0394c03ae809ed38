/** From a poller's first call to what is left of it: closing, dropping, many of them, and none to be had. */
import assert from "node:assert/strict";
import { Events, Interest, Poller } from "lio-poller";
import { close, eventfd } from "lio-poller/io";
import { SimulatedEpoll } from "lio-poller/sim";
import { assertPasses } from "./support/child.js";
import { isCloseOnExec, kernelObjects, openFiles, openedSince } from "./support/descriptors.js";
import { collectUntil, whenCollected } from "./support/garbage.js";

const R = Interest.READABLE;

/** Every way to use a poller, but for closing it. */
const uses: Readonly<Record<string, (poller: Poller, fd: number) => unknown>> = {
  add: (poller, fd) => poller.add(fd, 1, R),
  modify: (poller, fd) => poller.modify(fd, 1, R),
  delete: (poller, fd) => poller.delete(fd),
  apply: (poller, fd) => poller.apply([{ op: "add", fd, key: 1, interest: R }]),
  "apply of nothing": (poller) => poller.apply([]),
  wait: (poller) => poller.wait(new Events(1), { timeout: 0 }),
  notify: (poller) => poller.notify(),
  attach: (poller) => poller.attach(() => {}),
  ref: (poller) => poller.ref(),
  unref: (poller) => poller.unref(),
  stats: (poller) => poller.stats(),
  fd: (poller) => poller.fd,
};

describe("a poller", () => {
  let fd: number;

  before(() => {
    // What the first poller of a process opens for all of them stays open.
    new Poller().close();
    fd = eventfd(1);
  });

  after(() => close(fd));

  describe("that is closed", () => {
    for (const [name, use] of Object.entries(uses)) {
      it(`refuses ${name}`, () => {
        const poller = new Poller();
        poller.add(fd, 1, R);
        poller.close();
        assert.throws(() => use(poller, fd), { name: "PollerError", code: "ERR_POLLER_CLOSED", errno: undefined });
      });
    }

    it("can be closed again", () => {
      const before = openFiles();
      const poller = new Poller();
      poller.close();
      // Takes the place of the one that was closed.
      using other = new Poller();
      poller.close();
      poller[Symbol.dispose]();
      other.add(fd, 1, R);
      assert.equal(other.wait(new Events(1), { timeout: 0 }), 1);
      other.close();
      assert.deepEqual(openedSince(before), []);
    });

    it("leaves the registered descriptors open, and free for another poller", () => {
      new Poller().close();
      const poller = new Poller();
      poller.add(fd, 1, R);
      poller.close();
      using other = new Poller();
      other.add(fd, 2, R);
      assert.equal(other.wait(new Events(1), { timeout: 0 }), 1);
    });

    it("was closed by `using`, at the end of its block, also if the block throws", () => {
      const before = kernelObjects();
      let kept: Poller | undefined;
      assert.throws(() => {
        using poller = new Poller();
        kept = poller;
        assert.equal(kernelObjects().epolls, before.epolls + 1);
        throw new Error("out of the block");
      }, /out of the block/);
      assert.throws(() => kept?.stats(), { code: "ERR_POLLER_CLOSED" });
      assert.deepEqual(kernelObjects(), before);
    });
  });

  it("holds one epoll instance, and from its first notification on one eventfd, until it is closed", () => {
    const before = kernelObjects();
    const poller = new Poller();
    poller.add(fd, 1, R);
    poller.wait(new Events(4), { timeout: 0 });
    assert.deepEqual(kernelObjects(), { epolls: before.epolls + 1, eventfds: before.eventfds });
    poller.notify();
    poller.notify();
    assert.deepEqual(kernelObjects(), { epolls: before.epolls + 1, eventfds: before.eventfds + 1 });
    poller.close();
    assert.deepEqual(kernelObjects(), before);
  });

  it("holds nothing that a child would inherit (fault 37)", () => {
    const before = openFiles();
    using poller = new Poller();
    poller.notify();
    const mine = [...openFiles().keys()].filter((number) => !before.has(number));
    assert.equal(mine.length, 2);
    for (const number of mine) assert.ok(isCloseOnExec(number), `${number}`);
  });

  it("leaves open what was open before, after a whole life of every call", () => {
    const before = openFiles();
    for (let life = 0; life < 50; life++) {
      using poller = new Poller();
      const own = eventfd(1);
      poller.add(own, 1, R);
      poller.notify();
      assert.equal(poller.wait(new Events(4)), 1);
      poller.modify(own, 2, R | Interest.WRITABLE, { mode: "level" });
      assert.equal(poller.wait(new Events(4)), 1);
      assert.ok(poller.fd >= 0);
      poller.delete(own);
      poller.apply([
        { op: "add", fd: own, key: 1, interest: R },
        { op: "add", fd: own, key: 1, interest: R },
      ]);
      close(own);
    }
    assert.deepEqual(openedSince(before), []);
  });

  it("that could not be made has left nothing open", () => {
    const before = openFiles();
    assert.throws(() => new Poller({ kernel: "none" as never }), { code: "ERR_POLLER_UNSUPPORTED" });
    assert.deepEqual(openedSince(before), []);
  });

  it("that is dropped gives its descriptors back", async () => {
    const before = kernelObjects();
    (function drop() {
      for (let i = 0; i < 40; i++) {
        const poller = new Poller();
        poller.add(fd, i, R);
        poller.notify();
      }
      assert.deepEqual(kernelObjects(), { epolls: before.epolls + 40, eventfds: before.eventfds + 40 });
    })();
    const gone = await collectUntil(() => kernelObjects().epolls <= before.epolls);
    assert.ok(gone, `${kernelObjects().epolls - before.epolls} are left`);
    assert.deepEqual(kernelObjects(), before);
  });

  it("that was closed is not closed again when it is collected", async () => {
    const before = kernelObjects();
    const collected = new Set<number>();
    (function drop() {
      for (let i = 0; i < 40; i++) {
        const poller = new Poller();
        poller.close();
        whenCollected(poller, () => collected.add(i));
      }
    })();
    // These have the closed ones' handles now.
    const heirs = Array.from({ length: 40 }, () => new Poller());
    assert.ok(await collectUntil(() => collected.size === 40));
    assert.equal(kernelObjects().epolls, before.epolls + 40);
    for (const heir of heirs) {
      heir.add(fd, 1, R);
      heir.close();
    }
    assert.deepEqual(kernelObjects(), before);
  });
});

describe("many pollers", () => {
  it("of one thread watch the same descriptor, each in its own way", () => {
    const fd = eventfd(1);
    const before = openFiles();
    const pollers = Array.from({ length: 200 }, () => new Poller());
    const events = new Events(4);
    pollers.forEach((poller, key) => poller.add(fd, key, R, { mode: key % 2 === 0 ? "oneshot" : "level" }));
    // Closing some disturbs none of the others.
    pollers.forEach((poller, key) => key % 5 === 0 && poller.close());
    for (const round of [0, 1]) {
      pollers.forEach((poller, key) => {
        if (key % 5 === 0) return;
        const expected = round === 0 || key % 2 === 1 ? [key] : [];
        assert.equal(poller.wait(events, { timeout: 0 }), expected.length);
        assert.deepEqual(
          events.toArray().map((event) => event.key),
          expected,
        );
        assert.equal(poller.stats().registrations, 1);
      });
    }
    pollers.forEach((poller) => poller.close());
    assert.deepEqual(openedSince(before), []);
    close(fd);
  });

  it("can share Events, which bring what the last wait brought", () => {
    const fd = eventfd(1);
    const events = new Events(8);
    for (let key = 0; key < 20; key++) {
      using poller = new Poller();
      poller.add(fd, key, R);
      assert.equal(poller.wait(events, { timeout: 0 }), 1);
      assert.equal(events.toArray()[0]?.key, key);
    }
    close(fd);
  });

  it("of different kernels cannot share Events", () => {
    const fd = eventfd(1);
    const events = new Events(8);
    using poller = new Poller();
    poller.add(fd, 5, R, { mode: "level" });
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    const first = new SimulatedEpoll();
    using simulated = new Poller({ kernel: first });
    using another = new Poller({ kernel: new SimulatedEpoll() });
    for (const stranger of [simulated, another]) {
      const refusal = { name: "PollerError", code: "ERR_POLLER_UNSUPPORTED" };
      assert.throws(() => stranger.wait(events, { timeout: 0 }), refusal);
      assert.equal(stranger.stats().waits, 0);
    }
    assert.equal(events.toArray()[0]?.key, 5, "what they held stands");
    assert.equal(poller.wait(events, { timeout: 0 }), 1);

    const others = new Events(8);
    assert.equal(simulated.wait(others, { timeout: 0 }), 0);
    assert.throws(() => another.wait(others, { timeout: 0 }), { code: "ERR_POLLER_UNSUPPORTED" });
    assert.throws(() => poller.wait(others, { timeout: 0 }), { code: "ERR_POLLER_UNSUPPORTED" });
    close(fd);
  });

  it("can be nested: a poller's descriptor is readable for another poller while it has an event", () => {
    const [left, right] = [eventfd(0), eventfd(1)];
    using inner = new Poller();
    using outer = new Poller();
    const events = new Events(4);
    outer.add(inner.fd, 77, R, { mode: "level" });
    inner.add(left, 1, R);
    assert.equal(outer.wait(events, { timeout: 0 }), 0);

    inner.add(right, 2, R);
    assert.equal(outer.wait(events), 1);
    assert.deepEqual(
      events.toArray().map(({ key, readable }) => [key, readable]),
      [[77, true]],
    );
    assert.equal(inner.wait(events, { timeout: 0 }), 1);
    assert.equal(events.toArray()[0]?.key, 2);

    // The wait that does not report it silences it.
    assert.equal(inner.wait(events, { timeout: 0 }), 0);
    assert.equal(outer.wait(events, { timeout: 0 }), 0);

    inner.notify();
    assert.equal(outer.wait(events), 1);
    close(left);
    close(right);
  });

  it("that would watch each other in a circle are refused with ELOOP", () => {
    using inner = new Poller();
    using outer = new Poller();
    outer.add(inner.fd, 1, R);
    assert.throws(() => inner.add(outer.fd, 1, R), { name: "PollerError", code: "ELOOP", syscall: "add" });
    assert.deepEqual([inner.stats().registrations, outer.stats().registrations], [0, 1]);
  });
});

describe("a process that has no descriptor left", () => {
  it("is told so by EMFILE, and works again when there are some", () =>
    assertPasses("descriptor-limit", "ulimit -n 64"));
});
