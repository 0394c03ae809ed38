/**
 * What is registered: a slab with one entry per place, in two levels. A descriptor that is a small number is its own
 * place; of others the kernel's file says which place they have.
 *
 *   directory ──► [ page | page | 0 | page … ]     one word per 256 places, grown by doubling
 *                    │
 *                    ▼
 *                 256 entries of 32 bytes           made when one of them is first needed, kept until the end
 *
 * Descriptors are small and dense on POSIX systems, because the kernel gives out the lowest free number; so a lookup is
 * two loads. Entries outlive their registrations: the generation must, to tell old events from new ones.
 */
import { allocate, release } from "./memory";

/** The registration stands. */
export const REGISTERED: u8 = 1;
/** A one-shot registration that has reported and was not armed again: it wants nothing reported. */
export const FIRED: u8 = 2;
/** It is on the poller's list of what to look at before the next wait. */
export const QUEUED: u8 = 4;

export const MODE_ONESHOT: u32 = 0;
export const MODE_LEVEL: u32 = 1;
export const MODE_EDGE_ONESHOT: u32 = 3;

/** Predictions from here on say that a registration will be armed again only after the next wait. */
const LATE: u8 = 2;

/**
 * One entry, 32 bytes:
 *
 *    0  key         8  generation   16  next       24  interest   28  error
 *                  12  applied      20  firedAt    25  mode
 *                                                  26  state
 *                                                  27  lateness
 */
// @ts-ignore: top-level decorators are AssemblyScript's
@unmanaged
export class Registration {
  /** The user's. */
  key: u64;
  /** Counts the registrations that this place has had, and their ends. */
  generation: u32;
  /** What the kernel holds, in the kernel's terms. What is wanted follows from interest, mode and state. */
  applied: u32;
  /** The next place on the poller's list, plus 1; 0 at its end. */
  next: u32;
  /** The number of the wait that last reported it. */
  firedAt: u32;
  interest: u8;
  mode: u8;
  state: u8;
  /**
   * The predictor: 0 and 1 say that it will be armed again before the next wait, 2 and 3 that it will not. In level mode,
   * where nothing is armed again: how often it was reported since the kernel was last asked about it.
   */
  lateness: u8;
  /** What the kernel answered to a deferred change, until it is reported. */
  error: u32;

  /** Whether it is predicted to be armed again only after the next wait. */
  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  get isLate(): bool {
    return this.mode != MODE_LEVEL && this.lateness >= LATE;
  }

  /** Interest, mode, state and lateness in one word, for those who want most of them: see `INTEREST_FLAGS`. */
  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  get flags(): u32 {
    return load<u32>(changetype<usize>(this), offsetof<Registration>("interest"));
  }
}

// Of `Registration.flags`.
export const INTEREST_FLAGS: u32 = 0xff;
export const MODE_FLAGS: u32 = 0xff00;
export const REGISTERED_FLAG: u32 = (<u32>REGISTERED) << 16;
export const FIRED_FLAG: u32 = (<u32>FIRED) << 16;
export const LATENESS_SHIFT: u32 = 24;

const ENTRY_SHIFT: u32 = 5;
const PAGE_SHIFT: u32 = 8;
export const PAGE_ENTRIES: u32 = 1 << PAGE_SHIFT;
const PAGE_BYTES: u32 = PAGE_ENTRIES << ENTRY_SHIFT;
const FIRST_DIRECTORY: u32 = 16;

/** The slab of one poller. Embedded in it, so that a lookup starts from the poller's own address. */
// @ts-ignore: top-level decorators are AssemblyScript's
@unmanaged
export class Registrations {
  directory: usize;
  /** Words in the directory. */
  pages: u32;
  /** Registrations that stand. */
  count: u32;

  /** The entry of a place, or null if it was never needed; for numbers below 0 there is none. */
  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  find(fd: i32): Registration | null {
    const page = (<u32>fd) >> PAGE_SHIFT;
    if (page >= this.pages) return null;
    const entries = load<u32>(this.directory + ((<usize>page) << 2));
    if (entries == 0) return null;
    return changetype<Registration>(<usize>entries + (((<usize>fd) & (PAGE_ENTRIES - 1)) << ENTRY_SHIFT));
  }

  /** The entry of a place, made if it is not there; null if memory ran out, and then nothing has changed. */
  ensure(fd: i32): Registration | null {
    const page = (<u32>fd) >> PAGE_SHIFT;
    if (page >= this.pages && !this.widen(page)) return null;
    const word = this.directory + ((<usize>page) << 2);
    if (load<u32>(word) == 0) {
      const entries = allocate(PAGE_BYTES);
      if (entries == 0) return null;
      memory.fill(entries, 0, PAGE_BYTES);
      store<u32>(word, <u32>entries);
    }
    return this.find(fd);
  }

  /** The entries of a page, or 0 if there are none. */
  // @ts-ignore: decorators of methods are AssemblyScript's
  @inline
  entriesOf(page: u32): usize {
    return load<u32>(this.directory + ((<usize>page) << 2));
  }

  /** Gives all memory back. */
  clear(): void {
    for (let page: u32 = 0; page < this.pages; page++) {
      const entries = this.entriesOf(page);
      if (entries != 0) release(entries, PAGE_BYTES);
    }
    if (this.pages != 0) release(this.directory, this.pages << 2);
    this.pages = 0;
    this.count = 0;
  }

  private widen(page: u32): bool {
    let pages = this.pages == 0 ? FIRST_DIRECTORY : this.pages;
    while (pages <= page) pages <<= 1;
    const directory = allocate(pages << 2);
    if (directory == 0) return false;
    memory.fill(directory, 0, pages << 2);
    if (this.pages != 0) {
      memory.copy(directory, this.directory, this.pages << 2);
      release(this.directory, this.pages << 2);
    }
    this.directory = directory;
    this.pages = pages;
    return true;
  }
}

/** The entry at a place of a page. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function entryAt(entries: usize, place: u32): Registration {
  return changetype<Registration>(entries + ((<usize>place) << ENTRY_SHIFT));
}

/** The descriptor number of a place of a page. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function numberOf(page: u32, place: u32): i32 {
  return <i32>((page << PAGE_SHIFT) | place);
}
