/**
 * One instance of the simulated epoll: an interest list and a ready list, as epoll(7) names them. It works as Linux's
 * does: what happens to a file only puts its registrations on the ready list, and what they are ready for is asked when
 * events are taken.
 */
import { ERR, HUP, IN, type Description, type Polled, type Watcher } from "./description.js";
import type { Descriptors } from "./descriptors.js";
import type { Refusal } from "./refusals.js";

/** The operations in the order of `operation` in `wit/epoll.wit`. */
export const OPERATIONS = ["add", "modify", "delete"] as const;
export type Operation = (typeof OPERATIONS)[number];

/**
 * Which of so many registrations, at least one, is looked at next: a place from 0, where the one is that waited longest.
 */
export type EventOrder = (count: number) => number;

/** 32-bit words that one event takes in the buffer given to `take`: mask, slot, generation. */
export const EVENT_WORDS = 3;

const ONESHOT = 0x4000_0000;
const ET = 0x8000_0000;
/** What notifiers are registered under. */
const NO_NUMBER = -1;
/** The bits that say how to report, not what: EPOLLEXCLUSIVE, EPOLLWAKEUP, EPOLLONESHOT and EPOLLET. */
const MODIFIERS = 0xf000_0000;

/** A file that epoll can watch. */
export type PolledFile = Description & Polled;

/** An entry of the interest list: a description under one of its numbers. */
class Registration implements Watcher {
  readonly fd: number;
  readonly description: PolledFile;
  readonly #instance: EpollInstance;
  mask = 0;
  slot = 0;
  generation = 0;
  /** The neighbours on the ready list, and whether it is there. */
  previous: Registration | undefined;
  next: Registration | undefined;
  ready = false;

  constructor(instance: EpollInstance, fd: number, description: PolledFile) {
    this.#instance = instance;
    this.fd = fd;
    this.description = description;
  }

  /** What it is to report now. */
  poll(): number {
    return this.description.poll() & this.mask;
  }

  /** A fired one-shot registration has no bits left but its modifiers, and hears nothing, not even hang-ups. */
  wake(bits: number): void {
    if ((this.mask & ~MODIFIERS) === 0) return;
    if (bits !== 0 && (bits & this.mask) === 0) return;
    this.#instance.ready(this);
  }

  released(): void {
    this.#instance.forget(this);
  }
}

/** The registrations that may have something to report, the one that waited longest first. */
class ReadyList {
  #first: Registration | undefined;
  #last: Registration | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Where a registration already is, it stays. */
  push(registration: Registration): void {
    if (registration.ready) return;

    registration.ready = true;
    registration.previous = this.#last;
    if (this.#last === undefined) this.#first = registration;
    else this.#last.next = registration;
    this.#last = registration;
    this.#length++;
  }

  /** Takes the one at a place, counted from the one that waited longest. */
  take(place: number): Registration | undefined {
    let taken = this.#first;
    for (let left = place; left > 0; left--) taken = taken?.next;
    if (taken !== undefined) this.remove(taken);
    return taken;
  }

  remove(registration: Registration): void {
    if (!registration.ready) return;

    const { previous, next } = registration;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    registration.ready = false;
    registration.previous = undefined;
    registration.next = undefined;
    this.#length--;
  }
}

export class EpollInstance {
  /** The number by which the instance itself would be polled. No simulated file has it. */
  readonly descriptor: number;
  readonly #descriptors: Descriptors<PolledFile>;
  /**
   * By number. There can be several under one: a number that was closed and used again belongs to another description,
   * and the former one lives on through a duplicate.
   */
  readonly #registrations = new Map<number, Registration[]>();
  readonly #ready = new ReadyList();

  constructor(descriptors: Descriptors<PolledFile>, descriptor: number) {
    this.#descriptors = descriptors;
    this.descriptor = descriptor;
  }

  /** epoll_ctl(2). Returns why it is refused, or nothing. */
  control(operation: Operation, fd: number, mask: number, slot: number, generation: number): Refusal | undefined {
    const description = this.#descriptors.find(fd);
    if (description === undefined) return "bad-descriptor";
    // Before it looks for a registration, and for every operation.
    if (!description.pollable) return "not-permitted";

    const registration = this.#find(fd, description);
    if (operation === "add") {
      if (registration !== undefined) return "already-exists";
      this.#set(this.#add(fd, description), mask, slot, generation);
      return undefined;
    }

    if (registration === undefined) return "not-found";
    if (operation === "modify") {
      this.#set(registration, mask, slot, generation);
    } else {
      description.unwatch(registration);
      this.forget(registration);
    }
    return undefined;
  }

  /** Watches a notifier, which has no number that a call could name. Returns why it is refused, or nothing. */
  attach(notifier: PolledFile, slot: number, generation: number): Refusal | undefined {
    if (this.#find(NO_NUMBER, notifier) !== undefined) return "already-exists";
    this.#set(this.#add(NO_NUMBER, notifier), IN | ET, slot, generation);
    return undefined;
  }

  /**
   * The taking of events in epoll_wait(2), which never waits. Writes each as mask, slot and generation, and returns how
   * many there are.
   */
  take(capacity: number, events: Uint32Array, order: EventOrder | undefined): number {
    let count = 0;
    // As many as there are now: a level-triggered one goes to the end, behind those for which there is no room. So each
    // has its turn, as "if more than maxevents" under "Notes" in epoll_wait(2) says.
    for (let left = this.#ready.length; left > 0 && count < capacity; left--) {
      const registration = this.#ready.take(order === undefined ? 0 : order(left));
      const bits = registration?.poll() ?? 0;
      if (registration === undefined || bits === 0) continue;

      events[count * EVENT_WORDS] = bits;
      events[count * EVENT_WORDS + 1] = registration.slot;
      events[count * EVENT_WORDS + 2] = registration.generation;
      count++;
      if (registration.mask & ONESHOT) registration.mask &= MODIFIERS;
      else if (!(registration.mask & ET)) this.#ready.push(registration);
    }
    return count;
  }

  /** close(2) of the instance: its registrations end. */
  close(): void {
    for (const registrations of this.#registrations.values()) {
      for (const registration of registrations) registration.description.unwatch(registration);
    }
    this.#registrations.clear();
  }

  /** A registration may have something to report. */
  ready(registration: Registration): void {
    this.#ready.push(registration);
  }

  /** A registration is no more. */
  forget(registration: Registration): void {
    this.#ready.remove(registration);
    const others = (this.#registrations.get(registration.fd) ?? []).filter((other) => other !== registration);
    if (others.length === 0) this.#registrations.delete(registration.fd);
    else this.#registrations.set(registration.fd, others);
  }

  #find(fd: number, description: PolledFile): Registration | undefined {
    return this.#registrations.get(fd)?.find((registration) => registration.description === description);
  }

  #add(fd: number, description: PolledFile): Registration {
    const registration = new Registration(this, fd, description);
    const others = this.#registrations.get(fd);
    if (others === undefined) this.#registrations.set(fd, [registration]);
    else others.push(registration);
    description.watch(registration);
    return registration;
  }

  /** What is ready is reported anew, even if it is edge-triggered and has been reported: epoll_ctl(2) arms afresh. */
  #set(registration: Registration, mask: number, slot: number, generation: number): void {
    registration.mask = mask | ERR | HUP;
    registration.slot = slot;
    registration.generation = generation;
    if (registration.poll() !== 0) this.#ready.push(registration);
  }
}
