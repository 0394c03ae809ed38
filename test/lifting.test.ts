/**
 * The calls that are lifted by hand say what jco's say.
 *
 * A seeded random program runs in three worlds: the facade on the simulated kernel's core functions, the facade on its
 * plain functions, which jco lowers, and the component all by jco. Every word must be the same.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Events, Interest, Poller, type Change, type ImportedFunction, type Kernel, type Mode } from "lio-poller";
import { SimulatedEpoll, SimulatedKqueue } from "lio-poller/sim";
import { flavours } from "./contract/worlds.js";
import { instanceFor, root } from "./support/internals.js";
import { JcoPoller, JcoRoom, jcoInstance, nodeName } from "./support/jco-poller.js";
import { PlainKernel } from "./support/plain-kernel.js";
import { Random } from "./support/random.js";
import { isWhole, sampledSeeds } from "./support/sample.js";

type Simulated = SimulatedEpoll | SimulatedKqueue;

/** The kernels, how many programs run on each, and a verdict that is its own. */
const kernels: readonly [name: string, programs: number, verdict: string, make: () => Simulated][] = [
  ["epoll", 40, "add EPERM", () => new SimulatedEpoll()],
  ...flavours.map((flavour): (typeof kernels)[number] => {
    const hasPriority = flavour !== "freebsd" && flavour !== "netbsd";
    const verdict = hasPriority && flavour !== "dragonfly" ? "add EINVAL" : "add ENOTSUP";
    return [`kqueue of ${flavour}`, 15, verdict, () => new SimulatedKqueue({ flavour })];
  }),
];

/** An event as both sides can tell it. */
type Told = readonly [key: bigint, bits: string, errorCode: string | undefined, bytes: number];

/** A poller with room for a few events and for many, in the terms of the facade. */
interface Subject {
  add(fd: number, key: bigint, interest: Interest, mode: Mode | undefined): void;
  modify(fd: number, key: bigint, interest: Interest, mode: Mode | undefined): void;
  delete(fd: number): void;
  /** The codes of those that failed, by place. */
  apply(changes: readonly Change[]): readonly (string | undefined)[];
  wait(room: number, timeout: number): number;
  read(room: number): Told[];
  notify(): void;
  descriptor(): number;
  stats(): unknown;
  close(): void;
}

const ROOMS = [0, 1, 3, 64];

function facade(kernel: Kernel): Subject {
  const poller = new Poller({ kernel });
  const rooms = ROOMS.map((capacity) => new Events(capacity));
  const options = (mode: Mode | undefined): { mode?: Mode } => (mode === undefined ? {} : { mode });
  return {
    add: (fd, key, interest, mode) => poller.add(fd, key, interest, options(mode)),
    modify: (fd, key, interest, mode) => poller.modify(fd, key, interest, options(mode)),
    delete: (fd) => poller.delete(fd),
    apply: (changes) => poller.apply(changes).map((error) => error?.code),
    wait: (room, timeout) => poller.wait(rooms[room] ?? assert.fail(), { timeout }),
    read: (room) =>
      Array.from(rooms[room] ?? assert.fail(), (event): Told => {
        const bits = (["readable", "writable", "priority", "readClosed", "hangUp", "error", "refused"] as const).filter(
          (bit) => event[bit],
        );
        return [BigInt(event.key), bits.join(), event.errorCode, event.bytes];
      }),
    notify: () => poller.notify(),
    descriptor: () => poller.fd,
    stats: () => poller.stats(),
    close: () => poller.close(),
  };
}

function lifted(kernel: Kernel): Subject {
  const instance = jcoInstance(kernel);
  const poller = new JcoPoller(instance);
  const rooms = ROOMS.map((capacity) => new JcoRoom(instance, capacity));
  return {
    add: (fd, key, interest, mode) => poller.add(fd, key, interest, mode),
    modify: (fd, key, interest, mode) => poller.modify(fd, key, interest, mode),
    delete: (fd) => poller.delete(fd),
    apply: (changes) => poller.apply(changes),
    wait: (room, timeout) => poller.wait(rooms[room] ?? assert.fail(), timeout),
    read: (room) =>
      (rooms[room] ?? assert.fail()).read().map(({ key, readiness, error, amount }): Told => {
        const bits = Object.entries(readiness).filter(([, isSet]) => isSet === true);
        return [
          key,
          bits.map(([bit]) => bit).join(),
          error === undefined ? undefined : nodeName(error),
          Number(amount),
        ];
      }),
    notify: () => poller.notify(),
    descriptor: () => poller.descriptor(),
    stats: () => poller.stats(),
    close: () => poller.close(),
  };
}

const KEYS = [0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
const MODES = ["oneshot", "level", "edge", "edge-oneshot"] as const;

/** Does something, and tells all that came of it. */
function outcome(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    const { code } = error as { code?: unknown };
    assert.equal(typeof code, "string", String(error));
    return { code };
  }
}

/** Runs the program of a seed, and tells every step and what came of it. */
function run(simulated: Simulated, subject: Subject, seed: number): unknown[] {
  const { io } = simulated;
  const random = new Random(seed);
  const fds = [-1, 2, 900];
  const one = new Uint8Array(8).fill(1, 0, 1);
  const told: unknown[] = [];

  const fd = (): number => random.pick(fds);
  const key = (): bigint => random.pick(KEYS) ^ BigInt(random.below(2));
  const interest = (): number => random.below(8);
  const mode = (): Mode | undefined => random.pick([undefined, ...MODES]);
  const change = (): Change => {
    const op = random.pick(["add", "modify", "modify", "delete"] as const);
    if (op === "delete") return { op, fd: fd() };
    const given = mode();
    const registration = { fd: fd(), key: key(), interest: interest() };
    return given === undefined ? { op, ...registration } : { op, ...registration, mode: given };
  };
  const open = (made: readonly number[]): readonly number[] => {
    fds.push(...made);
    return made;
  };

  const steps: Readonly<Record<string, () => unknown>> = {
    pipe: () => open(io.pipe()),
    socketpair: () => open(io.socketpair()),
    eventfd: () => open([io.eventfd(random.below(2))]),
    dup: () => open([io.dup(fd())]),
    regular: () => open([io.regular()]),
    close: () => io.close(fd()),
    write: () => io.write(fd(), one),
    read: () => io.read(fd(), new Uint8Array(8)),
    shutdown: () => io.shutdown(fd(), random.pick(["read", "write", "both"])),
    add: () => subject.add(fd(), key(), interest(), mode()),
    addAgain: () => subject.add(fd(), key(), interest(), mode()),
    modify: () => subject.modify(fd(), key(), interest(), mode()),
    rearm: () => subject.modify(fd(), key(), Interest.READABLE, undefined),
    delete: () => subject.delete(fd()),
    apply: () => subject.apply(Array.from({ length: random.below(12) }, change)),
    notify: () => subject.notify(),
    wait: () => waited(random.below(ROOMS.length), random.pick([0, 0, 0.5, 3])),
    waitForAll: () => waited(ROOMS.length - 1, 0),
    descriptor: () => subject.descriptor(),
    stats: () => subject.stats(),
  };
  const waited = (room: number, timeout: number): unknown => [subject.wait(room, timeout), subject.read(room)];

  const names = Object.keys(steps);
  for (let i = 0; i < 300; i++) {
    const name = random.pick(names);
    told.push([name, outcome(steps[name] ?? assert.fail())]);
  }
  told.push(subject.stats(), { ...simulated.calls }, simulated.clock.now());
  subject.close();
  told.push(simulated.instances);
  return told;
}

describe("the facade's own lifting", () => {
  for (const [kernel, programs, verdict, make] of kernels) {
    it(`says what jco's says, in programs of every call (${kernel})`, () => compare(kernel, programs, verdict, make));
  }

  function compare(kernel: string, programs: number, verdict: string, make: () => Simulated): void {
    const codes = new Set<unknown>();
    let events = 0;
    const seeds = sampledSeeds(`random programs, lifted in both ways, on ${kernel}`, 1, programs, 4);
    for (const seed of seeds) {
      const [direct, plain, reference] = [make(), make(), make()];
      const expected = run(reference, lifted(new PlainKernel(reference)), seed);
      assert.deepEqual(run(direct, facade(direct), seed), expected, `seed ${seed}, on core functions`);
      assert.deepEqual(run(plain, facade(new PlainKernel(plain)), seed), expected, `seed ${seed}, on plain functions`);

      for (const step of expected) {
        const [name, came] = Array.isArray(step) ? (step as [string, unknown]) : [undefined, undefined];
        if (typeof came === "object" && came !== null && "code" in came) codes.add(`${name} ${came.code}`);
        if (name === "apply") for (const code of came as unknown[]) if (code !== undefined) codes.add(`apply ${code}`);
        if (name === "wait" && Array.isArray(came)) events += came[0] as number;
      }
    }
    if (!isWhole) return;
    // The programs got somewhere.
    assert.ok(events > seeds.length * 5, `${events} events`);
    const met = ["add EBADF", "add EEXIST", "modify ENOENT", "delete ENOENT", "apply EEXIST", "wait EINVAL", verdict];
    for (const code of met) assert.ok(codes.has(code), `${code} was never met`);
  }
});

describe("the component's next deadline", () => {
  it("is that of the timer that is due first, also if there is only one, and none if there is none", () => {
    const poller = new JcoPoller(jcoInstance(new SimulatedEpoll()));
    const next = (): bigint | undefined => poller.nextDeadline();
    assert.equal(next(), undefined);
    poller.addTimer(1n, 5_000n);
    assert.equal(next(), 5_000n);
    poller.addTimer(2n, 3_000n);
    assert.equal(next(), 3_000n);
    poller.deleteTimer(2n);
    assert.equal(next(), 5_000n);
    poller.deleteTimer(1n);
    assert.equal(next(), undefined);
    poller.close();
  });
});

describe("the component's timers, without the facade", () => {
  it("keep their period when they are modified without one, and take another one", () => {
    const simulated = new SimulatedEpoll();
    const instance = jcoInstance(simulated);
    const poller = new JcoPoller(instance);
    const room = new JcoRoom(instance, 4);
    const now = simulated.clock.now();
    /** When it is due again, once it has expired. */
    const next = (): bigint | undefined => {
      assert.equal(poller.wait(room, 0), 1);
      return poller.nextDeadline();
    };
    poller.addTimer(1n, now, 5_000n);
    poller.modifyTimer(1n, now);
    assert.equal(next(), now + 5_000n);
    poller.modifyTimer(1n, now, 7_000n);
    assert.equal(next(), now + 7_000n);
    poller.modifyTimer(1n, now, 0n);
    assert.equal(next(), undefined);
    poller.close();
  });
});

describe("the component's room for events", () => {
  it("cannot be larger than its memory, whoever asks", () => {
    const instance = jcoInstance(new SimulatedEpoll());
    for (const capacity of [2 ** 26 + 1, 2 ** 27, 2 ** 31, 2 ** 32 - 1]) {
      assert.throws(
        () => instance.Events.create(capacity),
        (error: { payload?: { tag: string } }) => error.payload?.tag === "out-of-memory",
        String(capacity),
      );
    }
  });
});

describe("an error code", () => {
  const codes: readonly [tag: string, value: number | undefined, code: string][] = [
    ["bad-descriptor", undefined, "EBADF"],
    ["already-exists", undefined, "EEXIST"],
    ["not-found", undefined, "ENOENT"],
    ["not-permitted", undefined, "EPERM"],
    ["access-denied", undefined, "EACCES"],
    ["invalid-argument", undefined, "EINVAL"],
    ["out-of-memory", undefined, "ENOMEM"],
    ["no-space", undefined, "ENOSPC"],
    ["too-many-descriptors", undefined, "EMFILE"],
    ["file-table-full", undefined, "ENFILE"],
    ["loop", undefined, "ELOOP"],
    ["interrupted", undefined, "EINTR"],
    ["not-supported", undefined, "ENOTSUP"],
    ["no-system-call", undefined, "ENOSYS"],
    ["bad-address", undefined, "EFAULT"],
    ["broken-pipe", undefined, "EPIPE"],
    ["not-a-socket", undefined, "ENOTSOCK"],
    ["connection-refused", undefined, "ECONNREFUSED"],
    ["connection-reset", undefined, "ECONNRESET"],
    ["timed-out", undefined, "ETIMEDOUT"],
    ["other", 5, "EIO"],
    ["other", 600, "E600"],
  ];

  for (const [tag, value, code] of codes) {
    const refusal = { tag, ...(value === undefined ? {} : { val: value }) };
    // Of a registered number EINVAL says that it is the kernel object's own by now: it was closed.
    const ofRegistered = code === "EINVAL" ? "EBADF" : code;

    it(`of the kernel's (${code}) is told under its name by every call`, () => {
      const simulated = new SimulatedEpoll();
      const kernel = new PlainKernel(simulated);
      const make = (name: string): void => {
        kernel.replace(name, () => {
          throw Object.assign(new Error("refused"), { payload: refusal });
        });
      };
      const refuseAll: ImportedFunction = (_handle: number, changes: readonly unknown[]) =>
        changes.map((_change, index) => ({ index, error: refusal }));
      const [first, second] = [simulated.io.eventfd(1), simulated.io.eventfd(1)];
      const poller = new Poller({ kernel });
      const rejects = (call: () => unknown, syscall: string, right = code): void => {
        assert.throws(call, { name: "PollerError", code: right, syscall });
      };

      kernel.replace("control", refuseAll);
      // The core undoes what another file's remainder does, so an EEXIST meets the second refusal.
      rejects(() => poller.add(first, 1, Interest.READABLE), "add");
      const change = { op: "add", fd: first, key: 1, interest: 1 } as const;
      assert.deepEqual(
        poller.apply([change, { ...change, fd: second }]).map((error) => [error?.code, error?.syscall]),
        [
          [code, "add"],
          [code, "add"],
        ],
      );
      assert.equal(poller.stats().registrations, 0);
      kernel.restore();

      poller.add(first, 1, Interest.READABLE);
      kernel.replace("control", refuseAll);
      rejects(() => poller.modify(first, 2, Interest.WRITABLE), "modify", ofRegistered);
      const isEnded = ["EBADF", "ENOENT", "EPERM"].includes(ofRegistered);
      if (isEnded) poller.delete(first);
      else rejects(() => poller.delete(first), "delete");
      assert.equal(poller.stats().registrations, isEnded ? 0 : 1);
      kernel.restore();

      make("createNotifier");
      rejects(() => poller.notify(), "notify");
      kernel.restore();
      make("descriptor");
      assert.throws(() => poller.fd, { code });
      kernel.restore();
      make("create");
      rejects(() => new Poller({ kernel }), "create");
      kernel.restore();

      // A signal is the one error that a wait keeps to itself.
      if (code === "EINTR") return;
      kernel.replace("wait", () => {
        throw Object.assign(new Error("refused"), { payload: { tag: "kernel", val: refusal } });
      });
      rejects(() => poller.wait(new Events(1), { timeout: 0 }), "wait");
    });

    it(`of the kernel's (${code}) is told under its name by an event`, () => {
      const simulated = new SimulatedEpoll();
      const kernel = new PlainKernel(simulated);
      const poller = new Poller({ kernel });
      const events = new Events(2);
      const fd = simulated.io.eventfd(1);
      poller.add(fd, 1, Interest.READABLE);
      poller.wait(events, { timeout: 0 });
      poller.wait(events, { timeout: 0 });
      // Goes down with the next wait, which refuses it.
      poller.modify(fd, 2, Interest.READABLE);
      kernel.replace("wait", () => {
        kernel.restore();
        const val = [{ index: 0, error: refusal }];
        throw Object.assign(new Error("refused"), { payload: { tag: "changes", val } });
      });
      assert.equal(poller.wait(events, { timeout: 0 }), 1);
      for (const event of events)
        assert.deepEqual([event.key, event.refused, event.errorCode], [2, true, ofRegistered]);
      assert.equal(events.toArray()[0]?.errorCode, ofRegistered);
    });
  }
});

describe("a result in the component's memory", () => {
  it("begins with 1 if the call failed, as the canonical ABI has it for every host", () => {
    const instance = instanceFor(new SimulatedEpoll());
    const { representation } = instance.createPoller();
    const at = instance.delete(representation, 999);
    assert.equal(instance.words[at >> 2], 1);
  });
});

describe("the component's allocator", () => {
  it("keeps what is in a block that it makes larger, as the canonical ABI has it", () => {
    const core = join(root, "dist/component/epoll/epoll.core.wasm");
    const module = new WebAssembly.Module(readFileSync(core));
    // Nothing is asked of the host.
    const imports: Record<string, Record<string, () => number>> = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) (imports[from] ??= {})[name] = () => 0;
    const { exports } = new WebAssembly.Instance(module, imports);
    const memory = exports["memory"] as WebAssembly.Memory;
    const realloc = exports["cabi_realloc"] as (old: number, oldSize: number, align: number, size: number) => number;
    const content = (at: number): Uint8Array => new Uint8Array(memory.buffer, at, 40_000);
    const old = realloc(0, 0, 8, 40_000);
    content(old).fill(7);
    const larger = realloc(old, 40_000, 8, 100_000);
    assert.notEqual(larger, old);
    assert.ok(content(larger).every((byte) => byte === 7));
  });
});
