/**
 * The canonical ABI's side of wit/poller.wit: flat arguments in, results in one area of memory. Nothing is decided here.
 *
 * `@wit` gives the export its name: see scripts/wit-exports.mjs.
 */
import { apply } from "../batch";
import { now } from "../clock";
import { ENOMEM, OK, storeError } from "../errors";
import * as kernel from "../kernel";
import { KEEP_MODE, Poller, add, createdPoller, identify, identity, modify, notify, remove } from "../poller";
import { EventBuffer } from "../readiness";
import { saturated } from "../timers";
import { wait } from "../wait";
import { area, done, failed, outcome } from "./area";
import { giveBack } from "./realloc";

// @ts-ignore: top-level decorators are AssemblyScript's
@external("[export]lio:poller/poller@0.1.0", "[resource-new]poller")
declare function newPollerHandle(representation: usize): u32;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("[export]lio:poller/poller@0.1.0", "[resource-new]events")
declare function newEventsHandle(representation: usize): u32;

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[static]events.create")
export function eventsCreate(capacity: u32): usize {
  const buffer = EventBuffer.create(capacity);
  return buffer == null ? failed(ENOMEM) : done(newEventsHandle(changetype<usize>(buffer)));
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]events.read")
export function eventsRead(buffer: EventBuffer): usize {
  store<u32>(area, <u32>buffer.first);
  store<u32>(area, buffer.count, 4);
  return area;
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[dtor]events")
export function eventsDestroy(buffer: EventBuffer): void {
  buffer.destroy();
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[static]poller.create")
export function pollerCreate(): usize {
  const error = Poller.create();
  return error == OK ? done(newPollerHandle(changetype<usize>(createdPoller))) : failed(error);
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[dtor]poller")
export function pollerDestroy(poller: Poller): void {
  poller.destroy();
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.add")
export function pollerAdd(poller: Poller, fd: i64, key: u64, interest: u32, mode: u32): usize {
  return outcome(add(poller, kernel.descriptorOf(fd), key, interest, mode));
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.modify")
export function pollerModify(poller: Poller, fd: i64, key: u64, interest: u32, hasMode: u32, mode: u32): usize {
  return outcome(modify(poller, kernel.descriptorOf(fd), key, interest, hasMode ? mode : KEEP_MODE));
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.delete")
export function pollerDelete(poller: Poller, fd: i64): usize {
  return outcome(remove(poller, kernel.descriptorOf(fd)));
}

// The changes that `apply` was given, until its result, which lies in the same place, has been read.
let appliedList: usize = 0;
let appliedBytes: u32 = 0;

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.apply")
export function pollerApply(poller: Poller, changes: usize, length: u32): usize {
  appliedList = changes;
  appliedBytes = length << 5;
  const failures = apply(poller, changes, length);
  store<u32>(area, <u32>changes);
  store<u32>(area, failures, 4);
  return area;
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("cabi_post_lio:poller/poller@0.1.0#[method]poller.apply")
export function pollerApplied(_result: usize): void {
  if (appliedBytes != 0) giveBack(appliedList, appliedBytes);
  appliedBytes = 0;
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.wait")
export function pollerWait(poller: Poller, events: EventBuffer, hasTimeout: u32, timeout: u64): usize {
  const error = wait(poller, events, hasTimeout != 0, timeout);
  return error == OK ? done(events.count) : failed(error);
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.notify")
export function pollerNotify(poller: Poller): usize {
  return outcome(notify(poller));
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.notifier")
export function pollerNotifier(poller: Poller): usize {
  const error = identify(poller);
  return wide(error, identity);
}

/** Where a result lies whose value has 64 bits. Its error lies as if it were as wide: at the next 8 bytes. */
function wide(error: u32, value: u64): usize {
  store<u32>(area, error == OK ? 0 : 1);
  if (error == OK) store<u64>(area, value, 8);
  else storeError(area + 8, error);
  return area;
}

/** A `moment` as a time of the clock. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function timeOf(isAt: u32, nanoseconds: u64): u64 {
  return isAt ? nanoseconds : saturated(now(), nanoseconds);
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.add-timer")
export function pollerAddTimer(poller: Poller, key: u64, isAt: u32, nanoseconds: u64, period: u64): usize {
  return outcome(poller.timers.add(key, timeOf(isAt, nanoseconds), period));
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.modify-timer")
export function pollerModifyTimer(
  poller: Poller,
  key: u64,
  isAt: u32,
  nanoseconds: u64,
  hasPeriod: u32,
  period: u64,
): usize {
  const kept = hasPeriod ? period : poller.timers.periodOf(key);
  return outcome(poller.timers.modify(key, timeOf(isAt, nanoseconds), kept));
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.delete-timer")
export function pollerDeleteTimer(poller: Poller, key: u64): usize {
  return outcome(poller.timers.remove(key));
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.next-deadline")
export function pollerNextDeadline(poller: Poller): usize {
  const isAny = poller.timers.armed > 0;
  store<u32>(area, isAny ? 1 : 0);
  store<u64>(area, isAny ? poller.timers.nextDue : 0, 8);
  return area;
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.descriptor")
export function pollerDescriptor(poller: Poller): usize {
  const error = kernel.descriptor(poller.handle);
  return wide(error, kernel.descriptorFound);
}

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("lio:poller/poller@0.1.0#[method]poller.statistics")
export function pollerStatistics(poller: Poller): usize {
  store<u64>(area, poller.waits);
  store<u64>(area, poller.events, 8);
  store<u64>(area, poller.kernelWaits, 16);
  store<u64>(area, poller.changes, 24);
  store<u64>(area, poller.rearmsMade, 32);
  store<u64>(area, poller.rearmsLeftOut, 40);
  store<u64>(area, poller.rebuilds, 48);
  store<u32>(area, poller.count, 56);
  store<u32>(area, poller.timers.count, 60);
  return area;
}
