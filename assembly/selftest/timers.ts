/** Timers: the heap and the table against a plain list, and what a wait makes of them. */
import { EEXIST, ENOENT } from "../errors";
import { allocate, inUse, release } from "../memory";
import { READABLE, TIMER } from "../readiness";
import { Timers, firedKey, saturated } from "../timers";
import { KEEP_MODE, add, modify, notify } from "../poller";
import { wait } from "../wait";
import { now, pass, time } from "./clock";
import { setReady, waits } from "./kernel";
import { equal, holds, test } from "./report";
import { IN, ONESHOT, READ, begin, end, events, keyOf, poll, poller, readinessAt } from "./world";

const MILLISECOND: u64 = 1_000_000;
const KEYS: i32 = 300;
const NONE: u64 = u64.MAX_VALUE;

// The plain list: when the timer of each key is due, or NONE if it is not armed; and whether it stands.
const dues = memory.data(300 * 8, 8);
const stands = memory.data(300, 8);

let seed: u32 = 0;

function random(below: u32): u32 {
  seed = seed * 1664525 + 1013904223;
  return (seed >> 8) % below;
}

function dueOf(key: i32): u64 {
  return load<u64>(dues + ((<usize>key) << 3));
}

function setDue(key: i32, due: u64): void {
  store<u64>(dues + ((<usize>key) << 3), due);
}

/** Far apart, and meeting in the table: multiples of a large number. */
function keyFor(number: i32): u64 {
  return number % 2 == 0 ? <u64>number : (<u64>number) << 40;
}

function earliest(): u64 {
  let first = NONE;
  for (let key = 0; key < KEYS; key++) if (dueOf(key) < first) first = dueOf(key);
  return first;
}

function emptyTimers(): Timers {
  const at = allocate(offsetof<Timers>());
  memory.fill(at, 0, offsetof<Timers>());
  return changetype<Timers>(at);
}

/** One random step on the timers and on the list; what the timers answer must be what the list says. */
function step(timers: Timers): void {
  const number = <i32>random(KEYS);
  const key = keyFor(number);
  const due = <u64>random(1000);
  const isStanding = load<u8>(stands + number) != 0;
  const isArmed = dueOf(number) != NONE;
  const choice = random(8);
  if (choice < 3) {
    equal(timers.add(key, due, 0), isArmed ? EEXIST : 0);
    if (isArmed) return;
    setDue(number, due);
    store<u8>(stands + number, 1);
  } else if (choice < 5) {
    equal(timers.modify(key, due, 0), isStanding ? 0 : ENOENT);
    if (isStanding) setDue(number, due);
  } else if (choice < 7) {
    equal(timers.remove(key), isStanding ? 0 : ENOENT);
    setDue(number, NONE);
    store<u8>(stands + number, 0);
  } else if (timers.armed > 0) {
    const first = timers.nextDue;
    equal(first, earliest());
    equal(timers.fire(first), 1);
    for (let other = 0; other < KEYS; other++) {
      if (keyFor(other) != firedKey) continue;
      equal(dueOf(other), first);
      setDue(other, NONE);
    }
  }
}

export function testTimers(): void {
  test("timers do what a list of them would, over ten thousand random steps");
  const timers = emptyTimers();
  for (let key = 0; key < KEYS; key++) setDue(key, NONE);
  memory.fill(stands, 0, KEYS);
  for (let i = 0; i < 10_000; i++) step(timers);
  let last: u64 = 0;
  while (timers.armed > 0) {
    const due = timers.nextDue;
    holds(due >= last);
    last = due;
    timers.fire(due);
  }
  for (let key = 0; key < KEYS; key++) equal(timers.remove(keyFor(key)), load<u8>(stands + key) ? 0 : ENOENT);
  equal(timers.count, 0);
  timers.clear();
  release(changetype<usize>(timers), offsetof<Timers>());
  equal(inUse(), 0);

  test("a moment beyond the end of time is the end of time");
  equal(saturated(5, 6), 11);
  equal(saturated(u64.MAX_VALUE - 1, 5), u64.MAX_VALUE);

  begin("a timer expires when it is due, not before, and bounds a wait that has no end");
  equal(poller.timers.add(7, now() + 10 * MILLISECOND, 0), 0);
  equal(poll(9 * MILLISECOND), 0);
  equal(poll(9 * MILLISECOND), 1);
  equal(keyOf(0), 7);
  equal(readinessAt(0), TIMER);
  equal(load<u64>(events.first, 8), 1);
  equal(poller.timers.add(8, now() + 5 * MILLISECOND, 0), 0);
  const before = time;
  equal(wait(poller, events, false, 0), 0);
  equal(events.count, 1);
  equal(time - before, 5 * MILLISECOND);
  end();

  begin("fault 11: a timer that has fired is added, modified or deleted, once");
  equal(poller.timers.add(7, now(), 0), 0);
  equal(poller.timers.add(7, now(), 0), EEXIST);
  equal(poll(), 1);
  equal(poll(), 0);
  equal(poller.timers.add(7, now(), 0), 0);
  equal(poll(), 1);
  equal(poller.timers.modify(7, now(), 0), 0);
  equal(poll(), 1);
  equal(poller.timers.remove(7), 0);
  equal(poller.timers.remove(7), ENOENT);
  equal(poller.timers.modify(7, now(), 0), ENOENT);
  end();

  begin("periods that were missed come as one event that counts them, and the next one keeps the beat");
  equal(poller.timers.add(7, now() + 10, 10), 0);
  pass(35);
  equal(poll(), 1);
  equal(load<u64>(events.first, 8), 3);
  equal(poll(), 0);
  pass(5);
  equal(poll(), 1);
  equal(load<u64>(events.first, 8), 1);
  end();

  begin("timers and descriptors with the same key are told apart, in one wait");
  equal(add(poller, 5, 42, READ, ONESHOT), 0);
  setReady(5, IN);
  equal(poller.timers.add(42, now(), 0), 0);
  equal(poll(), 2);
  equal(keyOf(0), 42);
  equal(keyOf(1), 42);
  equal(readinessAt(0) | readinessAt(1), TIMER | READABLE);
  end();

  begin("where there is room for one, timers and descriptors have it in turn", 1);
  equal(add(poller, 5, 5, READ, ONESHOT), 0);
  setReady(5, IN);
  equal(poller.timers.add(9, now(), 1), 0);
  let timersTold = 0;
  let descriptorsTold = 0;
  for (let i = 0; i < 10; i++) {
    pass(1);
    equal(poll(), 1);
    if (keyOf(0) == 9) timersTold++;
    else descriptorsTold++;
    equal(modify(poller, 5, 5, READ, KEEP_MODE), 0);
  }
  equal(timersTold, 5);
  equal(descriptorsTold, 5);
  end();

  begin("a notification ends a wait before its timer is due");
  equal(poller.timers.add(7, now() + MILLISECOND, 0), 0);
  equal(notify(poller), 0);
  const asked = waits;
  equal(wait(poller, events, false, 0), 0);
  equal(events.count, 0);
  equal(waits - asked, 1);
  end();
}
