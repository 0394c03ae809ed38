/**
 * In place of a kernel: a table of what is registered, descriptors that are ready because a test says so, and refusals
 * where a test wants them. It holds epoll masks, and makes no call; what the masks mean comes from `kernels/epoll`.
 */
import { EBADF, EEXIST, ENOENT, OK } from "../errors";
import { now, pass } from "./clock";

export const BATCH: u32 = 1024;
export const NOTIFIED: i32 = -1;

const FDS: u32 = 4096;
const ONESHOT: u32 = 0x40000000;
const ALWAYS: u32 = 0x18;

// What is registered, by descriptor: the mask, the generation, and with which kernel object; 0 is none.
const masks = memory.data(4096 * 4, 8);
const generations = memory.data(4096 * 4, 8);
const known = memory.data(4096, 8);
// What a test says of a descriptor: which bits are ready, and the errno of any change of it.
const readyBits = memory.data(4096 * 4, 8);
const refusals = memory.data(4096 * 4, 8);

const changeFds = memory.data(1024 * 4, 8);
const changeHolds = memory.data(1024 * 4, 8);
const changeGenerations = memory.data(1024 * 4, 8);
const changeKinds = memory.data(1024, 8);
const verdicts = memory.data(1024 * 4, 8);
export const readyList = memory.data(1024 * 12, 8);
export const READY_STEP: usize = 12;

/** Counts for the tests. */
export let controls: u32 = 0;
export let waits: u32 = 0;
export let changesMade: u32 = 0;
export let kernelObjects: u32 = 0;
export let created: u32 = 0;
export let notifiers: u32 = 0;
export let lastCapacity: u32 = 0;
/** The next `create` answers this. */
export let createRefusal: u32 = OK;

let notified: bool = false;
let from: i32 = 0;

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function at(table: usize, index: i32): usize {
  return table + ((<usize>index) << 2);
}

/** Forgets everything, for the next test. */
export function reset(): void {
  memory.fill(masks, 0, FDS << 2);
  memory.fill(generations, 0, FDS << 2);
  memory.fill(known, 0, FDS);
  memory.fill(readyBits, 0, FDS << 2);
  memory.fill(refusals, 0, FDS << 2);
  controls = 0;
  waits = 0;
  changesMade = 0;
  kernelObjects = 0;
  created = 0;
  notifiers = 0;
  createRefusal = OK;
  notified = false;
  from = 0;
}

/** A descriptor is ready for so much from now on. */
export function setReady(fd: i32, bits: u32): void {
  store<u32>(at(readyBits, fd), bits);
}

/** Every change of a descriptor fails so from now on. */
export function refuse(fd: i32, error: u32): void {
  store<u32>(at(refusals, fd), error);
}

export function refuseCreate(error: u32): void {
  createRefusal = error;
}

/** The descriptor's registration goes, as when it is closed and not duplicated. */
export function closeFd(fd: i32): void {
  store<u8>(known + fd, 0);
  store<u32>(at(readyBits, fd), 0);
  refuse(fd, EBADF);
}

/** What is held for a descriptor. */
export function heldMask(fd: i32): u32 {
  return load<u32>(at(masks, fd));
}

export function create(): u32 {
  if (createRefusal != OK) return createRefusal;
  kernelObjects++;
  created++;
  return OK;
}
export function close(_handle: u32): void {
  kernelObjects--;
}

export let createdNotifier: u32 = 0;
export function createNotifier(): u32 {
  createdNotifier = ++notifiers;
  return OK;
}
export function attachNotifier(_notifier: u32, _handle: u32): u32 {
  return OK;
}
export function identify(notifier: u32): u64 {
  return notifier;
}
export function notify(_notifier: u32): void {
  notified = true;
}
export function closeNotifier(_notifier: u32): void {
  notifiers--;
}

export let descriptorFound: i32 = 3;
export function descriptor(_handle: u32): u32 {
  return OK;
}

export function landingFor(_size: u32): usize {
  return 0;
}

let changeCount: u32 = 0;

function stage(kind: u8, fd: i32, hold: u32, generation: u32): u32 {
  const index = <i32>changeCount;
  changeCount++;
  store<u8>(changeKinds + index, kind);
  store<i32>(at(changeFds, index), fd);
  store<u32>(at(changeHolds, index), hold);
  store<u32>(at(changeGenerations, index), generation);
  return index;
}
export function stageAdd(fd: i32, _applied: u32, hold: u32, generation: u32): u32 {
  return stage(0, fd, hold, generation);
}
export function stageModify(fd: i32, _applied: u32, hold: u32, generation: u32): u32 {
  return stage(1, fd, hold, generation);
}
export function stageDelete(fd: i32, _applied: u32, _generation: u32): u32 {
  return stage(2, fd, 0, 0);
}
export function restage(index: u32, hold: u32): void {
  store<u32>(at(changeHolds, index), hold);
}
export function restageDelete(index: u32): void {
  store<u8>(changeKinds + index, 2);
}
export function staged(): u32 {
  return changeCount;
}
export function stagedFd(index: u32): i32 {
  return load<i32>(at(changeFds, index));
}
export function verdict(index: u32): u32 {
  return load<u32>(at(verdicts, index));
}

function change(handle: u32, index: i32): u32 {
  const fd = load<i32>(at(changeFds, index));
  const kind = load<u8>(changeKinds + index);
  const refusal = load<u32>(at(refusals, fd));
  changesMade++;
  if (refusal != OK) return refusal;
  const isKnown = load<u8>(known + fd) == handle;
  if (kind == 0 && isKnown) return EEXIST;
  if (kind != 0 && !isKnown) return ENOENT;
  store<u8>(known + fd, kind == 2 ? 0 : <u8>handle);
  store<u32>(at(masks, fd), load<u32>(at(changeHolds, index)));
  store<u32>(at(generations, fd), load<u32>(at(changeGenerations, index)));
  return OK;
}

function changeAll(handle: u32): u32 {
  const count = changeCount;
  changeCount = 0;
  for (let i: u32 = 0; i < count; i++) store<u32>(at(verdicts, i), change(handle, i));
  return count;
}

export function submit(handle: u32): u32 {
  if (changeCount == 0) return 0;
  controls++;
  return changeAll(handle);
}

export let sent: u32 = 0;
export let refused: bool = false;
export let ready: u32 = 0;
export let isFull: bool = false;
export let moment: u64 = 0;

function push(fd: i32, mask: u32, generation: u32): void {
  const place = readyList + <usize>ready * READY_STEP;
  store<u32>(place, mask);
  store<i32>(place, fd, 4);
  store<u32>(place, generation, 8);
  ready++;
}

export function wait(handle: u32, capacity: u32, hasTimeout: bool, timeout: u64): u32 {
  waits++;
  lastCapacity = capacity;
  ready = 0;
  isFull = false;
  sent = changeAll(handle);
  refused = false;
  for (let i: u32 = 0; i < sent; i++) refused = refused || verdict(i) != OK;
  if (refused) return OK;
  if (notified && ready < capacity) {
    notified = false;
    push(NOTIFIED, 1, 0);
  }
  // From where the last wait ended, so that none starves.
  const first = from;
  for (let step: i32 = 0; step < <i32>FDS && ready < capacity; step++) {
    const fd = (first + step) & (FDS - 1);
    if (load<u8>(known + fd) != handle) continue;
    const mask = load<u32>(at(masks, fd));
    if (mask == 0) continue;
    const bits = load<u32>(at(readyBits, fd)) & (mask | ALWAYS);
    if (bits == 0) continue;
    if (mask & ONESHOT) store<u32>(at(masks, fd), 0);
    push(fd, bits, load<u32>(at(generations, fd)));
    from = fd + 1;
  }
  if (ready == 0) {
    // Nothing else can happen here than that time passes.
    if (!hasTimeout) unreachable();
    pass(timeout);
  }
  moment = now();
  isFull = ready == capacity;
  return OK;
}

/** An event of a registration that has gone, in front of the next wait's. */
export function haunt(fd: i32, generation: u32): void {
  store<u8>(known + fd, <u8>created);
  store<u32>(at(masks, fd), 1);
  store<u32>(at(generations, fd), generation);
  setReady(fd, 1);
}
