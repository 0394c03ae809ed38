/**
 * Linux's epoll: from what is wanted to calls of `wit/epoll.wit`, from native events to readiness.
 *
 * What the kernel holds for a registration is an epoll mask. Beside it stand two values that are no masks:
 * `SPENT`, for one that the kernel has disabled by itself after its one event, and `ABSENT`.
 *
 * The manual's two traps, both from epoll_ctl(2): hang-ups and errors are reported whether asked for or not, even with
 * a mask of 0; and EPOLLONESHOT disables them too. So a registration that shall stay silent is held as EPOLLONESHOT
 * alone, whose one event is swallowed.
 */
import { EBADF, EINVAL, OK, isGone, loadError } from "../errors";
import { ERROR, HANG_UP, PRIORITY, READABLE, READ_CLOSED, WRITABLE } from "../readiness";

export * from "../numbered";

const IN: u32 = 0x1;
const PRI: u32 = 0x2;
const OUT: u32 = 0x4;
const ERR: u32 = 0x8;
const HUP: u32 = 0x10;
const RDHUP: u32 = 0x2000;
const ONESHOT: u32 = 0x40000000;
const ET: u32 = 0x80000000;

const MODE_ONESHOT: u32 = 0;
const MODE_LEVEL: u32 = 1;
const MODE_EDGE: u32 = 2;

/** What a descriptor's number is in the core. */
export type Descriptor = i32;

/** The number that a caller gave; below 0 if it is none of this system's. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function descriptorOf(fd: i64): Descriptor {
  return fd == <i64>(<i32>fd) ? <i32>fd : -1;
}

/** Registered in the kernel, which reports nothing of it any more. */
export const SPENT: u32 = 0;
/** Not in the kernel: it said that the descriptor is closed, or another file's by now. */
export const ABSENT: u32 = 0xffffffff;
/** A descriptor that is closed goes on reporting while a duplicate of it lives. */
export const CLOSING_ENDS: bool = false;
/** Registered in the kernel so that at most one event comes, which is to be swallowed. */
const SILENT: u32 = ONESHOT;

/** The mask of a registration that is armed in this mode. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function maskOf(interest: u32, mode: u32): u32 {
  let mask: u32 = 0;
  if (interest & READABLE) mask |= IN | RDHUP;
  if (interest & WRITABLE) mask |= OUT;
  if (interest & PRIORITY) mask |= PRI;
  if (mask == 0) return SILENT;
  return mode > MODE_LEVEL ? mask | ET : mask;
}

/** What the kernel shall hold for a registration that is armed. `late`: it will not be armed again before the next wait. */
export function armed(interest: u32, mode: u32, late: bool): u32 {
  const mask = maskOf(interest, mode);
  // Left level-triggered, a one-shot registration costs no call if it is armed again in time, and two if not.
  const lazy = mode == MODE_LEVEL || mode == MODE_EDGE || (mode == MODE_ONESHOT && !late);
  return lazy ? mask : mask | ONESHOT;
}

/** What the kernel shall hold, instead of `applied`, for a registration that is to be silent. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function silenced(_applied: u32): u32 {
  return SILENT;
}

/** Whether the kernel, holding `applied`, will report a registration as it is armed in this mode. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function isArmed(applied: u32, interest: u32, mode: u32): bool {
  const mask = maskOf(interest, mode);
  if (applied == mask) return true;
  if (mask == SILENT) return applied == SPENT;
  return mode != MODE_LEVEL && mode != MODE_EDGE && applied == (mask | ONESHOT);
}

/** Whether the kernel, holding `applied`, will go on reporting a state of readiness that nobody wants to hear of. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function isNoisy(applied: u32): bool {
  return (applied & ONESHOT) == 0 && applied != SPENT;
}

/** Whether events leave the kernel, holding `applied`, armed as it is. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function staysArmed(applied: u32): bool {
  return isNoisy(applied);
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
export function afterEvent(applied: u32, _mask: u32): u32 {
  return applied & ONESHOT ? SPENT : applied;
}

/** What to tell of an event, to someone with this interest. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readinessOf(mask: u32, interest: u32): u32 {
  // Nearly all events are of these two.
  if ((mask & ~(IN | OUT)) == 0) return ((mask & IN) | ((mask & OUT) >> 1)) & interest;
  let readiness: u32 = 0;
  if (mask & (IN | RDHUP | HUP | ERR)) readiness |= READABLE;
  if (mask & (OUT | ERR)) readiness |= WRITABLE;
  if (mask & PRI) readiness |= PRIORITY;
  readiness &= interest;
  if (mask & (RDHUP | HUP)) readiness |= READ_CLOSED;
  if (mask & HUP) readiness |= HANG_UP;
  if (mask & ERR) readiness |= ERROR;
  return readiness;
}

// ---- The calls -------------------------------------------------------------------------------------------------------

// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/epoll@0.1.0", "create")
declare function importCreate(result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/epoll@0.1.0", "control")
declare function importControl(epoll: u32, changes: usize, length: u32, result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/epoll@0.1.0", "wait")
declare function importWait(
  epoll: u32,
  changes: usize,
  length: u32,
  capacity: u32,
  hasTimeout: u32,
  timeout: u64,
  result: usize,
): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/epoll@0.1.0", "descriptor")
declare function importDescriptor(epoll: u32, result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/epoll@0.1.0", "close")
declare function importClose(epoll: u32): void;

// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/epoll@0.1.0", "create-notifier")
declare function importCreateNotifier(result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/epoll@0.1.0", "attach-notifier")
declare function importAttachNotifier(notifier: u32, epoll: u32, slot: u32, generation: u32, result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/epoll@0.1.0", "identify")
declare function importIdentify(notifier: u32): u64;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/epoll@0.1.0", "notify")
declare function importNotify(notifier: u32): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/epoll@0.1.0", "close-notifier")
declare function importCloseNotifier(notifier: u32): void;

/** The most changes, and the most events, of one call. */
export const BATCH: u32 = 1024;

const CHANGE_BYTES: u32 = 20;
const ITEM_BYTES: u32 = 12;
export const LANDING_BYTES: u32 = 1024 * 12;

const OPERATION_ADD: u32 = 0;
const OPERATION_MODIFY: u32 = 1;
const OPERATION_DELETE: u32 = 2;

const changes = memory.data(1024 * 20, 8);
// Where the lists land that a call returns: events or failures, 12 bytes each. One call at a time needs only one place.
export const landing = memory.data(1024 * 12, 8);
const verdicts = memory.data(1024 * 4, 8);
const result = memory.data(24, 8);

let changeCount: u32 = 0;
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
  importAttachNotifier(notifier, handle, NOTIFIED, 0, result);
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

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function stage(operation: u32, fd: i32, mask: u32, generation: u32): u32 {
  const at = changes + <usize>(changeCount * CHANGE_BYTES);
  store<u32>(at, operation);
  store<i32>(at, fd, 4);
  store<u32>(at, mask, 8);
  store<i32>(at, fd, 12);
  store<u32>(at, generation, 16);
  return changeCount++;
}

/**
 * Adds a change to the batch and answers its place. The batch must not be full.
 *
 * Kernels that need to know are told what they hold for the number now, as far as the core knows.
 */
export function stageAdd(fd: i32, _applied: u32, hold: u32, generation: u32): u32 {
  return stage(OPERATION_ADD, fd, hold, generation);
}

/** As `stageAdd`, for what is registered. */
export function stageModify(fd: i32, _applied: u32, hold: u32, generation: u32): u32 {
  return stage(OPERATION_MODIFY, fd, hold, generation);
}

/** As `stageAdd`, to end a registration. */
export function stageDelete(fd: i32, _applied: u32, _generation: u32): u32 {
  return stage(OPERATION_DELETE, fd, 0, 0);
}

/** Puts another value to hold into a change of the batch. */
export function restage(index: u32, hold: u32): void {
  store<u32>(changes + <usize>(index * CHANGE_BYTES), hold, 8);
}

/** Turns a change of the batch into a deletion. */
export function restageDelete(index: u32): void {
  store<u32>(changes + <usize>(index * CHANGE_BYTES), OPERATION_DELETE);
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
  return load<i32>(changes + <usize>(index * CHANGE_BYTES), 4);
}

/** Sends the batch, which is empty then. Answers how many changes it had; each has a `verdict` until the next batch. */
export function submit(handle: u32): u32 {
  const count = changeCount;
  changeCount = 0;
  if (count == 0) return 0;
  calling = true;
  importControl(handle, changes, count, result);
  calling = false;
  noteVerdicts(count, load<u32>(result), load<u32>(result, 4));
  return count;
}

/** The kernel's word on a change of the batch that was submitted last. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function verdict(index: u32): u32 {
  return anyFailed ? load<u32>(verdicts + ((<usize>index) << 2)) : OK;
}

/** Whether a change of the batch that was submitted last failed; else all verdicts are OK. */
let anyFailed: bool = false;

/** What the kernel holds after it has refused a change of the batch for this reason. */
export function heldAfterRefusal(_index: u32, error: u32): u32 {
  return isGone(error) ? ABSENT : SPENT;
}

function noteVerdicts(count: u32, list: usize, length: u32): void {
  anyFailed = length != 0;
  if (!anyFailed) return;
  memory.fill(verdicts, 0, (<usize>count) << 2);
  for (let i: u32 = 0; i < length; i++) {
    const at = list + <usize>(i * ITEM_BYTES);
    const index = load<u32>(at);
    if (index < BATCH) store<u32>(verdicts + ((<usize>index) << 2), meaningOf(index, loadError(at + 4)));
  }
}

/**
 * What the kernel's error says of a change of the batch. A registered number that names the kernel object itself by now,
 * of which epoll_ctl(2) says EINVAL, is one that was closed since it was added.
 */
function meaningOf(index: u32, error: u32): u32 {
  const operation = load<u32>(changes + <usize>(index * CHANGE_BYTES));
  return error == EINVAL && operation != OPERATION_ADD ? EBADF : error;
}

/** The changes that went with the last wait, all with a `verdict`, if `refused`. */
export let sent: u32 = 0;
/** Whether the last wait was not made, because a change was refused. */
export let refused: bool = false;
/** How many events the last wait brought. */
export let ready: u32 = 0;
/** Whether there was room for no more, so that there may be others. */
export let isFull: bool = false;
/** When the last wait that succeeded ended, by the clock. */
export let moment: u64 = 0;

/**
 * Sends the batch and waits for at most `capacity` events. Answers an error; else there are `ready` events, or, if
 * `refused`, verdicts. A signal is EINTR.
 */
export function wait(handle: u32, capacity: u32, hasTimeout: bool, timeout: u64): u32 {
  sent = changeCount;
  changeCount = 0;
  ready = 0;
  isFull = false;
  refused = false;
  calling = true;
  importWait(handle, changes, sent, capacity, hasTimeout ? 1 : 0, timeout, result);
  calling = false;
  if (load<u8>(result) == 0) {
    readyList = load<u32>(result, 8);
    ready = min(load<u32>(result, 12), capacity);
    isFull = ready == capacity;
    moment = load<u64>(result, 16);
    return OK;
  }
  if (load<u8>(result, 8) == 0) {
    refused = true;
    noteVerdicts(sent, load<u32>(result, 12), load<u32>(result, 16));
    return OK;
  }
  return loadError(result + 12);
}

/** What a wait brought, one after the other: an event is known by its place, and the next one is `READY_STEP` further. */
export let readyList: usize = 0;
export const READY_STEP: usize = 12;

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

/** How many bytes there are: epoll does not tell. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readyAmount(_at: usize): u64 {
  return 0;
}

/** The error that an event tells: epoll says only that there is one. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readyError(_at: usize): u32 {
  return OK;
}

/** Whether a refusal is no reason not to register, but something to report: not here. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function isReported(_error: u32): bool {
  return false;
}
/** What the kernel holds after such a refusal. */
export const REPORTED: u32 = SPENT;
/** The mask of the event that such a refusal stands for. */
export const REPORTED_MASK: u32 = 0;
