/**
 * The simulated kernel as a component meets it: the functions of `wit/epoll.wit`, called on JavaScript values, and the
 * same ones called through linear memory, laid out by hand as the canonical ABI has it.
 */
import assert from "node:assert/strict";
import type { CanonicalOptions, ImportedFunction, OpenKernel } from "lio-poller";

export const IN = 0x1;
export const PRI = 0x2;
export const OUT = 0x4;
export const ERR = 0x8;
export const HUP = 0x10;
export const RDHUP = 0x2000;
export const ONESHOT = 0x4000_0000;
export const ET = 0x8000_0000;

const cabiLower = Symbol.for("cabiLower");

export interface Token {
  readonly slot: number;
  readonly generation: number;
}

export interface Change {
  readonly operation: "add" | "modify" | "delete";
  readonly fd: number;
  readonly mask: number;
  readonly token: Token;
}

export interface Event {
  readonly mask: number;
  readonly token: Token;
}

export interface Failure {
  readonly index: number;
  readonly error: { readonly tag: string };
}

/**
 * `wit/epoll.wit` and `clock.now` as jco spells them, but that a wait returns its events only. What fails throws an error
 * with the payload.
 */
export interface Epoll {
  create(): number;
  control(epoll: number, changes: readonly Change[]): Failure[];
  wait(epoll: number, changes: readonly Change[], capacity: number, timeout: bigint | undefined): Event[];
  descriptor(epoll: number): number;
  close(epoll: number): void;
  createNotifier(): number;
  attachNotifier(notifier: number, epoll: number, token: Token): void;
  notify(notifier: number): void;
  closeNotifier(notifier: number): void;
  now(): bigint;
}

/** The kernel's functions on JavaScript values. */
export function lifted({ imports }: OpenKernel): Epoll {
  return withEvents<Epoll>({ ...imports["epoll"], ...imports["clock"] });
}

/** Functions on JavaScript values whose wait returns its events only. Checks the moment that comes with them. */
export function withEvents<Functions>(functions: Readonly<Record<string, ImportedFunction>>): Functions {
  const { wait, now } = functions as Record<string, (...values: unknown[]) => unknown>;
  const events = (...values: unknown[]): unknown => {
    const waited = wait!(...values) as { readonly events: unknown; readonly moment: bigint };
    assert.equal(waited.moment, now!(), "the moment at which the wait ended");
    return waited.events;
  };
  return { ...functions, wait: events } as Functions;
}

/** The core functions behind the imports, for one memory. */
export function coreFunctions<Functions = Epoll>({ imports }: OpenKernel, options: CanonicalOptions) {
  const functions: Record<string, ImportedFunction> = Object.assign({}, ...Object.values(imports));
  const bound = Object.entries(functions).map(([name, imported]: [string, ImportedFunction]) => {
    const lower = (imported as { readonly [cabiLower]?: (options: CanonicalOptions) => unknown })[cabiLower];
    assert.ok(lower, `${name} has a core function`);
    const core = lower(options) as (...flat: (number | bigint)[]) => unknown;
    // A component's integers arrive signed.
    const signed = (...flat: (number | bigint)[]) =>
      core(...flat.map((value) => (typeof value === "number" ? value | 0 : value)));
    return [name, signed] as const;
  });
  return Object.fromEntries(bound) as Record<keyof Functions, (...flat: (number | bigint)[]) => unknown>;
}

/** Where this side of memory puts the return area and the changes; what `realloc` gives out comes after. */
export const AREA = 64;
export const CHANGES = 256;
const HEAP = 32_768;

/** A linear memory with an allocator that never frees and, if it is to, grows the memory each time. */
export function linearMemory(grows = false) {
  const memory = new WebAssembly.Memory({ initial: 1 });
  let top = HEAP;
  const requests: number[] = [];
  const realloc = (pointer: number, oldSize: number, alignment: number, size: number): number => {
    assert.deepEqual([pointer, oldSize], [0, 0]);
    assert.ok(alignment === 4 || alignment === 8, `${alignment} is an alignment of these interfaces`);
    requests.push(size);
    if (grows) memory.grow(1);
    const place = Math.ceil(top / alignment) * alignment;
    top = place + size;
    return place;
  };
  return {
    memory,
    realloc,
    requests,
    view: () => new DataView(memory.buffer),
    reset: () => {
      top = HEAP;
    },
  };
}

export function storeChanges(view: DataView, changes: readonly Change[]): void {
  changes.forEach(({ operation, fd, mask, token }, index) => {
    const at = CHANGES + index * 20;
    view.setUint32(at, ["add", "modify", "delete"].indexOf(operation), true);
    view.setInt32(at + 4, fd, true);
    view.setUint32(at + 8, mask, true);
    view.setUint32(at + 12, token.slot, true);
    view.setUint32(at + 16, token.generation, true);
  });
}

/** The cases of `error-code`, by discriminant. */
export const ERRORS = [
  "bad-descriptor",
  "already-exists",
  "not-found",
  "not-permitted",
  "access-denied",
  "invalid-argument",
  "out-of-memory",
  "no-space",
  "too-many-descriptors",
  "file-table-full",
  "loop",
  "interrupted",
  "not-supported",
  "no-system-call",
  "bad-address",
  "broken-pipe",
  "not-a-socket",
  "connection-refused",
  "connection-reset",
];

/** The same functions by way of linear memory. */
export function lowered(kernel: OpenKernel, grows = false): Epoll {
  const { memory, realloc, view, reset } = linearMemory(grows);
  const core = coreFunctions(kernel, { memory, realloc });
  const u32 = (at: number) => view().getUint32(at, true);
  const error = (at: number) => ({ tag: ERRORS[view().getUint8(at)] ?? "?" });
  const fail = (payload: unknown) => Object.assign(new Error("refused"), { payload });
  const list = <T>(at: number, size: number, item: (at: number) => T): T[] =>
    Array.from({ length: u32(at + 4) }, (_, index) => item(u32(at) + index * size));
  const failure = (at: number): Failure => ({ index: u32(at), error: error(at + 4) });
  const event = (at: number): Event => ({ mask: u32(at), token: { slot: u32(at + 4), generation: u32(at + 8) } });

  /** Fills the area first, so that what is not written is noticed. */
  const before = (changes: readonly Change[] = []) => {
    reset();
    new Uint8Array(memory.buffer, AREA, 24).fill(0xee);
    storeChanges(view(), changes);
  };
  const value = () => {
    if (view().getUint8(AREA) !== 0) throw fail(error(AREA + 4));
    return u32(AREA + 4);
  };

  return {
    create() {
      before();
      core.create(AREA);
      return value();
    },
    control(epoll, changes) {
      before(changes);
      core.control(epoll, CHANGES, changes.length, AREA);
      return list(AREA, 12, failure);
    },
    wait(epoll, changes, capacity, timeout) {
      before(changes);
      const flat = timeout === undefined ? [0, 0n] : [1, BigInt.asIntN(64, timeout)];
      core.wait(epoll, CHANGES, changes.length, capacity, ...flat, AREA);
      if (view().getUint8(AREA) === 0) {
        assert.equal(view().getBigUint64(AREA + 16, true), core.now(), "the moment at which the wait ended");
        return list(AREA + 8, 12, event);
      }
      if (view().getUint8(AREA + 8) === 0) throw fail({ tag: "changes", val: list(AREA + 12, 12, failure) });
      throw fail({ tag: "kernel", val: error(AREA + 12) });
    },
    descriptor(epoll) {
      before();
      core.descriptor(epoll, AREA);
      return value();
    },
    close: (epoll) => void core.close(epoll),
    createNotifier() {
      before();
      core.createNotifier(AREA);
      return value();
    },
    attachNotifier(notifier, epoll, { slot, generation }) {
      before();
      core.attachNotifier(notifier, epoll, slot, generation, AREA);
      if (view().getUint8(AREA) !== 0) throw fail(error(AREA + 4));
    },
    notify: (notifier) => void core.notify(notifier),
    closeNotifier: (notifier) => void core.closeNotifier(notifier),
    now: () => core.now() as bigint,
  };
}

/** What a call did: its result, the payload of its refusal, or the error's code. */
export function outcome(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    if (error instanceof Error && "payload" in error) return { refused: error.payload };
    if (error instanceof Error && "code" in error) return error.code;
    throw error;
  }
}

/** Random integers that are the same for the same seed. */
export function random(seed: number): (below: number) => number {
  let state = seed | 0;
  // xorshift32, whose state must not be 0.
  if (state === 0) state = 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
