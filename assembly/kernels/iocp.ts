/**
 * Windows's completion ports and AFD: from what is wanted to requests of `wit/iocp.wit`, from their completions to
 * readiness.
 *
 * A registration has at most one request under way, which ends with the first event that it names. What the kernel holds
 * is the events of that request. Beside them stand `IDLE`, when there is none; `CANCELLED`, when there is one that was
 * cancelled, so that its completion is all that is left of it; and `ABSENT`, when the kernel has seen the socket closed.
 *
 *                 armed                cancelled: it does not name what is wanted now
 *          ┌───────────────────► events ───────────────────► CANCELLED
 *        IDLE                      │                              │
 *          └───────────────────────┴──── its completion came ◄────┘      … with LOCAL_CLOSE: ABSENT
 *
 * A request that names more than is wanted is left alone: its completion is looked at with what is wanted by then. One of
 * a registration that shall be silent names LOCAL_CLOSE alone, so that a close is noticed. A request that outlives its
 * registration keeps the place until its completion has come, so that no socket ever has two.
 *
 * A slot is a place in the slab. Each handle of AFD serves 32 of them: cancelling looks through all requests of a handle.
 */
import { EBADF, ENOENT, ENOTSUP, OK, isGone, loadError } from "../errors";
import { Places } from "../places";
import { ERROR, HANG_UP, PRIORITY, READABLE, READ_CLOSED, REFUSED, WRITABLE } from "../readiness";
import { Registrations } from "../registrations";

const RECEIVE: u32 = 0x1;
const RECEIVE_EXPEDITED: u32 = 0x2;
const SEND: u32 = 0x4;
const DISCONNECT: u32 = 0x8;
const ABORT: u32 = 0x10;
const LOCAL_CLOSE: u32 = 0x20;
const ACCEPT: u32 = 0x80;
const CONNECT_FAIL: u32 = 0x100;
/** Beside the events of a completion: it tells an error. */
const FAILED: u32 = 0x80000000;

const MODE_LEVEL: u32 = 1;
const GROUP_SHIFT: u32 = 5;

/** A SOCKET. Those from 2^63 on are below 0: INVALID_SOCKET is, and Windows gives out no others. */
export type Descriptor = i64;

/** The number that a caller gave; below 0 if it is none of this system's. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function descriptorOf(fd: i64): Descriptor {
  return fd;
}

/** A descriptor as JavaScript's numbers give it. */
export type NumberDescriptor = f64;

/** The largest descriptor; the smallest is as far below -1. */
export const LARGEST_DESCRIPTOR: f64 = 9007199254740991;

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function descriptorOfNumber(fd: NumberDescriptor): Descriptor {
  return <i64>fd;
}

// The poller whose call is under way: its descriptors by place.
let current: Places = changetype<Places>(0);

/** The bytes that a poller keeps to find a descriptor's place in the slab. */
export const PLACES_BYTES: usize = offsetof<Places>();

/** The place of a descriptor; below 0 if it has none. */
export function placeOf(places: usize, fd: Descriptor): i32 {
  current = changetype<Places>(places);
  return current.find(fd);
}

/** As `placeOf`, for one that is at least 0 and is to be added: below 0 if there is no memory for it. */
export function placeFor(places: usize, registrations: Registrations, fd: Descriptor): i32 {
  const known = placeOf(places, fd);
  if (known >= 0) return known;
  const place = current.give(fd);
  // With its entry, where the request's state is kept, whatever becomes of the registration.
  if (place < 0 || registrations.ensure(place) != null) return place;
  current.take(place);
  return -1;
}

/** Lets another descriptor have a place. */
export function vacate(places: usize, place: i32): void {
  changetype<Places>(places).take(place);
}

/** Gives the memory of all places back. */
export function clearPlaces(places: usize): void {
  changetype<Places>(places).clear();
}

/** Whether this kernel has all modes. */
export const HAS_ALL_MODES: bool = false;

/** Whether this kernel has a mode: AFD tells states, and no edges. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function hasMode(mode: u32): bool {
  return mode <= MODE_LEVEL;
}

/** The kernel watches by requests: see `../numbered`. */
export const COMPLETES: bool = true;

/** No request is under way. */
export const IDLE: u32 = 0;
/** A request was cancelled, and its completion has not been seen. */
export const CANCELLED: u32 = 0x80000000;
/** No request is under way, and there can be none: the socket is closed. */
export const ABSENT: u32 = 0xffffffff;
/** A socket that is closed reports nothing any more. */
export const CLOSING_ENDS: bool = true;

/** Whether a request can be made. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function isFree(applied: u32): bool {
  return applied == IDLE || applied == ABSENT;
}

/** What is held after a change of what is held is carried out. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function held(applied: u32, hold: u32): u32 {
  return isFree(applied) ? hold : CANCELLED;
}

/** The same after a registration has ended. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function abandoned(applied: u32): u32 {
  return isFree(applied) ? IDLE : CANCELLED;
}

/** What a request names for a registration that is armed. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function eventsFor(interest: u32): u32 {
  if (interest == 0) return LOCAL_CLOSE;
  let events = LOCAL_CLOSE | ABORT | CONNECT_FAIL;
  if (interest & READABLE) events |= RECEIVE | ACCEPT | DISCONNECT;
  if (interest & WRITABLE) events |= SEND;
  if (interest & PRIORITY) events |= RECEIVE_EXPEDITED;
  return events;
}

/** What the kernel shall hold for a registration that is armed. */
export function armed(interest: u32, _mode: u32, _late: bool): u32 {
  return eventsFor(interest);
}

/** What the kernel shall hold for a registration that is to be silent. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function silenced(_applied: u32): u32 {
  return LOCAL_CLOSE;
}

/** Whether nothing can be done, or need be, so that the kernel reports a registration. */
export function isArmed(applied: u32, interest: u32, _mode: u32): bool {
  // Of one that was cancelled the completion comes first.
  if (applied == CANCELLED || applied == ABSENT) return true;
  return (eventsFor(interest) & ~applied) == 0;
}

/** Whether the kernel has to hold something else for a registration that is to be silent. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function isNoisy(applied: u32): bool {
  return applied == IDLE;
}

/** Whether events leave the kernel armed as it is. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function staysArmed(_applied: u32): bool {
  return false;
}

/** Whether a modify in this mode reaches the kernel in any case. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function modifyAlwaysTells(_mode: u32): bool {
  return false;
}

/** What the kernel still holds after a completion. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function afterEvent(_applied: u32, events: u32): u32 {
  return events & LOCAL_CLOSE ? ABSENT : IDLE;
}

/** What to tell of a completion, to someone with this interest. Nothing, if it names only what was wanted earlier. */
export function readinessOf(completed: u32, interest: u32): u32 {
  const events = completed & (eventsFor(interest) | FAILED);
  let readiness: u32 = 0;
  if (events & (RECEIVE | ACCEPT | DISCONNECT | ABORT | CONNECT_FAIL | FAILED)) readiness |= READABLE;
  if (events & (SEND | ABORT | CONNECT_FAIL | FAILED)) readiness |= WRITABLE;
  if (events & RECEIVE_EXPEDITED) readiness |= PRIORITY;
  readiness &= interest;
  if (events & (DISCONNECT | ABORT)) readiness |= READ_CLOSED;
  if (events & ABORT) readiness |= HANG_UP;
  if (events & (ABORT | CONNECT_FAIL | FAILED)) readiness |= ERROR;
  // The error is the request's own, for it names nothing that holds of the socket.
  if (completed == FAILED) readiness |= REFUSED;
  return readiness;
}

/** Whether a refusal is no reason not to register, but something to report: not here. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function isReported(_error: u32): bool {
  return false;
}
/** What the kernel holds after such a refusal. */
export const REPORTED: u32 = IDLE;
/** The mask of the event that such a refusal stands for. */
export const REPORTED_MASK: u32 = 0;

// ---- The calls -------------------------------------------------------------------------------------------------------

// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/iocp@0.1.0", "create")
declare function importCreate(result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/iocp@0.1.0", "control")
declare function importControl(port: u32, changes: usize, length: u32, result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/iocp@0.1.0", "wait")
declare function importWait(
  port: u32,
  changes: usize,
  length: u32,
  capacity: u32,
  hasTimeout: u32,
  timeout: u64,
  result: usize,
): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/iocp@0.1.0", "peek")
declare function importPeek(port: u32, slot: u32): u32;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/iocp@0.1.0", "close")
declare function importClose(port: u32): void;

// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/iocp@0.1.0", "create-notifier")
declare function importCreateNotifier(result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/iocp@0.1.0", "attach-notifier")
declare function importAttachNotifier(notifier: u32, port: u32, slot: u32, generation: u32, result: usize): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/iocp@0.1.0", "identify")
declare function importIdentify(notifier: u32): u64;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/iocp@0.1.0", "notify")
declare function importNotify(notifier: u32): void;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/iocp@0.1.0", "close-notifier")
declare function importCloseNotifier(notifier: u32): void;

/** The most changes, and the most completions, of one call. */
export const BATCH: u32 = 1024;

const CHANGE_BYTES: u32 = 32;
const FAILURE_BYTES: u32 = 12;

const OPERATION_ADD: u32 = 0;
const OPERATION_ARM: u32 = 1;
const OPERATION_CANCEL: u32 = 2;
const OPERATION_REMOVE: u32 = 3;

const changes = memory.data(1024 * 32, 8);
// Where the lists land that a call returns: completions or failures. One call at a time needs only one place.
export const landing = memory.data(1024 * 24, 8);
export const LANDING_BYTES: u32 = 1024 * 24;
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

/** What stands in place of a slot in the completion of a notifier. */
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

/** The kernel object's descriptor: a port is none that another poller could watch. */
export function descriptor(_handle: u32): u32 {
  return ENOTSUP;
}
export const descriptorFound: i32 = 0;

/** Whether the kernel has said, in a way that no wait has taken yet, that a slot's socket was closed. */
export function wasClosed(handle: u32, place: i32): bool {
  return (importPeek(handle, place) & LOCAL_CLOSE) != 0;
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function changeAt(index: u32): usize {
  return changes + <usize>(index * CHANGE_BYTES);
}

function stage(operation: u32, place: i32, events: u32, generation: u32): u32 {
  const at = changeAt(changeCount);
  store<u32>(at, operation);
  store<u32>(at, events, 4);
  store<i32>(at, place, 20);
  store<u32>(at, generation, 24);
  return changeCount++;
}

/** Adds a change to the batch and answers its place in it. The batch must not be full. */
export function stageAdd(place: i32, applied: u32, hold: u32, generation: u32): u32 {
  const at = changeAt(changeCount);
  store<u64>(at, current.numberOf(place), 8);
  store<u32>(at, (<u32>place) >> GROUP_SHIFT, 16);
  return stage(OPERATION_ADD, place, isFree(applied) ? hold : 0, generation);
}

/** As `stageAdd`, for what is registered. */
export function stageModify(place: i32, applied: u32, hold: u32, generation: u32): u32 {
  return isFree(applied)
    ? stage(OPERATION_ARM, place, hold, generation)
    : stage(OPERATION_CANCEL, place, 0, generation);
}

/** As `stageAdd`, to end a registration. */
export function stageDelete(place: i32, _applied: u32, _generation: u32): u32 {
  return stage(OPERATION_REMOVE, place, 0, 0);
}

/** Puts another value to hold into a change of the batch. */
export function restage(index: u32, hold: u32): void {
  const at = changeAt(index);
  if (load<u32>(at, 4) != 0) store<u32>(at, hold, 4);
}

/** Turns a change of the batch into a deletion. */
export function restageDelete(index: u32): void {
  store<u32>(changeAt(index), OPERATION_REMOVE);
}

/** How many changes the batch has. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function staged(): u32 {
  return changeCount;
}

/** The place of a change of the batch, also after it was submitted. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function stagedFd(index: u32): i32 {
  return load<i32>(changeAt(index), 20);
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
  for (let i: u32 = 0; anyFailed && i < count; i++) {
    if (isPointless(i) && wasClosed(handle, stagedFd(i))) store<u32>(verdicts + ((<usize>i) << 2), EBADF);
  }
  return count;
}

/** Whether a change of the batch was to cancel what had ended already: its completion comes in any case. */
function isPointless(index: u32): bool {
  if (load<u8>(changeAt(index)) != OPERATION_CANCEL) return false;
  return load<u32>(verdicts + ((<usize>index) << 2)) == ENOENT;
}

/** The kernel's word on a change of the batch that was submitted last. */
export function verdict(index: u32): u32 {
  if (!anyFailed || isPointless(index)) return OK;
  return load<u32>(verdicts + ((<usize>index) << 2));
}

/** Whether a change of the batch that was submitted last failed; else all verdicts are OK. */
let anyFailed: bool = false;

/** What the kernel holds after it has refused a change of the batch for this reason. */
export function heldAfterRefusal(index: u32, error: u32): u32 {
  // What was not cancelled is under way, and is cancelled when it is known what is wanted instead.
  if (load<u8>(changeAt(index)) == OPERATION_CANCEL) return LOCAL_CLOSE;
  return isGone(error) ? ABSENT : IDLE;
}

function noteVerdicts(count: u32, list: usize, length: u32): void {
  anyFailed = length != 0;
  if (!anyFailed) return;
  memory.fill(verdicts, 0, (<usize>count) << 2);
  for (let i: u32 = 0; i < length; i++) {
    const at = list + <usize>(i * FAILURE_BYTES);
    const index = load<u32>(at);
    if (index < BATCH) store<u32>(verdicts + ((<usize>index) << 2), loadError(at + 4));
  }
}

/** The changes that went with the last wait, all with a `verdict`, if `refused`. */
export let sent: u32 = 0;
/** Whether the last wait was not made, because a change was refused. */
export let refused: bool = false;
/** How many completions the last wait brought. */
export let ready: u32 = 0;
/** Whether there was room for no more, so that there may be others. */
export let isFull: bool = false;
/** When the last wait that succeeded ended, by the clock. */
export let moment: u64 = 0;

/**
 * Sends the batch and waits for at most `capacity` completions. Answers an error; else there are `ready` of them, or, if
 * `refused`, verdicts.
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
  if (load<u8>(result, 8) != 0) return loadError(result + 12);
  // If nothing was to be cancelled any more, that is no refusal for the caller either; it asks again then.
  refused = true;
  noteVerdicts(sent, load<u32>(result, 12), load<u32>(result, 16));
  return OK;
}

/** What a wait brought, one after the other: a completion is known by its address, and the next is `READY_STEP` further. */
export let readyList: usize = 0;
export const READY_STEP: usize = 24;

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readyFd(at: usize): i32 {
  return load<i32>(at);
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readyGeneration(at: usize): u32 {
  return load<u32>(at, 4);
}

/** The events of a completion, and `FAILED`. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readyMask(at: usize): u32 {
  return load<u32>(at, 8) | (load<u8>(at, 12) != 0 ? FAILED : 0);
}

/** How many bytes there are: AFD does not tell. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readyAmount(_at: usize): u64 {
  return 0;
}

/** The error that a completion tells. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function readyError(at: usize): u32 {
  return load<u8>(at, 12) != 0 ? loadError(at + 16) : OK;
}
