/**
 * A clock that moves only when it is told to, so that a test of hours takes no time and gives the same result each
 * time. Simulated waits move it; so can the test.
 */
import { invalidType, outOfRange } from "../errors.js";

/** An arbitrary moment that is not zero, because CLOCK_MONOTONIC's is not either. */
const START = 1_000_000_000n;

/** The last moment that 64 bits can tell. The clock stops there. */
const END = 0xffff_ffff_ffff_ffffn;

interface Scheduled {
  readonly moment: bigint;
  readonly action: () => void;
}

/** A monotonic clock in virtual time, with actions that happen at moments of it. */
export class VirtualClock {
  #now = START;
  /** By moment, and among equal ones in the order in which they were scheduled. */
  readonly #scheduled: Scheduled[] = [];

  /** Nanoseconds since an arbitrary moment. Never goes back; moves only in a simulated wait and in `advance`. */
  now(): bigint {
    return this.#now;
  }

  /** How many actions have not happened yet. */
  get pending(): number {
    return this.#scheduled.length;
  }

  /**
   * Lets something happen later: when a simulated wait gets to that moment, or `advance` does. Actions of one moment
   * happen in the order in which they were scheduled. What an action throws comes out of the wait or of `advance`.
   *
   * @param milliseconds From now, at least 0; fractions count, to the nanosecond.
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` if the delay is no number or the action no function.
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if the delay is negative or not finite.
   */
  after(milliseconds: number, action: () => void): void {
    const moment = this.later(nanoseconds(milliseconds));
    if (typeof action !== "function") throw invalidType("action", "a function", action);

    const next = this.#scheduled.findIndex((other) => other.moment > moment);
    this.#scheduled.splice(next === -1 ? this.#scheduled.length : next, 0, { moment, action });
  }

  /**
   * Moves the clock on, through every action that falls due on the way.
   *
   * @param milliseconds At least 0; fractions count, to the nanosecond.
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` if it is no number.
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if it is negative or not finite.
   */
  advance(milliseconds: number): void {
    const moment = this.later(nanoseconds(milliseconds));
    while (this.step(moment));
    this.skipTo(moment);
  }

  /**
   * The moment so many nanoseconds from now, or the clock's last one if that is nearer.
   *
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` if it is no bigint.
   * @throws {RangeError} `ERR_OUT_OF_RANGE` if it is negative.
   */
  later(duration: bigint): bigint {
    if (typeof duration !== "bigint") throw invalidType("duration", "of type bigint", duration);
    if (duration < 0n) throw outOfRange("duration", "a bigint >= 0n", duration);
    const moment = this.#now + duration;
    return moment < END ? moment : END;
  }

  /**
   * Moves to the next action and lets it happen. False, and nothing moves, if there is none at or before `limit`.
   *
   * @param limit A moment of this clock; without one every action is near enough.
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` if it is no bigint.
   */
  step(limit: bigint = END): boolean {
    if (typeof limit !== "bigint") throw invalidType("limit", "of type bigint", limit);
    const next = this.#scheduled[0];
    if (next === undefined || next.moment > limit) return false;

    // First out of the list: the action may wait or schedule itself.
    this.#scheduled.shift();
    this.skipTo(next.moment);
    next.action();
    return true;
  }

  /**
   * Moves to a moment of this clock, past any action on the way. A moment that is gone changes nothing.
   *
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` if it is no bigint.
   */
  skipTo(moment: bigint): void {
    if (typeof moment !== "bigint") throw invalidType("moment", "of type bigint", moment);
    if (moment > this.#now) this.#now = moment;
  }
}

function nanoseconds(milliseconds: number): bigint {
  if (typeof milliseconds !== "number") throw invalidType("milliseconds", "a number", milliseconds);
  if (!(milliseconds >= 0 && milliseconds < Infinity)) {
    throw outOfRange("milliseconds", "at least 0 and finite", milliseconds);
  }
  return BigInt(Math.round(milliseconds * 1e6));
}
