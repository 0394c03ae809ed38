/**
 * The core's parts against the simplest thing that does the same: timers against a list, the slab against a map, memory
 * against a list of blocks. fast-check makes the programs and shrinks them.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { root } from "./support/internals.js";

interface Parts extends WebAssembly.Exports {
  readonly memory: WebAssembly.Memory;
  readonly allocate: (size: number) => number;
  readonly release: (block: number, size: number) => void;
  readonly inUse: () => number;
  readonly timersMake: () => number;
  readonly timersAdd: (timers: number, key: bigint, due: bigint, period: bigint) => number;
  readonly timersModify: (timers: number, key: bigint, due: bigint, period: bigint) => number;
  readonly timersRemove: (timers: number, key: bigint) => number;
  readonly timersPeriod: (timers: number, key: bigint) => bigint;
  readonly timersCount: (timers: number) => number;
  readonly timersArmed: (timers: number) => number;
  readonly timersNext: (timers: number) => bigint;
  readonly timersFire: (timers: number, time: bigint) => bigint;
  readonly timersFired: () => bigint;
  readonly timersDrop: (timers: number) => void;
  readonly slabMake: () => number;
  readonly slabSet: (slab: number, fd: number, key: bigint) => void;
  readonly slabGet: (slab: number, fd: number) => bigint;
  readonly slabDrop: (slab: number) => void;
}

const module = new WebAssembly.Module(readFileSync(join(root, "out/parts.wasm")));
let parts: Parts;

/** For each program afresh, so that one which failed leaves nothing to the shorter ones. */
function begin(): void {
  parts = new WebAssembly.Instance(module).exports as Parts;
}

/** Errors in the core's one word: see `assembly/errors.ts`. */
const EEXIST = 0xe000_0001 | 0;
const ENOENT = 0xe000_0002 | 0;

const END = 2n ** 64n - 1n;
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** Few keys, that they meet; some far apart, that they meet in the table, too. */
const key = fc.oneof(
  fc.bigInt({ min: 0n, max: 30n }),
  fc.bigInt({ min: 0n, max: 30n }).map((number) => number << 40n),
  fc.constantFrom(END, END - 1n, 2n ** 63n, 2n ** 53n),
);
const moment = fc.oneof(fc.bigInt({ min: 0n, max: 1000n }), fc.constantFrom(END, END - 1n, 2n ** 63n));
/** Less than the whole of time, in which a timer of one nanosecond would expire more often than can be counted. */
const span = fc.oneof(fc.bigInt({ min: 0n, max: 200n }), fc.constantFrom(END - 1n, 2n ** 63n));
const period = fc.oneof(fc.constant(0n), fc.bigInt({ min: 1n, max: 50n }), fc.constantFrom(END, 2n ** 63n));

describe("timers and a list", () => {
  interface Timer {
    due: bigint;
    period: bigint;
    armed: boolean;
  }
  type Step =
    | { readonly op: "add" | "modify"; readonly key: bigint; readonly due: bigint; readonly period: bigint }
    | { readonly op: "remove"; readonly key: bigint }
    | { readonly op: "fire"; readonly later: bigint };

  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ op: fc.constant("add" as const), key, due: moment, period }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant("modify" as const), key, due: moment, period }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant("remove" as const), key }) },
    { weight: 3, arbitrary: fc.record({ op: fc.constant("fire" as const), later: span }) },
  );

  it("answer the same, whatever is done to them", () => {
    const program = fc.array(step, { maxLength: 300, size: "max" });
    const holds = fc.property(program, (steps) => {
      const timers = parts.timersMake();
      const list = new Map<bigint, Timer>();
      for (const given of steps) run(timers, list, given);
      drain(timers, list);
      parts.timersDrop(timers);
      assert.equal(parts.inUse(), 0);
    });
    fc.assert(holds.beforeEach(begin), { numRuns: 1000 });
  });

  function run(timers: number, list: Map<bigint, Timer>, given: Step): void {
    if (given.op === "fire") return fire(timers, list, given.later);
    const known = list.get(given.key);
    if (given.op === "remove") {
      assert.equal(parts.timersRemove(timers, given.key), known === undefined ? ENOENT : 0);
      list.delete(given.key);
    } else {
      const refusal = given.op === "add" ? (known?.armed ? EEXIST : 0) : known === undefined ? ENOENT : 0;
      const call = given.op === "add" ? parts.timersAdd : parts.timersModify;
      assert.equal(call(timers, given.key, given.due, given.period), refusal);
      if (refusal === 0) list.set(given.key, { due: given.due, period: given.period, armed: true });
    }
    assertSame(timers, list);
    assert.equal(u64(parts.timersPeriod(timers, given.key)), list.get(given.key)?.period ?? 0n);
  }

  function armed(list: ReadonlyMap<bigint, Timer>): [bigint, Timer][] {
    return [...list]
      .filter(([, timer]) => timer.armed)
      .toSorted(([, one], [, other]) => (one.due < other.due ? -1 : 1));
  }

  function assertSame(timers: number, list: ReadonlyMap<bigint, Timer>): void {
    const sorted = armed(list);
    assert.deepEqual([parts.timersCount(timers), parts.timersArmed(timers)], [list.size, sorted.length]);
    const [first] = sorted;
    if (first !== undefined) assert.equal(u64(parts.timersNext(timers)), first[1].due);
  }

  function fire(timers: number, list: Map<bigint, Timer>, later: bigint): void {
    const [first] = armed(list);
    if (first === undefined) return;
    const sum = first[1].due + later;
    const time = sum < END ? sum : END;
    const count = u64(parts.timersFire(timers, time));
    const fired = list.get(u64(parts.timersFired())) ?? assert.fail("a timer that is not there has fired");
    assert.ok(fired.armed);
    assert.equal(fired.due, first[1].due, "none is due before it");
    if (fired.period === 0n) {
      assert.equal(count, 1n);
      fired.armed = false;
    } else {
      assert.equal(count, (time - fired.due) / fired.period + 1n);
      const next = fired.due + count * fired.period;
      fired.due = next < END ? next : END;
      assert.ok(fired.due > time || fired.due === END);
    }
    assertSame(timers, list);
  }

  /** What is left comes in the order in which it is due. */
  function drain(timers: number, list: Map<bigint, Timer>): void {
    for (const timer of list.values()) timer.period = 0n;
    for (const [name, { due }] of armed(list)) parts.timersModify(timers, name, due, 0n);
    for (const [, { due }] of armed(list)) {
      assert.equal(u64(parts.timersNext(timers)), due);
      parts.timersFire(timers, due);
    }
    assert.equal(parts.timersArmed(timers), 0);
  }
});

describe("the slab and a map", () => {
  // Near one another, and at the edges of pages and of what a directory holds.
  const fd = fc.oneof(
    fc.integer({ min: 0, max: 600 }),
    fc.constantFrom(255, 256, 4095, 4096, 65_535, 65_536, 1_048_575, 2 ** 24),
  );

  it("hold the same, and the slab answers nothing where nothing was put", () => {
    const entries = fc.array(fc.tuple(fd, fc.bigInt({ min: 1n, max: END })), { maxLength: 200 });
    const holds = fc.property(entries, fc.array(fd, { maxLength: 50 }), (given, others) => {
      const slab = parts.slabMake();
      const map = new Map<number, bigint>();
      for (const [number, value] of given) {
        parts.slabSet(slab, number, value);
        map.set(number, value);
      }
      for (const number of [...map.keys(), ...others, 2 ** 31 - 1]) {
        assert.equal(u64(parts.slabGet(slab, number)), map.get(number) ?? 0n, `of ${number}`);
      }
      parts.slabDrop(slab);
      assert.equal(parts.inUse(), 0);
    });
    fc.assert(holds.beforeEach(begin), { numRuns: 500 });
  });
});

describe("memory and a list of blocks", () => {
  it("agree on what is in use: blocks are aligned, large enough, and no two overlap", () => {
    const size = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(4096, 8192, 65_536, 70_000));
    const program = fc.array(fc.tuple(fc.boolean(), size, fc.nat()), { maxLength: 200, size: "max" });
    const holds = fc.property(program, (steps) => {
      const blocks: { at: number; size: number }[] = [];
      for (const [isRelease, wanted, which] of steps) {
        if (isRelease && blocks.length > 0) {
          const [gone] = blocks.splice(which % blocks.length, 1);
          if (gone !== undefined) parts.release(gone.at, gone.size);
          continue;
        }
        const at = parts.allocate(wanted) >>> 0;
        assert.equal(at % 16, 0);
        assert.ok(at > 0 && at + wanted <= parts.memory.buffer.byteLength);
        // Released blocks are linked through their first word, so that even an empty one has it.
        const end = at + Math.max(4, wanted);
        assert.ok(blocks.every((other) => end <= other.at || other.at + Math.max(4, other.size) <= at));
        blocks.push({ at, size: wanted });
        new Uint8Array(parts.memory.buffer, at, wanted).fill(0xa5);
      }
      const least = blocks.reduce((sum, block) => sum + block.size, 0);
      assert.ok(
        parts.inUse() >= least && parts.inUse() <= Math.max(64 * blocks.length, 2 * least + 64 * blocks.length),
      );
      for (const block of blocks) parts.release(block.at, block.size);
      assert.equal(parts.inUse(), 0);
    });
    fc.assert(holds.beforeEach(begin), { numRuns: 500 });
  });
});
