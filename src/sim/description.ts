/**
 * The open file description of open(2): what descriptors point to, what dup(2) shares, and what a kernel object watches.
 * Each kind of simulated file extends {@link Description}, and answers the kernels that have it: as {@link Polled}, as
 * {@link Filtered}, or as both.
 */
import { namedError } from "../errors.js";
import type { Particulars } from "./kqueue-flavours.js";
import type { Refusal } from "./refusals.js";

/**
 * The bits that poll(2) and epoll(7) answer with, which are Linux's on every platform that this model runs on. Some tell
 * watchers of any kernel what has happened.
 */
export const IN = 0x1;
export const PRI = 0x2;
export const OUT = 0x4;
export const ERR = 0x8;
export const HUP = 0x10;
export const RDHUP = 0x2000;

/** Said to a watcher with other bits: what it reports next is the last that it will report. */
export const LAST = 0x4000_0000;

/** What `read` and `write` return where the system call would say EAGAIN. */
export const WOULD_BLOCK = -1;

/** Bytes in a page of memory: what a slot of a pipe holds, and the unit of a socket's larger packets. */
export const PAGE = 4096;

/** Someone who is told when a description may have become ready: a registration of epoll, a knote of kqueue. */
export interface Watcher {
  /**
   * Something happened. `bits` says for whom, as the kernel's wake-up keys do; 0 concerns everyone. It is a hint, not
   * an answer: `poll` and `evaluate` are.
   */
  wake(bits: number): void;
  /** The last descriptor of the description is closed. */
  released(): void;
}

/** What epoll asks of a file. */
export interface Polled {
  /** False for files that epoll refuses with EPERM because they are always ready. */
  readonly pollable: boolean;

  /** The readiness bits that hold now, whoever asks. */
  poll(): number;
}

/** The filters of kqueue that watch descriptors. */
export type Filter = "read" | "write" | "except";

/** What a filter finds. */
export interface Condition {
  /** Whether there is an event to report. */
  readonly active: boolean;
  /** EV_EOF. */
  readonly end: boolean;
  /** The socket's error: `fflags`. Only with `end`. */
  readonly error?: Refusal | undefined;
  /** How much can be read or written: `data`. */
  readonly amount: bigint;
}

/** What kqueue asks of a file. */
export interface Filtered {
  /** Whether a knote of this filter can be attached now. Returns why not, or nothing. */
  attach(filter: Filter, particulars: Particulars): Refusal | undefined;

  /** What the filter finds now, whoever asks. */
  evaluate(filter: Filter): Condition;
}

/** An open file description. It ends when the last descriptor that points to it is closed. */
export abstract class Description {
  /** O_NONBLOCK belongs to the description, so duplicates share it: see F_SETFL in fcntl(2). */
  nonBlocking = true;

  #descriptors = 0;
  readonly #watchers: Watcher[] = [];

  /** Reads into `buffer`: a count, 0 at the end of the file, or {@link WOULD_BLOCK}. */
  abstract read(buffer: Uint8Array): number;

  /** Writes from `buffer`: a count or {@link WOULD_BLOCK}. */
  abstract write(buffer: Uint8Array): number;

  /** Ends one direction or both, of a socket. Anything else is ENOTSOCK. */
  shutdown(_how: "read" | "write" | "both"): void {
    throw namedError("ENOTSOCK", "shutdown");
  }

  /** Sends a byte out of band, on a stream socket: 1, or {@link WOULD_BLOCK}. */
  sendUrgent(_byte: number): number {
    throw namedError("ENOTSOCK", "sendUrgent");
  }

  /** Takes the byte that came out of band. */
  receiveUrgent(): number {
    throw namedError("ENOTSOCK", "receiveUrgent");
  }

  /** What the other end learns when this one is gone. */
  protected release(): void {}

  watch(watcher: Watcher): void {
    this.#watchers.push(watcher);
  }

  unwatch(watcher: Watcher): void {
    this.#watchers.splice(this.#watchers.indexOf(watcher), 1);
  }

  /** Tells the watchers, the latest first: Linux puts a new one at the head of the wait queue. */
  wake(bits: number): void {
    for (let index = this.#watchers.length - 1; index >= 0; index--) this.#watchers[index]?.wake(bits);
  }

  /** A descriptor points here now. */
  hold(): void {
    this.#descriptors++;
  }

  /** A descriptor that pointed here is closed. Watchers go first, so that they do not hear of the end: epoll(7), Q6. */
  drop(): void {
    if (--this.#descriptors > 0) return;

    for (const watcher of this.#watchers.splice(0)) watcher.released();
    this.release();
  }
}
