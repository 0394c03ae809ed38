/**
 * `wit/iocp.wit` with faults: its functions on JavaScript values, and the types by which a component calls them.
 *
 * A `cancel` that is refused with ENOENT is made all the same: that is what the answer says, that the completion has come
 * or is about to. And an `add` that is refused is one of no socket, for it uses its slot in any case.
 */
import { enumeration, imported, list, option, record, u32, u64 } from "./abi.js";
import { OPERATIONS, type Change, type Completion } from "./afd-port.js";
import { IOCP_ERRORS } from "./errors-iocp.js";
import { errorCode, failures, faultyHandles, faultyWait, type Changed, type Waiting } from "./faulty-calls.js";
import type { Ask, FaultyInterface, Functions } from "./faulty-kernel.js";

const token = record({ slot: u32, generation: u32 });
const change = record({ operation: enumeration(...OPERATIONS), events: u32, socket: u64, group: u32, token });
const completion = record({ token, events: u32, error: option(errorCode) });

const INVALID_SOCKET = 2n ** 64n - 1n;

export const faultyIocp: FaultyInterface = {
  errors: IOCP_ERRORS,

  wrap(functions: Functions, ask: Ask, now: () => bigint) {
    const kernel = functions as unknown as Waiting<Change, Completion> & { peek(port: number, slot: number): number };
    /** By port, the socket of each slot: only an `add` names it. */
    const ports = new Map<number, Map<number, number>>();
    const handles = faultyHandles(functions, ask, (port) => ports.delete(port));

    const named = (changes: readonly Change[], port: number): readonly (Change & Changed)[] => {
      const sockets = ports.get(port) ?? new Map<number, number>();
      ports.set(port, sockets);
      return changes.map((given) => {
        const { operation, socket, token: where } = given;
        if (operation === "add") sockets.set(where.slot, Number(socket));
        return { ...given, fd: sockets.get(where.slot) ?? -1 };
      });
    };
    const insteadOf = (given: Change, error: string): Change | undefined => {
      if (given.operation === "add") return { ...given, socket: INVALID_SOCKET, events: 0 };
      return given.operation === "cancel" && error === "ENOENT" ? given : undefined;
    };
    const { control, wait } = faultyWait<Change, Completion>(kernel, ask, named, handles.notifyOf, now, insteadOf);
    return {
      ...handles.functions([u32, u32, token]),
      control: imported({ parameters: [u32, list(change)], result: failures }, control),
      wait: imported(
        {
          parameters: [u32, list(change), u32, option(u64)],
          result: handles.waitResult(completion),
        },
        wait,
      ),
      peek: imported({ parameters: [u32, u32], result: u32 }, (port: number, slot: number) => kernel.peek(port, slot)),
    };
  },
};
