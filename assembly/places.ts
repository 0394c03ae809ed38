/**
 * Which place in the slab a descriptor has, where descriptors are any numbers: open addressing with linear probing.
 *
 *   cells    ──► [ place + 1 | 0 | place + 1 … ]    a power of two of words, at most half of them in use; 0 is free
 *   numbers  ──► [ descriptor | descriptor … ]      by place; of a place that is free: the next free one, plus 1
 *
 * Places are given out from 0 without gaps, and used again, the last one that became free first.
 */
import { allocate, release } from "./memory";

const FIRST_NUMBERS: u32 = 32;

// @ts-ignore: top-level decorators are AssemblyScript's
@unmanaged
export class Places {
  cells: usize;
  numbers: usize;
  /** How many numbers there is room for. There are twice as many cells. */
  room: u32;
  /** How many places have been given out so far. */
  top: u32;
  /** A free place, plus 1; 0 if there is none. */
  free: u32;

  /** The place of a descriptor, or -1. */
  find(number: u64): i32 {
    if (this.room == 0) return -1;
    return <i32>load<u32>(this.cellOf(number)) - 1;
  }

  /** Gives a descriptor, which has none, a place; -1 if there is no memory for it. */
  give(number: u64): i32 {
    const place = this.free == 0 ? this.top : this.free - 1;
    if (place == this.room && !this.grow()) return -1;
    if (this.free == 0) this.top++;
    else this.free = <u32>this.numberOf(place);
    store<u64>(this.numbers + ((<usize>place) << 3), number);
    store<u32>(this.cellOf(number), place + 1);
    return <i32>place;
  }

  /** Takes the place of a descriptor away. */
  take(place: u32): void {
    const mask = (this.room << 1) - 1;
    let hole = this.cellOf(this.numberOf(place));
    // What was put further on because this cell was in use moves up, so that looking for it does not end here.
    let at = hole;
    while (true) {
      at = this.cells + ((at + 4 - this.cells) & (((<usize>mask) << 2) | 3));
      const other = load<u32>(at);
      if (other == 0) break;
      const home = this.cells + ((<usize>this.homeOf(this.numberOf(other - 1))) << 2);
      // Whether its home lies after the hole and not after itself, around the end of the table too.
      const isBetween = hole < at ? hole < home && home <= at : hole < home || home <= at;
      if (isBetween) continue;
      store<u32>(hole, other);
      hole = at;
    }
    store<u32>(hole, 0);
    store<u64>(this.numbers + ((<usize>place) << 3), this.free);
    this.free = place + 1;
  }

  /** The descriptor of a place. */
  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  numberOf(place: u32): u64 {
    return load<u64>(this.numbers + ((<usize>place) << 3));
  }

  /** Gives all memory back. */
  clear(): void {
    if (this.room == 0) return;
    release(this.cells, this.room << 3);
    release(this.numbers, this.room << 3);
    this.room = 0;
  }

  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  private homeOf(number: u64): u32 {
    return (<u32>((number * 0x9e3779b97f4a7c15) >> 32)) & ((this.room << 1) - 1);
  }

  /** The cell that has a descriptor, or the free one where it goes. */
  private cellOf(number: u64): usize {
    const mask = (this.room << 1) - 1;
    let index = this.homeOf(number);
    while (true) {
      const cell = this.cells + ((<usize>index) << 2);
      const place = load<u32>(cell);
      if (place == 0 || this.numberOf(place - 1) == number) return cell;
      index = (index + 1) & mask;
    }
  }

  /** Doubles the room. All places are in use then. */
  private grow(): bool {
    const room = this.room == 0 ? FIRST_NUMBERS : this.room << 1;
    const bytes = room << 3;
    const numbers = allocate(bytes);
    if (numbers == 0) return false;
    const cells = allocate(bytes);
    if (cells == 0) {
      release(numbers, bytes);
      return false;
    }
    const top = this.top;
    memory.copy(numbers, this.numbers, (<usize>top) << 3);
    memory.fill(cells, 0, bytes);
    this.clear();
    this.numbers = numbers;
    this.cells = cells;
    this.room = room;
    for (let place: u32 = 0; place < top; place++) store<u32>(this.cellOf(this.numberOf(place)), place + 1);
    return true;
  }
}
