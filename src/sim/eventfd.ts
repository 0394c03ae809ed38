/**
 * A counter as eventfd(2) describes it, without EFD_SEMAPHORE: Linux's, and the one that FreeBSD and NetBSD have after
 * its model. Its 8 bytes are in the machine's own order.
 */
import { namedError } from "../errors.js";
import {
  type Condition,
  Description,
  type Filter,
  type Filtered,
  IN,
  OUT,
  type Polled,
  WOULD_BLOCK,
} from "./description.js";
import type { Particulars } from "./kqueue-flavours.js";
import type { Refusal } from "./refusals.js";

const SIZE = 8;
const MAXIMUM = 0xffff_ffff_ffff_fffen;

class EventFd extends Description implements Polled, Filtered {
  readonly pollable = true;
  #count: bigint;

  constructor(initial: number) {
    super();
    this.#count = BigInt(initial);
  }

  /** The page's third state, an overflow, needs 2^64 signals from within the kernel and is not modelled. */
  poll(): number {
    return (this.#count > 0n ? IN : 0) | (this.#count < MAXIMUM ? OUT : 0);
  }

  attach(filter: Filter, { exceptOnOthers }: Particulars): Refusal | undefined {
    return filter === "except" ? exceptOnOthers : undefined;
  }

  /** "EVFILT_READ … Eventfds" and "EVFILT_WRITE … For eventfds" in FreeBSD's kqueue(2). */
  evaluate(filter: Filter): Condition {
    const amount = filter === "read" ? this.#count : MAXIMUM - this.#count;
    return { active: amount > 0n, end: false, amount };
  }

  read(buffer: Uint8Array): number {
    if (buffer.length < SIZE) throw namedError("EINVAL", "read", "an eventfd is read 8 bytes at a time");
    if (this.#count === 0n) return WOULD_BLOCK;

    buffer.set(new Uint8Array(BigUint64Array.of(this.#count).buffer));
    this.#count = 0n;
    this.wake(OUT);
    return SIZE;
  }

  write(buffer: Uint8Array): number {
    // The page refuses fewer bytes; Linux since 6.9 refuses more, too.
    if (buffer.length !== SIZE) throw namedError("EINVAL", "write", "an eventfd is written 8 bytes at a time");
    const added = new BigUint64Array(buffer.slice().buffer)[0] ?? 0n;
    if (added > MAXIMUM) throw namedError("EINVAL", "write", "the value is too large for an eventfd");
    if (this.#count + added > MAXIMUM) return WOULD_BLOCK;

    this.#count += added;
    this.wake(IN);
    return SIZE;
  }
}

/** Makes an eventfd whose counter starts at `initial`, an unsigned 32-bit integer. */
export function createEventFd(initial: number): Description & Polled & Filtered {
  return new EventFd(initial);
}
