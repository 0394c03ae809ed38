/**
 * One descriptor's registration with the shared poller, and all who wait for the descriptor.
 *
 * Joining and leaving take the same time whatever the number of those who wait, and serving takes time for those who are
 * served: there is a set for each interest, of which there are seven.
 */
import type { PollerError } from "../errors.js";
import { ANY_INTEREST, Interest, type Mode } from "../interest.js";
import { concerns, type Ready } from "./ready.js";
import { Turns } from "./turns.js";

/** Something that waits for a descriptor. */
export interface Taker {
  readonly interest: Interest;
  /** Whether it goes on waiting by itself after it was served. */
  readonly stays: boolean;
  /** Where it waits, while it does. */
  place: Registration | undefined;
  /** Tells who came first. */
  order: number;
  /** Serves it. If it does not stay, it leaves. Calls back into the program only if it stays. */
  take(ready: Ready): void;
  /** Ends it: it does not wait any more. Never calls back into the program before it returns. */
  fail(error: PollerError): void;
}

let lastOrder = 0;

export class Registration {
  mode: Mode = "oneshot";
  /** By interest. */
  readonly #takers: (Set<Taker> | undefined)[] = [];
  #count = 0;
  #staying = 0;
  /** Of those that stay. */
  readonly turns = new Turns();

  constructor(
    readonly fd: number,
    /** Never used twice, so that an event of a registration that has ended is no other's. */
    readonly key: number,
  ) {}

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Whether all who wait stay by themselves. */
  get isStaying(): boolean {
    return this.#staying === this.#count;
  }

  /** What all who wait want together. */
  get interest(): Interest {
    let interest: Interest = Interest.NONE;
    for (let each = 1; each <= ANY_INTEREST; each++) if (this.#takers[each]?.size) interest |= each;
    return interest;
  }

  add(taker: Taker): void {
    taker.place = this;
    taker.order = ++lastOrder;
    (this.#takers[taker.interest] ??= new Set()).add(taker);
    this.#count++;
    if (taker.stays) this.#staying++;
  }

  remove(taker: Taker): void {
    taker.place = undefined;
    this.#takers[taker.interest]?.delete(taker);
    this.#count--;
    if (taker.stays) this.#staying--;
  }

  /** All whom readiness concerns, in the order in which they came. */
  concerned(ready: Ready): Taker[] {
    return this.#inOrder(ready);
  }

  /** All, in the order in which they came. */
  all(): Taker[] {
    return this.#inOrder(undefined);
  }

  #inOrder(ready: Ready | undefined): Taker[] {
    const takers: Taker[] = [];
    let groups = 0;
    for (let interest = 1; interest <= ANY_INTEREST; interest++) {
      const group = this.#takers[interest];
      if (group === undefined || group.size === 0) continue;
      if (ready !== undefined && !concerns(ready, interest)) continue;
      groups++;
      for (const taker of group) takers.push(taker);
    }
    return groups > 1 ? takers.toSorted((a, b) => a.order - b.order) : takers;
  }
}
