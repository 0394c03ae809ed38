/**
 * Which changes a component may make: a policy, held against what the component has registered so far. Knows nothing of
 * how changes reach a kernel: the two forms of the kernel's functions bring that as a `Batch`.
 */

/** The operations of `wit/epoll.wit`, in its order. */
export const OPERATIONS = ["add", "modify", "delete"] as const;
export type Operation = (typeof OPERATIONS)[number];

/** Why a change or a creation is refused, as `wit/types.wit` names it. */
export type Refusal = "bad-descriptor" | "not-permitted" | "no-space";

/** A policy that was checked, with every limit filled in. */
export interface Limits {
  readonly permits: (fd: number) => boolean;
  readonly registrations: number;
  readonly pollers: number;
}

/** Changes that no one can alter any more, on their way to the kernel. */
export interface Batch {
  readonly length: number;
  operation(index: number): Operation;
  fd(index: number): number;
  /** Notes that a change is refused without the kernel being asked. Called in the order of the changes. */
  refuse(index: number, refusal: Refusal): void;
  /** Has the kernel make the changes from `from` up to, but not including, `to`. Returns the tags of those that failed. */
  pass(from: number, to: number): ReadonlyMap<number, string>;
}

/** What one component instance was granted, and what it made of that. */
export class Grants {
  readonly #limits: Limits;
  /** The descriptors that are registered with each epoll instance that is open, by handle. */
  readonly #held = new Map<number, Set<number>>();
  #registrations = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Whether the component may make a further epoll instance. */
  get hasRoom(): boolean {
    return this.#held.size < this.#limits.pollers;
  }

  /** Notes that the component was given an epoll instance. */
  created(handle: number): void {
    this.closed(handle);
    this.#held.set(handle, new Set());
  }

  /** Notes that an epoll instance is closed, and all that was registered with it gone. */
  closed(handle: number): void {
    this.#registrations -= this.#held.get(handle)?.size ?? 0;
    this.#held.delete(handle);
  }

  /** Notes that everything is closed. */
  clear(): void {
    this.#held.clear();
    this.#registrations = 0;
  }

  /** Makes the changes that are granted and refuses the others, in order. The kernel gets them in runs. */
  apply(handle: number, batch: Batch): void {
    const held = this.#held.get(handle);
    if (held === undefined) {
      for (let index = 0; index < batch.length; index++) batch.refuse(index, "bad-descriptor");
      return;
    }

    let start = 0;
    let additions = 0;
    const passUpTo = (end: number): void => {
      if (start < end) this.#settle(held, batch, start, end, batch.pass(start, end));
      start = end;
      additions = 0;
    };

    for (let index = 0; index < batch.length; index++) {
      const operation = batch.operation(index);
      const fd = batch.fd(index);
      if (!this.#permits(held, operation, fd)) {
        passUpTo(index);
        batch.refuse(index, "not-permitted");
        start = index + 1;
        continue;
      }
      // What is registered already takes no further place: the kernel says EEXIST, or the number is another file's now.
      if (operation !== "add" || held.has(fd)) continue;

      // Whether there is a place can depend on what the kernel says to the changes before this one.
      if (this.#registrations + additions >= this.#limits.registrations) passUpTo(index);
      if (this.#registrations >= this.#limits.registrations && !held.has(fd)) {
        batch.refuse(index, "no-space");
        start = index + 1;
      } else {
        additions++;
      }
    }
    passUpTo(batch.length);
  }

  /** What was granted once can be given back, even if the policy has changed its mind since. */
  #permits(held: ReadonlySet<number>, operation: Operation, fd: number): boolean {
    // A promise would be truthy, and grant everything.
    return (operation === "delete" && held.has(fd)) || this.#limits.permits(fd) === true;
  }

  /** Follows what the kernel holds, by what it said. */
  #settle(held: Set<number>, batch: Batch, from: number, to: number, failed: ReadonlyMap<number, string>): void {
    const before = held.size;
    for (let index = from; index < to; index++) {
      const fd = batch.fd(index);
      switch (failed.get(index)) {
        case undefined:
          if (batch.operation(index) === "delete") held.delete(fd);
          else held.add(fd);
          break;
        case "already-exists":
          held.add(fd);
          break;
        case "not-found":
        case "bad-descriptor":
          // The file was closed, and the kernel has forgotten it: see epoll(7), question 6.
          held.delete(fd);
          break;
      }
    }
    this.#registrations += held.size - before;
  }
}
