/**
 * What the soak's threads share of each slot: a descriptor to write to, and how much was written.
 *
 * The slot's lock is held while its descriptor is used or replaced, so that nobody writes to a number that means
 * something else by now. Written is what the kernel took, counted while the lock is held: bytes of a stream, or the sum
 * that was added to a counter, modulo 2^32.
 */
import type { Notifier } from "lio-poller";

const WORDS = 4;
const LOCK = 0;
const FD = 1;
const WRITTEN = 2;

/** How many threads write. */
export const WRITERS = 3;

/** What a writer is told by the control words. */
export const RUN = 0;
export const PAUSE = 1;
export const STOP = 2;

export interface WriterOrders {
  readonly slots: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  readonly count: number;
  readonly index: number;
  readonly seed: number;
  readonly notifier: Notifier;
}

export class SharedSlots {
  readonly #words: Int32Array;

  constructor(
    readonly buffer: SharedArrayBuffer,
    readonly count: number,
  ) {
    this.#words = new Int32Array(buffer);
  }

  static create(count: number): SharedSlots {
    return new SharedSlots(new SharedArrayBuffer(count * WORDS * 4), count);
  }

  /** Nobody holds a lock for longer than one system call that does not block. */
  lock(slot: number): void {
    const at = slot * WORDS + LOCK;
    while (Atomics.compareExchange(this.#words, at, 0, 1) !== 0) Atomics.wait(this.#words, at, 1, 1);
  }

  unlock(slot: number): void {
    const at = slot * WORDS + LOCK;
    Atomics.store(this.#words, at, 0);
    Atomics.notify(this.#words, at, 1);
  }

  /** Where to write, or -1. Only under the lock. */
  fd(slot: number): number {
    return Atomics.load(this.#words, slot * WORDS + FD);
  }

  /** Gives a slot another descriptor, to which nothing was written. Only under the lock. */
  replace(slot: number, fd: number): void {
    Atomics.store(this.#words, slot * WORDS + FD, fd);
    Atomics.store(this.#words, slot * WORDS + WRITTEN, 0);
  }

  written(slot: number): number {
    return Atomics.load(this.#words, slot * WORDS + WRITTEN) >>> 0;
  }

  addWritten(slot: number, amount: number): void {
    Atomics.add(this.#words, slot * WORDS + WRITTEN, amount);
  }
}

/** A slot's kind follows from its number: three of five are counters, which need one descriptor only. */
export type Kind = "socketpair" | "pipe" | "eventfd";

export function kindOf(slot: number): Kind {
  const rest = slot % 10;
  if (rest < 2) return "socketpair";
  return rest < 4 ? "pipe" : "eventfd";
}

/** The byte that a stream has at a place: so a lost, doubled or foreign one shows. */
export function byteAt(place: number, slot: number): number {
  return (place * 7 + slot) & 0xff;
}
