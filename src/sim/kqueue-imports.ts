/**
 * The functions of `wit/kqueue.wit` on a simulated kernel, each in two forms with one meaning: on JavaScript values, as
 * jco lifts and lowers them, and under `cabiLower` on flat integers and linear memory, as the canonical ABI lays them
 * out.
 */
import { bindHandles, type Handles } from "./handles.js";
import { FILTERS, type FilterName, type KqueueEvent, type KqueueInstance } from "./kqueue-instance.js";
import {
  type Failure,
  failure,
  imported,
  LIST_AREA,
  lowerErrorCode,
  lowerFailed,
  lowerFailures,
  lowerOk,
  lowerRefusedChanges,
  lowerRefusedWait,
  lowerWaited,
  RESULT_AREA,
  WAIT_ALIGNMENT,
  WAIT_AREA,
} from "./lowering.js";
import { LinearMemory } from "./memory.js";
import type { Refusal } from "./refusals.js";

/** An element of the changelist, with its actions as bits. */
export interface KqueueChange {
  readonly fd: number;
  readonly generation: number;
  readonly filter: FilterName;
  readonly actions: number;
}

/** What a wait did: the events, the changes that were refused, or why it was not made. */
export type Waited = readonly KqueueEvent[] | { readonly failures: readonly Failure[] } | Refusal;

/** The calls that a component instance's table of handles offers. */
export interface KqueueCalls extends Handles<KqueueInstance> {
  /** Makes the changes, and returns those that were refused. */
  control(instance: KqueueInstance | undefined, changes: readonly KqueueChange[]): readonly Failure[];
  /** Makes the changes and waits. */
  wait(
    instance: KqueueInstance | undefined,
    changes: readonly KqueueChange[],
    capacity: number,
    timeout: bigint | undefined,
  ): Waited;
  /** Returns why it was refused. */
  attachNotifier(notifier: number, instance: KqueueInstance | undefined): Refusal | undefined;
}

/** The `actions` as jco spells them, in the order of their bits. */
const ACTIONS = ["add", "delete", "enable", "disable", "clear", "dispatch"] as const;

/** `change` as jco spells it. */
export interface LiftedChange {
  readonly fd: number;
  readonly generation: number;
  readonly filter: FilterName;
  readonly actions: { readonly [Action in (typeof ACTIONS)[number]]?: boolean };
}

/** Bytes of `change` and `event` in linear memory. Events are aligned to their 64-bit member. */
const CHANGE_SIZE = 12;
const EVENT_SIZE = 32;
const EVENT_ALIGNMENT = 8;

/** `waited` as jco spells it. */
export interface LiftedWaited {
  readonly events: readonly KqueueEvent[];
  readonly moment: bigint;
}

/** The interface `kqueue` on these calls, by this clock. */
export function bindKqueue(calls: KqueueCalls, now: () => bigint) {
  return {
    ...bindHandles(calls),

    control: imported(
      (handle: number, changes: readonly LiftedChange[]): readonly Failure[] =>
        calls.control(calls.find(handle), changes.map(fromLifted)),
      (options) => {
        const memory = new LinearMemory(options);
        return (handle: number, pointer: number, length: number, area: number) => {
          const at = memory.check(area, LIST_AREA, 1);
          const changes = fromMemory(memory, pointer, length);
          lowerFailures(memory, at, calls.control(calls.find(handle >>> 0), changes));
        };
      },
    ),

    wait: imported(
      (
        handle: number,
        changes: readonly LiftedChange[],
        capacity: number,
        timeout: bigint | undefined,
      ): LiftedWaited => {
        const waited = calls.wait(calls.find(handle), changes.map(fromLifted), capacity, timeout);
        if (typeof waited === "string") throw failure({ tag: "kernel", val: { tag: waited } });
        if ("failures" in waited) throw failure({ tag: "changes", val: waited.failures });
        return { events: waited, moment: now() };
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
          const changes = fromMemory(memory, pointer, length);
          // Flat integers arrive signed.
          const limit = hasTimeout === 0 ? undefined : BigInt.asUintN(64, timeout);
          const waited = calls.wait(calls.find(handle >>> 0), changes, capacity >>> 0, limit);
          if (typeof waited === "string") lowerRefusedWait(memory.view, at, waited);
          else if ("failures" in waited) lowerRefusedChanges(memory, at, waited.failures);
          else lowerEvents(memory, at, waited, now());
        };
      },
    ),

    attachNotifier: imported(
      (notifier: number, handle: number) => {
        const refusal = calls.attachNotifier(notifier, calls.find(handle));
        if (refusal !== undefined) throw failure({ tag: refusal });
      },
      (options) => {
        const memory = new LinearMemory(options);
        return (notifier: number, handle: number, area: number) => {
          const at = memory.check(area, RESULT_AREA, 1);
          const refusal = calls.attachNotifier(notifier >>> 0, calls.find(handle >>> 0));
          if (refusal === undefined) lowerOk(memory.view, at, 0);
          else lowerFailed(memory.view, at, refusal);
        };
      },
    ),
  };
}

function fromLifted({ fd, generation, filter, actions }: LiftedChange): KqueueChange {
  const bits = ACTIONS.reduce((all, action, place) => all | (actions[action] ? 1 << place : 0), 0);
  return { fd, generation, filter, actions: bits };
}

/** `change`: fd s32 at 0, generation u32 at 4, filter u8 at 8, actions u8 at 9. */
function fromMemory(memory: LinearMemory, pointer: number, length: number): readonly KqueueChange[] {
  const count = length >>> 0;
  const start = memory.check(pointer, count, CHANGE_SIZE);
  const { view } = memory;
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * CHANGE_SIZE;
    return {
      fd: view.getInt32(at, true),
      generation: view.getUint32(at + 4, true),
      filter: filterAt(view, at + 8),
      actions: view.getUint8(at + 9),
    };
  });
}

/** A component that breaks the ABI traps before anything happens. */
function filterAt(view: DataView, at: number): FilterName {
  const filter = FILTERS[view.getUint8(at)];
  if (filter === undefined) throw new RangeError(`${view.getUint8(at)} is no filter of wit/kqueue.wit`);
  return filter;
}

/**
 * `event`: fd s32 at 0, generation u32 at 4, filter u8 at 8, end u8 at 9, last u8 at 10, whether there is an error u8 at 12,
 * the error at 16, amount u64 at 24.
 */
function lowerEvents(memory: LinearMemory, at: number, events: readonly KqueueEvent[], moment: bigint): void {
  const start = memory.allocate(events.length, EVENT_SIZE, EVENT_ALIGNMENT);
  const { view } = memory;
  events.forEach(({ fd, generation, filter, end, last, error, amount }, index) => {
    const event = start + index * EVENT_SIZE;
    view.setInt32(event, fd, true);
    view.setUint32(event + 4, generation, true);
    view.setUint8(event + 8, FILTERS.indexOf(filter));
    view.setUint8(event + 9, end ? 1 : 0);
    view.setUint8(event + 10, last ? 1 : 0);
    view.setUint8(event + 12, error === undefined ? 0 : 1);
    if (error !== undefined) lowerErrorCode(view, event + 16, error.tag);
    view.setBigUint64(event + 24, amount, true);
  });
  lowerWaited(view, at, start, events.length, moment);
}
