/**
 * The calls that JavaScript makes often, beside their forms in `exports`: for hosts whose numbers are JavaScript's.
 *
 * JavaScript can give an i64 only as a BigInt, which costs more than the whole call; here a key is its two words and a
 * timeout is an f64. And a result that says "ok" is 0, so that memory is read only for errors. The component does not
 * export these: they are for whoever holds its core module.
 */
import { KEEP_MODE, Poller, add, modify, notify, remove } from "../poller";
import { EventBuffer } from "../readiness";
import { wait } from "../wait";
import { now } from "../clock";
import { OK } from "../errors";
import { LARGEST_DESCRIPTOR, NumberDescriptor, descriptorOfNumber } from "../kernel";
import { saturated } from "../timers";
import * as kernel from "../kernel";
import { area, failed } from "./area";

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function joined(low: u32, high: u32): u64 {
  return ((<u64>high) << 32) | low;
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function failure(error: u32): usize {
  return error == OK ? 0 : failed(error);
}

/** The largest descriptor that the others take; the smallest is as far below -1. */
export const numbersLargestDescriptor: f64 = LARGEST_DESCRIPTOR;

/** `poller.add`. Answers 0, or where its failed result lies. */
export function numbersAdd(poller: Poller, fd: NumberDescriptor, low: u32, high: u32, interest: u32, mode: u32): usize {
  return failure(add(poller, descriptorOfNumber(fd), joined(low, high), interest, mode));
}

/** `poller.modify`; a mode below 0 is none. Answers 0, or where its failed result lies. */
export function numbersModify(
  poller: Poller,
  fd: NumberDescriptor,
  low: u32,
  high: u32,
  interest: u32,
  mode: i32,
): usize {
  return failure(modify(poller, descriptorOfNumber(fd), joined(low, high), interest, mode < 0 ? KEEP_MODE : mode));
}

/** `poller.delete`. Answers 0, or where its failed result lies. */
export function numbersDelete(poller: Poller, fd: NumberDescriptor): usize {
  return failure(remove(poller, descriptorOfNumber(fd)));
}

/**
 * `poller.wait`; a timeout below 0 is none, and what is beyond a u64 is cut off. Answers how many events there are, or,
 * below 0, the complement of where its failed result lies.
 */
export function numbersWait(poller: Poller, events: EventBuffer, timeout: f64): i32 {
  const error = wait(poller, events, timeout >= 0, timeout < 0 ? 0 : whole(timeout));
  return error == OK ? events.count : ~(<i32>failed(error));
}

/** Nanoseconds from a number that is at least 0; what is beyond a u64 is cut off. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function whole(nanoseconds: f64): u64 {
  return nanoseconds < 18446744073709551616.0 ? <u64>nanoseconds : u64.MAX_VALUE;
}

/** The moment so many nanoseconds from now, or before now if there are fewer than 0. */
function moment(delay: f64): u64 {
  const time = now();
  if (delay >= 0) return saturated(time, whole(delay));
  const ago = whole(-delay);
  return ago < time ? time - ago : 0;
}

/** `poller.add-timer`, after so many nanoseconds, fewer than 0 for a moment that has passed. Answers 0, or where its failed result lies. */
export function numbersAddTimer(poller: Poller, low: u32, high: u32, delay: f64, period: f64): usize {
  return failure(poller.timers.add(joined(low, high), moment(delay), whole(period)));
}

/** `poller.modify-timer`, as `numbersAddTimer`; a period below 0 is none. Answers 0, or where its failed result lies. */
export function numbersModifyTimer(poller: Poller, low: u32, high: u32, delay: f64, period: f64): usize {
  const key = joined(low, high);
  const kept = period < 0 ? poller.timers.periodOf(key) : whole(period);
  return failure(poller.timers.modify(key, moment(delay), kept));
}

/** `poller.delete-timer`. Answers 0, or where its failed result lies. */
export function numbersDeleteTimer(poller: Poller, low: u32, high: u32): usize {
  return failure(poller.timers.remove(joined(low, high)));
}

/** `poller.notify`. Answers 0, or where its failed result lies. */
export function numbersNotify(poller: Poller): usize {
  return failure(notify(poller));
}

/** Where `cabi_realloc` puts whatever list a call of the kernel's returns, so that it need not be asked. */
export function numbersLanding(): usize {
  return kernel.landing;
}

/** How many bytes there is room for there. */
export function numbersLandingBytes(): u32 {
  return kernel.LANDING_BYTES;
}

/**
 * What an event loop that waits in the poller's place must know after each call. Answers where it lies:
 *
 *    0  1 if a change waits for the next wait      8  registrations and armed timers      16  `poller.next-deadline`, or
 *    4  rebuilds, cut to 32 bits                  12  1 if the last wait was notified         the largest u64 for none
 *   24  the kernel object, by its handle          28  1 if it reports what cannot be silenced, and is to be replaced
 */
export function numbersOutlook(poller: Poller): usize {
  const timers = poller.timers;
  store<u32>(area, poller.firstQueued < 0 ? 0 : 1);
  store<u32>(area, <u32>poller.rebuilds, 4);
  store<u32>(area, poller.count + timers.armed, 8);
  store<u32>(area, poller.notified ? 1 : 0, 12);
  store<u64>(area, timers.armed == 0 ? u64.MAX_VALUE : timers.nextDue, 16);
  store<u32>(area, poller.handle, 24);
  store<u32>(area, poller.unruly ? 1 : 0, 28);
  return area;
}
