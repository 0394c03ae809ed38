/** apply: coalescing, and a verdict for each change. */
import { apply } from "../batch";
import { EBADF, EEXIST, ENOENT, ENOMEM, loadError } from "../errors";
import { allocate, release } from "../memory";
import { add } from "../poller";
import { changesMade, closeFd, controls, refuse, setReady } from "./kernel";
import { equal, holds } from "./report";
import { IN, ONESHOT, OUT, READ, WRITE, begin, end, isTold, keyOf, poll, poller } from "./world";

const BYTES: u32 = 1200 * 32;
let list: usize = 0;
let length: u32 = 0;

function start(): void {
  list = allocate(BYTES);
  length = 0;
}

function push(tag: u8, fd: i32, key: u64 = 0, interest: u32 = 0): void {
  const at = list + ((<usize>length) << 5);
  length++;
  memory.fill(at, 0, 32);
  store<u8>(at, tag);
  store<i64>(at, fd, 8);
  store<u64>(at, key, 16);
  store<u8>(at, <u8>interest, 24);
}

function pushAdd(fd: i32, key: u64, interest: u32): void {
  push(0, fd, key, interest);
}

function pushModify(fd: i32, key: u64, interest: u32): void {
  push(1, fd, key, interest);
}

function pushDelete(fd: i32): void {
  push(2, fd);
}

/** Applies what was pushed, and answers how many changes failed. */
function run(): u32 {
  const failures = apply(poller, list, length);
  length = 0;
  return failures;
}

/** Holds the failure at a place of the answer to be that of a change, with that error. */
function holdsFailure(place: u32, index: u32, error: u32): void {
  const at = list + place * 12;
  equal(load<u32>(at), index);
  equal(loadError(at + 4), error);
}

export function testBatches(): void {
  begin("a batch of adds takes one call");
  start();
  for (let fd = 0; fd < 1000; fd++) pushAdd(fd, fd, READ);
  equal(run(), 0);
  equal(controls, 1);
  equal(poller.count, 1000);
  release(list, BYTES);
  end();

  begin("a batch that is longer than a call goes on in the next one");
  start();
  for (let fd = 0; fd < 1100; fd++) pushAdd(fd, fd, READ);
  equal(run(), 0);
  equal(controls, 2);
  equal(poller.count, 1100);
  release(list, BYTES);
  end();

  begin("changes of one descriptor become one where one verdict answers for both");
  start();
  pushAdd(5, 1, READ);
  pushModify(5, 2, WRITE);
  pushModify(5, 3, READ | WRITE);
  equal(run(), 0);
  equal(changesMade, 1);
  setReady(5, IN | OUT);
  equal(poll(), 1);
  equal(keyOf(0), 3);
  release(list, BYTES);
  end();

  begin("modify and delete become one delete");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  start();
  pushModify(5, 2, WRITE);
  pushDelete(5);
  equal(run(), 0);
  equal(changesMade, 2);
  equal(poller.count, 0);
  release(list, BYTES);
  end();

  begin("an add is never left out, whatever follows it");
  start();
  pushAdd(5, 1, READ);
  pushDelete(5);
  pushAdd(5, 2, READ);
  equal(run(), 0);
  equal(changesMade, 3);
  setReady(5, IN);
  equal(poll(), 1);
  equal(keyOf(0), 2);
  release(list, BYTES);
  end();

  begin("every change has a verdict of its own");
  equal(add(poller, 7, 70, READ, ONESHOT), 0);
  refuse(6, ENOMEM);
  start();
  pushAdd(5, 50, READ);
  pushAdd(6, 60, READ);
  pushModify(6, 61, READ);
  pushAdd(7, 71, READ);
  pushModify(8, 80, READ);
  pushDelete(9);
  pushAdd(-1, 1, READ);
  pushAdd(10, 100, READ);
  equal(run(), 6);
  holdsFailure(0, 1, ENOMEM);
  holdsFailure(1, 2, ENOENT);
  holdsFailure(2, 3, EEXIST);
  holdsFailure(3, 4, ENOENT);
  holdsFailure(4, 5, ENOENT);
  holdsFailure(5, 6, EBADF);
  equal(poller.count, 3);
  release(list, BYTES);
  end();

  begin("a second add of a descriptor is refused, and the first one stands");
  start();
  pushAdd(5, 1, READ);
  pushAdd(5, 2, READ);
  equal(run(), 1);
  holdsFailure(0, 1, EEXIST);
  setReady(5, IN);
  equal(poll(), 1);
  holds(isTold(1));
  release(list, BYTES);
  end();

  begin("deleting what was closed succeeds once, modifying it in the same batch does not");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  closeFd(5);
  start();
  pushModify(5, 2, WRITE);
  pushDelete(5);
  pushDelete(5);
  equal(run(), 2);
  holdsFailure(0, 0, EBADF);
  holdsFailure(1, 2, ENOENT);
  release(list, BYTES);
  end();
}
