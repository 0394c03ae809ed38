/**
 * `wit/epoll.wit` with faults: its functions on JavaScript values, and the types by which a component calls them.
 */
import { ERROR_TAGS, liftedErrorCode } from "../error-code.js";
import { enumeration, imported, list, option, payloadError, record, s32, u32, u64, variant, type Type } from "./abi.js";
import type { Change, Event, Token } from "./epoll-imports.js";
import type { Failure } from "./lowering.js";
import { EPOLL_ERRORS } from "./errors-epoll.js";
import type { Ask, FaultyInterface, Functions, Plan } from "./faulty-kernel.js";

const errorCode = variant({ ...Object.fromEntries(ERROR_TAGS.map((tag) => [tag, undefined])), other: s32 });
const token = record({ slot: u32, generation: u32 });
const change = record({ operation: enumeration("add", "modify", "delete"), fd: s32, mask: u32, token });
const event = record({ mask: u32, token });
const failures = list(record({ index: u32, error: errorCode }));
const waitError = variant({ changes: failures, kernel: errorCode });

/** The functions of the interface on JavaScript values. */
interface Epoll {
  create(): number;
  control(handle: number, changes: readonly Change[]): readonly Failure[];
  wait(handle: number, changes: readonly Change[], capacity: number, timeout: bigint | undefined): Event[];
  descriptor(handle: number): number;
  close(handle: number): void;
  createNotifier(): number;
  attachNotifier(notifier: number, handle: number, token: Token): void;
  identify(notifier: number): bigint;
  notify(notifier: number): void;
  closeNotifier(notifier: number): void;
}

const NO_CHANGES: readonly Change[] = [];
const NO_FAILURES: readonly Failure[] = [];

export const faultyEpoll: FaultyInterface = {
  errors: EPOLL_ERRORS,

  wrap(functions: Functions, ask: Ask) {
    const kernel = functions as unknown as Epoll;
    /** Which notifier each instance reports, so that a fault can notify whoever waits on it. */
    const notifiers = new Map<number, number>();

    const failIf = (plan: Plan | undefined): void => {
      if (plan?.end?.error !== undefined) throw payloadError(liftedErrorCode(plan.end.error));
    };
    const fallible = <Arguments extends unknown[], Result>(name: string, call: (...values: Arguments) => Result) => {
      return (...values: Arguments): Result => {
        failIf(ask(name, NO_CHANGES, undefined));
        return call(...values);
      };
    };

    /** Makes the changes that are not refused, in order, and answers all that failed, in order. */
    const control = (handle: number, changes: readonly Change[], refusals: Plan["refusals"]): readonly Failure[] => {
      if (refusals === undefined) return changes.length === 0 ? NO_FAILURES : kernel.control(handle, changes);
      const places = [...changes.keys()].filter((index) => !refusals.has(index));
      const made = kernel.control(
        handle,
        places.map((index) => changes[index] as Change),
      );
      const failed = made.map(({ index, error }) => ({ index: places[index] as number, error }));
      for (const [index, error] of refusals) {
        if (index < changes.length) failed.push({ index, error: liftedErrorCode(error) as Failure["error"] });
      }
      return failed.toSorted((one, other) => one.index - other.index);
    };

    const wait: Epoll["wait"] = (handle, changes, capacity, timeout) => {
      const notifier = notifiers.get(handle);
      const notify = notifier === undefined ? undefined : () => kernel.notify(notifier);
      const plan = ask("wait", changes, notify);
      if (plan === undefined) return kernel.wait(handle, changes, capacity, timeout);

      const failed = control(handle, changes, plan.refusals);
      if (failed.length > 0) throw payloadError({ tag: "changes", val: failed });
      const { end } = plan;
      if (end === undefined) {
        const events = kernel.wait(handle, [], Math.min(capacity, plan.most), timeout);
        plan.shuffle?.apply(events);
        return events;
      }
      if (end.after !== undefined) {
        const limit = BigInt(Math.round(end.after * 1e6));
        const events = kernel.wait(handle, [], capacity, timeout !== undefined && timeout < limit ? timeout : limit);
        if (events.length > 0) return events;
      }
      if (end.error !== undefined) throw payloadError({ tag: "kernel", val: liftedErrorCode(end.error) });
      return [];
    };

    const handleOrError = { ok: u32, error: errorCode };
    return {
      create: imported(
        { parameters: [], result: handleOrError },
        fallible("create", () => kernel.create()),
      ),
      control: imported(
        { parameters: [u32, list(change)], result: failures },
        (handle: number, changes: readonly Change[]) =>
          control(handle, changes, ask("control", changes, undefined)?.refusals),
      ),
      wait: imported(
        { parameters: [u32, list(change), u32, option(u64)], result: { ok: list(event), error: waitError } },
        wait,
      ),
      descriptor: imported(
        { parameters: [u32], result: { ok: s32, error: errorCode } },
        fallible("descriptor", (handle: number) => kernel.descriptor(handle)),
      ),
      close: imported({ parameters: [u32] }, (handle: number) => {
        notifiers.delete(handle);
        kernel.close(handle);
      }),
      createNotifier: imported(
        { parameters: [], result: handleOrError },
        fallible("createNotifier", () => kernel.createNotifier()),
      ),
      attachNotifier: imported(
        { parameters: [u32, u32, token], result: NOTHING_OR_ERROR },
        fallible("attachNotifier", (notifier: number, handle: number, name: Token) => {
          kernel.attachNotifier(notifier, handle, name);
          notifiers.set(handle, notifier);
        }),
      ),
      identify: imported({ parameters: [u32], result: u64 }, (notifier: number) => kernel.identify(notifier)),
      notify: imported({ parameters: [u32] }, (notifier: number) => kernel.notify(notifier)),
      closeNotifier: imported({ parameters: [u32] }, (notifier: number) => kernel.closeNotifier(notifier)),
    };
  },
};

const NOTHING_OR_ERROR: { readonly ok: undefined; readonly error: Type } = { ok: undefined, error: errorCode };
