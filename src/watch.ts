/**
 * Readiness without a poller of one's own: promises, callbacks and asynchronous iteration. All of a thread's share one
 * poller, which is attached to the event loop: see `loop/shared.ts`.
 */
import { invalidType } from "./errors.js";
import { Interest } from "./interest.js";
import { checkInterest, signalOf, timeoutOf } from "./loop/arguments.js";
import { Iteration, type ReadyIterator } from "./loop/iteration.js";
import type { Ready } from "./loop/ready.js";
import { Waiter } from "./loop/waiter.js";
import { Watcher } from "./loop/watcher.js";
import { native } from "./native.js";
import { checkFd } from "./poller.js";

export type { ReadyIterator } from "./loop/iteration.js";
export type { Ready } from "./loop/ready.js";

/** Options of {@link readable} and {@link writable}. Each is read once. */
export interface ReadyOptions {
  /** Ends the wait: the promise rejects with an `AbortError` whose cause is the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Milliseconds, with fractions, at least 0. The promise rejects with `ETIMEDOUT` if the descriptor was not ready by
   * then. On Windows a descriptor that became ready only just before may be missed. Default, and with `Infinity`: no limit.
   */
  readonly timeout?: number;
}

/** Options of {@link watch}. Each is read once. */
export interface WatchOptions {
  /**
   * Ends the watching. An iteration throws an `AbortError` whose cause is the signal's reason. A callback is not called
   * any more.
   */
  readonly signal?: AbortSignal;
}

/** Where descriptors can be above 2^31 - 1, the addon tells the largest. */
const DESCRIPTORS = { largestDescriptor: native.io.largestDescriptor ?? 2 ** 31 - 1 };

/**
 * Fulfills when a read of the descriptor will not block: there is data, an end or an error. Never blocks, and keeps the
 * event loop active until then. Any number of calls may wait for one descriptor, in both directions. They are served in
 * the order in which they came.
 *
 * Stop waiting before you close a descriptor. `close` of `lio-poller/io` rejects with `EBADF` all that wait for the
 * descriptor in this thread. Linux does not report other closes, so a pending wait stays pending until the number is
 * waited for again. Then it rejects with `EBADF`.
 *
 * @example
 * await readable(fd, { timeout: 1000 });
 * const count = read(fd, buffer);
 * @throws PollerError as a rejection: `EBADF` if the descriptor is not open, `EPERM` if this kind of file cannot be waited
 * for, `ETIMEDOUT`, `ENOSPC`, `ENOMEM`, `ELOOP`; `EMFILE` or `ENFILE` at the first use; `ERR_POLLER_TRAPPED` if the
 * component has failed: wait again, for the next wait starts afresh
 * @throws Error as a rejection: `AbortError`, with code `ABORT_ERR`
 * @throws TypeError, RangeError as a rejection: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 */
export function readable(fd: number, options?: ReadyOptions): Promise<Ready> {
  return promised("readable", Interest.READABLE, fd, options);
}

/** Fulfills when a write to the descriptor will not block: there is room, or an error. Else as {@link readable}. */
export function writable(fd: number, options?: ReadyOptions): Promise<Ready> {
  return promised("writable", Interest.WRITABLE, fd, options);
}

function promised(name: string, interest: Interest, fd: number, options: ReadyOptions | undefined): Promise<Ready> {
  return new Promise((resolve, reject) => {
    checkFd(fd, DESCRIPTORS);
    const signal = signalOf(options);
    const timeout = timeoutOf(options);
    new Waiter(name, interest, resolve, reject).start(fd, signal, timeout);
  });
}

/**
 * Calls back whenever the descriptor is ready, once in a turn of the event loop, for as long as it is ready. Dispose of
 * the result, or abort the signal, to end that; then the callback is not called any more. Until then the event loop stays
 * active. Dispose of the result before you close the descriptor.
 *
 * The callback runs in the asynchronous context of this call, and never inside another call of this package. An error that
 * it throws is an uncaught exception, and ends nothing.
 *
 * If the watching cannot go on, the callback is called once more, with `refused` and `errorCode`: `EBADF` if the descriptor
 * was closed, at once by `close` of `lio-poller/io`, else when the number is waited for again; `ERR_POLLER_TRAPPED` if
 * the component has failed.
 *
 * @param interest {@link Interest}'s numbers, joined with `|`, at least one
 * @throws PollerError `EBADF`, `EPERM`, `ENOSPC`, `ENOMEM`, `ELOOP`, `EMFILE`, `ENFILE`, `ERR_POLLER_TRAPPED`; nothing is
 * watched then. `ENOTSUP` if the kernel does not have the interest
 * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 */
export function watch(
  fd: number,
  interest: Interest,
  callback: (ready: Ready) => void,
  options?: WatchOptions,
): Disposable;
/**
 * Iterates over the moments in which the descriptor is ready. The descriptor is not watched while the body of your loop
 * runs. If data is left unread, the next iteration is immediate.
 *
 * A `break` or `return()` ends the registration. Errors are those of {@link readable}. They end the registration too, and
 * are thrown by the step that meets them.
 *
 * @example
 * for await (const { readClosed } of watch(fd, Interest.READABLE)) {
 *   while (read(fd, buffer) > 0) …
 *   if (readClosed) break;
 * }
 * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, in this call
 */
export function watch(fd: number, interest: Interest, options?: WatchOptions): ReadyIterator;
export function watch(
  fd: number,
  interest: Interest,
  callbackOrOptions?: ((ready: Ready) => void) | WatchOptions,
  options?: WatchOptions,
): Disposable | ReadyIterator {
  checkFd(fd, DESCRIPTORS);
  checkInterest(interest);
  if (typeof callbackOrOptions === "function") {
    return new Watcher(fd, interest, callbackOrOptions, signalOf(options));
  }
  // Options that come last belong to a callback, which may have come after its options.
  if (options !== undefined) throw invalidType("callback", "of type function", callbackOrOptions);
  return new Iteration(fd, interest, signalOf(callbackOrOptions));
}
