/** What changes cost, and how they go down: what the contract cannot show, because readiness is the same either way. */
import assert from "node:assert/strict";
import { Events, Interest, Poller, type PollerStats } from "lio-poller";
import { FaultyKernel, SimulatedEpoll, type Fault } from "lio-poller/sim";
import { Random } from "./support/random.js";
import { WrappedKernel } from "./support/wrapped-kernel.js";

const R = Interest.READABLE;

describe("a registration that is armed again", () => {
  const simulated = new SimulatedEpoll();
  let poller: Poller;
  let fd: number;
  const events = new Events(4);

  beforeEach(() => {
    poller = new Poller({ kernel: simulated });
    fd = simulated.io.eventfd(1);
    poller.add(fd, 1, R);
  });

  afterEach(() => {
    poller.close();
    simulated.io.close(fd);
  });

  function changesIn(rounds: number, round: () => void): number {
    const changes = (): number => (poller.stats() satisfies PollerStats).changes;
    const before = changes();
    for (let i = 0; i < rounds; i++) round();
    return changes() - before;
  }

  function inTime(): void {
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    poller.modify(fd, 1, R);
  }

  function late(): void {
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    assert.equal(poller.wait(events, { timeout: 0 }), 0);
    poller.modify(fd, 1, R);
  }

  it("in time costs no system call", () => {
    assert.equal(changesIn(10, inTime), 0);
  });

  it("late once is no habit yet: a call disarms it the next time, too", () => {
    // Disarmed, armed and disarmed again, by a change each. To arm it the second time goes with the wait after these.
    assert.equal(changesIn(2, late), 3);
  });

  it("late, time and again, costs one: the kernel disarms it by itself then", () => {
    changesIn(4, late);
    assert.equal(changesIn(10, late), 10);
  });

  it("late now and then is no habit: being in time between makes it the first time again", () => {
    const costs = Array.from({ length: 5 }, () => changesIn(1, late) + changesIn(1, inTime));
    assert.deepEqual(costs, [2, 2, 2, 2, 2]);
  });

  it("in time by the long way, with a mode given, is not taken for late: what is late then is so for the first time", () => {
    const inTimeWithMode = (): void => {
      assert.equal(poller.wait(events, { timeout: 0 }), 1);
      poller.modify(fd, 1, R, { mode: "oneshot" });
    };
    assert.equal(changesIn(3, inTimeWithMode), 0);
    assert.equal(changesIn(2, late), 3);
  });

  it("is counted, by whether that took a call", () => {
    changesIn(3, inTime);
    const { rearmsMade, rearmsLeftOut } = poller.stats();
    assert.deepEqual([rearmsMade, rearmsLeftOut], [0, 3]);
    // One call disarms it, another arms it again.
    changesIn(1, late);
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    assert.deepEqual([poller.stats().rearmsMade, poller.stats().rearmsLeftOut], [2, 3]);
  });

  it("in time once is no habit: late as before, it costs one still", () => {
    changesIn(20, late);
    changesIn(1, inTime);
    assert.equal(changesIn(1, late), 1);
  });

  it("in time three times costs nothing from then on, however often it was late", () => {
    changesIn(20, late);
    changesIn(3, inTime);
    assert.equal(changesIn(10, inTime), 0);
  });
});

describe("a wait with more changes than go in one call", () => {
  it("sends and asks for 1,024 at most at once", () => {
    const most = new Map<string, number>();
    const simulated = new SimulatedEpoll();
    const kernel = new WrappedKernel(simulated, (name, call) => (...flat) => {
      const note = (what: string, index: number): void => {
        most.set(what, Math.max(most.get(what) ?? 0, Number(flat[index])));
      };
      if (name === "wait" || name === "control") note("changes", 2);
      if (name === "wait") note("events", 3);
      return call(...flat);
    });
    using poller = new Poller({ kernel });
    const events = new Events(5000);
    const fds = Array.from({ length: 3000 }, () => simulated.io.eventfd(1));
    for (const [key, fd] of fds.entries()) poller.add(fd, key, R);
    let told = 0;
    for (let i = 0; i < 3; i++) told += poller.wait(events, { timeout: 0 });
    assert.equal(told, 3000);
    // None was armed again, so that all are disarmed, by changes that go down with waits.
    assert.equal(poller.wait(events, { timeout: 0 }), 0);
    for (const [key, fd] of fds.entries()) poller.modify(fd, key, R);
    for (told = 0; told < 3000;) told += poller.wait(events, { timeout: 0 });
    assert.deepEqual([...most.entries()].toSorted(), [
      ["changes", 1024],
      ["events", 1024],
    ]);
  });
});

describe("a wait with no timeout", () => {
  it("does not block when a change was refused before it, also if that is descriptor 0's", () => {
    const simulated = new SimulatedEpoll();
    const { io } = simulated;
    const coming: Fault[] = [];
    const kernel = new FaultyKernel(simulated, ({ name }) => (name === "control" ? coming.splice(0) : undefined));
    using poller = new Poller({ kernel });
    const events = new Events(2000);
    const original = io.eventfd(1);
    assert.equal(io.dup(original, 0), 0);
    const fds = [0, ...Array.from({ length: 1024 }, () => io.eventfd(1))];
    for (const [key, fd] of fds.entries()) poller.add(fd, key, R);
    for (let told = 0; told < fds.length;) told += poller.wait(events, { timeout: 0 });
    for (let i = 0; i < 3; i++) assert.equal(poller.wait(events, { timeout: 0 }), 0);
    for (const fd of fds) io.read(fd, new Uint8Array(8));
    // One more than go in a call, so that all but that one go before the wait.
    for (const [key, fd] of fds.entries()) poller.modify(fd, key, R);
    coming.push({ kind: "change", index: 0, error: "ENOMEM" });
    assert.equal(poller.wait(events), 1);
    const [told] = events.toArray();
    assert.deepEqual([told?.key, told?.errorCode], [0, "ENOMEM"]);
  });
});

describe("a batch", () => {
  it("counts each change that the kernel was asked for", () => {
    const simulated = new SimulatedEpoll();
    using poller = new Poller({ kernel: simulated });
    const fds = Array.from({ length: 5 }, () => simulated.io.eventfd(0));
    poller.apply(fds.map((fd, key) => ({ op: "add", fd, key, interest: R })));
    assert.equal(poller.stats().changes, 5);
    poller.apply(fds.map((fd) => ({ op: "delete", fd })));
    assert.equal(poller.stats().changes, 10);
    assert.equal(simulated.calls.control, 10);
  });

  it("deletes what it modified before, wherever in it that is", () => {
    const simulated = new SimulatedEpoll();
    using poller = new Poller({ kernel: simulated });
    const events = new Events(8);
    const fds = Array.from({ length: 4 }, () => simulated.io.eventfd(1));
    for (const [key, fd] of fds.entries()) poller.add(fd, key, R, { mode: "level" });
    const modify = fds.map((fd, key) => ({ op: "modify", fd, key, interest: Interest.WRITABLE }) as const);
    const removed = fds.slice(2).map((fd) => ({ op: "delete", fd }) as const);
    const verdicts = poller.apply([...modify, ...removed]);
    assert.deepEqual(verdicts, [undefined, undefined, undefined, undefined, undefined, undefined]);
    for (let i = 0; i < 4; i++) {
      assert.equal(poller.wait(events, { timeout: 0 }), 2);
      assert.deepEqual(
        events.toArray().map(({ key }) => key),
        [0, 1],
      );
    }
    // Nothing of them was left in the kernel.
    assert.equal(poller.stats().rebuilds, 0);
  });

  it("tells descriptors apart that are anywhere in their range, each with its own verdict", () => {
    using poller = new Poller({ kernel: new SimulatedEpoll() });
    const random = new Random(1);
    // So many that they meet in the batch's table, again and again.
    const fds = Array.from({ length: 1024 }, () => random.below(2 ** 31 - 1));
    const verdicts = poller.apply(fds.map((fd, key) => ({ op: "add", fd, key, interest: R })));
    assert.deepEqual(
      verdicts.map((error) => error?.code),
      fds.map(() => "EBADF"),
    );
    assert.equal(poller.stats().registrations, 0);
  });
});

describe("a kernel object that is replaced", () => {
  /** A registration whose duplicate goes on reporting when it has ended, which nothing but another kernel object ends. */
  function leaveBehind(poller: Poller, { io }: SimulatedEpoll): void {
    const closed = io.eventfd(1);
    poller.add(closed, 1000, R, { mode: "level" });
    io.dup(closed);
    io.close(closed);
    poller.delete(closed);
  }

  it("takes every registration along once, wherever it stands", () => {
    const simulated = new SimulatedEpoll();
    using poller = new Poller({ kernel: simulated });
    const events = new Events(1000);
    // On three pages of the table, which lie one behind the other.
    const fds = Array.from({ length: 700 }, () => simulated.io.eventfd(1));
    for (const [key, fd] of fds.entries()) poller.add(fd, key, R, { mode: "level" });
    leaveBehind(poller, simulated);
    while (poller.stats().rebuilds === 0) poller.wait(events, { timeout: 0 });
    assert.equal(poller.wait(events, { timeout: 0 }), fds.length);
    for (const { key, errorCode } of events) assert.equal(errorCode, undefined, `${key}`);
    const { registrations, rebuilds, changes } = poller.stats();
    assert.deepEqual([registrations, rebuilds, changes], [fds.length, 1, simulated.calls.control]);
  });

  it("takes registrations along that lie far apart, and nothing from between them", () => {
    const simulated = new SimulatedEpoll();
    using poller = new Poller({ kernel: simulated });
    const events = new Events(1000);
    const near = simulated.io.eventfd(1);
    const far = Array.from({ length: 300 }, (_, place) => simulated.io.dup(near, 70_000 + place));
    poller.add(near, 1, R, { mode: "level" });
    leaveBehind(poller, simulated);
    // The numbers of a batch stay in memory, and could be taken for registrations.
    poller.apply(far.map((fd, key) => ({ op: "add", fd, key, interest: R, mode: "level" })));
    poller.apply(far.map((fd) => ({ op: "delete", fd })));
    const { changes } = poller.stats();
    while (poller.stats().rebuilds === 0) poller.wait(events, { timeout: 0 });
    // Out of the old one, and into the new one.
    assert.equal(poller.stats().changes - changes, 2);
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    assert.deepEqual([poller.stats().registrations, simulated.calls.control], [1, poller.stats().changes]);
  });

  it("leaves behind only what was refused, whatever was refused before", () => {
    const simulated = new SimulatedEpoll();
    const coming: (Fault & { readonly changes: number })[] = [];
    const kernel = new FaultyKernel(simulated, ({ name, changes }) => {
      if (name !== "control" || changes.length !== coming[0]?.changes) return undefined;
      return coming.splice(0, 1);
    });
    using poller = new Poller({ kernel });
    const events = new Events(4);
    const original = simulated.io.eventfd(1);
    const [first, second] = [simulated.io.dup(original), simulated.io.dup(original)];
    const far = simulated.io.dup(original, 20_000);
    const added = [first, second, far].map((fd, key) => ({ op: "add", fd, key, interest: R, mode: "level" }) as const);
    coming.push({ kind: "change", index: 2, error: "ENOMEM", changes: 3 });
    assert.deepEqual(
      poller.apply(added).map((error) => error?.code),
      [undefined, undefined, "ENOMEM"],
    );
    poller.add(far, 2, R, { mode: "level" });
    leaveBehind(poller, simulated);
    // The two that are near each other leave the old kernel object, and one of them may not come into the new one.
    coming.push({ kind: "delay", milliseconds: 0, changes: 2 });
    coming.push({ kind: "change", index: 0, error: "ENOSPC", changes: 2 });
    const errors: unknown[] = [];
    while (poller.stats().rebuilds === 0) {
      poller.wait(events, { timeout: 0 });
      for (const { key, errorCode } of events) if (errorCode !== undefined) errors.push([key, errorCode]);
    }
    assert.deepEqual(errors, [[0, "ENOSPC"]]);
    poller.wait(events, { timeout: 0 });
    const told = events.toArray().map(({ key, errorCode }) => [key, errorCode] as const);
    assert.deepEqual(
      told.toSorted(([one], [other]) => Number(one) - Number(other)),
      [
        [1, undefined],
        [2, undefined],
      ],
    );
  });
});
