/** Faults of ours that the model found: each by the shortest program that showed it. */
import assert from "node:assert/strict";
import { Events, Interest, Poller, type ReadyEvent } from "lio-poller";
import { FaultyKernel, SimulatedAfd, SimulatedEpoll, SimulatedKqueue, type Fault } from "lio-poller/sim";

const R = Interest.READABLE;

function start() {
  const simulated = new SimulatedEpoll();
  const coming: { name: string; faults: readonly Fault[] }[] = [];
  const kernel = new FaultyKernel(simulated, ({ name }) => {
    return coming[0]?.name === name ? coming.shift()?.faults : undefined;
  });
  const poller = new Poller({ kernel });
  const events = new Events(8);
  return {
    poller,
    io: simulated.io,
    clock: simulated.clock,
    simulated,
    /** What goes wrong in the next calls of a name, in order. */
    coming: (name: string, ...faults: Fault[]) => void coming.push({ name, faults }),
    poll: (): ReadyEvent[] => {
      poller.wait(events, { timeout: 0 });
      return events.toArray();
    },
  };
}

describe("what the model found stays mended:", () => {
  it("a periodic timer is told once a wait, however short its period and however long the wait takes", () => {
    const { poller, poll, clock, coming } = start();
    poller.addTimer(1, 0, { repeat: 0.000001 });
    let told = 0;
    const before = clock.now();
    for (let round = 0; round < 4; round++) {
      // Time passes between the two looks at the clock, of which the kernel's wait has the second.
      coming("now", { kind: "delay", milliseconds: 0.5 });
      coming("wait", { kind: "delay", milliseconds: 0.5 });
      const events = poll();
      assert.equal(events.length, 1, `round ${round}`);
      told += events[0]?.expirations ?? 0;
    }
    assert.ok(told <= Number(clock.now() - before) + 1, "no period was counted twice");
  });

  it("a closed descriptor is deleted with success even if its number is a regular file's by now", () => {
    const { poller, poll, io } = start();
    const fd = io.eventfd(1);
    const other = io.dup(fd);
    poller.add(fd, 1, R, { mode: "level" });
    io.dup(io.regular(), fd);
    poller.delete(fd);
    assert.throws(() => poller.delete(fd), { code: "ENOENT" });
    assert.equal(poller.stats().registrations, 0);
    // What the duplicate keeps alive in the kernel is not told to anyone.
    for (let round = 0; round < 4; round++) assert.deepEqual(poll(), []);
    io.close(other);
  });

  it("the same in a batch", () => {
    const { poller, io } = start();
    const fd = io.eventfd(1);
    poller.add(fd, 1, R);
    io.dup(io.regular(), fd);
    const change = { fd, key: 2, interest: Interest.WRITABLE };
    const verdicts = poller.apply([
      { op: "modify", ...change },
      { op: "delete", fd },
      { op: "delete", fd },
    ]);
    assert.deepEqual(
      verdicts.map((error) => error?.code),
      ["EPERM", undefined, "ENOENT"],
    );
  });

  it("a wait that fails after the kernel told of a notification leaves it to the next one", () => {
    const { poller, clock, coming } = start();
    const events = new Events(1);
    poller.notify();
    // The notification takes the only room, so the wait looks once more for descriptors.
    coming("wait");
    coming("wait", { kind: "error", error: "EFAULT" });
    assert.throws(() => poller.wait(events), { code: "EFAULT" });
    const before = clock.now();
    assert.equal(poller.wait(events, { timeout: 1000 }), 0);
    assert.equal(clock.now(), before, "it was notified");
  });

  for (const [error, isTold] of [
    ["ENOMEM", true],
    ["EINVAL", false],
  ] as const) {
    const fate = isTold ? "is told so" : "is left behind where its number is the kernel object's own by now";
    it(`a registration that cannot be moved to a new kernel object ${fate} (${error})`, () => {
      const { poller, poll, io, simulated, coming } = start();
      const fd = io.eventfd(1);
      const other = io.dup(fd);
      const bystander = io.eventfd(0);
      poller.add(fd, 1, R, { mode: "level" });
      poller.add(bystander, 2, R, { mode: "level" });
      io.close(fd);
      poller.delete(fd);
      assert.deepEqual(poll(), []);
      // Its second event shows that the duplicate would go on for ever.
      coming("create");
      coming("control", { kind: "change", index: 0, error });
      const [told] = poll();
      const expected = isTold ? [2, true, error] : [undefined, undefined, undefined];
      assert.deepEqual([told?.key, told?.refused, told?.errorCode], expected);
      assert.equal(poller.stats().rebuilds, 1);
      io.write(bystander, new Uint8Array(8).fill(1));
      assert.deepEqual(poll(), [], "it is not registered with the new one");
      poller.delete(bystander);
      poller.add(bystander, 3, R);
      assert.equal(poll()[0]?.key, 3);
      assert.equal(simulated.instances, 1);
      io.close(other);
    });
  }

  it("a notification that only the old kernel object knew of ends a wait all the same", () => {
    const simulated = new SimulatedKqueue({ flavour: "macos" });
    const coming: { name: string; fault: Fault }[] = [];
    const kernel = new FaultyKernel(simulated, ({ name, changes }) => {
      const [next] = coming;
      if (next?.name !== name || (next.fault.kind === "change" && changes.length === 0)) return undefined;
      coming.shift();
      return [next.fault];
    });
    using poller = new Poller({ kernel });
    const events = new Events(4);
    const [fd, peer] = simulated.io.socketpair();
    simulated.io.write(peer, new Uint8Array(1));
    poller.add(fd, 1, R);
    assert.equal(poller.wait(events), 1);
    // It cannot be silenced, and the kernel object that would help cannot be had.
    coming.push({ name: "wait", fault: { kind: "change", index: 0, error: "EINVAL" } });
    coming.push({ name: "create", fault: { kind: "error", error: "EMFILE" } });
    assert.throws(() => poller.wait(events, { timeout: 10 }), { code: "EMFILE" });
    poller.notify();
    const before = simulated.clock.now();
    assert.equal(poller.wait(events, { timeout: 1000 }), 0);
    assert.equal(simulated.clock.now(), before, "it was notified");
    assert.equal(poller.stats().rebuilds, 1);
  });

  /** A poller on a kqueue that refuses changes of its first calls of `control`: for each call, the kinds and the errors. */
  function onLyingKqueue() {
    const simulated = new SimulatedKqueue({ flavour: "freebsd" });
    const lies: Readonly<Record<string, string>>[] = [];
    let calls = 0;
    const kernel = new FaultyKernel(simulated, ({ name, changes }) => {
      if (++calls > 1000) throw new Error("calls without end");
      if (name !== "control") return undefined;
      const refused = lies.shift() ?? {};
      const named = changes as readonly { readonly operation: string; readonly filter?: string }[];
      return named.flatMap(({ operation, filter }, index): Fault[] => {
        const error = refused[`${operation} ${filter}`];
        return error === undefined ? [] : [{ kind: "change", index, error }];
      });
    });
    const [fd] = simulated.io.socketpair();
    return { simulated, fd, lies, poller: new Poller({ kernel }), events: new Events(4) };
  }

  it("a knote that the kernel denies, and keeps, is not asked for without end", () => {
    const { simulated, fd, lies, poller, events } = onLyingKqueue();
    lies.push({ "add read": "EPIPE" }, { "delete write": "ENOENT" });
    poller.add(fd, 1, R | Interest.WRITABLE);
    assert.equal(poller.wait(events), 1, "that there is nobody at the other end");
    const before = simulated.clock.now();
    assert.equal(poller.wait(events, { timeout: 5 }), 0);
    assert.equal(simulated.clock.now() - before, 5_000_000n);
    assert.equal(poller.stats().rebuilds, 1);
    poller.close();
  });

  it("what is left of an add that was refused is nobody's, also after a delete", () => {
    const { fd, lies, poller, events } = onLyingKqueue();
    poller.add(fd, 1, R);
    lies.push({ "enable read": "ENOENT" }, { "add read": "EINVAL" }, { "delete write": "EBADF" });
    assert.throws(() => poller.add(fd, 2, R | Interest.WRITABLE, { mode: "level" }), { name: "PollerError" });
    poller.delete(fd);
    for (let round = 0; round < 4; round++) assert.equal(poller.wait(events, { timeout: 0 }), 0, `round ${round}`);
    poller.close();
  });

  it("a number that is the kqueue's own by now was closed, says a modify", () => {
    const { fd, lies, poller } = onLyingKqueue();
    poller.add(fd, 1, R, { mode: "level" });
    const own = { "add read": "EINVAL", "add write": "EINVAL", "delete read": "ENOENT" };
    lies.push(own, own);
    assert.throws(() => poller.modify(fd, 2, Interest.WRITABLE), { code: "EBADF" });
    poller.delete(fd);
    assert.equal(poller.stats().registrations, 0);
    poller.close();
  });

  for (const refused of ["delete read", "delete write"]) {
    it(`a delete of which the kernel refuses one half leaves the registration whole (${refused})`, () => {
      const { simulated, lies, poller, events } = onLyingKqueue();
      const [fd, peer] = simulated.io.socketpair();
      simulated.io.write(peer, Uint8Array.of(1));
      poller.add(fd, 1, R | Interest.WRITABLE);
      lies.push({ [refused]: "EINVAL" });
      assert.throws(() => poller.delete(fd), { code: "EINVAL" });
      assert.equal(poller.wait(events, { timeout: 0 }), 1);
      const [event] = events.toArray();
      assert.deepEqual([event?.key, event?.readable, event?.writable], [1, true, true]);
      poller.delete(fd);
      poller.close();
    });
  }

  it("a registration for nothing is silent, whatever the kernel said of its knote", () => {
    const { fd, lies, poller, events } = onLyingKqueue();
    lies.push({ "add read": "EPIPE" });
    poller.add(fd, 1, Interest.NONE, { mode: "level" });
    assert.equal(poller.wait(events, { timeout: 0 }), 0);
    poller.modify(fd, 2, Interest.WRITABLE);
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    poller.close();
  });

  it("a modify and a delete in one batch, of what the kernel said is gone, get verdicts of their own", () => {
    const { simulated, fd, poller, events } = onLyingKqueue();
    const [other] = simulated.io.socketpair();
    poller.add(other, 9, R);
    poller.add(fd, 1, Interest.WRITABLE);
    assert.equal(poller.wait(events), 1);
    assert.equal(poller.wait(events, { timeout: 0 }), 0);
    simulated.io.close(fd);
    poller.modify(fd, 2, Interest.WRITABLE);
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    assert.equal(events.toArray()[0]?.errorCode, "EBADF");
    // Its verdict must not be taken for the next ones'.
    assert.throws(() => poller.add(other, 9, R), { code: "EEXIST" });
    const verdicts = poller.apply([
      { op: "modify", fd, key: 3, interest: R },
      { op: "delete", fd },
      { op: "delete", fd },
    ]);
    assert.deepEqual(
      verdicts.map((error) => error?.code),
      ["EBADF", undefined, "ENOENT"],
    );
    poller.close();
  });

  /** A poller on the simulated AFD, the next changes of which are refused: for each kind, the errors. */
  function onLyingAfd() {
    const simulated = new SimulatedAfd();
    const lies: [operation: string, error: string][] = [];
    const kernel = new FaultyKernel(simulated, ({ changes }) => {
      const index = changes.findIndex(({ operation }) => operation === lies[0]?.[0]);
      return index === -1 ? undefined : [{ kind: "change", index, error: lies.shift()?.[1] as string }];
    });
    const [fd, peer] = simulated.io.socketpair();
    const poller = new Poller({ kernel });
    const events = new Events(4);
    const poll = (): unknown[] => {
      poller.wait(events, { timeout: 0 });
      return events.toArray().map(({ key, errorCode }) => errorCode ?? key);
    };
    return { simulated, fd, peer, lies, poller, events, poll };
  }

  it("a wait that is notified tells also what had to be asked for anew, as AFD completes requests", () => {
    const { fd, poller, poll } = onLyingAfd();
    poller.add(fd, 1, R);
    poller.notify();
    poller.modify(fd, 2, R | Interest.WRITABLE);
    assert.deepEqual(poll(), [2]);
    poller.close();
  });

  it("so does one that tells of others", () => {
    const { simulated, fd, peer, poller, poll } = onLyingAfd();
    poller.add(fd, 1, R | Interest.WRITABLE);
    simulated.io.write(peer, Uint8Array.of(1));
    poller.modify(fd, 2, R);
    poller.add(peer, 3, Interest.WRITABLE);
    assert.deepEqual(poll().toSorted(), [2, 3]);
    poller.close();
  });

  it("a modify to a mode that there is not, of what was not added in the same batch, finds nothing to modify", () => {
    const { simulated, poller } = onLyingAfd();
    const fd = simulated.io.regular();
    const verdicts = poller.apply([
      { op: "add", fd, key: 1, interest: R },
      { op: "modify", fd, key: 2, interest: R, mode: "edge" },
    ]);
    assert.deepEqual(
      verdicts.map((error) => error?.code),
      ["ENOTSOCK", "ENOENT"],
    );
    poller.close();
  });

  it("a socket is added once, also while the end of another one of its number has not been told", () => {
    const { simulated, fd, poller, poll } = onLyingAfd();
    const [other, peer] = simulated.io.socketpair();
    poller.add(fd, 1, R);
    simulated.io.dup(other, fd);
    poller.add(fd, 2, R);
    assert.throws(() => poller.add(fd, 3, R), { code: "EEXIST" });
    simulated.io.write(peer, Uint8Array.of(1));
    assert.deepEqual(poll(), [2]);
    poller.close();
  });

  for (const error of ["EBADF", "EINVAL"]) {
    it(`a request that could not be cancelled is cancelled later (${error})`, () => {
      const { simulated, fd, peer, lies, poller, poll } = onLyingAfd();
      simulated.io.write(peer, Uint8Array.of(1));
      poller.add(fd, 1, R);
      assert.deepEqual([poll(), poll(), poll()], [[1], [], []]);
      poller.modify(fd, 2, R);
      lies.push(["cancel", error]);
      assert.deepEqual(poll(), [error]);
      poller.modify(fd, 3, R);
      assert.deepEqual(poll(), [3]);
      poller.delete(fd);
      poller.add(fd, 4, R);
      assert.deepEqual(poll(), [4]);
      poller.close();
    });
  }

  it("sockets that were refused do not keep those behind them in the batch from being added", () => {
    const { simulated, poller, events } = onLyingAfd();
    const fds = Array.from({ length: 80 }, (_, index) =>
      index < 32 || index >= 64 ? (simulated.io.socketpair()[0] as number) : simulated.io.regular(),
    );
    const verdicts = poller.apply(fds.map((fd, key) => ({ op: "add", fd, key, interest: Interest.WRITABLE })));
    const expected = fds.map((_, index) => (index < 32 || index >= 64 ? undefined : "ENOTSOCK"));
    assert.deepEqual(
      verdicts.map((error) => error?.code),
      expected,
    );
    assert.equal(poller.wait(events), 4);
    poller.close();
  });

  it("a socket that AFD says is there already is not watched in place of another one", () => {
    const { simulated, fd, peer, lies, poller, poll } = onLyingAfd();
    const [other] = simulated.io.socketpair();
    poller.add(fd, 1, R);
    lies.push(["remove", "EBADF"]);
    poller.delete(fd);
    simulated.io.write(peer, Uint8Array.of(1));
    assert.deepEqual(poll(), []);
    lies.push(["add", "EEXIST"]);
    assert.throws(() => poller.add(other, 2, R), { code: "EEXIST" });
    assert.deepEqual(poll(), []);
    poller.close();
  });
});
