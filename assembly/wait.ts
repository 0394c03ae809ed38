/**
 * `wait`: sends what has been put off, asks the kernel, and reports what somebody wants to hear of.
 *
 * It goes on until there is something to report, a notification came, or the time is over, whatever wakes it in between:
 * signals, registrations that were not armed again (they are disarmed then), events that belong to no registration.
 */
import { now } from "./clock";
import { EBADF, EINTR, EINVAL, EPERM, OK, isEnded, isGone } from "./errors";
import * as kernel from "./kernel";
import { Poller, vacate } from "./poller";
import { EventBuffer, TIMER, storeEventError, writeEvent, writeRefusal } from "./readiness";
import { rebuild } from "./rebuild";
import {
  FIRED,
  FIRED_FLAG,
  INTEREST_FLAGS,
  LATENESS_SHIFT,
  MODE_EDGE_ONESHOT,
  MODE_FLAGS,
  MODE_LEVEL,
  MODE_ONESHOT,
  REGISTERED,
  Registration,
} from "./registrations";
import { firedKey, saturated } from "./timers";

/** After so many events in level mode the kernel is asked whether a registration is still there. */
const MOST_UNASKED: u8 = 64;
/** `lateness` in level mode when the kernel has been asked and nothing was reported since. One more is 0. */
const ASKED: u8 = 255;

/** Waits, for ever unless there is a timeout. Answers an error; else the buffer tells the events. */
export function wait(poller: Poller, buffer: EventBuffer, hasTimeout: bool, timeout: u64): u32 {
  buffer.clear();
  if (buffer.capacity == 0) return EINVAL;
  poller.waits++;

  const isTimed = hasTimeout && timeout != 0;
  // The clock is read once at most, and not at all where there is nothing to time: the kernel's wait tells when it ended.
  const isClocked = isTimed || poller.timers.armed > 0;
  let time = isClocked ? now() : 0;
  const deadline = saturated(time, timeout);
  let remaining = timeout;
  // Timers are reported as of one moment: one whose period is short would be due again, and be two events of one wait.
  let hasExpired: bool = false;
  // Why the kernel object could not be replaced.
  let failure: u32 = OK;

  while (true) {
    flush(poller, buffer);
    const mayBlock = buffer.count == 0 && !poller.woken && poller.firstQueued < 0;
    let limit: u64 = mayBlock ? remaining : 0;
    let isLimited = hasTimeout || !mayBlock;
    if (poller.timers.armed > 0) {
      const left = until(poller.timers.nextDue, time);
      if (!isLimited || left < limit) limit = left;
      isLimited = true;
      // Where there is not room for all, timers and descriptors have it first in turn.
      if (poller.waits & 1 && !hasExpired) hasExpired = expire(poller, buffer, time);
    }
    const room = min(buffer.capacity - buffer.count, kernel.BATCH);
    // Without another wait what is staged would be left behind.
    if (room == 0 || poller.unruly) send(poller);
    // Completed requests end, whatever else goes wrong.
    if (!kernel.COMPLETES && poller.unruly) {
      failure = rebuild(poller);
      if (failure == OK) continue;
      // What is ready comes first.
      limit = 0;
      isLimited = true;
    }
    if (room == 0) return concluded(poller, buffer, OK);

    poller.kernelWaits++;
    const error = kernel.wait(poller.handle, room, isLimited, limit);
    poller.changes += kernel.sent;
    if (error != OK && error != EINTR) {
      if (poller.timers.armed > 0 && !hasExpired) expire(poller, buffer, now());
      return concluded(poller, buffer, error);
    }
    if (kernel.refused) {
      noteRefusals(poller, kernel.sent);
      continue;
    }

    // A host that tells of a signal tells no moment.
    if (error == OK) time = kernel.moment;
    else if (isClocked) time = now();
    const isFull = kernel.isFull;
    report(poller, buffer);
    if (poller.timers.armed > 0 && !hasExpired) hasExpired = expire(poller, buffer, time);
    if (!(kernel.COMPLETES && isBehind)) {
      if (buffer.count > 0) return concluded(poller, buffer, OK);
      // The notification may have taken the only room.
      if (poller.woken && (failure != OK || (!isFull && !poller.unruly))) return concluded(poller, buffer, OK);
      if (failure != OK) return concluded(poller, buffer, failure);
    }
    if (isTimed) remaining = until(deadline, time);
    // A full batch of what nobody wants may have kept what somebody wants from being seen.
    if (!hasTimeout || remaining != 0 || isFull || poller.unruly) continue;
    // What has come to an end is armed anew first, for it may be ready.
    if (kernel.COMPLETES && poller.firstQueued >= 0) continue;

    // So that the kernel object does not look ready for what nobody wants.
    flush(poller, buffer);
    send(poller);
    if (buffer.count == 0 && !poller.unruly) return concluded(poller, buffer, OK);
  }
}

// An error is told only if there are no events to tell: it comes again, they would not.
function concluded(poller: Poller, buffer: EventBuffer, error: u32): u32 {
  poller.events += buffer.count;
  const answer = buffer.count > 0 ? OK : error;
  // The kernel has told of the notification. A wait that fails leaves it to the next one.
  poller.notified = poller.woken && answer == OK;
  if (answer == OK) poller.woken = false;
  return answer;
}

function until(moment: u64, time: u64): u64 {
  return time < moment ? moment - time : 0;
}

/** Reports timers that are due, while there is room. Answers whether there were any. */
function expire(poller: Poller, buffer: EventBuffer, time: u64): bool {
  const timers = poller.timers;
  const before = buffer.count;
  while (timers.armed > 0 && timers.nextDue <= time && buffer.count < buffer.capacity) {
    const expirations = timers.fire(time);
    buffer.end = writeEvent(buffer.end, firedKey, TIMER, expirations);
  }
  return buffer.count != before;
}

// ---- Before the kernel waits -----------------------------------------------------------------------------------------

/**
 * Goes through the queue as it is: reports refusals while there is room, and stages what arms or silences a registration.
 */
function flush(poller: Poller, buffer: EventBuffer): void {
  if (poller.firstQueued < 0) return;
  const last = poller.queueLast;
  let entry = last;
  do {
    if (buffer.count == buffer.capacity) return;
    const fd = poller.firstQueued;
    entry = poller.dequeue();
    if (!(entry.state & REGISTERED)) continue;
    if (kernel.COMPLETES && entry.firedAt == <u32>poller.waits) {
      // It has had its event of this wait.
      poller.enqueue(fd, entry);
      continue;
    }
    if (entry.error != OK) reportRefusal(poller, buffer, fd, entry);
    else stageDifference(poller, fd, entry);
  } while (entry != last);
}

function stageDifference(poller: Poller, fd: i32, entry: Registration): void {
  const isSilent = (entry.state & FIRED) != 0;
  if (isSilent) {
    if (!kernel.isNoisy(entry.applied)) return;
  } else {
    const isHeld = kernel.isArmed(entry.applied, entry.interest, entry.mode);
    if (isHeld && !isDoubtful(entry)) return;
    if (!kernel.CLOSING_ENDS && entry.mode == MODE_LEVEL) entry.lateness = isHeld ? ASKED : 0;
  }
  if (kernel.staged() == kernel.BATCH) send(poller);
  const applied = entry.applied;
  const hold = isSilent ? kernel.silenced(applied) : kernel.armed(entry.interest, entry.mode, entry.isLate);
  entry.applied = kernel.held(applied, hold);
  kernel.stageModify(fd, applied, hold, entry.generation);
  poller.rearmsMade++;
}

/**
 * Whether a level-triggered registration has been reported so often that it may be the ghost of a descriptor that was
 * closed while a duplicate of it lives. Changing it into what it is finds out: the kernel knows the number no more.
 */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function isDoubtful(entry: Registration): bool {
  return !kernel.CLOSING_ENDS && entry.mode == MODE_LEVEL && entry.lateness == MOST_UNASKED;
}

/** Sends what is staged without waiting. */
function send(poller: Poller): void {
  const count = kernel.submit(poller.handle);
  poller.changes += count;
  noteRefusals(poller, count);
}

function noteRefusals(poller: Poller, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const error = kernel.verdict(i);
    if (error != OK) noteRefusal(poller, i, error);
  }
}

/**
 * What the kernel holds now of a registration that it refused to change. One that could not be armed was silent and
 * stays so, and its user is told. One that could not be silenced goes on reporting: only a new kernel object helps.
 */
function noteRefusal(poller: Poller, index: u32, error: u32): void {
  const fd = kernel.stagedFd(index);
  const entry = poller.find(fd)!;
  if (kernel.COMPLETES) {
    entry.applied = kernel.heldAfterRefusal(index, error);
    // What is armed anew by itself is dropped in silence when it is closed.
    if (entry.state & FIRED || (entry.mode == MODE_LEVEL && isGone(error))) return;
  } else if (entry.state & FIRED) {
    const isSilent = kernel.isReported(error) || (kernel.CLOSING_ENDS && isGone(error));
    entry.applied = isSilent
      ? kernel.heldAfterRefusal(index, error)
      : isGone(error)
        ? kernel.ABSENT
        : kernel.armed(entry.interest, entry.mode, false);
    if (!isSilent) poller.unruly = true;
    return;
  } else if (!kernel.CLOSING_ENDS && entry.mode == MODE_LEVEL && entry.lateness == ASKED) {
    entry.lateness = 0;
    // Else it is there, as it was.
    if (!isEnded(error)) return;
    entry.applied = kernel.ABSENT;
    poller.unruly = true;
    if (error != EPERM) return;
  } else {
    entry.applied = kernel.heldAfterRefusal(index, error);
  }
  entry.error = error;
  poller.enqueue(fd, entry);
}

function reportRefusal(poller: Poller, buffer: EventBuffer, fd: i32, entry: Registration): void {
  const wait = <u32>poller.waits;
  if (!kernel.isReported(entry.error)) {
    buffer.pushRefusal(entry.key, entry.interest, entry.error);
  } else {
    // A state like any other: told by every wait in level mode, once.
    const isLevel = entry.mode == MODE_LEVEL;
    if (isLevel) poller.enqueue(fd, entry);
    if (isLevel && entry.firedAt == wait) return;
    buffer.end = writeEvent(buffer.end, entry.key, kernel.readinessOf(kernel.REPORTED_MASK, entry.interest));
    entry.firedAt = wait;
    if (isLevel) return;
  }
  entry.error = OK;
  entry.state |= FIRED;
  entry.firedAt = wait;
}

// ---- After it --------------------------------------------------------------------------------------------------------

/** Puts the kernel's events into the buffer, but for those that nobody wants. */
function report(poller: Poller, buffer: EventBuffer): void {
  const wait = <u32>poller.waits;
  const end = kernel.readyList + <usize>kernel.ready * kernel.READY_STEP;
  let at = buffer.end;
  if (kernel.COMPLETES) isBehind = false;
  for (let event = kernel.readyList; event != end; event += kernel.READY_STEP) {
    const fd = kernel.readyFd(event);
    const entry = poller.find(fd);
    if (entry == null || entry.generation != kernel.readyGeneration(event)) {
      if (fd == kernel.NOTIFIED) poller.woken = true;
      else if (kernel.COMPLETES && entry != null) outlived(poller, fd, entry);
      else stray(poller);
      continue;
    }
    const applied = entry.applied;
    const left = kernel.afterEvent(applied, kernel.readyMask(event));
    if (left != applied) entry.applied = left;
    if (kernel.COMPLETES && left == kernel.ABSENT) {
      at = closed(poller, entry, applied, at);
      continue;
    }
    if (kernel.COMPLETES) ended(poller, fd, entry, applied);
    const flags = entry.flags;
    const interest = flags & INTEREST_FLAGS;
    if (flags & FIRED_FLAG || interest == 0) {
      if (kernel.isNoisy(left)) poller.enqueue(fd, entry);
      // Nothing is left in the kernel to report it, if the kernel has told the truth.
      else if (!kernel.COMPLETES && left == applied) stray(poller);
      continue;
    }
    const readiness = kernel.readinessOf(kernel.readyMask(event), interest);
    if (kernel.COMPLETES) {
      // What came of a request for something else is asked anew, but for an error, which may be told once only.
      if (readiness == 0 || (applied == kernel.CANCELLED && kernel.readyError(event) == OK)) {
        isBehind = true;
        continue;
      }
      entry.firedAt = wait;
    }
    const told = at;
    at = writeEvent(at, entry.key, readiness, kernel.readyAmount(event));
    if (kernel.readyError(event) != OK) storeEventError(told, kernel.readyError(event));
    const mode = (flags & MODE_FLAGS) >> 8;
    if (mode == MODE_LEVEL) {
      // What the kernel holds has ended, but the state has not.
      if (left != applied) poller.enqueue(fd, entry);
      if (!kernel.CLOSING_ENDS) doubt(poller, fd, entry, <u8>(flags >> LATENESS_SHIFT));
      continue;
    }
    if (mode != MODE_ONESHOT && mode != MODE_EDGE_ONESHOT) continue;
    entry.state = <u8>((flags | FIRED_FLAG) >> 16);
    entry.firedAt = wait;
  }
  buffer.end = at;
}

/** Counts an event in level mode. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function doubt(poller: Poller, fd: i32, entry: Registration, lateness: u8): void {
  if (lateness != MOST_UNASKED) entry.lateness = ++lateness;
  if (lateness == MOST_UNASKED) poller.enqueue(fd, entry);
}

/** Whether registrations are armed now that had to be before the last wait: another request had to end first. */
let isBehind: bool = false;

/** A request has come to an end: its registration is armed anew before the next wait. */
function ended(poller: Poller, fd: i32, entry: Registration, applied: u32): void {
  poller.enqueue(fd, entry);
  if (applied == kernel.CANCELLED && !(entry.state & FIRED) && entry.interest != 0) isBehind = true;
}

/** The same of a request that outlived its registration: now another of its place can be armed. */
function outlived(poller: Poller, fd: i32, entry: Registration): void {
  const applied = entry.applied;
  entry.applied = kernel.IDLE;
  if (entry.state & REGISTERED) ended(poller, fd, entry, applied);
  else vacate(poller, fd, entry);
}

/**
 * The kernel has seen a descriptor closed, and watches it no more. Whoever armed it again after that is told, as of any
 * arming that was put off and refused. Answers where the next event goes.
 */
function closed(poller: Poller, entry: Registration, applied: u32, at: usize): usize {
  if (applied != kernel.CANCELLED || entry.state & FIRED || entry.interest == 0) return at;
  entry.state |= FIRED;
  entry.firedAt = <u32>poller.waits;
  return writeRefusal(at, entry.key, entry.interest, EBADF);
}

/**
 * An event that belongs to no registration: its descriptor was closed while a duplicate of it lives, so that the kernel
 * keeps the registration and no call can reach it. Once may be a late word; twice means that it would never end.
 */
function stray(poller: Poller): void {
  if (kernel.COMPLETES) return;
  poller.strayEvents++;
  if (poller.strayEvents > 1) poller.unruly = true;
}
