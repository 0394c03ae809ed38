/**
 * kqueue of macOS and the BSDs: from what is wanted to calls of `wit/kqueue.wit`, from native events to readiness.
 *
 * A registration is up to three knotes, one a filter, of which at least one stands for as long as the registration does:
 * a disabled one where nothing is wanted. It is the witness that the number still names the same file, because knotes end
 * when the number is closed. So whatever changes a registration also touches a knote that there is, with an action
 * that fails if there is none: EV_ADD alone would succeed on any file.
 *
 * What the kernel holds is a word of these bits:
 *
 *    0  READ's knote stands   1  … and is enabled    4  EXCEPT's stands     6  EV_CLEAR     on all of them
 *    2  WRITE's stands        3  … and is enabled    5  … and is enabled    7  EV_DISPATCH  on all of them
 *    8  WRITE's has ended, so that no change may be left out
 *
 * A change of the core's is several of the kernel's, which can fail each by itself: what was done of one that failed is
 * undone before its verdict is given.
 */
import { EBADF, EEXIST, EINVAL, ENOENT, EPIPE, OK, isGone, loadError } from "../errors";
import { ERROR, HANG_UP, PRIORITY, READABLE, READ_CLOSED, WRITABLE } from "../readiness";

export * from "../numbered";

// Of what is held. Each filter has two bits, in the order of `filter` in wit/kqueue.wit.
const HELD: u32 = 0x15;
const ENABLED: u32 = 0x2a;
const CLEAR: u32 = 0x40;
const DISPATCH: u32 = 0x80;
const ENDED: u32 = 0x100;
const READ_HELD: u32 = 0x1;
const READ_ENABLED: u32 = 0x2;
const WRITE_HELD: u32 = 0x4;
const WRITE_ENABLED: u32 = 0x8;
const WRITE_KNOTE: u32 = WRITE_HELD | WRITE_ENABLED;
const EXCEPT_ENABLED: u32 = 0x20;
const FILTERS: u32 = 3;

// Of what has happened: the filters that fired, by their ENABLED bits, and these.
const READ_END: u32 = 0x100;
const WRITE_END: u32 = 0x200;
const FAILED: u32 = 0x400;
const EXCEPT_END: u32 = 0x800;
const LAST: u32 = 0x1000;

const MODE_ONESHOT: u32 = 0;
const MODE_EDGE: u32 = 2;
const MODE_EDGE_ONESHOT: u32 = 3;

/** What a descriptor's number is in the core. */
export type Descriptor = i32;

/** The number that a caller gave; below 0 if it is none of this system's. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function descriptorOf(fd: i64): Descriptor {
  return fd == <i64>(<i32>fd) ? <i32>fd : -1;
}

/** No knote: the kernel said that the descriptor is closed, or another file's by now. */
export const ABSENT: u32 = 0;
/** A descriptor that is closed takes its knotes along, so that it reports nothing any more. */
export const CLOSING_ENDS: bool = true;

/** What the kernel shall hold for a registration that is armed. `late`: it will not be armed again before the next wait. */
export function armed(interest: u32, mode: u32, late: bool): u32 {
  let hold: u32 = 0;
  if (interest & READABLE) hold |= READ_ENABLED;
  if (interest & WRITABLE) hold |= WRITE_ENABLED;
  if (interest & PRIORITY) hold |= EXCEPT_ENABLED;
  if (hold == 0) return READ_HELD;
  hold |= hold >> 1;
  // Not both: NetBSD's kqueue_scan() heeds EV_CLEAR alone then. What is disabled by its first event needs no edges.
  if (mode == MODE_EDGE) hold |= CLEAR;
  if (mode == MODE_EDGE_ONESHOT || (mode == MODE_ONESHOT && late)) hold |= DISPATCH;
  return hold;
}

/** What the kernel shall hold, instead of `applied`, for a registration that is to be silent. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function silenced(applied: u32): u32 {
  return applied & ~ENABLED;
}

/** Whether the kernel, holding `applied`, will report a registration as it is armed in this mode. */
export function isArmed(applied: u32, interest: u32, mode: u32): bool {
  const different = applied ^ armed(interest, mode, false);
  if (different & ENABLED) return false;
  if ((applied & ENABLED) == 0) return true;
  if (different & CLEAR) return false;
  return (applied & DISPATCH) == 0 || mode == MODE_ONESHOT || mode == MODE_EDGE_ONESHOT;
}

/** Whether the kernel, holding `applied`, will go on reporting a state of readiness that nobody wants to hear of. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function isNoisy(applied: u32): bool {
  return (applied & ENABLED) != 0;
}

/** Whether events leave the kernel, holding `applied`, armed as it is. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function staysArmed(applied: u32): bool {
  return (applied & ENABLED) != 0 && (applied & (DISPATCH | ENDED)) == 0;
}

/** Whether a modify in this mode reaches the kernel in any case: it asks for the current edge anew. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function modifyAlwaysTells(mode: u32): bool {
  return mode >= MODE_EDGE;
}

/** What the kernel still holds after it has reported an event with this mask. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function afterEvent(applied: u32, mask: u32): u32 {
  const left = applied & DISPATCH ? applied & ~(mask & ENABLED) : applied;
  if (!(mask & LAST)) return left;
  // Whether there is a witness left is found out by the next change.
  return left & READ_HELD ? (left & ~WRITE_KNOTE) | ENDED : REPORTED;
}

/** What to tell of an event, to someone with this interest. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readinessOf(mask: u32, interest: u32): u32 {
  let readiness: u32 = 0;
  if (mask & READ_ENABLED) readiness |= READABLE;
  if (mask & WRITE_ENABLED) readiness |= WRITABLE;
  if ((mask & (EXCEPT_ENABLED | EXCEPT_END)) == EXCEPT_ENABLED) readiness |= PRIORITY;
  readiness &= interest;
  if (mask & (READ_END | EXCEPT_END)) readiness |= READ_CLOSED;
  if (mask & WRITE_END) readiness |= HANG_UP;
  if (mask & FAILED) readiness |= ERROR;
  return readiness;
}

/**
 * Whether a refusal is no reason not to register, but something to report. On FreeBSD, NetBSD and DragonFly EVFILT_WRITE
 * cannot be added to a pipe without reader, where the other kernels add it, and tell with its first event.
 */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function isReported(error: u32): bool {
  return error == EPIPE;
}
/** What the kernel holds after such a refusal: the witness alone. */
export const REPORTED: u32 = READ_HELD;
/** The mask of the event that such a refusal stands for: what kernels report that do not refuse. */
export const REPORTED_MASK: u32 = READ_ENABLED | WRITE_ENABLED | READ_END | WRITE_END;

// ---- The calls -------------------------------------------------------------------------------------------------------

// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/kqueue@0.1.0", "create")
declare function importCreate(result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/kqueue@0.1.0", "control")
declare function importControl(kqueue: u32, changes: usize, length: u32, result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/kqueue@0.1.0", "wait")
declare function importWait(
  kqueue: u32,
  changes: usize,
  length: u32,
  capacity: u32,
  hasTimeout: u32,
  timeout: u64,
  result: usize,
): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/kqueue@0.1.0", "descriptor")
declare function importDescriptor(kqueue: u32, result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/kqueue@0.1.0", "close")
declare function importClose(kqueue: u32): void;

// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/kqueue@0.1.0", "create-notifier")
declare function importCreateNotifier(result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/kqueue@0.1.0", "attach-notifier")
declare function importAttachNotifier(notifier: u32, kqueue: u32, result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/kqueue@0.1.0", "identify")
declare function importIdentify(notifier: u32): u64;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/kqueue@0.1.0", "notify")
declare function importNotify(notifier: u32): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/kqueue@0.1.0", "close-notifier")
declare function importCloseNotifier(notifier: u32): void;

/** The most changes, and the most registrations that an event is asked for, of one call. */
export const BATCH: u32 = 1024;

// Of `actions` in wit/kqueue.wit.
const ADD: u32 = 1;
const DELETE: u32 = 2;
const ENABLE: u32 = 4;
const DISABLE: u32 = 8;
const WITH_CLEAR: u32 = 16;
const WITH_DISPATCH: u32 = 32;

const USER: u32 = 3;

const STEP_BYTES: u32 = 12;
const FAILURE_BYTES: u32 = 12;
const EVENT_BYTES: u32 = 32;
const ITEM_BYTES: u32 = 24;
/** Steps that go along with a wait, at most. */
const STEPS_WITH_WAIT: u32 = 512;

// A change takes six steps at most: to replace the knotes of all filters.
const steps = memory.data(1024 * 6 * 12, 8);
/** The errors of the steps that were sent last. */
const stepErrors = memory.data(1024 * 6 * 4, 8);
// Where the lists land that a call returns: events or failures. One call at a time needs only one place.
export const landing = memory.data(1024 * 6 * 12, 8);
export const LANDING_BYTES: u32 = 1024 * 6 * 12;
const items = memory.data(1024 * 24, 8);
const result = memory.data(24, 8);

let calling: bool = false;

/** The room for the list that the call under way returns; 0 if none is under way. */
export function landingFor(size: u32): usize {
  if (!calling) return 0;
  // More than was asked for. The host's fault, and memory must not grow while a wait runs.
  if (size > LANDING_BYTES) unreachable();
  return landing;
}

/** Creates a kernel object. Answers an error; else `created` is its handle. */
export function create(): u32 {
  importCreate(result);
  if (load<u8>(result) != 0) return loadError(result + 4);
  created = load<u32>(result, 4);
  return OK;
}
export let created: u32 = 0;

/** Closes a kernel object. */
export function close(handle: u32): void {
  importClose(handle);
}

/** What stands in place of a descriptor in the event of a notifier. */
export const NOTIFIED: i32 = -1;

/** Creates a notifier. Answers an error; else `createdNotifier` is its handle. */
export function createNotifier(): u32 {
  importCreateNotifier(result);
  if (load<u8>(result) != 0) return loadError(result + 4);
  createdNotifier = load<u32>(result, 4);
  return OK;
}
export let createdNotifier: u32 = 0;

/** Lets a kernel object report a notifier. Answers an error. */
export function attachNotifier(notifier: u32, handle: u32): u32 {
  importAttachNotifier(notifier, handle, result);
  return load<u8>(result) != 0 ? loadError(result + 4) : OK;
}

/** The name by which a notifier is known outside. */
export function identify(notifier: u32): u64 {
  return importIdentify(notifier);
}

/** Wakes the wait on the kernel object that the notifier is attached to. */
export function notify(notifier: u32): void {
  importNotify(notifier);
}

/** Closes a notifier. */
export function closeNotifier(notifier: u32): void {
  importCloseNotifier(notifier);
}

/** The kernel object's descriptor. Answers an error; else `descriptorFound` is it. */
export function descriptor(handle: u32): u32 {
  importDescriptor(handle, result);
  if (load<u8>(result) != 0) return loadError(result + 4);
  descriptorFound = load<i32>(result, 4);
  return OK;
}
export let descriptorFound: i32 = 0;

// ---- Changes ---------------------------------------------------------------------------------------------------------

// What is to be done about a change. From `FINISHED` on, nothing.
/** Register what is not: knotes for all that is wanted. */
const REGISTER: u8 = 0;
/** See whether what is registered is still there. If not, register. */
const PROBE: u8 = 1;
/** From one set of knotes to another. */
const REPLACE: u8 = 2;
/** End all knotes. */
const END: u8 = 3;
/**
 * After the kernel said that the number or its knote is gone, which can mean three things. The number is closed; XNU says
 * ENOENT for it. It names another file. Or it is a pipe without reader: NetBSD says EBADF when EVFILT_WRITE is added to it,
 * and FreeBSD ends the knote that was there. What can be added to the number now tells which.
 */
const INQUIRE: u8 = 4;
/** After a failure: back to what was held before. */
const RESTORE: u8 = 5;
/** After a failure that is reported: nothing but the witness. */
const WITNESS: u8 = 6;
const FINISHED: u8 = 7;

/** A change of the batch. */
// @ts-ignore: top-level decorators are AssemblyScript's
@unmanaged
class Change {
  fd: i32;
  /** What the kernel holds before it. */
  applied: u32;
  /** What it is to hold after it. */
  hold: u32;
  generation: u32;
  /** The kernel's word. */
  verdict: u32;
  /** Its steps among those that were sent last. */
  firstStep: u16;
  endStep: u16;
  task: u8;
}

const CHANGE_BYTES: u32 = 32;
const changes = memory.data(1024 * 32, 8);

let changeCount: u32 = 0;
let stepCount: u32 = 0;

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function changeAt(index: u32): Change {
  return changetype<Change>(changes + <usize>(index * CHANGE_BYTES));
}

function stage(task: u8, fd: i32, applied: u32, hold: u32, generation: u32): u32 {
  const change = changeAt(changeCount);
  change.task = task;
  change.fd = fd;
  change.applied = applied;
  change.hold = hold;
  change.generation = generation;
  return changeCount++;
}

/**
 * Adds a change to the batch and answers its place. The batch must not be full.
 *
 * What the kernel holds for the number now, as far as the core knows, decides what has to be done.
 */
export function stageAdd(fd: i32, applied: u32, hold: u32, generation: u32): u32 {
  return stage(applied == ABSENT ? REGISTER : PROBE, fd, applied, hold, generation);
}

/** As `stageAdd`, for what is registered. */
export function stageModify(fd: i32, applied: u32, hold: u32, generation: u32): u32 {
  return stage(REPLACE, fd, applied, hold, generation);
}

/** As `stageAdd`, to end a registration. */
export function stageDelete(fd: i32, applied: u32, generation: u32): u32 {
  return stage(END, fd, applied, 0, generation);
}

/** Puts another value to hold into a change of the batch. */
export function restage(index: u32, hold: u32): void {
  changeAt(index).hold = hold;
}

/** Turns a change of the batch into a deletion. */
export function restageDelete(index: u32): void {
  changeAt(index).task = END;
}

/** How many changes the batch has. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function staged(): u32 {
  return changeCount;
}

/** The descriptor of a change of the batch, also after it was submitted. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function stagedFd(index: u32): i32 {
  return changeAt(index).fd;
}

/** The kernel's word on a change of the batch that was submitted last. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function verdict(index: u32): u32 {
  return changeAt(index).verdict;
}

/** What the kernel holds after it has refused a change of the batch for this reason. */
export function heldAfterRefusal(index: u32, error: u32): u32 {
  if (isGone(error)) return ABSENT;
  return isReported(error) ? REPORTED : changeAt(index).applied;
}

/** Sends the batch, which is empty then. Answers how many changes it had; each has a `verdict` until the next batch. */
export function submit(handle: u32): u32 {
  const count = changeCount;
  changeCount = 0;
  carryOut(handle, count);
  return count;
}

/** Makes changes, and undoes what was done of those that failed, until nothing is left to do. */
function carryOut(handle: u32, count: u32): void {
  while (plan(count)) {
    calling = true;
    importControl(handle, steps, stepCount, result);
    calling = false;
    settle(count, load<u32>(result), load<u32>(result, 4));
  }
}

/** Writes down the steps of all changes that have any to make. Answers whether there are. */
function plan(count: u32): bool {
  stepCount = 0;
  for (let i: u32 = 0; i < count; i++) {
    const change = changeAt(i);
    change.firstStep = <u16>stepCount;
    planOne(change);
    change.endStep = <u16>stepCount;
  }
  return stepCount > 0;
}

function planOne(change: Change): void {
  const task = change.task;
  if (task == FINISHED) return;
  if (task == REGISTER) planKnotes(change, change.hold);
  else if (task == PROBE) planProbe(change);
  else if (task == REPLACE) planReplacement(change);
  else if (task == END) planEnd(change, change.applied);
  else planAnew(change, task == RESTORE ? change.applied : task == INQUIRE ? READ_HELD | WRITE_HELD : READ_HELD);
}

function step(change: Change, filter: u32, actions: u32): void {
  const at = steps + <usize>(stepCount++ * STEP_BYTES);
  store<i32>(at, change.fd);
  // A probe is by a registration to come, and must leave the present one's knote its own.
  store<u32>(at, change.task == PROBE ? change.generation - 1 : change.generation, 4);
  store<u32>(at, filter | (actions << 8), 8);
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function isHeld(held: u32, filter: u32): bool {
  return (held & (1 << (filter << 1))) != 0;
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function isEnabled(held: u32, filter: u32): bool {
  return (held & (2 << (filter << 1))) != 0;
}

function planKnotes(change: Change, hold: u32): void {
  for (let filter: u32 = 0; filter < FILTERS; filter++) if (isHeld(hold, filter)) planKnote(change, hold, filter);
}

function planKnote(change: Change, hold: u32, filter: u32): void {
  let actions = ADD;
  if (hold & CLEAR) actions |= WITH_CLEAR;
  if (hold & DISPATCH) actions |= WITH_DISPATCH;
  if (!isEnabled(hold, filter)) actions |= DISABLE;
  step(change, filter, actions);
}

/** A step that changes nothing, but fails if the knote is gone. */
function planProbe(change: Change): void {
  const held = change.applied;
  // Enabling an edge-triggered one again may report its edge again. One that is disabled is better.
  const disabled = held & HELD & ~(held >> 1);
  if (disabled != 0) step(change, ctz(disabled) >> 1, DISABLE);
  else step(change, ctz(held) >> 1, ENABLE);
}

/** First what needs knotes that there are, then the new ones. */
function planReplacement(change: Change): void {
  const applied = change.applied;
  const hold = change.hold;
  // Without a knote nothing can succeed; which error it is, the kernel says.
  if (applied == ABSENT) return step(change, 0, DISABLE);
  const isAnew = ((applied ^ hold) & (CLEAR | DISPATCH)) != 0 || (hold & CLEAR) != 0;
  for (let filter: u32 = 0; filter < FILTERS; filter++) {
    if (!isHeld(applied, filter)) continue;
    if (!isHeld(hold, filter) || isAnew) step(change, filter, DELETE);
    else step(change, filter, isEnabled(hold, filter) ? ENABLE : DISABLE);
  }
  for (let filter: u32 = 0; filter < FILTERS; filter++) {
    if (isHeld(hold, filter) && (isAnew || !isHeld(applied, filter))) planKnote(change, hold, filter);
  }
}

function planEnd(change: Change, held: u32): void {
  // A modify that was joined by its delete: the kernel says what is wrong with it.
  if (held == ABSENT) return step(change, 0, DISABLE);
  for (let filter: u32 = 0; filter < FILTERS; filter++) if (isHeld(held, filter)) step(change, filter, DELETE);
}

/** These knotes, whichever there are now. */
function planAnew(change: Change, hold: u32): void {
  planEnd(change, HELD);
  planKnotes(change, hold);
}

/** Gives each change the word of its steps, and what is still to be done about it. */
function settle(count: u32, failures: usize, length: u32): void {
  noteErrors(failures, length);
  for (let i: u32 = 0; i < count; i++) {
    const change = changeAt(i);
    if (change.task < RESTORE) settleOne(change, length == 0 ? OK : errorOf(change));
    else change.task = FINISHED;
  }
}

function settleOne(change: Change, error: u32): void {
  const task = change.task;
  if (task == INQUIRE) return settleInquiry(change);
  change.task = FINISHED;
  if (task == PROBE && error == ENOENT) {
    change.task = REGISTER;
    change.applied = ABSENT;
    return;
  }
  change.verdict = task == PROBE && error == OK ? EEXIST : error;
  if (error == OK || task == PROBE || (task == END && isGone(error))) return;
  change.task = isReported(error) ? WITNESS : isGone(error) ? INQUIRE : RESTORE;
}

function settleInquiry(change: Change): void {
  const reading = stepError(change.endStep - 2);
  const writing = stepError(change.endStep - 1);
  change.task = FINISHED;
  // FreeBSD says EINVAL of the kqueue's own number, which a closed one's may be by now.
  if (reading != OK) change.verdict = reading == EINVAL ? EBADF : reading;
  else if (writing != OK) change.verdict = EPIPE;
  else {
    // Of another file, nothing is to be held.
    change.task = RESTORE;
    change.applied = ABSENT;
  }
}

function noteErrors(failures: usize, length: u32): void {
  memory.fill(stepErrors, 0, (<usize>stepCount) << 2);
  for (let i: u32 = 0; i < length; i++) {
    const at = failures + <usize>(i * FAILURE_BYTES);
    const index = load<u32>(at);
    if (index < stepCount) store<u32>(stepErrors + ((<usize>index) << 2), loadError(at + 4));
  }
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function stepError(index: u32): u32 {
  return load<u32>(stepErrors + ((<usize>index) << 2));
}

/** Why a change failed. That a knote is gone says least: an error that says more comes first. EINVAL says no more. */
function errorOf(change: Change): u32 {
  let found = OK;
  for (let i: u32 = change.firstStep; i < change.endStep; i++) {
    const error = stepError(i);
    if (error != OK && (found == OK || (isGone(found) && !isGone(error) && error != EINVAL))) found = error;
  }
  return found;
}

// ---- Events ----------------------------------------------------------------------------------------------------------

/** The changes that went with the last wait, all with a `verdict`, if `refused`. */
export let sent: u32 = 0;
/** Whether the last wait was not made, because a change was refused. */
export let refused: bool = false;
/** How many registrations the last wait brought events of. */
export let ready: u32 = 0;
/** Whether there was room for no more, so that there may be others. */
export let isFull: bool = false;
/** When the last wait that succeeded ended, by the clock. */
export let moment: u64 = 0;
/**
 * Sends the batch and waits for at most `capacity` events. Answers an error; else there are those of `ready` registrations,
 * or, if `refused`, verdicts. A signal is EINTR.
 *
 * No more is asked for than there is room for, though two events can be one registration's: the kernel puts what it has
 * told to the end of its queue, so that the same ones would be left out each time.
 */
export function wait(handle: u32, capacity: u32, hasTimeout: bool, timeout: u64): u32 {
  sent = changeCount;
  changeCount = 0;
  ready = 0;
  isFull = false;
  refused = false;
  plan(sent);
  // The kernel wants room for the errors of the steps, and fills it with events if there are none.
  if (stepCount > min(STEPS_WITH_WAIT, capacity)) {
    carryOut(handle, sent);
    refused = anyFailed(sent);
    if (refused) return OK;
    stepCount = 0;
  }
  calling = true;
  importWait(handle, steps, stepCount, capacity, hasTimeout ? 1 : 0, timeout, result);
  calling = false;
  if (load<u8>(result) == 0) {
    const length = min(load<u32>(result, 12), capacity);
    isFull = length == capacity;
    moment = load<u64>(result, 16);
    merge(load<u32>(result, 8), length);
    return OK;
  }
  if (load<u8>(result, 8) == 0) {
    refused = true;
    settle(sent, load<u32>(result, 12), load<u32>(result, 16));
    carryOut(handle, sent);
    return OK;
  }
  return loadError(result + 12);
}

function anyFailed(count: u32): bool {
  for (let i: u32 = 0; i < count; i++) if (verdict(i) != OK) return true;
  return false;
}

/** What a wait brought, one after the other: an event is known by its place, and the next one is `READY_STEP` further. */
export const readyList: usize = items;
export const READY_STEP: usize = ITEM_BYTES;

// Which item is a descriptor's: open addressing, an item's place plus 1 in each cell. Twice as many cells as items, all
// of them 0 between waits.
const CELLS: u32 = 2048;
const cells = memory.data(2048 * 2, 8);

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function itemAt(index: u32): usize {
  return items + <usize>(index * ITEM_BYTES);
}

/** Makes one item of all events of a registration: its filters fire each by itself. */
function merge(events: usize, length: u32): void {
  for (let i: u32 = 0; i < length; i++) mergeOne(events + <usize>(i * EVENT_BYTES));
  // In this order what was put behind a taken cell is still found.
  for (let i = ready; i > 0; i--) store<u16>(cellOf(readyFd(itemAt(i - 1))), 0);
}

function mergeOne(event: usize): void {
  const filter: u32 = load<u8>(event, 8);
  const fd = filter == USER ? NOTIFIED : load<i32>(event);
  const item = itemOf(fd, load<u32>(event, 4));
  let mask = load<u32>(item) | (2 << (filter << 1));
  const isEnd = load<u8>(event, 9) != 0;
  if (isEnd) mask |= filter == 0 ? READ_END : filter == 1 ? WRITE_END : EXCEPT_END;
  if (load<u8>(event, 10) != 0) mask |= LAST;
  if (isEnd && load<u8>(event, 12) != 0) {
    mask |= FAILED;
    store<u32>(item, loadError(event + 16), 12);
  }
  store<u32>(item, mask);
  // What there is to read says more than how much room there is.
  if (filter == 0 || load<u64>(item, 16) == 0) store<u64>(item, load<u64>(event, 24), 16);
}

function itemOf(fd: i32, generation: u32): usize {
  const cell = cellOf(fd);
  const place = <u32>load<u16>(cell);
  if (place != 0) return itemAt(place - 1);
  const item = itemAt(ready++);
  store<u16>(cell, <u16>ready);
  memory.fill(item, 0, ITEM_BYTES);
  store<i32>(item, fd, 4);
  store<u32>(item, generation, 8);
  return item;
}

/** The cell of a descriptor: the one that has it, or the free one where it goes. */
function cellOf(fd: i32): usize {
  let index = ((<u32>fd * 0x9e3779b1) >> 21) & (CELLS - 1);
  while (true) {
    const cell = cells + ((<usize>index) << 1);
    const place = <u32>load<u16>(cell);
    if (place == 0 || readyFd(itemAt(place - 1)) == fd) return cell;
    index = (index + 1) & (CELLS - 1);
  }
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readyMask(at: usize): u32 {
  return load<u32>(at);
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readyFd(at: usize): i32 {
  return load<i32>(at, 4);
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readyGeneration(at: usize): u32 {
  return load<u32>(at, 8);
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readyAmount(at: usize): u64 {
  return load<u64>(at, 16);
}

/** The error that an event tells. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readyError(at: usize): u32 {
  return load<u32>(at, 12);
}
