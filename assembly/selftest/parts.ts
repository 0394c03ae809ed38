/**
 * The core's parts that depend on nothing, each by itself, for a test in another language that has a simple counterpart
 * of it: timers and a sorted list, the slab and a map, the memory and a list of blocks.
 */
import "../abi/abort";
import { allocate, inUse, release } from "../memory";
import { Registrations } from "../registrations";
import { Timers, firedKey } from "../timers";

export { allocate, inUse, release };

function empty(size: u32): usize {
  const at = allocate(size);
  memory.fill(at, 0, size);
  return at;
}

export function timersMake(): Timers {
  return changetype<Timers>(empty(offsetof<Timers>()));
}
export function timersAdd(timers: Timers, key: u64, due: u64, period: u64): u32 {
  return timers.add(key, due, period);
}
export function timersModify(timers: Timers, key: u64, due: u64, period: u64): u32 {
  return timers.modify(key, due, period);
}
export function timersRemove(timers: Timers, key: u64): u32 {
  return timers.remove(key);
}
export function timersPeriod(timers: Timers, key: u64): u64 {
  return timers.periodOf(key);
}
export function timersCount(timers: Timers): u32 {
  return timers.count;
}
export function timersArmed(timers: Timers): u32 {
  return timers.armed;
}
export function timersNext(timers: Timers): u64 {
  return timers.nextDue;
}
export function timersFire(timers: Timers, time: u64): u64 {
  return timers.fire(time);
}
export function timersFired(): u64 {
  return firedKey;
}
export function timersDrop(timers: Timers): void {
  timers.clear();
  release(changetype<usize>(timers), offsetof<Timers>());
}

export function slabMake(): Registrations {
  return changetype<Registrations>(empty(offsetof<Registrations>()));
}
/** Sets the key of an entry, which is made if it is not there. */
export function slabSet(slab: Registrations, fd: i32, key: u64): void {
  slab.ensure(fd)!.key = key;
}
/** The key of an entry; 0 if it is not there. */
export function slabGet(slab: Registrations, fd: i32): u64 {
  const entry = slab.find(fd);
  return entry == null ? 0 : entry.key;
}
export function slabDrop(slab: Registrations): void {
  slab.clear();
  release(changetype<usize>(slab), offsetof<Registrations>());
}
