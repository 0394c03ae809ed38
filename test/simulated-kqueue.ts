/**
 * The simulated kqueue as a component meets it: the functions of `wit/kqueue.wit`, called on JavaScript values, and the
 * same ones called through linear memory, laid out by hand as the canonical ABI has it.
 */
import assert from "node:assert/strict";
import type { OpenKernel } from "lio-poller";
import { AREA, CHANGES, coreFunctions, ERRORS, type Failure, linearMemory, withEvents } from "./simulated.js";

const FILTERS = ["read", "write", "except", "user"] as const;
export type Filter = (typeof FILTERS)[number];

const ACTIONS = ["add", "delete", "enable", "disable", "clear", "dispatch"] as const;
export type Action = (typeof ACTIONS)[number];

export interface KqueueChange {
  readonly fd: number;
  readonly generation: number;
  readonly filter: Filter;
  readonly actions: { readonly [A in Action]?: boolean };
}

export interface KqueueEvent {
  readonly fd: number;
  readonly generation: number;
  readonly filter: Filter;
  readonly end: boolean;
  readonly last: boolean;
  readonly error: { readonly tag: string } | undefined;
  readonly amount: bigint;
}

/**
 * `wit/kqueue.wit` and `clock.now` as jco spells them, but that a wait returns its events only. What fails throws an error
 * with the payload.
 */
export interface Kqueue {
  create(): number;
  control(kqueue: number, changes: readonly KqueueChange[]): Failure[];
  wait(kqueue: number, changes: readonly KqueueChange[], capacity: number, timeout: bigint | undefined): KqueueEvent[];
  descriptor(kqueue: number): number;
  close(kqueue: number): void;
  createNotifier(): number;
  attachNotifier(notifier: number, kqueue: number): void;
  identify(notifier: number): bigint;
  notify(notifier: number): void;
  closeNotifier(notifier: number): void;
  now(): bigint;
}

/** A change, by the names of its actions. */
export function change(fd: number, filter: Filter, generation: number, ...actions: readonly Action[]): KqueueChange {
  return { fd, generation, filter, actions: Object.fromEntries(actions.map((action) => [action, true])) };
}

/** The kernel's functions on JavaScript values. */
export function liftedKqueue({ imports }: OpenKernel): Kqueue {
  return withEvents<Kqueue>({ ...imports["kqueue"], ...imports["clock"] });
}

export function storeKqueueChanges(view: DataView, changes: readonly KqueueChange[]): void {
  changes.forEach(({ fd, generation, filter, actions }, index) => {
    const at = CHANGES + index * 12;
    view.setInt32(at, fd, true);
    view.setUint32(at + 4, generation, true);
    view.setUint8(at + 8, FILTERS.indexOf(filter));
    const bits = ACTIONS.reduce((all, action, place) => all + (actions[action] ? 2 ** place : 0), 0);
    view.setUint8(at + 9, bits);
  });
}

/** The same functions by way of linear memory. */
export function loweredKqueue(kernel: OpenKernel, grows = false): Kqueue {
  const { memory, realloc, view, reset } = linearMemory(grows);
  const core = coreFunctions<Kqueue>(kernel, { memory, realloc });
  const u32 = (at: number) => view().getUint32(at, true);
  const error = (at: number) => ({ tag: ERRORS[view().getUint8(at)] ?? "?" });
  const fail = (payload: unknown) => Object.assign(new Error("refused"), { payload });
  const list = <T>(at: number, size: number, item: (at: number) => T): T[] =>
    Array.from({ length: u32(at + 4) }, (_, index) => item(u32(at) + index * size));
  const failure = (at: number): Failure => ({ index: u32(at), error: error(at + 4) });
  const event = (at: number): KqueueEvent => ({
    fd: view().getInt32(at, true),
    generation: u32(at + 4),
    filter: FILTERS[view().getUint8(at + 8)] ?? "user",
    end: view().getUint8(at + 9) === 1,
    last: view().getUint8(at + 10) === 1,
    error: view().getUint8(at + 12) === 0 ? undefined : error(at + 16),
    amount: view().getBigUint64(at + 24, true),
  });

  /** Fills the area first, so that what is not written is noticed. */
  const before = (changes: readonly KqueueChange[] = []) => {
    reset();
    new Uint8Array(memory.buffer, AREA, 24).fill(0xee);
    storeKqueueChanges(view(), changes);
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
    control(kqueue, changes) {
      before(changes);
      core.control(kqueue, CHANGES, changes.length, AREA);
      return list(AREA, 12, failure);
    },
    wait(kqueue, changes, capacity, timeout) {
      before(changes);
      const flat = timeout === undefined ? [0, 0n] : [1, BigInt.asIntN(64, timeout)];
      core.wait(kqueue, CHANGES, changes.length, capacity, ...flat, AREA);
      if (view().getUint8(AREA) === 0) {
        assert.equal(view().getBigUint64(AREA + 16, true), core.now(), "the moment at which the wait ended");
        return list(AREA + 8, 32, event);
      }
      if (view().getUint8(AREA + 8) === 0) throw fail({ tag: "changes", val: list(AREA + 12, 12, failure) });
      throw fail({ tag: "kernel", val: error(AREA + 12) });
    },
    descriptor(kqueue) {
      before();
      core.descriptor(kqueue, AREA);
      return value();
    },
    close: (kqueue) => void core.close(kqueue),
    createNotifier() {
      before();
      core.createNotifier(AREA);
      return value();
    },
    attachNotifier(notifier, kqueue) {
      before();
      core.attachNotifier(notifier, kqueue, AREA);
      value();
    },
    identify: (notifier) => core.identify(notifier) as bigint,
    notify: (notifier) => void core.notify(notifier),
    closeNotifier: (notifier) => void core.closeNotifier(notifier),
    now: () => core.now() as bigint,
  };
}
