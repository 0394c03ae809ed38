/**
 * A poller: what is registered, what the kernel holds of it, and how the one is made to follow the other.
 *
 * Every operation changes what is wanted; what goes to the kernel is the difference to what it holds (`applied`). A
 * change that needs the kernel's verdict is an `Operation`: planned, sent, and settled by the verdict. One that only arms
 * a registration again needs none, and waits in the poller's queue for the next wait.
 */
import { EBADF, EEXIST, ENOENT, ENOMEM, ENOTSUP, OK, isEnded } from "./errors";
import * as kernel from "./kernel";
import { allocate, release } from "./memory";
import {
  FIRED,
  FIRED_FLAG,
  MODE_FLAGS,
  MODE_LEVEL,
  QUEUED,
  REGISTERED,
  REGISTERED_FLAG,
  Registration,
  Registrations,
} from "./registrations";
import { Timers } from "./timers";

/** Given as a mode: keep the one that there is. */
export const KEEP_MODE: u32 = 0xff;

const MOST_LATENESS: u8 = 3;

const TIMERS_AT: u32 = offsetof<Poller>();
const PLACES_AT: u32 = TIMERS_AT + offsetof<Timers>();
const BYTES: u32 = PLACES_AT + <u32>kernel.PLACES_BYTES;

/** A slab, for lookups need not go through a pointer then, with the kernel object that watches what is in it. */
// @ts-ignore: top-level decorators are AssemblyScript's
@unmanaged
export class Poller extends Registrations {
  /** The kernel object. */
  handle: u32;
  /** The queue of registrations to look at before the next wait, linked by `Registration.next`: a place plus 1, or 0. */
  queueHead: u32;
  /** Its last entry, if there is one. */
  queueLast: Registration;
  /** Events that belong to no registration, since the kernel object was made. */
  strayEvents: u32;
  /** The notifier's handle, plus 1; 0 until the first notification. */
  notifier: u32;
  /** In the same block, behind the poller. */
  timers: Timers;
  /** Behind the timers: what the kernel finds places by. */
  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  get places(): usize {
    return changetype<usize>(this) + PLACES_AT;
  }
  /** A registration that is to be silent could not be silenced. */
  unruly: bool;
  /** The kernel has told of a notification that no wait has ended with. */
  woken: bool;
  /** The last wait ended with a notification. */
  notified: bool;

  waits: u64;
  events: u64;
  kernelWaits: u64;
  changes: u64;
  rearmsMade: u64;
  rearmsLeftOut: u64;
  rebuilds: u64;

  /** Answers an error; else `createdPoller` is the new one. */
  static create(): u32 {
    const at = allocate(BYTES);
    if (at == 0) return ENOMEM;
    const error = kernel.create();
    if (error != OK) {
      release(at, BYTES);
      return error;
    }
    memory.fill(at, 0, BYTES);
    createdPoller = changetype<Poller>(at);
    createdPoller.timers = changetype<Timers>(at + TIMERS_AT);
    createdPoller.handle = kernel.created;
    return OK;
  }

  /** Closes the kernel object and gives all memory back. */
  destroy(): void {
    kernel.close(this.handle);
    if (this.notifier != 0) kernel.closeNotifier(this.notifier - 1);
    this.clear();
    this.timers.clear();
    kernel.clearPlaces(this.places);
    release(changetype<usize>(this), BYTES);
  }

  /** Sees to it that a registration is looked at before the next wait. */
  enqueue(fd: i32, entry: Registration): void {
    if (entry.state & QUEUED) return;
    entry.state |= QUEUED;
    entry.next = 0;
    const link = <u32>fd + 1;
    if (this.queueHead == 0) this.queueHead = link;
    else this.queueLast.next = link;
    this.queueLast = entry;
  }

  /** The first place of the queue, or -1. */
  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  get firstQueued(): i32 {
    return <i32>this.queueHead - 1;
  }

  /** Takes the first place off the queue, which is not empty. Answers its entry. */
  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  dequeue(): Registration {
    const entry = this.find(this.firstQueued)!;
    entry.state &= ~QUEUED;
    this.queueHead = entry.next;
    return entry;
  }
}

export let createdPoller: Poller = changetype<Poller>(0);

/** Wakes a wait. Answers an error. */
export function notify(poller: Poller): u32 {
  const error = giveNotifier(poller);
  if (error == OK) kernel.notify(poller.notifier - 1);
  return error;
}

/** Answers an error; else `identity` is the name by which the poller can be notified from outside. */
export function identify(poller: Poller): u32 {
  const error = giveNotifier(poller);
  if (error == OK) identity = kernel.identify(poller.notifier - 1);
  return error;
}
export let identity: u64 = 0;

function giveNotifier(poller: Poller): u32 {
  if (poller.notifier != 0) return OK;
  let error = kernel.createNotifier();
  if (error != OK) return error;
  const notifier = kernel.createdNotifier;
  error = kernel.attachNotifier(notifier, poller.handle);
  if (error != OK) {
    kernel.closeNotifier(notifier);
    return error;
  }
  poller.notifier = notifier + 1;
  return OK;
}

// ---- Operations ------------------------------------------------------------------------------------------------------

export const ADD: u8 = 0;
export const MODIFY: u8 = 1;
export const DELETE: u8 = 2;

/** A change that the kernel is asked about, in the same place here as in the kernel's batch. */
// @ts-ignore: top-level decorators are AssemblyScript's
@unmanaged
export class Operation {
  key: u64;
  /** The descriptor's place. */
  fd: i32;
  /** What the kernel is to hold. */
  hold: u32;
  generation: u32;
  /** The verdict. */
  error: u32;
  interest: u8;
  mode: u8;
  kind: u8;
}

const OPERATION_BYTES: u32 = 32;
const operations = memory.data(1024 * 32, 8);

/** The operation of a place of the batch. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function operationAt(index: u32): Operation {
  return changetype<Operation>(operations + <usize>(index * OPERATION_BYTES));
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function planned(index: u32, kind: u8, fd: i32, key: u64, interest: u32, mode: u32, hold: u32, generation: u32): u32 {
  const operation = operationAt(index);
  operation.kind = kind;
  operation.fd = fd;
  operation.key = key;
  operation.interest = <u8>interest;
  operation.mode = <u8>mode;
  operation.hold = hold;
  operation.generation = generation;
  return index;
}

/** Whether a place has a registration whose descriptor is still the same file, where refusing an add does not tell it. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function isTaken(poller: Poller, fd: i32): bool {
  return kernel.COMPLETES && isStillRegistered(poller, fd);
}

function isStillRegistered(poller: Poller, fd: i32): bool {
  const entry = poller.find(fd);
  if (entry == null || !(entry.state & REGISTERED) || entry.applied == kernel.ABSENT) return false;
  return !kernel.wasClosed(poller.handle, fd);
}

/** Plans an add, whatever is registered: only the kernel knows which file the descriptor names. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function planAdd(poller: Poller, fd: i32, key: u64, interest: u32, mode: u32): u32 {
  const entry = poller.find(fd);
  const generation = entry == null ? 1 : entry.generation + 1;
  const isKnown = entry != null && (kernel.COMPLETES || (entry.state & REGISTERED) != 0);
  const applied = isKnown ? entry!.applied : kernel.ABSENT;
  const hold = kernel.armed(interest, mode, false);
  return planned(kernel.stageAdd(fd, applied, hold, generation), ADD, fd, key, interest, mode, hold, generation);
}

/** Plans a modify of a registration whose modify `needsKernel`. */
export function planModify(entry: Registration, fd: i32, key: u64, interest: u32, mode: u32): u32 {
  const hold = kernel.armed(interest, mode, entry.isLate);
  const index = kernel.stageModify(fd, entry.applied, hold, entry.generation);
  return planned(index, MODIFY, fd, key, interest, mode, hold, entry.generation);
}

/** Plans a delete of a registration. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function planDelete(fd: i32, entry: Registration): u32 {
  return planned(kernel.stageDelete(fd, entry.applied, entry.generation), DELETE, fd, 0, 0, 0, 0, 0);
}

/** Sends the one operation that is planned, and settles it. Answers its verdict. */
function carryOutOne(poller: Poller): u32 {
  poller.changes += kernel.submit(poller.handle);
  const operation = operationAt(0);
  operation.error = kernel.verdict(0);
  settle(poller, operation);
  return operation.error;
}

/** Sends all that is planned, and settles it: the operations know their verdicts then. Answers how many there were. */
export function carryOut(poller: Poller): u32 {
  const count = kernel.submit(poller.handle);
  poller.changes += count;
  // All verdicts first: settling an operation can take another call.
  for (let i: u32 = 0; i < count; i++) operationAt(i).error = kernel.verdict(i);
  for (let i: u32 = 0; i < count; i++) settle(poller, operationAt(i));
  return count;
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function settle(poller: Poller, operation: Operation): void {
  if (operation.kind == ADD) operation.error = settleAdd(poller, operation);
  else if (operation.kind == MODIFY) operation.error = settleModify(poller, operation);
  else settleDelete(poller, operation);
}

function settleAdd(poller: Poller, operation: Operation): u32 {
  const fd = operation.fd;
  const known = poller.find(fd);
  let error = operation.error;
  // What the kernel has there is a remainder that nobody else knows of: of a descriptor that was closed before it was
  // deleted, and then duplicated back to its number. https://idea.popcount.org/2017-03-20-epoll-is-fundamentally-broken-22/
  if (!kernel.COMPLETES && error == EEXIST && (known == null || !(known.state & REGISTERED))) {
    kernel.stageModify(fd, kernel.ABSENT, operation.hold, operation.generation);
    const verdict = sendOne(poller);
    // An add does not answer that nothing is registered.
    if (verdict != ENOENT) error = verdict;
  }
  if (error != OK && !kernel.isReported(error)) {
    if (kernel.COMPLETES) vacate(poller, fd, known!);
    return error;
  }

  const entry = known == null ? poller.ensure(fd) : known;
  if (entry == null) {
    kernel.stageDelete(fd, operation.hold, operation.generation);
    sendOne(poller);
    return ENOMEM;
  }
  if (!(entry.state & REGISTERED)) poller.count++;
  entry.generation = operation.generation;
  entry.lateness = 0;
  replace(poller, entry, operation, error);
  return OK;
}

function settleModify(poller: Poller, operation: Operation): u32 {
  const error = operation.error;
  if (error != OK && !kernel.isReported(error)) return error;
  replace(poller, poller.find(operation.fd)!, operation, error);
  return OK;
}

function settleDelete(poller: Poller, operation: Operation): void {
  if (operation.error == OK || isEnded(operation.error)) forget(poller, operation.fd, poller.find(operation.fd)!);
}

/** What a registration is after a change, and the error that its next event is to tell. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function replace(poller: Poller, entry: Registration, operation: Operation, error: u32): void {
  // The kernel has just said that it is there.
  if (entry.mode == MODE_LEVEL) entry.lateness = 0;
  entry.key = operation.key;
  entry.interest = operation.interest;
  entry.mode = operation.mode;
  entry.applied = kernel.isReported(error) ? kernel.REPORTED : kernel.held(entry.applied, operation.hold);
  entry.state = REGISTERED | (entry.state & QUEUED);
  entry.error = error;
  if (kernel.isReported(error) && operation.interest != 0) poller.enqueue(operation.fd, entry);
}

/** Ends a registration here. Events of it that are still to come have an old generation from now on. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function forget(poller: Poller, fd: i32, entry: Registration): void {
  // Past the one that an add was refused with, of which a kernel that failed to undo it may have something left.
  entry.generation += 2;
  entry.state &= QUEUED;
  entry.error = OK;
  poller.count--;
  if (!kernel.COMPLETES) return;
  entry.applied = kernel.abandoned(entry.applied);
  vacate(poller, fd, entry);
}

/** Gives a place away once nothing concerns it any more. */
export function vacate(poller: Poller, fd: i32, entry: Registration): void {
  if (!(entry.state & REGISTERED) && entry.applied == kernel.IDLE) kernel.vacate(poller.places, fd);
}

function sendOne(poller: Poller): u32 {
  poller.changes += kernel.submit(poller.handle);
  return kernel.verdict(0);
}

// ---- The public operations, one at a time ----------------------------------------------------------------------------

export function add(poller: Poller, descriptor: kernel.Descriptor, key: u64, interest: u32, mode: u32): u32 {
  if (descriptor < 0) return EBADF;
  if (!kernel.hasMode(mode)) return ENOTSUP;
  const fd = kernel.placeFor(poller.places, poller, descriptor);
  if (fd < 0) return ENOMEM;
  if (isTaken(poller, fd)) return EEXIST;
  planAdd(poller, fd, key, interest, mode);
  return carryOutOne(poller);
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function modify(poller: Poller, descriptor: kernel.Descriptor, key: u64, interest: u32, givenMode: u32): u32 {
  const fd = kernel.placeOf(poller.places, descriptor);
  const entry = poller.find(fd);
  if (entry == null) return descriptor < 0 ? EBADF : ENOENT;
  if (rearmedForFree(poller, entry, key, interest, givenMode)) return OK;
  return modifyOtherwise(poller, entry, fd, key, interest, givenMode);
}

function modifyOtherwise(poller: Poller, entry: Registration, fd: i32, key: u64, interest: u32, givenMode: u32): u32 {
  if (!(entry.state & REGISTERED)) return ENOENT;
  const mode = givenMode == KEEP_MODE ? <u32>entry.mode : givenMode;
  if (!kernel.hasMode(mode)) return ENOTSUP;
  if (modifiedHere(poller, entry, fd, key, interest, mode)) return OK;
  planModify(entry, fd, key, interest, mode);
  return carryOutOne(poller);
}

/**
 * Arms a registration again that has fired and that the kernel still reports, if nothing else is to change. All that
 * `modifiedHere` would find out of it is known then, and most calls are of this kind.
 */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function rearmedForFree(poller: Poller, entry: Registration, key: u64, interest: u32, givenMode: u32): bool {
  // Fired, and always in time so far, for the same interest: all in one comparison.
  const isUsual = givenMode == KEEP_MODE && (entry.flags & ~MODE_FLAGS) == (REGISTERED_FLAG | FIRED_FLAG | interest);
  if (!isUsual || !kernel.staysArmed(entry.applied)) return false;
  entry.key = key;
  entry.state = REGISTERED;
  poller.rearmsLeftOut++;
  return true;
}

/** Modifies a registration without asking the kernel, if that can be: at once, or with the next wait. */
export function modifiedHere(poller: Poller, entry: Registration, fd: i32, key: u64, interest: u32, mode: u32): bool {
  learn(poller, entry);
  if (kernel.modifyAlwaysTells(mode) || entry.applied == kernel.ABSENT) return false;

  const isHeld = kernel.isArmed(entry.applied, interest, mode);
  const onlyArms = interest == entry.interest && mode == entry.mode;
  if (!isHeld && !onlyArms) return false;

  if (!isHeld) poller.enqueue(fd, entry);
  else if (entry.state & FIRED) poller.rearmsLeftOut++;
  // What was counted in level mode predicts nothing.
  if (entry.mode == MODE_LEVEL && mode != MODE_LEVEL) entry.lateness = 0;
  entry.key = key;
  entry.interest = <u8>interest;
  entry.mode = <u8>mode;
  entry.state &= ~FIRED;
  entry.error = OK;
  return true;
}

/** Notes whether arming again came in time, that is before the next wait, or before that wait had to silence it. */
function learn(poller: Poller, entry: Registration): void {
  if (!(entry.state & FIRED)) return;
  const inTime = entry.firedAt == <u32>poller.waits || kernel.staysArmed(entry.applied);
  if (!inTime) {
    if (entry.lateness < MOST_LATENESS) entry.lateness++;
  } else if (entry.lateness > 0) {
    entry.lateness--;
  }
}

export function remove(poller: Poller, descriptor: kernel.Descriptor): u32 {
  if (descriptor < 0) return EBADF;
  const fd = kernel.placeOf(poller.places, descriptor);
  const entry = poller.find(fd);
  if (entry == null || !(entry.state & REGISTERED)) return ENOENT;
  if (entry.applied == kernel.ABSENT) {
    forget(poller, fd, entry);
    return OK;
  }
  planDelete(fd, entry);
  return deleteVerdict(carryOutOne(poller));
}

/** What a delete answers: that a descriptor was closed before is no failure. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function deleteVerdict(error: u32): u32 {
  return isEnded(error) ? OK : error;
}
