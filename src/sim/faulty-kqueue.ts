/**
 * `wit/kqueue.wit` with faults: its functions on JavaScript values, and the types by which a component calls them.
 */
import { boolean, enumeration, flags, imported, list, option, record, s32, u32, u64 } from "./abi.js";
import { KQUEUE_ERRORS } from "./errors-kqueue.js";
import { errorCode, failures, faultyHandles, faultyWait, type Changed, type Waiting } from "./faulty-calls.js";
import type { Ask, FaultyInterface, Functions } from "./faulty-kernel.js";
import type { KqueueEvent } from "./kqueue-instance.js";
import type { LiftedChange } from "./kqueue-imports.js";

const filter = enumeration("read", "write", "except", "user");
const actions = flags("add", "delete", "enable", "disable", "clear", "dispatch");
const change = record({ fd: s32, generation: u32, filter, actions });
const event = record({
  fd: s32,
  generation: u32,
  filter,
  end: boolean,
  last: boolean,
  error: option(errorCode),
  amount: u64,
});

/** Changes with the word by which the manual's errors know them. */
function named(changes: readonly LiftedChange[]): readonly (LiftedChange & Changed)[] {
  return changes.map((given) => ({ ...given, operation: operationOf(given.actions) }));
}

function operationOf(given: LiftedChange["actions"]): string {
  if (given.delete) return "delete";
  if (given.add) return "add";
  return given.enable ? "enable" : "disable";
}

export const faultyKqueue: FaultyInterface = {
  errors: KQUEUE_ERRORS,

  wrap(functions: Functions, ask: Ask, now: () => bigint) {
    const kernel = functions as unknown as Waiting<LiftedChange, KqueueEvent>;
    const handles = faultyHandles(functions, ask);
    const { control, wait } = faultyWait<LiftedChange, KqueueEvent>(kernel, ask, named, handles.notifyOf, now);
    return {
      ...handles.functions([u32, u32]),
      control: imported({ parameters: [u32, list(change)], result: failures }, control),
      wait: imported({ parameters: [u32, list(change), u32, option(u64)], result: handles.waitResult(event) }, wait),
    };
  },
};
