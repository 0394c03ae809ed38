/**
 * The canonical ABI of what the simulated kernels' interfaces have in common: results, errors and failures in linear
 * memory, and functions in two forms.
 */
import { cabiLower, type CanonicalOptions, type CoreFunction, type ImportedFunction } from "../kernel.js";
import type { LinearMemory } from "./memory.js";
import { DISCRIMINANTS, type Refusal } from "./refusals.js";

/** `error-code` as jco spells it. */
export interface ErrorCode {
  readonly tag: Refusal;
}

/** A refused change. */
export interface Failure {
  readonly index: number;
  readonly error: ErrorCode;
}

export const NO_FAILURES: readonly Failure[] = [];

/** Bytes of `failure`, and of the areas that results are returned in. */
const FAILURE_SIZE = 12;
export const LIST_AREA = 8;
export const RESULT_AREA = 12;
export const WAIT_AREA = 24;
/** Of a wait's result, for its 64-bit moment. */
export const WAIT_ALIGNMENT = 8;

/** The discriminants of `result`, and of `wait-error`. */
const OK = 0;
const FAILED = 1;
const CHANGES = 0;
const KERNEL = 1;

/** A function in both forms. */
export type Imported<Lifted extends ImportedFunction> = Lifted & {
  readonly [cabiLower]: (options: CanonicalOptions) => CoreFunction;
};

/** A function on JavaScript values, with the core function that does the same on linear memory. */
export function imported<Lifted extends ImportedFunction>(
  lifted: Lifted,
  lower: (options: CanonicalOptions) => CoreFunction,
): Imported<Lifted> {
  return Object.assign(lifted, { [cabiLower]: lower });
}

/** How jco wants the error of a `result` thrown. */
export function failure(payload: unknown): Error {
  return Object.assign(new Error("refused by the simulated kernel"), { payload });
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

/** `result<waited, …>`: tag u8 at 0, the list's pointer at 8, its length at 12, moment u64 at 16. */
export function lowerWaited(view: DataView, at: number, start: number, count: number, moment: bigint): void {
  view.setUint8(at, OK);
  view.setUint32(at + 8, start, true);
  view.setUint32(at + 12, count, true);
  view.setBigUint64(at + 16, moment, true);
}

/** `list<failure>`: pointer at 0, length at 4. `failure`: index u32 at 0, error at 4. */
export function lowerFailures(memory: LinearMemory, at: number, failures: readonly Failure[]): void {
  const start = memory.allocate(failures.length, FAILURE_SIZE);
  const { view } = memory;
  failures.forEach(({ index, error }, place) => {
    view.setUint32(start + place * FAILURE_SIZE, index, true);
    lowerErrorCode(view, start + place * FAILURE_SIZE + 4, error.tag);
  });
  view.setUint32(at, start, true);
  view.setUint32(at + 4, failures.length, true);
}

/** `result<waited, wait-error>` of changes that failed: tag u8 at 0, the error's tag u8 at 8, the failures at 12. */
export function lowerRefusedChanges(memory: LinearMemory, at: number, failures: readonly Failure[]): void {
  memory.view.setUint8(at, FAILED);
  memory.view.setUint8(at + 8, CHANGES);
  lowerFailures(memory, at + 12, failures);
}

/** `result<waited, wait-error>` of a wait that failed: tag u8 at 0, the error's tag u8 at 8, the error at 12. */
export function lowerRefusedWait(view: DataView, at: number, refusal: Refusal): void {
  view.setUint8(at, FAILED);
  view.setUint8(at + 8, KERNEL);
  lowerErrorCode(view, at + 12, refusal);
}

/** `result<u32, error-code>` and `result<s32, error-code>`: tag u8 at 0, either value at 4. */
export function lowerOk(view: DataView, at: number, value: number): void {
  view.setUint8(at, OK);
  view.setUint32(at + 4, value, true);
}

export function lowerFailed(view: DataView, at: number, refusal: Refusal): void {
  view.setUint8(at, FAILED);
  lowerErrorCode(view, at + 4, refusal);
}

/** `error-code`: tag u8 at 0, the number of `other` at 4, which the models never give. */
export function lowerErrorCode(view: DataView, at: number, refusal: Refusal): void {
  view.setUint8(at, DISCRIMINANTS[refusal]);
  view.setInt32(at + 4, 0, true);
}
