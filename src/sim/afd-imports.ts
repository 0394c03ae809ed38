/** The functions of `wit/iocp.wit` on a simulated port, and the types by which a component calls them. */
import { ERROR_TAGS } from "../error-code.js";
import { enumeration, imported, list, option, payloadError, record, s32, u32, u64, variant, type Type } from "./abi.js";
import { type Change, type Completion, OPERATIONS, type Port, type Refusal, type Token } from "./afd-port.js";

const errorCode = variant({ ...Object.fromEntries(ERROR_TAGS.map((tag) => [tag, undefined])), other: s32 });
const token = record({ slot: u32, generation: u32 });
const change = record({ operation: enumeration(...OPERATIONS), events: u32, socket: u64, group: u32, token });
const completion = record({ token, events: u32, error: option(errorCode) });
const failures = list(record({ index: u32, error: errorCode }));
const waited = record({ events: list(completion), moment: u64 });
const waitError = variant({ changes: failures, kernel: errorCode });

/** The calls that a component instance's table of handles offers. */
export interface AfdTable {
  create(): number;
  find(handle: number): Port | undefined;
  /** Makes one change. Returns why it was refused. */
  change(port: Port | undefined, change: Change): Refusal | undefined;
  wait(port: Port | undefined, capacity: number, timeout: bigint | undefined): Completion[] | Refusal;
  close(handle: number): void;
  createNotifier(): number;
  attachNotifier(notifier: number, port: Port | undefined, token: Token): Refusal | undefined;
  notify(notifier: number): void;
  closeNotifier(notifier: number): void;
}

/** The interface `iocp` on these calls, by this clock. */
export function bindIocp(table: AfdTable, now: () => bigint) {
  const control = (handle: number, changes: readonly Change[]) => {
    const port = table.find(handle);
    const refusals = changes.map((one) => table.change(port, one));
    return refusals.flatMap((tag, index) => (tag === undefined ? [] : [{ index, error: { tag } }]));
  };
  const wait = (handle: number, changes: readonly Change[], capacity: number, timeout: bigint | undefined) => {
    const failed = control(handle, changes);
    if (failed.length > 0) throw payloadError({ tag: "changes", val: failed });
    const result = table.wait(table.find(handle), capacity, timeout);
    if (typeof result === "string") throw payloadError({ tag: "kernel", val: { tag: result } });
    return { events: result, moment: now() };
  };
  const attach = (notifier: number, handle: number, where: Token) => {
    const refusal = table.attachNotifier(notifier, table.find(handle), where);
    if (refusal !== undefined) throw payloadError({ tag: refusal });
  };
  const returned = (ok: Type | undefined, error: Type = errorCode) => ({ ok, error });
  const changes = list(change);
  return {
    create: imported({ parameters: [], result: returned(u32) }, () => table.create()),
    control: imported({ parameters: [u32, changes], result: failures }, control),
    wait: imported({ parameters: [u32, changes, u32, option(u64)], result: returned(waited, waitError) }, wait),
    peek: imported({ parameters: [u32, u32], result: u32 }, (handle: number, slot: number) => {
      return table.find(handle)?.peek(slot) ?? 0;
    }),
    close: imported({ parameters: [u32] }, (handle: number) => table.close(handle)),
    createNotifier: imported({ parameters: [], result: returned(u32) }, () => table.createNotifier()),
    attachNotifier: imported({ parameters: [u32, u32, token], result: returned(undefined) }, attach),
    // Simulated kernels belong to one thread, so that none of their notifiers is known outside.
    identify: imported({ parameters: [u32], result: u64 }, () => 0n),
    notify: imported({ parameters: [u32] }, (notifier: number) => table.notify(notifier)),
    closeNotifier: imported({ parameters: [u32] }, (notifier: number) => table.closeNotifier(notifier)),
  };
}
