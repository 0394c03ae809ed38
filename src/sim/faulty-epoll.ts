/**
 * `wit/epoll.wit` with faults: its functions on JavaScript values, and the types by which a component calls them.
 */
import { enumeration, imported, list, option, record, s32, u32, u64 } from "./abi.js";
import type { Change, Event } from "./epoll-imports.js";
import { EPOLL_ERRORS } from "./errors-epoll.js";
import { failures, faultyHandles, faultyWait, type Waiting } from "./faulty-calls.js";
import type { Ask, FaultyInterface, Functions } from "./faulty-kernel.js";

const token = record({ slot: u32, generation: u32 });
const change = record({ operation: enumeration("add", "modify", "delete"), fd: s32, mask: u32, token });
const event = record({ mask: u32, token });

export const faultyEpoll: FaultyInterface = {
  errors: EPOLL_ERRORS,

  wrap(functions: Functions, ask: Ask, now: () => bigint) {
    const kernel = functions as unknown as Waiting<Change, Event>;
    const handles = faultyHandles(functions, ask);
    // Its changes say themselves what the manual calls them.
    const { control, wait } = faultyWait<Change, Event>(kernel, ask, (changes) => changes, handles.notifyOf, now);
    return {
      ...handles.functions([u32, u32, token]),
      control: imported({ parameters: [u32, list(change)], result: failures }, control),
      wait: imported({ parameters: [u32, list(change), u32, option(u64)], result: handles.waitResult(event) }, wait),
    };
  },
};
