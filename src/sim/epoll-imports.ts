/**
 * The functions of `wit/epoll.wit` and `wit/clock.wit` on a simulated kernel, each in two forms with one meaning: on
 * JavaScript values, as jco lifts and lowers them, and under `cabiLower` on flat integers and linear memory, as the
 * canonical ABI lays them out.
 */
import { cabiLower, type CanonicalOptions, type CoreFunction, type ImportedFunction } from "../kernel.js";
import { EVENT_WORDS, OPERATIONS, type EpollInstance, type Operation, type Refusal } from "./epoll-instance.js";
import { LinearMemory } from "./memory.js";

/** The calls that a component instance's table of handles offers. */
export interface EpollCalls {
  /** The events of the last successful wait: mask, slot and generation of each. */
  readonly events: Uint32Array;
  create(): number;
  find(handle: number): EpollInstance | undefined;
  /** One epoll_ctl(2). Returns why it was refused. */
  control(
    instance: EpollInstance | undefined,
    operation: Operation,
    fd: number,
    mask: number,
    slot: number,
    generation: number,
  ): Refusal | undefined;
  /** One epoll_wait(2): how many events there are, or why it was refused. */
  wait(instance: EpollInstance | undefined, capacity: number, timeout: bigint | undefined): number | Refusal;
  close(handle: number): void;
  createNotifier(): number;
  /** Returns why it was refused. */
  attachNotifier(
    notifier: number,
    instance: EpollInstance | undefined,
    slot: number,
    generation: number,
  ): Refusal | undefined;
  notify(notifier: number): void;
  closeNotifier(notifier: number): void;
}

/** `error-code` as jco spells it. */
export interface ErrorCode {
  readonly tag: Refusal;
}

/** A refused change. */
export interface Failure {
  readonly index: number;
  readonly error: ErrorCode;
}

/** `token` as jco spells it. */
export interface Token {
  readonly slot: number;
  readonly generation: number;
}

/** `change` as jco spells it. */
export interface Change {
  readonly operation: Operation;
  readonly fd: number;
  readonly mask: number;
  readonly token: Token;
}

/** `event` as jco spells it. */
export interface Event {
  readonly mask: number;
  readonly token: Token;
}

/** Bytes of `change`, `event` and `failure` in linear memory, and of the areas that results are returned in. */
const CHANGE_SIZE = 20;
const EVENT_SIZE = 12;
const FAILURE_SIZE = 12;
const LIST_AREA = 8;
const RESULT_AREA = 12;
const WAIT_AREA = 16;

/** The discriminants of `result`, and of `wait-error`. */
const OK = 0;
const FAILED = 1;
const CHANGES = 0;
const KERNEL = 1;

/** The discriminants of `error-code`, of those that the model can give. */
const DISCRIMINANTS: Readonly<Record<Refusal, number>> = {
  "bad-descriptor": 0,
  "already-exists": 1,
  "not-found": 2,
  "not-permitted": 3,
  "invalid-argument": 5,
};

/** The interface `epoll` on these calls. */
export function bindEpoll(calls: EpollCalls) {
  return {
    create: imported(
      () => calls.create(),
      (options) => {
        const memory = new LinearMemory(options);
        return (area: number) => {
          const at = memory.check(area, RESULT_AREA, 1);
          lowerOk(memory.view, at, calls.create());
        };
      },
    ),

    control: imported(
      (handle: number, changes: readonly Change[]) => applyLifted(calls, handle, changes),
      (options) => {
        const memory = new LinearMemory(options);
        return (handle: number, pointer: number, length: number, area: number) => {
          const at = memory.check(area, LIST_AREA, 1);
          lowerFailures(memory, at, applyLowered(calls, handle, memory, pointer, length));
        };
      },
    ),

    wait: imported(
      (handle: number, changes: readonly Change[], capacity: number, timeout: bigint | undefined): Event[] => {
        const failures = applyLifted(calls, handle, changes);
        if (failures.length > 0) throw failure({ tag: "changes", val: failures });

        const result = calls.wait(calls.find(handle), capacity, timeout);
        if (typeof result === "string") throw failure({ tag: "kernel", val: { tag: result } });
        return liftEvents(calls.events, result);
      },
      (options) => {
        const memory = new LinearMemory(options);
        return (
          handle: number,
          pointer: number,
          length: number,
          capacity: number,
          hasTimeout: number,
          timeout: bigint,
          area: number,
        ) => {
          const at = memory.check(area, WAIT_AREA, 1);
          const failures = applyLowered(calls, handle, memory, pointer, length);
          if (failures.length > 0) {
            lowerWaitError(memory.view, at, CHANGES);
            lowerFailures(memory, at + 8, failures);
            return;
          }

          // Flat integers arrive signed.
          const limit = hasTimeout === 0 ? undefined : BigInt.asUintN(64, timeout);
          const result = calls.wait(calls.find(handle >>> 0), capacity >>> 0, limit);
          if (typeof result === "string") {
            lowerWaitError(memory.view, at, KERNEL);
            lowerErrorCode(memory.view, at + 8, result);
            return;
          }
          lowerEvents(memory, at, calls.events, result);
        };
      },
    ),

    descriptor: imported(
      (handle: number) => {
        const instance = calls.find(handle);
        if (instance === undefined) throw failure({ tag: "bad-descriptor" });
        return instance.descriptor;
      },
      (options) => {
        const memory = new LinearMemory(options);
        return (handle: number, area: number) => {
          const at = memory.check(area, RESULT_AREA, 1);
          const instance = calls.find(handle >>> 0);
          if (instance === undefined) lowerFailed(memory.view, at, "bad-descriptor");
          else lowerOk(memory.view, at, instance.descriptor);
        };
      },
    ),

    close: imported(
      (handle: number) => calls.close(handle),
      () => (handle: number) => calls.close(handle >>> 0),
    ),

    createNotifier: imported(
      () => calls.createNotifier(),
      (options) => {
        const memory = new LinearMemory(options);
        return (area: number) => {
          const at = memory.check(area, RESULT_AREA, 1);
          lowerOk(memory.view, at, calls.createNotifier());
        };
      },
    ),

    attachNotifier: imported(
      (notifier: number, handle: number, { slot, generation }: Token) => {
        const refusal = calls.attachNotifier(notifier, calls.find(handle), slot, generation);
        if (refusal !== undefined) throw failure({ tag: refusal });
      },
      (options) => {
        const memory = new LinearMemory(options);
        return (notifier: number, handle: number, slot: number, generation: number, area: number) => {
          const at = memory.check(area, RESULT_AREA, 1);
          const instance = calls.find(handle >>> 0);
          const refusal = calls.attachNotifier(notifier >>> 0, instance, slot >>> 0, generation >>> 0);
          if (refusal === undefined) lowerOk(memory.view, at, 0);
          else lowerFailed(memory.view, at, refusal);
        };
      },
    ),

    // Simulated kernels belong to one thread, so that none of their notifiers is known outside.
    identify: imported(
      () => 0n,
      () => () => 0n,
    ),

    notify: imported(
      (notifier: number) => calls.notify(notifier),
      () => (notifier: number) => calls.notify(notifier >>> 0),
    ),

    closeNotifier: imported(
      (notifier: number) => calls.closeNotifier(notifier),
      () => (notifier: number) => calls.closeNotifier(notifier >>> 0),
    ),
  };
}

/** The interface `clock` on a clock. */
export function bindClock(now: () => bigint) {
  return {
    now: imported(
      () => now(),
      () => () => now(),
    ),
  };
}

function imported<Lifted extends ImportedFunction>(lifted: Lifted, lower: (options: CanonicalOptions) => CoreFunction) {
  return Object.assign(lifted, { [cabiLower]: lower });
}

/** How jco wants the error of a `result` thrown. */
function failure(payload: unknown): Error {
  return Object.assign(new Error("refused by the simulated kernel"), { payload });
}

function applyLifted(calls: EpollCalls, handle: number, changes: readonly Change[]): Failure[] {
  const instance = calls.find(handle);
  const failures: Failure[] = [];
  changes.forEach(({ operation, fd, mask, token }, index) => {
    const tag = calls.control(instance, operation, fd, mask, token.slot, token.generation);
    if (tag !== undefined) failures.push({ index, error: { tag } });
  });
  return failures;
}

/** `change`: operation u8 at 0, fd s32 at 4, mask u32 at 8, slot u32 at 12, generation u32 at 16. */
function applyLowered(
  calls: EpollCalls,
  handle: number,
  memory: LinearMemory,
  pointer: number,
  length: number,
): readonly Failure[] {
  const count = length >>> 0;
  const start = memory.check(pointer, count, CHANGE_SIZE);
  if (count === 0) return NO_FAILURES;

  const instance = calls.find(handle >>> 0);
  const { view } = memory;
  // A component that breaks the ABI traps before anything happens, as if the whole list had been lifted first.
  for (let index = 0; index < count; index++) operationAt(view, start + index * CHANGE_SIZE);

  const failures: Failure[] = [];
  for (let index = 0; index < count; index++) {
    const at = start + index * CHANGE_SIZE;
    const fd = view.getInt32(at + 4, true);
    const mask = view.getUint32(at + 8, true);
    const slot = view.getUint32(at + 12, true);
    const generation = view.getUint32(at + 16, true);
    const tag = calls.control(instance, operationAt(view, at), fd, mask, slot, generation);
    if (tag !== undefined) failures.push({ index, error: { tag } });
  }
  return failures;
}

const NO_FAILURES: readonly Failure[] = [];

function operationAt(view: DataView, at: number): Operation {
  const operation = OPERATIONS[view.getUint8(at)];
  if (operation === undefined) throw new RangeError(`${view.getUint8(at)} is no operation of epoll_ctl(2)`);
  return operation;
}

function liftEvents(words: Uint32Array, count: number): Event[] {
  return Array.from({ length: count }, (_, index) => {
    const [mask = 0, slot = 0, generation = 0] = words.subarray(index * EVENT_WORDS);
    return { mask, token: { slot, generation } };
  });
}

/** `result<list<event>, …>`: tag u8 at 0, pointer at 4, length at 8. `event` is its three words. */
function lowerEvents(memory: LinearMemory, at: number, words: Uint32Array, count: number): void {
  const start = memory.allocate(count, EVENT_SIZE);
  const { view } = memory;
  for (let index = 0; index < count * EVENT_WORDS; index++) view.setUint32(start + index * 4, words[index] ?? 0, true);
  view.setUint8(at, OK);
  view.setUint32(at + 4, start, true);
  view.setUint32(at + 8, count, true);
}

/** `list<failure>`: pointer at 0, length at 4. `failure`: index u32 at 0, error at 4. */
function lowerFailures(memory: LinearMemory, at: number, failures: readonly Failure[]): void {
  const start = memory.allocate(failures.length, FAILURE_SIZE);
  const { view } = memory;
  failures.forEach(({ index, error }, place) => {
    view.setUint32(start + place * FAILURE_SIZE, index, true);
    lowerErrorCode(view, start + place * FAILURE_SIZE + 4, error.tag);
  });
  view.setUint32(at, start, true);
  view.setUint32(at + 4, failures.length, true);
}

/** `result<_, wait-error>`: tag u8 at 0, the error's tag u8 at 4, what it carries at 8. */
function lowerWaitError(view: DataView, at: number, tag: number): void {
  view.setUint8(at, FAILED);
  view.setUint8(at + 4, tag);
}

/** `result<u32, error-code>` and `result<s32, error-code>`: tag u8 at 0, either value at 4. */
function lowerOk(view: DataView, at: number, value: number): void {
  view.setUint8(at, OK);
  view.setUint32(at + 4, value, true);
}

function lowerFailed(view: DataView, at: number, refusal: Refusal): void {
  view.setUint8(at, FAILED);
  lowerErrorCode(view, at + 4, refusal);
}

/** `error-code`: tag u8 at 0, the number of `other` at 4, which the model never gives. */
function lowerErrorCode(view: DataView, at: number, refusal: Refusal): void {
  view.setUint8(at, DISCRIMINANTS[refusal]);
  view.setInt32(at + 4, 0, true);
}
