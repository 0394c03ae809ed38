/**
 * The functions of `wit/epoll.wit` on a simulated kernel, each in two forms with one meaning: on JavaScript values, as
 * jco lifts and lowers them, and under `cabiLower` on flat integers and linear memory, as the canonical ABI lays them
 * out.
 */
import { EVENT_WORDS, OPERATIONS, type EpollInstance, type Operation } from "./epoll-instance.js";
import { bindHandles, type Handles } from "./handles.js";
import {
  type Failure,
  failure,
  imported,
  LIST_AREA,
  lowerFailed,
  lowerFailures,
  lowerOk,
  lowerRefusedChanges,
  lowerRefusedWait,
  lowerWaited,
  NO_FAILURES,
  RESULT_AREA,
  WAIT_ALIGNMENT,
  WAIT_AREA,
} from "./lowering.js";
import { LinearMemory } from "./memory.js";
import type { Refusal } from "./refusals.js";

/** The calls that a component instance's table of handles offers. */
export interface EpollCalls extends Handles<EpollInstance> {
  /** The events of the last successful wait: mask, slot and generation of each. */
  readonly events: Uint32Array;
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
  /** Returns why it was refused. */
  attachNotifier(
    notifier: number,
    instance: EpollInstance | undefined,
    slot: number,
    generation: number,
  ): Refusal | undefined;
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

/** Bytes of `change` and `event` in linear memory. */
const CHANGE_SIZE = 20;
const EVENT_SIZE = 12;

/** `waited` as jco spells it. */
export interface Waited {
  readonly events: readonly Event[];
  readonly moment: bigint;
}

/** The interface `epoll` on these calls, by this clock. */
export function bindEpoll(calls: EpollCalls, now: () => bigint) {
  return {
    ...bindHandles(calls),

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
      (handle: number, changes: readonly Change[], capacity: number, timeout: bigint | undefined): Waited => {
        const failures = applyLifted(calls, handle, changes);
        if (failures.length > 0) throw failure({ tag: "changes", val: failures });

        const result = calls.wait(calls.find(handle), capacity, timeout);
        if (typeof result === "string") throw failure({ tag: "kernel", val: { tag: result } });
        return { events: liftEvents(calls.events, result), moment: now() };
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
          const at = memory.check(area, 1, WAIT_AREA, WAIT_ALIGNMENT);
          const failures = applyLowered(calls, handle, memory, pointer, length);
          if (failures.length > 0) {
            lowerRefusedChanges(memory, at, failures);
            return;
          }

          // Flat integers arrive signed.
          const limit = hasTimeout === 0 ? undefined : BigInt.asUintN(64, timeout);
          const result = calls.wait(calls.find(handle >>> 0), capacity >>> 0, limit);
          if (typeof result === "string") lowerRefusedWait(memory.view, at, result);
          else lowerEvents(memory, at, calls.events, result, now());
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
  };
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

/** `event` is its three words. */
function lowerEvents(memory: LinearMemory, at: number, words: Uint32Array, count: number, moment: bigint): void {
  const start = memory.allocate(count, EVENT_SIZE);
  const { view } = memory;
  for (let index = 0; index < count * EVENT_WORDS; index++) view.setUint32(start + index * 4, words[index] ?? 0, true);
  lowerWaited(view, at, start, count, moment);
}
