/** The two forms of the simulated kqueue's functions, on values and on linear memory: one meaning, exact layouts. */
import assert from "node:assert/strict";
import { type KqueueFlavour, SimulatedKqueue } from "lio-poller/sim";
import { flavours } from "./contract/worlds.js";
import { AREA, CHANGES, coreFunctions, type Failure, linearMemory, outcome, random } from "./simulated.js";
import {
  type Action,
  change,
  type Kqueue,
  type KqueueChange,
  liftedKqueue,
  loweredKqueue,
  storeKqueueChanges,
} from "./simulated-kqueue.js";

describe("the simulated kqueue's two forms", () => {
  for (const flavour of flavours) {
    it(`give the same results for the same calls (${flavour})`, () => {
      for (const seed of [1, 2, 3, 4]) {
        const direct = run(seed, flavour, (simulated) => liftedKqueue(simulated.open()));
        const told = direct.filter((result) => Array.isArray(result) && result.length > 0);
        assert.ok(told.length > 100, "results to compare");
        const lowered = run(seed, flavour, (simulated) => loweredKqueue(simulated.open()));
        assert.deepEqual(lowered, direct, `seed ${seed}`);
        const growing = run(seed, flavour, (simulated) => loweredKqueue(simulated.open(), true));
        assert.deepEqual(growing, direct, `seed ${seed}, in a memory that grows`);
      }
    });
  }

  /** Random calls on a kernel by one of its forms, with what came of each. */
  function run(seed: number, flavour: KqueueFlavour, open: (simulated: SimulatedKqueue) => Kqueue): unknown[] {
    const below = random(seed);
    const simulated = new SimulatedKqueue({ flavour });
    const { io } = simulated;
    const kqueue = open(simulated);
    const pick = <T>(choices: readonly [T, ...T[]]): T => choices[below(choices.length)] ?? choices[0];
    const fd = () => below(14) + 2;
    // Mostly one of the last that were made; now and then one that was not.
    let notifiers = 0;
    const handle = () => Math.max(0, simulated.calls.kqueue - below(4));
    const notifier = () => Math.max(0, notifiers - below(4));
    const actions = (): readonly Action[] => [
      ...pick<readonly Action[]>([["add"], ["add"], ["add", "disable"], ["delete"], ["enable"], ["disable"], []]),
      ...pick<readonly Action[]>([[], [], ["clear"], ["dispatch"], ["clear", "dispatch"], ["enable"]]),
    ];
    const changes = (): KqueueChange[] =>
      Array.from({ length: below(4) }, () => {
        const number = pick([fd(), fd(), fd(), -1, -(2 ** 31), 2 ** 31 - 1]);
        const filter = pick(["read", "read", "write", "write", "except", "user"] as const);
        return change(number, filter, pick([1, 2 ** 31, 2 ** 32 - 1]), ...actions());
      });
    const calls: readonly [() => unknown, ...(() => unknown)[]] = [
      () => (below(4) === 0 ? kqueue.create() : undefined),
      () => kqueue.control(handle(), changes()),
      () => kqueue.control(handle(), changes()),
      () => kqueue.wait(handle(), changes(), pick([0, 1, 2, 64, 2048, 2049]), pick([0n, 0n, 5n, 2n ** 40n])),
      () => kqueue.wait(handle(), [], 64, 0n),
      () => kqueue.descriptor(handle()),
      () => (below(16) === 0 ? kqueue.close(handle()) : undefined),
      () => {
        notifiers++;
        return kqueue.createNotifier();
      },
      () => kqueue.attachNotifier(notifier(), handle()),
      () => kqueue.identify(notifier()),
      () => kqueue.notify(notifier()),
      () => (below(8) === 0 ? kqueue.closeNotifier(notifier()) : undefined),
      () => kqueue.now(),
      () => io.pipe(),
      () => io.socketpair(),
      () => io.tcpPair(),
      () => io.eventfd(below(2)),
      () => io.regular(),
      () => io.write(fd(), new Uint8Array(pick([1, 8, 20_000]))),
      () => io.read(fd(), new Uint8Array(pick([8, 64, 20_000]))),
      () => io.sendUrgent(fd(), 1),
      () => io.shutdown(fd(), pick(["read", "write", "both"])),
      () => (below(2) === 0 ? io.close(fd()) : undefined),
      () => io.dup(fd()),
    ];
    return Array.from({ length: 2500 }, () => outcome(pick(calls))).concat([simulated.calls]);
  }
});

describe("the simulated kqueue's core functions", () => {
  function start(grows = false) {
    const simulated = new SimulatedKqueue({ flavour: "freebsd" });
    const guest = linearMemory(grows);
    const core = coreFunctions<Kqueue>(simulated.open(), { memory: guest.memory, realloc: guest.realloc });
    core.create(AREA);
    const words = (at: number, count: number) =>
      Array.from({ length: count }, (_, index) => guest.view().getUint32(at + index * 4, true));
    return { simulated, io: simulated.io, core, guest, words, handle: guest.view().getUint32(AREA + 4, true) };
  }

  it("lay out events as fd, generation, filter, end, last, error, amount, in memory from realloc", () => {
    const { io, core, guest, words, handle } = start();
    const [own, peer] = io.tcpPair();
    io.write(own, new Uint8Array(5));
    io.write(peer, new Uint8Array(3));
    io.close(peer);
    storeKqueueChanges(guest.view(), [change(own, "read", 0x8000_0001, "add")]);
    core.wait(handle, CHANGES, 1, 64, 1, 0n, AREA);
    assert.deepEqual(guest.requests, [32]);
    const [tag, , pointer = 0, length] = words(AREA, 4);
    assert.deepEqual([(tag ?? 0) & 0xff, pointer % 8, length], [0, 0, 1]);
    assert.deepEqual(words(pointer, 2), [own, 0x8000_0001]);
    assert.deepEqual(
      [...new Uint8Array(guest.memory.buffer, pointer + 8, 3)],
      [0, 1, 0],
      "read, at its end, not the last",
    );
    assert.deepEqual([guest.view().getUint8(pointer + 12), guest.view().getUint8(pointer + 16)], [1, 18]);
    assert.deepEqual(words(pointer + 24, 2), [3, 0]);
  });

  it("lay out failures as index, tag, number", () => {
    const { io, core, guest, words, handle } = start();
    const [own] = io.socketpair();
    const changes = [change(own, "read", 1, "add"), change(own, "except", 1, "add"), change(-5, "write", 1, "add")];
    storeKqueueChanges(guest.view(), changes);
    core.control(handle, CHANGES, 3, AREA);
    const [pointer = 0, length] = words(AREA, 2);
    assert.deepEqual([guest.requests, length], [[24], 2]);
    assert.deepEqual(words(pointer, 6), [1, 12, 0, 2, 0, 0]);
  });

  it("ask for no memory when there is nothing to tell", () => {
    const { core, guest, handle } = start();
    core.wait(handle, CHANGES, 0, 1, 1, 0n, AREA);
    core.control(handle, CHANGES, 0, AREA);
    assert.deepEqual(guest.requests, []);
  });

  it("take a timeout as the unsigned number that it is", () => {
    const { core, handle } = start();
    const before = core.now() as bigint;
    core.wait(handle, CHANGES, 0, 1, 1, -(2n ** 63n), AREA);
    assert.equal((core.now() as bigint) - before, 2n ** 63n);
  });

  it("write to the memory as it is after realloc has grown it", () => {
    const { io, core, guest, words, handle } = start(true);
    storeKqueueChanges(guest.view(), [change(io.eventfd(1), "read", 5, "add")]);
    core.wait(handle, CHANGES, 1, 64, 1, 0n, AREA);
    assert.equal(guest.memory.buffer.byteLength, 2 * 65_536);
    const [, , pointer = 0, length] = words(AREA, 4);
    assert.deepEqual([length, words(pointer, 2)], [1, [3, 5]]);
  });

  const END = 65_536;
  const bad: readonly [what: string, call: (core: ReturnType<typeof start>["core"], handle: number) => unknown][] = [
    ["changes beyond memory", (core, handle) => core.control(handle, END - 8, 1, AREA)],
    ["a number of changes beyond memory", (core, handle) => core.control(handle, CHANGES, -1, AREA)],
    ["a negative pointer", (core, handle) => core.control(handle, -12, 1, AREA)],
    ["a pointer beyond memory to no changes", (core, handle) => core.control(handle, END + 4, 0, AREA)],
    ["a pointer that is not aligned", (core, handle) => core.control(handle, CHANGES + 2, 1, AREA)],
    ["a control's area beyond memory", (core, handle) => core.control(handle, CHANGES, 1, END - 4)],
    ["a wait's changes beyond memory", (core, handle) => core.wait(handle, END, 1, 1, 1, 0n, AREA)],
    ["a wait's area beyond memory", (core, handle) => core.wait(handle, CHANGES, 1, 1, 1, 0n, END - 16)],
    [
      "a wait's area that is not aligned to its moment",
      (core, handle) => core.wait(handle, CHANGES, 1, 1, 1, 0n, AREA + 4),
    ],
    ["a create's area beyond memory", (core) => core.create(END - 8)],
    ["a create's area at a negative pointer", (core) => core.create(-12)],
    ["a descriptor's area beyond memory", (core, handle) => core.descriptor(handle, END - 8)],
    ["a notifier's area beyond memory", (core) => core.createNotifier(END - 8)],
    ["an attachment's area beyond memory", (core, handle) => core.attachNotifier(0, handle, END - 8)],
  ];
  for (const [what, call] of bad) {
    it(`refuse ${what} before anything happens`, () => {
      const { simulated, io, core, guest, handle } = start();
      storeKqueueChanges(guest.view(), [change(io.eventfd(1), "read", 1, "add")]);
      assert.throws(() => call(core, handle), RangeError);
      assert.deepEqual(simulated.calls, { kqueue: 1, kevent: 0, close: 0 });
    });
  }

  it("refuse a filter that there is not, before anything happens", () => {
    const { simulated, io, core, guest, handle } = start();
    const fd = io.eventfd(1);
    storeKqueueChanges(guest.view(), [change(fd, "read", 1, "add"), change(fd, "write", 1, "add")]);
    guest.view().setUint8(CHANGES + 12 + 8, 4);
    assert.throws(() => core.control(handle, CHANGES, 2, AREA), RangeError);
    assert.equal(simulated.calls.kevent, 0);
  });

  for (const [what, answer] of [
    ["beyond memory", END],
    ["not aligned", CHANGES + 4],
  ] as const) {
    it(`refuse what realloc answers if it is ${what}`, () => {
      const simulated = new SimulatedKqueue({ flavour: "freebsd" });
      const { memory } = linearMemory();
      const core = coreFunctions<Kqueue>(simulated.open(), { memory, realloc: () => answer });
      core.create(AREA);
      const handle = new DataView(memory.buffer).getUint32(AREA + 4, true);
      storeKqueueChanges(new DataView(memory.buffer), [change(simulated.io.eventfd(1), "read", 1, "add")]);
      assert.throws(() => core.wait(handle, CHANGES, 1, 1, 1, 0n, AREA), RangeError);
    });
  }

  it("do nothing of a wait that asks for too much, or for nothing", () => {
    const { simulated, io } = start();
    const kqueue = loweredKqueue(simulated.open());
    const handle = kqueue.create();
    const add = change(io.eventfd(1), "read", 1, "add");
    const refused = { refused: { tag: "kernel", val: { tag: "invalid-argument" } } };
    assert.deepEqual(
      outcome(() => kqueue.wait(handle, [add], 0, 0n)),
      refused,
    );
    assert.deepEqual(
      outcome(() => kqueue.wait(handle, [add], 2049, 0n)),
      refused,
    );
    assert.deepEqual(
      outcome(() => kqueue.wait(handle, Array<KqueueChange>(513).fill(add), 1, 0n)),
      refused,
    );
    assert.deepEqual(kqueue.wait(handle, [], 1, 0n), []);
  });

  it("fail every change of a handle that is unknown", () => {
    const { simulated, io } = start();
    const kqueue = loweredKqueue(simulated.open());
    const changes = [change(io.eventfd(1), "read", 1, "add"), change(-1, "user", 1)];
    const failures: Failure[] = [0, 1].map((index) => ({ index, error: { tag: "bad-descriptor" } }));
    assert.deepEqual(kqueue.control(9, changes), failures);
    assert.deepEqual(
      outcome(() => kqueue.wait(9, changes, 1, 0n)),
      { refused: { tag: "kernel", val: { tag: "bad-descriptor" } } },
    );
    assert.equal(simulated.calls.kevent, 0);
  });
});
