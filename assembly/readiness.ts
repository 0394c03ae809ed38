/**
 * What a wait reports: the bits, and the room that events are written to.
 *
 * An event is written as the canonical ABI lays out the `event` record of wit/poller.wit, so that reading the events
 * copies nothing:
 *
 *    0  key       8  amount     16  readiness (1 byte)      20  error: 1 if there is one      24  its tag
 *                                                                                           28  its number, if `other`
 */
import { storeError } from "./errors";
import { allocate, release } from "./memory";

export const READABLE: u32 = 1;
export const WRITABLE: u32 = 2;
export const PRIORITY: u32 = 4;
export const READ_CLOSED: u32 = 8;
export const HANG_UP: u32 = 16;
export const ERROR: u32 = 32;
export const TIMER: u32 = 64;
export const REFUSED: u32 = 128;

const EVENT_SHIFT: u32 = 5;
const MOST_EVENTS: u32 = 1 << 26;

/** Writes an event, and answers where the next one goes. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function writeEvent(at: usize, key: u64, readiness: u32, amount: u64 = 0): usize {
  store<u64>(at, key);
  store<u64>(at, amount, 8);
  store<u64>(at, readiness, 16);
  return at + (1 << EVENT_SHIFT);
}

/** Lets an event tell its error. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function storeEventError(at: usize, error: u32): void {
  store<u32>(at, 1, 20);
  storeError(at + 24, error);
}

/**
 * Writes the event of a registration that the kernel refused to arm, and returns where the next one goes. It tells the
 * directions that were asked for, so that the operation is tried, which fails as the arming did.
 */
export function writeRefusal(at: usize, key: u64, interest: u32, error: u32): usize {
  const end = writeEvent(at, key, interest | ERROR | REFUSED);
  storeEventError(at, error);
  return end;
}

/** Room for the events of one wait. */
// @ts-ignore: top-level decorators are AssemblyScript's
@unmanaged
export class EventBuffer {
  capacity: u32;
  first: usize;
  /** Where the next event goes. */
  end: usize;

  /** Room for so many events, or null if there is no memory for them. */
  static create(capacity: u32): EventBuffer | null {
    if (capacity > MOST_EVENTS) return null;
    const at = allocate(offsetof<EventBuffer>());
    if (at == 0) return null;
    const first = allocate(capacity << EVENT_SHIFT);
    if (first == 0) {
      release(at, offsetof<EventBuffer>());
      return null;
    }
    const buffer = changetype<EventBuffer>(at);
    buffer.capacity = capacity;
    buffer.first = first;
    buffer.end = first;
    return buffer;
  }

  /** Gives the memory back. */
  destroy(): void {
    release(this.first, this.capacity << EVENT_SHIFT);
    release(changetype<usize>(this), offsetof<EventBuffer>());
  }

  /** How many events there are. */
  get count(): u32 {
    return (<u32>(this.end - this.first)) >> EVENT_SHIFT;
  }

  /** Forgets the events. */
  clear(): void {
    this.end = this.first;
  }

  /** Adds an event that tells a refusal; there must be room. */
  pushRefusal(key: u64, interest: u32, error: u32): void {
    this.end = writeRefusal(this.end, key, interest, error);
  }
}
