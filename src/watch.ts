/**
 * Readiness without a poller of one's own: promises, callbacks and asynchronous iteration.
 *
 * All of a thread's share one attached poller, made when it is first needed. In it a descriptor has at most one
 * registration, whose interest is what all who wait for the descriptor want together.
 *
 * Whoever comes is served by the mode "edge-oneshot", in which arming costs a system call, which tells at once when the
 * descriptor is not open any more or its number is another file's. A registration that nobody waits for stays, disarmed,
 * because most are waited for again. Only while none but callbacks wait, which stay by themselves until they say that it
 * is over, the mode is "oneshot", in which arming again is free.
 *
 * Kernels without edges have "oneshot" alone. There a registration ends with the last who waits for it, so that the next
 * one is added, which tells as much; and whoever joins others is first taken for one who would be added.
 */
import { AsyncResource } from "node:async_hooks";
import { invalidType, namedError, outOfRange, PollerError } from "./errors.js";
import type { Events, ReadyEvent } from "./events.js";
import { ANY_INTEREST, Interest, type Mode } from "./interest.js";
import { Poller } from "./poller.js";
import { reportUncaught } from "./uncaught.js";

/** What a descriptor is ready for: see the fields of the same names in {@link ReadyEvent}. */
export type Ready = Omit<ReadyEvent, "key" | "timer" | "expirations">;

/** What {@link readable} and {@link writable} may be told. */
export interface ReadyOptions {
  /** Ends the waiting: the promise is rejected with an `AbortError` whose cause is the signal's reason. */
  readonly signal?: AbortSignal;
  /** Milliseconds, with fractions, after which the promise is rejected with `ETIMEDOUT`, if nothing is ready by then. */
  readonly timeout?: number;
}

/** What {@link watch} may be told. */
export interface WatchOptions {
  /** Ends the watching: a loop over it with an `AbortError` whose cause is the signal's reason, a callback in silence. */
  readonly signal?: AbortSignal;
}

/**
 * Resolves when a read of the descriptor will not block: data, an end, an error. Nothing blocks meanwhile, and the event
 * loop goes on until then. Any number may wait for one descriptor, in both directions.
 *
 * End the waiting before you close the descriptor: Linux tells nobody that it was closed. Whoever waits is rejected with
 * `EBADF` once the number is waited for again, and not before.
 *
 * @example
 * await readable(fd, { timeout: 1000 });
 * const count = read(fd, buffer);
 * @throws PollerError as a rejection: `EBADF` if it is not open, `EPERM` if this kind of file cannot be waited for,
 * `ETIMEDOUT`, `ENOSPC`, `ENOMEM`; `EMFILE` at its first use
 * @throws Error as a rejection: `AbortError`, with code `ABORT_ERR`
 * @throws TypeError, RangeError as a rejection: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 */
export function readable(fd: number, options?: ReadyOptions): Promise<Ready> {
  return new Promise((resolve, reject) => {
    new Waiter("readable", Interest.READABLE, resolve, reject).start(fd, options);
  });
}

/** Resolves when a write to the descriptor will not block: room, an error. Else as {@link readable}. */
export function writable(fd: number, options?: ReadyOptions): Promise<Ready> {
  return new Promise((resolve, reject) => {
    new Waiter("writable", Interest.WRITABLE, resolve, reject).start(fd, options);
  });
}

/**
 * Calls back whenever the descriptor is ready, once a turn of the event loop, for as long as it is: until the result is
 * disposed of, or the signal aborted. The loop goes on until then. Dispose of it before you close the descriptor.
 *
 * What the callback throws is an uncaught exception, and ends nothing. It runs in the asynchronous context of this call.
 * If the descriptor turns out to have been closed, the callback is called once more, with `error` and `errorCode`.
 *
 * @param interest {@link Interest}'s numbers, joined with `|`, at least one
 * @throws PollerError `EBADF`, `EPERM`, `ENOSPC`, `ENOMEM`, `EMFILE`; nothing is watched then
 * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 */
export function watch(
  fd: number,
  interest: Interest,
  callback: (ready: Ready) => void,
  options?: WatchOptions,
): Disposable;
/**
 * Iterates over the moments in which the descriptor is ready. Between two steps it is not watched, so that a consumer
 * gets nothing that it has no time for, and what it has not read makes the next step come at once.
 *
 * A `break` or `return()` ends the registration. Errors, as those of {@link readable}, end it too and are thrown.
 *
 * @example
 * for await (const { readClosed } of watch(fd, Interest.READABLE)) {
 *   while (read(fd, buffer) > 0) …
 *   if (readClosed) break;
 * }
 * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 */
export function watch(fd: number, interest: Interest, options?: WatchOptions): ReadyIterator;
export function watch(
  fd: number,
  interest: Interest,
  callbackOrOptions?: ((ready: Ready) => void) | WatchOptions,
  options?: WatchOptions,
): Disposable | ReadyIterator {
  checkInterest(interest);
  if (typeof callbackOrOptions === "function") return new Watcher(fd, interest, callbackOrOptions, options);
  checkOptions(callbackOrOptions);
  return new Iteration(fd, interest, callbackOrOptions);
}

/** What {@link watch} returns without a callback. */
export interface ReadyIterator extends AsyncIterableIterator<Ready, undefined>, AsyncDisposable {
  /** Ends the registration, and the iteration. */
  return(): Promise<IteratorReturnResult<undefined>>;
}

// ---- The shared poller -----------------------------------------------------------------------------------------------

/** Somebody who waits for a descriptor. */
interface Taker {
  readonly interest: Interest;
  /** Whether it goes on waiting by itself when it was served. */
  readonly stays: boolean;
  /** What it waits for, while it does. */
  entry: Entry | undefined;
  take(ready: Ready): void;
  /** It does not wait any more, because of this. */
  fail(error: PollerError): void;
}

/** A registration. */
class Entry {
  mode: Mode = "oneshot";
  readonly takers: Taker[] = [];

  constructor(
    readonly fd: number,
    /** Never used twice, so that an event of a registration that has ended is no other's. */
    readonly key: number,
  ) {}
}

class Shared {
  readonly poller = new Poller();
  readonly #byFd = new Map<number, Entry>();
  readonly #byKey = new Map<number, Entry>();
  readonly #timed = new Map<number, Waiter>();
  #lastKey = 0;
  /** Whether the kernel has edges, as far as is known. */
  #hasEdges = true;
  /** How many wait. */
  #count = 0;

  constructor() {
    try {
      this.poller.attach((events) => this.#dispatch(events), { onError: (error) => this.#failed(error) });
    } catch (error) {
      this.poller.close();
      throw error;
    }
    this.poller.unref();
  }

  /** Has somebody wait for a descriptor. @throws PollerError if that cannot be; nothing has changed then */
  join(fd: number, taker: Taker): void {
    const entry = this.#byFd.get(fd);
    if (entry === undefined) {
      this.#register(fd, taker);
      return;
    }
    entry.takers.push(taker);
    try {
      if (!this.#hasEdges) this.#checkStanding(entry);
      this.#arm(entry, "edge-oneshot");
    } catch (error) {
      entry.takers.pop();
      if (!isGone(error)) throw error;
      // The file that the others wait for was closed. This number may be another's by now.
      this.#fail(entry, error);
      this.#register(fd, taker);
      return;
    }
    this.#joined(taker, entry);
  }

  #register(fd: number, taker: Taker): void {
    const entry = new Entry(fd, ++this.#lastKey);
    entry.takers.push(taker);
    this.#add(entry);
    this.#byFd.set(fd, entry);
    this.#byKey.set(entry.key, entry);
    this.#joined(taker, entry);
  }

  #joined(taker: Taker, entry: Entry): void {
    taker.entry = entry;
    if (this.#count++ === 0) this.poller.ref();
  }

  /** Has somebody not wait any more. */
  leave(taker: Taker): void {
    const { entry } = taker;
    if (entry === undefined) return;
    taker.entry = undefined;
    entry.takers.splice(entry.takers.indexOf(taker), 1);
    if (--this.#count === 0) this.poller.unref();
  }

  /** Ends a descriptor's registration if nobody waits for it: what was armed for somebody who has left must not stay so. */
  release(fd: number): void {
    const entry = this.#byFd.get(fd);
    if (entry?.takers.length === 0) this.#unregister(entry);
  }

  expireAfter(timeout: number, waiter: Waiter): number {
    const key = ++this.#lastKey;
    this.poller.addTimer(key, timeout);
    this.#timed.set(key, waiter);
    return key;
  }

  forgetTimer(key: number): void {
    if (this.#timed.delete(key)) this.poller.deleteTimer(key);
  }

  #unregister(entry: Entry): void {
    this.#byFd.delete(entry.fd);
    this.#byKey.delete(entry.key);
    this.poller.delete(entry.fd);
  }

  #add(entry: Entry): void {
    const { fd, key } = entry;
    const interest = interestOf(entry);
    try {
      if (this.#hasEdges) this.poller.add(fd, key, interest, { mode: "edge-oneshot" });
      else this.poller.add(fd, key, interest);
      entry.mode = this.#hasEdges ? "edge-oneshot" : "oneshot";
    } catch (error) {
      if (!this.#hasEdges || !hasCode(error, "ENOTSUP")) throw error;
      // The mode, or the interest: which of them, the same without edges tells.
      this.poller.add(fd, key, interest);
      this.#hasEdges = false;
      entry.mode = "oneshot";
    }
  }

  #arm(entry: Entry, wanted: Mode): void {
    const interest = interestOf(entry);
    const mode = this.#hasEdges ? wanted : "oneshot";
    if (entry.mode === mode) this.poller.modify(entry.fd, entry.key, interest);
    else this.poller.modify(entry.fd, entry.key, interest, { mode });
    entry.mode = mode;
  }

  /** What a modify with edges tells by itself. @throws PollerError `EBADF` if the file of a registration was closed */
  #checkStanding(entry: Entry): void {
    try {
      this.poller.add(entry.fd, entry.key, Interest.NONE);
    } catch (error) {
      if (hasCode(error, "EEXIST")) return;
      throw error;
    }
    // The number is another file's by now.
    throw namedError("EBADF", "watch");
  }

  #dispatch(events: Events): void {
    const expired: Waiter[] = [];
    for (const event of events) {
      const key = event.key as number;
      if (event.timer) {
        const waiter = this.#timed.get(key);
        if (waiter !== undefined) expired.push(waiter);
        continue;
      }
      // What was ended by a callback for an earlier event of this batch is not there any more.
      const entry = this.#byKey.get(key);
      if (entry !== undefined) this.#deliver(entry, readyOf(event));
    }
    // Whatever is ready at the same time comes first.
    for (const waiter of expired) if (waiter.entry !== undefined) waiter.expire();
  }

  #deliver(entry: Entry, ready: Ready): void {
    if (ready.errorCode !== undefined) {
      this.#fail(entry, namedError(ready.errorCode, "watch"));
      return;
    }
    // A callback may have anybody come or go.
    for (const taker of entry.takers.slice()) {
      if (taker.entry === entry && concerns(ready, taker.interest)) taker.take(ready);
    }
    if (this.#byKey.get(entry.key) !== entry) return;
    if (entry.takers.length === 0) {
      if (!this.#hasEdges) this.#unregister(entry);
      return;
    }
    try {
      this.#arm(entry, entry.takers.every(({ stays }) => stays) ? "oneshot" : "edge-oneshot");
    } catch (error) {
      this.#fail(entry, error as PollerError);
    }
  }

  /** Tells all who wait that it is over. */
  #fail(entry: Entry, error: PollerError): void {
    this.#unregister(entry);
    for (const taker of entry.takers.slice()) {
      this.leave(taker);
      taker.fail(error);
    }
  }

  /** The poller has an error of its own. Unless it is the last, the poller goes on: what is waited for still comes. */
  #failed(error: PollerError): void {
    if (error.code === "ERR_POLLER_TRAPPED") this.abandon(error);
  }

  /** The component has failed, and nothing will ever come. */
  abandon(error: PollerError): void {
    shared = undefined;
    for (const { takers } of this.#byFd.values()) {
      for (const taker of takers) {
        taker.entry = undefined;
        taker.fail(error);
      }
    }
  }
}

let shared: Shared | undefined;

function current(): Shared {
  return (shared ??= new Shared());
}

/** Has somebody wait, and puts what cannot be into the words of the caller. */
function join(fd: number, taker: Taker, syscall: string): void {
  const holder = current();
  try {
    holder.join(fd, taker);
  } catch (error) {
    if (!(error instanceof PollerError)) throw error;
    if (error.code === "ERR_POLLER_TRAPPED") holder.abandon(error);
    throw error.errno === undefined ? error : reworded(error, syscall, fd);
  }
}

function reworded({ code }: PollerError, syscall: string, fd: number): PollerError {
  return namedError(code, syscall, `fd ${fd}`);
}

function interestOf({ takers }: Entry): Interest {
  let interest: Interest = Interest.NONE;
  for (const taker of takers) interest |= taker.interest;
  return interest;
}

/** Whether the kernel does not know the registration any more. */
function isGone(error: unknown): error is PollerError {
  return hasCode(error, "ENOENT") || hasCode(error, "EBADF");
}

function hasCode(error: unknown, code: string): error is PollerError {
  return error instanceof PollerError && error.code === code;
}

/** Errors and hang-ups concern everybody. */
function concerns(ready: Ready, interest: Interest): boolean {
  if (ready.readable && interest & Interest.READABLE) return true;
  if (ready.writable && interest & Interest.WRITABLE) return true;
  return ready.hangUp || ready.error || (ready.priority && (interest & Interest.PRIORITY) !== 0);
}

function readyOf(event: ReadyEvent): Ready {
  return {
    readable: event.readable,
    writable: event.writable,
    priority: event.priority,
    readClosed: event.readClosed,
    hangUp: event.hangUp,
    error: event.error,
    errorCode: event.errorCode,
    bytes: event.bytes,
  };
}

// ---- Those who wait --------------------------------------------------------------------------------------------------

/** A promise. */
class Waiter implements Taker, EventListenerObject {
  readonly stays = false;
  entry: Entry | undefined;
  #fd = -1;
  #signal: AbortSignal | undefined;
  #timer: number | undefined;

  constructor(
    readonly syscall: string,
    readonly interest: Interest,
    readonly resolve: (ready: Ready) => void,
    readonly reject: (error: Error) => void,
  ) {}

  /** @throws PollerError, TypeError, RangeError, Error what the promise is to be rejected with */
  start(fd: number, options: ReadyOptions | undefined): void {
    this.#fd = fd;
    if (options === undefined) {
      join(fd, this, this.syscall);
      return;
    }
    checkOptions(options);
    const { signal, timeout } = options;
    if (timeout !== undefined) checkTimeout(timeout);
    if (signal?.aborted) throw abortError(signal);
    join(fd, this, this.syscall);
    this.#signal = signal;
    signal?.addEventListener("abort", this);
    if (timeout === undefined || timeout === Infinity) return;
    try {
      this.#timer = current().expireAfter(timeout, this);
    } catch (error) {
      this.cancel();
      throw error;
    }
  }

  take(ready: Ready): void {
    this.#end();
    this.resolve(ready);
  }

  fail(error: PollerError): void {
    this.#end();
    this.reject(error.errno === undefined ? error : reworded(gone(error), this.syscall, this.#fd));
  }

  expire(): void {
    this.cancel();
    this.reject(namedError("ETIMEDOUT", this.syscall, `fd ${this.#fd}`));
  }

  /** Does not wait any more. The promise stays as it is. */
  cancel(): void {
    this.#end();
    current().release(this.#fd);
  }

  /** The signal was aborted. */
  handleEvent(): void {
    const signal = this.#signal as AbortSignal;
    this.cancel();
    this.reject(abortError(signal));
  }

  #end(): void {
    current().leave(this);
    if (this.#timer !== undefined) current().forgetTimer(this.#timer);
    this.#timer = undefined;
    this.#signal?.removeEventListener("abort", this);
    this.#signal = undefined;
  }
}

/** A callback. */
class Watcher implements Taker, Disposable {
  readonly stays = true;
  entry: Entry | undefined;
  readonly #fd: number;
  readonly #callback: (ready: Ready) => void;
  readonly #context = new AsyncResource("lio-poller.watch");
  readonly #signal: AbortSignal | undefined;

  constructor(
    fd: number,
    readonly interest: Interest,
    callback: (ready: Ready) => void,
    options: WatchOptions | undefined,
  ) {
    checkOptions(options);
    this.#fd = fd;
    this.#callback = callback;
    this.#signal = options?.signal;
    if (this.#signal?.aborted) return;
    join(fd, this, "watch");
    this.#signal?.addEventListener("abort", this.#dispose);
  }

  take(ready: Ready): void {
    try {
      this.#context.runInAsyncScope(this.#callback, undefined, ready);
    } catch (error) {
      reportUncaught(error);
    }
  }

  fail(error: PollerError): void {
    this.#dispose();
    this.take({ ...NOTHING, error: true, errorCode: gone(error).code });
  }

  readonly #dispose = (): void => {
    this.#signal?.removeEventListener("abort", this.#dispose);
    if (this.entry === undefined) return;
    current().leave(this);
    current().release(this.#fd);
  };

  [Symbol.dispose](): void {
    this.#dispose();
  }
}

const NOTHING: Ready = {
  readable: false,
  writable: false,
  priority: false,
  readClosed: false,
  hangUp: false,
  error: false,
  errorCode: undefined,
  bytes: 0,
};

const DONE = { done: true, value: undefined } as const;

class Iteration implements ReadyIterator {
  readonly #fd: number;
  readonly #interest: Interest;
  readonly #options: WatchOptions | undefined;
  #isOver = false;
  #waiter: Waiter | undefined;
  #settle: ((result: IteratorResult<Ready, undefined>) => void) | undefined;
  /** The step that was asked for last, while it is not done. */
  #step: Promise<unknown> | undefined;

  constructor(fd: number, interest: Interest, options: WatchOptions | undefined) {
    this.#fd = fd;
    this.#interest = interest;
    this.#options = options;
  }

  /** Steps that are asked for before the last one is done come after it. */
  next(): Promise<IteratorResult<Ready, undefined>> {
    const step = this.#step === undefined ? this.#take() : this.#step.then(() => this.#take());
    const forget = (): void => {
      if (this.#step === settled) this.#step = undefined;
    };
    const settled: Promise<unknown> = step.then(forget, forget);
    this.#step = settled;
    return step;
  }

  #take(): Promise<IteratorResult<Ready, undefined>> {
    if (this.#isOver) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => {
      const taken = (value: Ready): void => resolve({ done: false, value });
      const failed = (error: Error): void => {
        reject(error);
        this.#end();
      };
      this.#settle = resolve;
      this.#waiter = new Waiter("watch", this.#interest, taken, failed);
      try {
        this.#waiter.start(this.#fd, this.#options);
      } catch (error) {
        failed(error as Error);
      }
    });
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#end();
    return Promise.resolve(DONE);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiter?.cancel();
    this.#settle?.(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
  }
}

/** What a user is to make of it that the kernel does not know a registration any more: the file was closed. */
function gone(error: PollerError): PollerError {
  return error.code === "ENOENT" ? namedError("EBADF", "watch") : error;
}

// ---- Arguments -------------------------------------------------------------------------------------------------------

/** As Node's own. */
function abortError(signal: AbortSignal): Error {
  const error = new Error("The operation was aborted", { cause: signal.reason });
  return Object.assign(error, { name: "AbortError", code: "ABORT_ERR" });
}

function checkInterest(interest: Interest): void {
  if (typeof interest !== "number") throw invalidType("interest", "of type number", interest);
  if ((interest & ANY_INTEREST) === interest && interest !== Interest.NONE) return;
  throw outOfRange("interest", "values of Interest joined with |, at least one", interest);
}

function checkOptions(options: WatchOptions | undefined): void {
  if (options === undefined) return;
  if (typeof options !== "object" || options === null) throw invalidType("options", "of type object", options);
  const { signal } = options;
  if (signal === undefined || (typeof signal === "object" && signal !== null && "aborted" in signal)) return;
  throw invalidType("options.signal", "an instance of AbortSignal", signal);
}

function checkTimeout(timeout: number): void {
  if (typeof timeout !== "number") throw invalidType("options.timeout", "of type number", timeout);
  if (!(timeout >= 0)) throw outOfRange("options.timeout", "a number >= 0", timeout);
}
