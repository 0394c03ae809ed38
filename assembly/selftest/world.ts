/** A poller and room for events on the scripted kernel, for one test at a time. */
import { inUse } from "../memory";
import { Poller, createdPoller } from "../poller";
import { EventBuffer } from "../readiness";
import { wait } from "../wait";
import { kernelObjects, notifiers, reset } from "./kernel";
import { equal, test } from "./report";

export const IN: u32 = 1;
export const OUT: u32 = 4;
export const HUP: u32 = 16;

export const READ: u32 = 1;
export const WRITE: u32 = 2;

export const ONESHOT: u32 = 0;
export const LEVEL: u32 = 1;

export let poller: Poller = changetype<Poller>(0);
export let events: EventBuffer = changetype<EventBuffer>(0);

/** Begins a test with a new poller and room for so many events. */
export function begin(name: string, room: u32 = 16): void {
  test(name);
  reset();
  equal(Poller.create(), 0);
  poller = createdPoller;
  events = EventBuffer.create(room)!;
}

/** Ends it: nothing may be left. */
export function end(): void {
  poller.destroy();
  events.destroy();
  equal(kernelObjects, 0);
  equal(notifiers, 0);
  equal(inUse(), 0);
}

/** Waits for so long, and answers how many events there are. */
export function poll(timeout: u64 = 0): u32 {
  equal(wait(poller, events, true, timeout), 0);
  return events.count;
}

export function keyOf(index: u32): u64 {
  return load<u64>(events.first + ((<usize>index) << 5));
}

export function readinessAt(index: u32): u32 {
  return load<u8>(events.first + ((<usize>index) << 5), 16);
}

/** Whether one of the events has this key. */
export function isTold(key: u64): bool {
  for (let i: u32 = 0; i < events.count; i++) if (keyOf(i) == key) return true;
  return false;
}
