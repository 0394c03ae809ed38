/**
 * Timers: a heap by the time at which they are due, and a table by key.
 *
 *   slots   one record a timer, 40 bytes, in one block that doubles; a free one is linked to the next free one
 *   heap    the armed ones' places in `slots`, the one that is due first at 0
 *   table   open addressing on the key: a place in `slots` plus 1, or 0; at most half full
 *
 * Adding, moving and firing one among n takes log n steps, finding one by its key a few. Nothing is allocated but to make
 * room for more timers than there ever were.
 */
import { EEXIST, ENOENT, ENOMEM, OK } from "./errors";
import { allocate, release } from "./memory";

/** Not in the heap: a one-shot timer that has fired, until it is armed again or deleted. */
const FIRED: u32 = 0xffffffff;

/** One timer. Free ones use `place` for the next free one's place in `slots`, plus 1. */
// @ts-ignore: top-level decorators are AssemblyScript's
@unmanaged
class Timer {
  key: u64;
  /** When it is due, in the clock's nanoseconds. */
  due: u64;
  /** Nanoseconds from one expiration to the next; 0 for one-shot. */
  period: u64;
  /** Its place in the heap, or `FIRED`. */
  place: u32;
}

const TIMER_BYTES: u32 = 32;
const FIRST_CAPACITY: u32 = 16;
// Beyond this the sizes of the blocks are no 32-bit numbers any more.
const LAST_CAPACITY: u32 = 1 << 25;

/** The timers of one poller, or of nobody: all fields 0 is a valid, empty state. */
// @ts-ignore: top-level decorators are AssemblyScript's
@unmanaged
export class Timers {
  slots: usize;
  heap: usize;
  table: usize;
  /** Records in `slots`; the table has twice as many cells. */
  capacity: u32;
  /** Timers that stand, armed or fired. */
  count: u32;
  /** Timers in the heap. */
  armed: u32;
  /** The first free record plus 1, or 0. */
  free: u32;

  /** Arms a timer that is not armed: `EEXIST` if it is, `ENOMEM`. */
  add(key: u64, due: u64, period: u64): u32 {
    let index = this.find(key);
    if (index >= 0) {
      if (this.at(index).place != FIRED) return EEXIST;
    } else {
      if (this.free == 0 && !this.grow()) return ENOMEM;
      index = this.insert(key);
    }
    this.arm(index, due, period);
    return OK;
  }

  /** Arms a timer that stands at another time: `ENOENT` if it does not. */
  modify(key: u64, due: u64, period: u64): u32 {
    const index = this.find(key);
    if (index < 0) return ENOENT;
    this.arm(index, due, period);
    return OK;
  }

  /** The period of a timer that stands, or 0. */
  periodOf(key: u64): u64 {
    const index = this.find(key);
    return index < 0 ? 0 : this.at(index).period;
  }

  /** Ends a timer: `ENOENT` if it does not stand. */
  remove(key: u64): u32 {
    const index = this.find(key);
    if (index < 0) return ENOENT;
    const timer = this.at(index);
    if (timer.place != FIRED) this.takeOut(timer.place);
    this.forget(index);
    return OK;
  }

  /** When the first one is due. There must be an armed one. */
  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  get nextDue(): u64 {
    return this.inHeap(0).due;
  }

  /**
   * Fires the one that is due first, at a time not before it is due. Answers how often it has expired; `firedKey` is its
   * key. A periodic one is armed for its next period that is still to come.
   */
  fire(time: u64): u64 {
    const timer = this.inHeap(0);
    firedKey = timer.key;
    const period = timer.period;
    if (period == 0) {
      this.takeOut(0);
      timer.place = FIRED;
      return 1;
    }
    const missed = (time - timer.due) / period;
    timer.due = saturated(timer.due + missed * period, period);
    this.sink(0);
    return missed + 1;
  }

  /** Gives all memory back. */
  clear(): void {
    if (this.capacity != 0) {
      release(this.slots, this.capacity * TIMER_BYTES);
      release(this.heap, this.capacity << 2);
      release(this.table, this.capacity << 3);
    }
    this.capacity = 0;
    this.count = 0;
    this.armed = 0;
    this.free = 0;
  }

  // ---- Records -------------------------------------------------------------------------------------------------------

  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  private at(index: u32): Timer {
    return changetype<Timer>(this.slots + <usize>(index * TIMER_BYTES));
  }

  private arm(index: u32, due: u64, period: u64): void {
    const timer = this.at(index);
    timer.period = period;
    const isIn = timer.place != FIRED;
    const isLater = isIn && due > timer.due;
    timer.due = due;
    if (!isIn) {
      timer.place = this.armed;
      this.put(this.armed++, index);
    }
    if (isLater) this.sink(timer.place);
    else this.rise(timer.place);
  }

  private insert(key: u64): u32 {
    const index = this.free - 1;
    const timer = this.at(index);
    this.free = timer.place;
    timer.key = key;
    timer.place = FIRED;
    store<u32>(this.cellOf(key), index + 1);
    this.count++;
    return index;
  }

  private forget(index: u32): void {
    const timer = this.at(index);
    this.clearCell(this.cellOf(timer.key));
    timer.place = this.free;
    this.free = index + 1;
    this.count--;
  }

  private grow(): bool {
    const capacity = this.capacity == 0 ? FIRST_CAPACITY : this.capacity << 1;
    if (capacity > LAST_CAPACITY) return false;
    const slots = allocate(capacity * TIMER_BYTES);
    const heap = allocate(capacity << 2);
    const table = allocate(capacity << 3);
    if (slots == 0 || heap == 0 || table == 0) {
      if (slots != 0) release(slots, capacity * TIMER_BYTES);
      if (heap != 0) release(heap, capacity << 2);
      if (table != 0) release(table, capacity << 3);
      return false;
    }
    this.moveTo(slots, heap, table, capacity);
    return true;
  }

  private moveTo(slots: usize, heap: usize, table: usize, capacity: u32): void {
    const old = this.capacity;
    if (old != 0) {
      memory.copy(slots, this.slots, old * TIMER_BYTES);
      memory.copy(heap, this.heap, old << 2);
      release(this.slots, old * TIMER_BYTES);
      release(this.heap, old << 2);
      release(this.table, old << 3);
    }
    this.slots = slots;
    this.heap = heap;
    this.table = table;
    this.capacity = capacity;
    memory.fill(table, 0, capacity << 3);
    // It grows only when every record is in use.
    for (let index: u32 = 0; index < old; index++) store<u32>(this.cellOf(this.at(index).key), index + 1);
    for (let index = old; index < capacity; index++) this.at(index).place = index + 1 < capacity ? index + 2 : 0;
    this.free = old + 1;
  }

  // ---- The table -----------------------------------------------------------------------------------------------------

  /** The place of a key's record, or -1. */
  private find(key: u64): i32 {
    if (this.capacity == 0) return -1;
    return <i32>load<u32>(this.cellOf(key)) - 1;
  }

  /** The cell of a key: the one that has it, or the free one where it goes. */
  private cellOf(key: u64): usize {
    const mask = (this.capacity << 1) - 1;
    let index = homeOf(key) & mask;
    while (true) {
      const cell = this.table + ((<usize>index) << 2);
      const place = load<u32>(cell);
      if (place == 0 || this.at(place - 1).key == key) return cell;
      index = (index + 1) & mask;
    }
  }

  /** Frees a cell, and moves up what was put behind it because it was taken: so no cell has to be marked as deleted. */
  private clearCell(cell: usize): void {
    const mask = (this.capacity << 1) - 1;
    let hole = (<u32>(cell - this.table)) >> 2;
    let index = hole;
    while (true) {
      index = (index + 1) & mask;
      const place = load<u32>(this.table + ((<usize>index) << 2));
      if (place == 0) break;
      const home = homeOf(this.at(place - 1).key) & mask;
      // It may move only if its home is not between the hole and itself.
      if (((index - home) & mask) < ((index - hole) & mask)) continue;
      store<u32>(this.table + ((<usize>hole) << 2), place);
      hole = index;
    }
    store<u32>(this.table + ((<usize>hole) << 2), 0);
  }

  // ---- The heap ------------------------------------------------------------------------------------------------------

  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  private inHeap(place: u32): Timer {
    return this.at(load<u32>(this.heap + ((<usize>place) << 2)));
  }

  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  private put(place: u32, index: u32): void {
    store<u32>(this.heap + ((<usize>place) << 2), index);
    this.at(index).place = place;
  }

  private takeOut(place: u32): void {
    const last = load<u32>(this.heap + ((<usize>--this.armed) << 2));
    if (place == this.armed) return;
    this.put(place, last);
    this.rise(place);
    this.sink(this.at(last).place);
  }

  private rise(start: u32): void {
    let place = start;
    const index = load<u32>(this.heap + ((<usize>place) << 2));
    const due = this.at(index).due;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const other = load<u32>(this.heap + ((<usize>above) << 2));
      if (this.at(other).due <= due) break;
      this.put(place, other);
      place = above;
    }
    this.put(place, index);
  }

  private sink(start: u32): void {
    let place = start;
    const index = load<u32>(this.heap + ((<usize>place) << 2));
    const due = this.at(index).due;
    while (true) {
      let below = (place << 1) + 1;
      if (below >= this.armed) break;
      if (below + 1 < this.armed && this.inHeap(below + 1).due < this.inHeap(below).due) below++;
      const other = load<u32>(this.heap + ((<usize>below) << 2));
      if (this.at(other).due >= due) break;
      this.put(place, other);
      place = below;
    }
    this.put(place, index);
  }
}

/** The key of the timer that fired last. */
export let firedKey: u64 = 0;

/** Where a key goes in the table, before it is cut to its size. Keys are small numbers in a row more often than not. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function homeOf(key: u64): u32 {
  return <u32>((key * 0x9e3779b97f4a7c15) >> 32);
}

/** A moment so much later, or the end of time. */
export function saturated(time: u64, duration: u64): u64 {
  return duration > u64.MAX_VALUE - time ? u64.MAX_VALUE : time + duration;
}
