/**
 * What the kernels' interfaces have in common, with faults: handles, notifiers, changes that can be refused one by one, and
 * waits.
 */
import { ERROR_TAGS, liftedErrorCode } from "../error-code.js";
import type { ImportedFunction } from "../kernel.js";
import { imported, list, payloadError, record, s32, u32, u64, variant, type Type } from "./abi.js";
import type { Ask, Functions, Plan } from "./faulty-kernel.js";
import type { KernelChange } from "./faults.js";

export const errorCode = variant({ ...Object.fromEntries(ERROR_TAGS.map((tag) => [tag, undefined])), other: s32 });
export const failures = list(record({ index: u32, error: errorCode }));
const waitError = variant({ changes: failures, kernel: errorCode });

/** A change, with the word by which the manual's errors know it. */
export type Changed = KernelChange;

interface Failure {
  readonly index: number;
  readonly error: { readonly tag: string };
}

/** `waited` as jco spells it. */
export interface Waited<Event> {
  readonly events: readonly Event[];
  readonly moment: bigint;
}

/** The calls that carry changes, on JavaScript values. */
export interface Waiting<Change, Event> {
  control(handle: number, changes: readonly Change[]): readonly Failure[];
  wait(handle: number, changes: readonly Change[], capacity: number, timeout: bigint | undefined): Waited<Event>;
}

interface Handles {
  create(): number;
  /** Not of a kernel whose objects have none. */
  descriptor?(handle: number): number;
  close(handle: number): void;
  createNotifier(): number;
  attachNotifier(notifier: number, handle: number, ...rest: never[]): void;
  identify(notifier: number): bigint;
  notify(notifier: number): void;
  closeNotifier(notifier: number): void;
}

const NO_CHANGES: readonly KernelChange[] = [];
const NO_FAILURES: readonly Failure[] = [];

/**
 * The calls on handles and notifiers.
 *
 * @param closing told each kernel object that is closed
 */
export function faultyHandles(functions: Functions, ask: Ask, closing: (handle: number) => void = () => {}) {
  const kernel = functions as unknown as Handles;
  /** Which notifier each kernel object reports, so that a fault can notify whoever waits on it. */
  const notifiers = new Map<number, number>();

  const fallible = <Arguments extends unknown[], Result>(name: string, call: (...values: Arguments) => Result) => {
    return (...values: Arguments): Result => {
      const error = ask(name, NO_CHANGES, undefined)?.end?.error;
      if (error !== undefined) throw payloadError(liftedErrorCode(error));
      return call(...values);
    };
  };
  const handleOrError = { ok: u32, error: errorCode };
  const faultyDescriptor = imported(
    { parameters: [u32], result: { ok: s32, error: errorCode } },
    fallible("descriptor", (handle: number) => kernel.descriptor?.(handle)),
  );

  return {
    /** What a wait returns, with events of that type. */
    waitResult: (event: Type) => ({ ok: record({ events: list(event), moment: u64 }), error: waitError }),

    /** Notifies whoever waits on a kernel object, if it has a notifier. */
    notifyOf(handle: number): (() => void) | undefined {
      const notifier = notifiers.get(handle);
      return notifier === undefined ? undefined : () => kernel.notify(notifier);
    },

    /** @param attachment what `attachNotifier` takes */
    functions: (attachment: readonly Type[]): Record<string, ImportedFunction> => ({
      create: imported(
        { parameters: [], result: handleOrError },
        fallible("create", () => kernel.create()),
      ),
      ...(kernel.descriptor === undefined ? {} : { descriptor: faultyDescriptor }),
      close: imported({ parameters: [u32] }, (handle: number) => {
        notifiers.delete(handle);
        closing(handle);
        kernel.close(handle);
      }),
      createNotifier: imported(
        { parameters: [], result: handleOrError },
        fallible("createNotifier", () => kernel.createNotifier()),
      ),
      attachNotifier: imported(
        { parameters: attachment, result: { ok: undefined, error: errorCode } },
        fallible("attachNotifier", (notifier: number, handle: number, ...rest: never[]) => {
          kernel.attachNotifier(notifier, handle, ...rest);
          notifiers.set(handle, notifier);
        }),
      ),
      identify: imported({ parameters: [u32], result: u64 }, (notifier: number) => kernel.identify(notifier)),
      notify: imported({ parameters: [u32] }, (notifier: number) => kernel.notify(notifier)),
      closeNotifier: imported({ parameters: [u32] }, (notifier: number) => kernel.closeNotifier(notifier)),
    }),
  };
}

/**
 * The calls that carry changes.
 *
 * @param named says for each change which word the manual's errors know it by, and which descriptor it is about
 * @param now the kernel's clock
 * @param insteadOf what is made in place of a change that is refused, whatever comes of it; nothing unless told
 */
export function faultyWait<Change, Event>(
  kernel: Waiting<Change, Event>,
  ask: Ask,
  named: (changes: readonly Change[], handle: number) => readonly KernelChange[],
  notifyOf: (handle: number) => (() => void) | undefined,
  now: () => bigint,
  insteadOf: (change: Change, error: string) => Change | undefined = () => undefined,
): Waiting<Change, Event> {
  /** Makes the changes that are not refused, in order, and answers all that failed, in order. */
  const make = (handle: number, changes: readonly Change[], refusals: Plan["refusals"]): readonly Failure[] => {
    if (refusals === undefined) return changes.length === 0 ? NO_FAILURES : kernel.control(handle, changes);
    const places: number[] = [];
    const others: Change[] = [];
    changes.forEach((change, index) => {
      const error = refusals.get(index);
      const other = error === undefined ? change : insteadOf(change, error);
      if (other === undefined) return;
      places.push(index);
      others.push(other);
    });
    const made = kernel.control(handle, others);
    const failed = made
      .map(({ index, error }) => ({ index: places[index] as number, error }))
      .filter(({ index }) => !refusals.has(index));
    for (const [index, error] of refusals) {
      if (index < changes.length) failed.push({ index, error: liftedErrorCode(error) });
    }
    return failed.toSorted((one, other) => one.index - other.index);
  };
  const describe = (changes: readonly Change[], handle: number): readonly KernelChange[] =>
    changes.length === 0 ? NO_CHANGES : named(changes, handle);

  return {
    control: (handle, changes) => make(handle, changes, ask("control", describe(changes, handle), undefined)?.refusals),

    wait(handle, changes, capacity, timeout) {
      const plan = ask("wait", describe(changes, handle), notifyOf(handle));
      if (plan === undefined) return kernel.wait(handle, changes, capacity, timeout);

      const failed = make(handle, changes, plan.refusals);
      if (failed.length > 0) throw payloadError({ tag: "changes", val: failed });
      const { end } = plan;
      if (end === undefined) {
        const waited = kernel.wait(handle, [], Math.min(capacity, plan.most), timeout);
        const events = [...waited.events];
        plan.shuffle?.apply(events);
        return { ...waited, events };
      }
      if (end.after !== undefined) {
        const limit = BigInt(Math.round(end.after * 1e6));
        const waited = kernel.wait(handle, [], capacity, timeout !== undefined && timeout < limit ? timeout : limit);
        if (waited.events.length > 0) return waited;
      }
      if (end.error !== undefined) throw payloadError({ tag: "kernel", val: liftedErrorCode(end.error) });
      return { events: [], moment: now() };
    },
  };
}
