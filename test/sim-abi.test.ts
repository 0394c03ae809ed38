/** The two forms of the simulated kernel's functions, on values and on linear memory: one meaning, exact layouts. */
import assert from "node:assert/strict";
import { FaultyKernel, SimulatedEpoll } from "lio-poller/sim";
import {
  AREA,
  type Change,
  CHANGES,
  coreFunctions,
  type Epoll,
  ET,
  IN,
  lifted,
  linearMemory,
  lowered,
  ONESHOT,
  OUT,
  outcome,
  random,
  RDHUP,
  storeChanges,
} from "./simulated.js";

describe("the simulated kernel's two forms", () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    it(`give the same results for the same calls (seed ${seed})`, () => {
      const direct = run(seed, (simulated) => lifted(simulated.open()));
      assert.ok(
        direct.filter((result) => Array.isArray(result) && result.length > 0).length > 100,
        "results to compare",
      );
      assert.deepEqual(
        run(seed, (simulated) => lowered(simulated.open())),
        direct,
      );
      assert.deepEqual(
        run(seed, (simulated) => lowered(simulated.open(), true)),
        direct,
      );
      const faultless = (simulated: SimulatedEpoll) => new FaultyKernel(simulated, () => undefined).open();
      assert.deepEqual(
        run(seed, (simulated) => lifted(faultless(simulated))),
        direct,
        "a wrapped kernel in which nothing goes wrong",
      );
      assert.deepEqual(
        run(seed, (simulated) => lowered(faultless(simulated), true)),
        direct,
        "the same by core functions that are made of its types",
      );
    });
  }

  /** Random calls on a kernel by one of its forms, with what came of each. */
  function run(seed: number, open: (simulated: SimulatedEpoll) => Epoll): unknown[] {
    const below = random(seed);
    const simulated = new SimulatedEpoll();
    const { io } = simulated;
    const epoll = open(simulated);
    const pick = <T>(choices: readonly [T, ...T[]]): T => choices[below(choices.length)] ?? choices[0];
    const fd = () => below(14) + 2;
    // Mostly one of the last that were made; now and then one that was not.
    let notifiers = 0;
    const handle = () => Math.max(0, simulated.calls.create - below(4));
    const notifier = () => Math.max(0, notifiers - below(4));
    const token = () => ({ slot: pick([0, 7, 2 ** 32 - 1]), generation: pick([1, 2 ** 31, 2 ** 32 - 1]) });
    const changes = (): Change[] =>
      Array.from({ length: below(4) }, () => ({
        operation: pick(["add", "add", "modify", "delete"]),
        fd: pick([fd(), fd(), fd(), -1, -(2 ** 31), 2 ** 31 - 1]),
        mask: pick([IN, OUT, IN + OUT, RDHUP, 0]) + pick([0, 0, ONESHOT, ET, ONESHOT + ET]),
        token: token(),
      }));
    const calls: readonly [() => unknown, ...(() => unknown)[]] = [
      () => epoll.create(),
      () => epoll.control(handle(), changes()),
      () => epoll.control(handle(), changes()),
      () => epoll.wait(handle(), changes(), pick([0, 1, 2, 64, 2 ** 32 - 1]), pick([0n, 0n, 5n, 2n ** 40n])),
      () => epoll.wait(handle(), [], 64, 0n),
      () => epoll.descriptor(handle()),
      () => (below(8) === 0 ? epoll.close(handle()) : undefined),
      () => {
        notifiers++;
        return epoll.createNotifier();
      },
      () => epoll.attachNotifier(notifier(), handle(), token()),
      () => epoll.notify(notifier()),
      () => (below(8) === 0 ? epoll.closeNotifier(notifier()) : undefined),
      () => epoll.now(),
      () => io.pipe(),
      () => io.socketpair(),
      () => io.eventfd(below(2)),
      () => io.regular(),
      () => io.write(fd(), new Uint8Array(8)),
      () => io.read(fd(), new Uint8Array(64)),
      () => (below(2) === 0 ? io.close(fd()) : undefined),
      () => io.dup(fd()),
    ];
    return Array.from({ length: 1500 }, () => outcome(pick(calls))).concat([simulated.calls]);
  }
});

describe("the simulated kernel's core functions", () => {
  function start(grows = false) {
    const simulated = new SimulatedEpoll();
    const guest = linearMemory(grows);
    const core = coreFunctions(simulated.open(), { memory: guest.memory, realloc: guest.realloc });
    core.create(AREA);
    const words = (at: number, count: number) =>
      Array.from({ length: count }, (_, index) => guest.view().getUint32(at + index * 4, true));
    return { simulated, io: simulated.io, core, guest, words, handle: guest.view().getUint32(AREA + 4, true) };
  }

  const add = (fd: number, slot: number, generation: number): Change => ({
    operation: "add",
    fd,
    mask: IN,
    token: { slot, generation },
  });

  it("lay out events as mask, slot, generation, in memory from realloc", () => {
    const { io, core, guest, words, handle } = start();
    storeChanges(guest.view(), [add(io.eventfd(1), 0xffff_ffff, 0x8000_0001), add(io.eventfd(1), 2, 3)]);
    core.wait(handle, CHANGES, 2, 64, 1, 0n, AREA);
    assert.deepEqual(guest.requests, [24]);
    const [tag, , pointer = 0, length] = words(AREA, 4);
    assert.deepEqual([(tag ?? 0) & 0xff, length], [0, 2]);
    assert.deepEqual(words(pointer, 6), [IN, 0xffff_ffff, 0x8000_0001, IN, 2, 3]);
  });

  it("lay out failures as index, tag, number", () => {
    const { io, core, guest, words, handle } = start();
    const file = io.regular();
    storeChanges(guest.view(), [add(io.eventfd(), 1, 1), add(file, 1, 1), add(-5, 1, 1)]);
    core.control(handle, CHANGES, 3, AREA);
    const [pointer = 0, length] = words(AREA, 2);
    assert.deepEqual([guest.requests, length], [[24], 2]);
    assert.deepEqual(words(pointer, 6), [1, 3, 0, 2, 0, 0]);
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
    storeChanges(guest.view(), [add(io.eventfd(1), 4, 5)]);
    core.wait(handle, CHANGES, 1, 64, 1, 0n, AREA);
    assert.equal(guest.memory.buffer.byteLength, 2 * 65_536);
    const [, , pointer = 0, length] = words(AREA, 4);
    assert.deepEqual([length, words(pointer, 3)], [1, [IN, 4, 5]]);
  });

  const END = 65_536;
  const bad: readonly [what: string, call: (core: ReturnType<typeof start>["core"], handle: number) => unknown][] = [
    ["changes beyond memory", (core, handle) => core.control(handle, END - 16, 1, AREA)],
    ["a number of changes beyond memory", (core, handle) => core.control(handle, CHANGES, -1, AREA)],
    ["a negative pointer", (core, handle) => core.control(handle, -20, 1, AREA)],
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
    ["an attachment's area beyond memory", (core, handle) => core.attachNotifier(0, handle, 0, 0, END - 8)],
  ];
  for (const [what, call] of bad) {
    it(`refuse ${what} before anything happens`, () => {
      const { simulated, io, core, guest, handle } = start();
      storeChanges(guest.view(), [add(io.eventfd(1), 1, 1)]);
      assert.throws(() => call(core, handle), RangeError);
      assert.deepEqual(simulated.calls, { create: 1, control: 0, wait: 0, close: 0 });
    });
  }

  it("refuse an operation that there is not, before anything happens", () => {
    const { simulated, io, core, guest, handle } = start();
    storeChanges(guest.view(), [add(io.eventfd(1), 1, 1), add(io.eventfd(1), 1, 1)]);
    guest.view().setUint8(CHANGES + 20, 3);
    assert.throws(() => core.control(handle, CHANGES, 2, AREA), RangeError);
    assert.equal(simulated.calls.control, 0);
  });

  for (const [what, answer] of [
    ["beyond memory", END],
    ["not aligned", CHANGES + 2],
  ] as const) {
    it(`refuse what realloc answers if it is ${what}`, () => {
      const simulated = new SimulatedEpoll();
      const { memory } = linearMemory();
      const core = coreFunctions(simulated.open(), { memory, realloc: () => answer });
      core.create(AREA);
      const handle = new DataView(memory.buffer).getUint32(AREA + 4, true);
      storeChanges(new DataView(memory.buffer), [add(simulated.io.eventfd(1), 1, 1)]);
      assert.throws(() => core.wait(handle, CHANGES, 1, 1, 1, 0n, AREA), RangeError);
    });
  }
});
