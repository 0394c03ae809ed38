/** Faults of kernels: each kind does what it says, and a run with faults can be repeated by its seed or its script. */
import assert from "node:assert/strict";
import { Events, Interest, Poller } from "lio-poller";
import {
  FaultyKernel,
  randomFaults,
  scriptedFaults,
  shrink,
  SimulatedAfd,
  SimulatedEpoll,
  SimulatedKqueue,
  type Fault,
  type FaultSource,
  type KernelCall,
  type ScriptedFault,
} from "lio-poller/sim";

const R = Interest.READABLE;
const byte = new Uint8Array(8).fill(1);

/** A poller on a simulated kernel, whose next calls of a name have these faults. */
function start() {
  const simulated = new SimulatedEpoll();
  const coming: { name: string; faults: readonly Fault[] }[] = [];
  const seen: KernelCall[] = [];
  const kernel = new FaultyKernel(simulated, (call) => {
    seen.push(call);
    return coming[0]?.name === call.name ? coming.shift()?.faults : undefined;
  });
  const poller = new Poller({ kernel });
  const events = new Events(8);
  const keys = (): number[] => events.toArray().map(({ key }) => Number(key));
  return {
    simulated,
    io: simulated.io,
    clock: simulated.clock,
    kernel,
    poller,
    events,
    keys,
    seen,
    coming: (name: string, ...faults: Fault[]) => coming.push({ name, faults }),
  };
}

describe("a faulty kernel", () => {
  it("fails a call with the error that it is given, also one that has no name in the interface", () => {
    const { poller, coming, kernel, simulated } = start();
    coming("create", { kind: "error", error: "EMFILE" });
    assert.throws(() => new Poller({ kernel }), { code: "EMFILE" });
    coming("createNotifier", { kind: "error", error: "ENODEV" });
    assert.throws(() => poller.notify(), { code: "ENODEV" });
    coming("attachNotifier", { kind: "error", error: "ENOSPC" });
    assert.throws(() => poller.notify(), { code: "ENOSPC" });
    assert.deepEqual([simulated.instances, simulated.notifiers, kernel.injected], [1, 0, 3]);
    poller.notify();
  });

  it("refuses one change of a batch, and makes the others", () => {
    const { poller, io, coming } = start();
    const fds = [io.eventfd(), io.eventfd(), io.eventfd()];
    coming("control", { kind: "change", index: 1, error: "ENOSPC" });
    const verdicts = poller.apply(fds.map((fd) => ({ op: "add", fd, key: fd, interest: R })));
    assert.deepEqual(
      verdicts.map((error) => error?.code),
      [undefined, "ENOSPC", undefined],
    );
    assert.equal(poller.stats().registrations, 2);
  });

  it("keeps the place of what the kernel itself refuses, before and behind what it is told to refuse", () => {
    const { poller, io, coming } = start();
    const fds = [99, io.eventfd(), io.eventfd(), 98, io.eventfd()];
    coming("control", { kind: "change", index: 1, error: "ENOMEM" }, { kind: "change", index: 4, error: "ENOSPC" });
    const verdicts = poller.apply(fds.map((fd) => ({ op: "add", fd, key: fd, interest: R })));
    assert.deepEqual(
      verdicts.map((error) => error?.code),
      ["EBADF", "ENOMEM", undefined, "EBADF", "ENOSPC"],
    );
  });

  it("interrupts a wait, which goes on to its deadline", () => {
    const { poller, clock, coming, events, kernel } = start();
    coming("wait", { kind: "error", error: "EINTR", after: 3 });
    coming("wait", { kind: "spurious", after: 3 });
    coming("wait", { kind: "error", error: "EINTR" });
    const before = clock.now();
    assert.equal(poller.wait(events, { timeout: 10 }), 0);
    assert.equal(clock.now() - before, 10_000_000n);
    assert.deepEqual([kernel.injected, poller.stats().kernelWaits], [3, 4]);
  });

  it("fails a wait, and nothing is lost by it", () => {
    const { poller, io, coming, events, keys } = start();
    const fd = io.eventfd(1);
    poller.add(fd, 7, R);
    coming("wait", { kind: "error", error: "EFAULT" });
    assert.throws(() => poller.wait(events, { timeout: 0 }), { code: "EFAULT" });
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    assert.deepEqual(keys(), [7]);
  });

  it("brings events in part and in another order, and the rest with the next wait", () => {
    const { poller, io, coming, events, keys } = start();
    for (let key = 0; key < 8; key++) poller.add(io.eventfd(1), key, R, { mode: "edge-oneshot" });
    coming("wait", { kind: "partial", most: 3 }, { kind: "shuffle", seed: 5 });
    assert.equal(poller.wait(events, { timeout: 0 }), 3);
    const first = keys();
    assert.deepEqual(first.toSorted(), [0, 1, 2]);
    assert.notDeepEqual(first, [0, 1, 2]);
    assert.equal(poller.wait(events, { timeout: 0 }), 5);
  });

  it("lets time pass, and another thread notify", () => {
    const { poller, clock, coming, events } = start();
    poller.addTimer(1, 5);
    coming("now", { kind: "delay", milliseconds: 5 });
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    poller.notify();
    poller.wait(events);
    coming("wait", { kind: "notify" });
    const before = clock.now();
    assert.equal(poller.wait(events), 0);
    assert.equal(clock.now(), before);
  });

  it("does the same on AFD, whose refused cancel may be late and is made, and whose refused add uses its slot", () => {
    const simulated = new SimulatedAfd();
    const coming: Fault[] = [];
    const seen: string[] = [];
    const kernel = new FaultyKernel(simulated, ({ name, changes }) => {
      seen.push(...changes.map(({ operation, fd }) => `${name} ${operation} ${fd}`));
      return changes.length > 0 || name === "wait" ? coming.splice(0) : undefined;
    });
    using poller = new Poller({ kernel });
    const events = new Events(8);
    const keys = (): number[] => events.toArray().map(({ key }) => Number(key));
    const [fd, peer] = simulated.io.tcpPair();

    coming.push({ kind: "change", index: 0, error: "ENETDOWN" });
    const verdicts = poller.apply([fd, peer].map((added) => ({ op: "add", fd: added, key: added, interest: R })));
    assert.deepEqual(
      verdicts.map((error) => error?.code),
      ["ENETDOWN", undefined],
    );
    poller.add(fd, 1, R);
    coming.push({ kind: "change", index: 0, error: "ENOENT" });
    poller.modify(fd, 2, Interest.WRITABLE);
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    assert.deepEqual(keys(), [2]);

    coming.push({ kind: "error", error: "EINVAL" });
    assert.throws(() => poller.wait(events, { timeout: 0 }), { code: "EINVAL" });
    const before = simulated.clock.now();
    coming.push({ kind: "spurious", after: 1 });
    assert.equal(poller.wait(events, { timeout: 5 }), 0);
    assert.equal(simulated.clock.now() - before, 5_000_000n);
    poller.notify();
    poller.wait(events);
    coming.push({ kind: "notify" });
    assert.equal(poller.wait(events), 0);
    poller.delete(fd);
    assert.deepEqual(
      seen.filter((call) => call.startsWith("control")),
      [
        `control add ${fd}`,
        `control add ${peer}`,
        `control add ${fd}`,
        `control cancel ${fd}`,
        ...seen.filter((call) => call === `control arm ${fd}`),
        `control remove ${fd}`,
      ],
    );
    assert.throws(() => poller.fd, { code: "ENOTSUP" });
    const remove = kernel.documentedErrors.find(({ operation }) => operation === "remove");
    assert.deepEqual(remove?.errors, ["EBADF", "EINVAL"]);
  });

  it("brings events whole: that a knote has ended with its last one, too", () => {
    const simulated = new SimulatedKqueue({ flavour: "freebsd" });
    using poller = new Poller({ kernel: new FaultyKernel(simulated, () => undefined) });
    const [reader, writer] = simulated.io.pipe();
    const events = new Events(8);
    poller.add(writer, 1, Interest.WRITABLE, { mode: "level" });
    simulated.io.close(reader);
    for (let round = 0; round < 3; round++) assert.equal(poller.wait(events, { timeout: 0 }), 1, `round ${round}`);
  });

  it("tells its source what it is about to do, and which errors the manual lists for it", () => {
    const { poller, io, seen, events } = start();
    const fd = io.eventfd();
    poller.add(fd, 1, R);
    poller.wait(events, { timeout: 0 });
    const [create, control, wait] = seen;
    assert.deepEqual([create?.name, control?.name, wait?.name, wait?.index], ["create", "control", "wait", 2]);
    const [change] = control?.changes ?? [];
    assert.deepEqual([change?.operation, change?.fd, control?.changes.length], ["add", fd, 1]);
    assert.deepEqual([create?.errors.includes("EMFILE"), wait?.errors.includes("EINTR")], [true, true]);
    assert.ok(control?.errorsOf({ operation: "add", fd }).includes("ENOSPC"));
    assert.ok(!control?.errorsOf({ operation: "delete", fd }).includes("ENOSPC"));
    assert.equal(wait?.notify, undefined);
  });

  it("has several faults in a call that a script names several times", () => {
    const simulated = new SimulatedEpoll();
    const script = ["ENOMEM", "ENOSPC"].map((error, index): ScriptedFault => {
      return { call: 1, fault: { kind: "change", index, error } };
    });
    using poller = new Poller({ kernel: new FaultyKernel(simulated, scriptedFaults(script)) });
    const fds = [simulated.io.eventfd(1), simulated.io.eventfd(1), simulated.io.eventfd(1)];
    const verdicts = poller.apply(fds.map((fd, key) => ({ op: "add", fd, key, interest: R })));
    assert.deepEqual(
      verdicts.map((error) => error?.code),
      ["ENOMEM", "ENOSPC", undefined],
    );
  });

  it("is refused where there is nothing that it could be", () => {
    const source: FaultSource = () => undefined;
    assert.throws(() => new FaultyKernel(null as never, source), { code: "ERR_INVALID_ARG_TYPE" });
    assert.throws(() => new FaultyKernel(new SimulatedEpoll(), 1 as never), { code: "ERR_INVALID_ARG_TYPE" });
    const unknown = { name: "constructor", open: () => assert.fail("opened") };
    assert.throws(() => new FaultyKernel(unknown as never, source), { code: "ERR_POLLER_UNSUPPORTED" });
  });
});

describe("random faults", () => {
  /** A little program. Answers what came of each step. */
  function run(source: FaultSource): unknown[] {
    const simulated = new SimulatedEpoll();
    const results: unknown[] = [];
    const attempt = (step: () => unknown): void => {
      try {
        results.push(step());
      } catch (error) {
        results.push((error as { code: string }).code);
      }
    };
    attempt(() => {
      using poller = new Poller({ kernel: new FaultyKernel(simulated, source) });
      const fds = Array.from({ length: 6 }, () => simulated.io.eventfd(1));
      const events = new Events(4);
      for (let round = 0; round < 60; round++) {
        const fd = fds[round % 6] as number;
        attempt(() => poller.add(fd, round, R, { mode: round % 2 === 0 ? "oneshot" : "edge" }));
        attempt(() => poller.wait(events, { timeout: 1 }));
        attempt(() => events.toArray());
        attempt(() => poller.modify(fd, round, R));
        if (round % 9 === 0) attempt(() => simulated.io.write(fd, byte));
        if (round % 7 === 0) attempt(() => poller.delete(fd));
        attempt(() => poller.notify());
      }
    });
    results.push(simulated.clock.now(), simulated.instances, simulated.notifiers);
    return results;
  }

  it("are the same for the same seed, others for another one, and none at a rate of 0", () => {
    const one = randomFaults({ seed: 11, rate: 0.3 });
    const results = run(one);
    assert.ok(one.script.length > 20);
    assert.deepEqual(run(randomFaults({ seed: 11, rate: 0.3 })), results);
    assert.notDeepEqual(run(randomFaults({ seed: 12, rate: 0.3 })), results);
    const none = randomFaults({ seed: 11, rate: 0 });
    run(none);
    assert.deepEqual(none.script, []);
  });

  it("are repeated by their script, which survives being printed", () => {
    const faults = randomFaults({ seed: 3, rate: 0.3 });
    const results = run(faults);
    const printed = JSON.parse(JSON.stringify(faults.script)) as ScriptedFault[];
    assert.deepEqual(run(scriptedFaults(printed)), results);
  });

  it("are of every kind, and of every error that the manual lists", () => {
    const kinds = new Set<string>();
    const errors = new Set<string>();
    const wanted = new FaultyKernel(new SimulatedEpoll(), () => undefined).documentedErrors;
    for (let seed = 0; seed < 100; seed++) {
      const faults = randomFaults({ seed, rate: 0.6 });
      const named: FaultSource = (call) => {
        const [fault] = faults(call) ?? [];
        if (fault === undefined) return undefined;
        kinds.add(fault.kind);
        if (fault.kind === "error") errors.add(`${call.name} ${fault.error}`);
        if (fault.kind === "change") errors.add(`control ${call.changes[fault.index]?.operation} ${fault.error}`);
        return [fault];
      };
      run(named);
    }
    assert.deepEqual([...kinds].toSorted(), ["change", "delay", "error", "notify", "partial", "shuffle", "spurious"]);
    const missing = wanted.flatMap(({ call, operation, errors: listed }) => {
      const place = operation === undefined ? call : `${call} ${operation}`;
      return listed.map((error) => `${place} ${error}`).filter((name) => !errors.has(name));
    });
    // The program does not ask for the descriptor.
    assert.deepEqual(missing, ["descriptor EBADF"]);
  });
});

describe("shrinking a script", () => {
  it("leaves what is needed to fail, in order, and nothing else", () => {
    const script = Array.from({ length: 100 }, (_, index) => index);
    let runs = 0;
    const fails = (shorter: readonly number[]): boolean => {
      runs++;
      return shorter.includes(13) && shorter.includes(14) && shorter.includes(77);
    };
    assert.deepEqual(shrink(script, fails), [13, 14, 77]);
    assert.ok(runs < 200, `${runs} runs`);
    assert.deepEqual(
      shrink(script, () => true),
      [],
    );
    assert.deepEqual(
      shrink([1, 2], () => false),
      [1, 2],
    );
  });
});

describe("the order of a simulated kernel's events", () => {
  it("is whatever it is told, and each comes once", () => {
    const simulated = new SimulatedEpoll();
    using poller = new Poller({ kernel: simulated });
    const events = new Events(8);
    const keys = (): number[] => events.toArray().map(({ key }) => Number(key));
    for (let key = 0; key < 4; key++) poller.add(simulated.io.eventfd(1), key, R, { mode: "level" });
    poller.wait(events);
    assert.deepEqual(keys(), [0, 1, 2, 3]);
    simulated.order = (count) => count - 1;
    poller.wait(events);
    assert.deepEqual(keys(), [3, 2, 1, 0]);
    const few = new Events(2);
    poller.wait(few);
    assert.equal(few.length, 2);
    simulated.order = undefined;
    assert.equal(poller.wait(events), 4);
  });

  it("leaves readiness to be asked for without watching", () => {
    const { io } = new SimulatedEpoll();
    assert.equal(io.poll(io.eventfd(1)), 1 | 4);
    assert.throws(() => io.poll(99), { code: "EBADF" });
  });
});
