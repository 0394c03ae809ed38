/**
 * `apply`: many changes in as few crossings as can be, as if they were made one after the other.
 *
 * The changes are those of the `change` variant of wit/poller.wit, 32 bytes each, in memory that the caller has given
 * up:
 *
 *    0  tag      4  -      8  fd     16  key      24  interest     25  add: mode                            28  -
 *                                                                  25  modify: 1 if there is a mode
 *                                                                  26  modify: mode
 *
 * The two gaps serve as notes: at 4 the operation that settles the change, plus 1; at 28 its error if it needs none.
 *
 * Two changes of one descriptor become one operation where one verdict answers for both: modify after modify, modify
 * after the add of what is not registered, delete after modify. Any other second change of a descriptor waits for the
 * first one's verdict.
 */
import { EBADF, EEXIST, ENOENT, ENOMEM, ENOTSUP, OK, storeError } from "./errors";
import * as kernel from "./kernel";
import {
  ADD,
  DELETE,
  KEEP_MODE,
  MODIFY,
  Poller,
  carryOut,
  deleteVerdict,
  isTaken,
  modifiedHere,
  operationAt,
  planAdd,
  planDelete,
  planModify,
  remove,
} from "./poller";
import { REGISTERED } from "./registrations";

const CHANGE_SHIFT: u32 = 5;
const FAILURE_BYTES: u32 = 12;

// Which operation of the batch concerns a descriptor: open addressing, an operation's place plus 1 in each cell. Twice
// as many cells as operations.
const CELLS: u32 = 2048;
const cells = memory.data(2048 * 2, 8);

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function tagOf(change: usize): u32 {
  return load<u8>(change);
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function fdOf(change: usize): kernel.Descriptor {
  return kernel.descriptorOf(load<i64>(change, 8));
}

/** Makes the changes. The failed ones are written over the first ones, as `failure` records; answers how many. */
export function apply(poller: Poller, changes: usize, length: u32): u32 {
  let failures: u32 = 0;
  let from: u32 = 0;
  for (let i: u32 = 0; i < length; i++) {
    const change = changes + ((<usize>i) << CHANGE_SHIFT);
    if (mustWait(poller, change)) {
      failures = conclude(poller, changes, from, i, failures);
      from = i;
    }
    plan(poller, change);
  }
  return conclude(poller, changes, from, length, failures);
}

function mustWait(poller: Poller, change: usize): bool {
  if (kernel.staged() == kernel.BATCH) return true;
  const fd = kernel.placeOf(poller.places, fdOf(change));
  const place = load<u16>(cellOf(fd));
  if (place == 0) return false;
  const kind = operationAt(place - 1).kind;
  const tag = tagOf(change);
  if (kind == MODIFY) return tag == ADD;
  // What is refused for its mode must not be so before it is known whether there is something to modify.
  return !(kind == ADD && tag == MODIFY && hasGivenMode(change) && !isRegistered(poller, fd));
}

function isRegistered(poller: Poller, fd: i32): bool {
  const entry = poller.find(fd);
  return entry != null && (entry.state & REGISTERED) != 0;
}

function plan(poller: Poller, change: usize): void {
  store<u32>(change, 0, 4);
  store<u32>(change, OK, 28);
  const descriptor = fdOf(change);
  if (descriptor < 0) {
    refuse(change, EBADF);
    return;
  }
  const isAdd = tagOf(change) == ADD;
  if (isAdd && !kernel.hasMode(load<u8>(change, 25))) {
    refuse(change, ENOTSUP);
    return;
  }
  const fd = isAdd ? kernel.placeFor(poller.places, poller, descriptor) : kernel.placeOf(poller.places, descriptor);
  if (fd < 0) {
    refuse(change, isAdd ? ENOMEM : ENOENT);
    return;
  }
  const cell = cellOf(fd);
  const place = <u32>load<u16>(cell);
  const index = place == 0 ? planFirst(poller, change, fd) : planAnother(poller, change, place - 1);
  if (index < 0) return;
  store<u16>(cell, <u16>(index + 1));
  store<u32>(change, index + 1, 4);
}

/** Notes that a change fails without the kernel's word. Answers that no operation settles it. */
function refuse(change: usize, error: u32): i32 {
  store<u32>(change, error, 28);
  return -1;
}

/** Plans a change of a descriptor that the batch does not concern yet. Answers its operation's place, or -1. */
function planFirst(poller: Poller, change: usize, fd: i32): i32 {
  const tag = tagOf(change);
  const key = load<u64>(change, 16);
  const interest = <u32>load<u8>(change, 24);
  if (tag == ADD) {
    if (isTaken(poller, fd)) return refuse(change, EEXIST);
    return planAdd(poller, fd, key, interest, load<u8>(change, 25));
  }

  const entry = poller.find(fd);
  if (entry == null || !(entry.state & REGISTERED)) return refuse(change, ENOENT);
  if (tag == DELETE) {
    if (entry.applied != kernel.ABSENT) return planDelete(fd, entry);
    return refuse(change, remove(poller, fdOf(change)));
  }
  const given = givenMode(change);
  const mode = given == KEEP_MODE ? <u32>entry.mode : given;
  if (!kernel.hasMode(mode)) return refuse(change, ENOTSUP);
  if (modifiedHere(poller, entry, fd, key, interest, mode)) return -1;
  return planModify(entry, fd, key, interest, mode);
}

/** Joins a change to the operation that the batch has for its descriptor. */
function planAnother(poller: Poller, change: usize, index: u32): i32 {
  const operation = operationAt(index);
  if (tagOf(change) == DELETE) {
    operation.kind = DELETE;
    kernel.restageDelete(index);
    return index;
  }
  if (!hasGivenMode(change)) return refuse(change, ENOTSUP);
  const given = givenMode(change);
  const isLate = operation.kind == MODIFY && poller.find(operation.fd)!.isLate;
  operation.key = load<u64>(change, 16);
  operation.interest = load<u8>(change, 24);
  if (given != KEEP_MODE) operation.mode = <u8>given;
  operation.hold = kernel.armed(operation.interest, operation.mode, isLate);
  kernel.restage(index, operation.hold);
  return index;
}

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function hasGivenMode(change: usize): bool {
  if (kernel.HAS_ALL_MODES) return true;
  const given = givenMode(change);
  return given == KEEP_MODE || kernel.hasMode(given);
}

function givenMode(change: usize): u32 {
  return load<u8>(change, 25) == 0 ? KEEP_MODE : load<u8>(change, 26);
}

/** Carries out what is planned for the changes from `from` to `to`, and notes which of them failed. */
function conclude(poller: Poller, changes: usize, from: u32, to: u32, failures: u32): u32 {
  carryOut(poller);
  memory.fill(cells, 0, CELLS << 1);
  for (let i = from; i < to; i++) {
    const error = verdictOf(changes + ((<usize>i) << CHANGE_SHIFT));
    if (error == OK) continue;
    // A failure is shorter than a change, so this is over changes that have been concluded.
    const failure = changes + <usize>(failures * FAILURE_BYTES);
    store<u32>(failure, i);
    storeError(failure + 4, error);
    failures++;
  }
  return failures;
}

function verdictOf(change: usize): u32 {
  const place = load<u32>(change, 4);
  if (place == 0) return load<u32>(change, 28);
  const operation = operationAt(place - 1);
  const tag = tagOf(change);
  if (tag == DELETE) return deleteVerdict(operation.error);
  // Without the add there is nothing to modify.
  if (tag == MODIFY && operation.kind == ADD && operation.error != OK) return ENOENT;
  return operation.error;
}

/** The cell of a descriptor's place: the one that has it, or the free one where it goes. */
function cellOf(fd: i32): usize {
  let index = ((<u32>fd * 0x9e3779b1) >> 21) & (CELLS - 1);
  while (true) {
    const cell = cells + ((<usize>index) << 1);
    const place = load<u16>(cell);
    if (place == 0 || operationAt(place - 1).fd == fd) return cell;
    index = (index + 1) & (CELLS - 1);
  }
}
