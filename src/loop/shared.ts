/**
 * The poller that all promises, callbacks and iterations of a thread share. It is attached to the event loop, and made when
 * it is first needed. In it a descriptor has at most one registration, whose interest is what all who wait for the
 * descriptor want together.
 *
 * Joining uses the mode "edge-oneshot", in which arming costs a system call, which fails at once if the descriptor is not
 * open any more or its number is another file's. A registration that nothing waits for stays, disarmed, because most are
 * waited for again. Only while nothing but callbacks wait, which stay by themselves until the kernel says that it is over,
 * the mode is "oneshot", in which arming again is free.
 *
 * Kernels without edges have "oneshot" alone. There a registration ends with the last that waits for it, so that the next
 * one is added, which fails just as early; and one that joins others is first taken for one that would be added.
 *
 * Callbacks of the program are never called inside a call of the program's. What such a call finds out about others is told
 * to them when the code that runs has returned.
 */
import type { PollPhase } from "../attachment.js";
import { listenForCloses } from "../closing.js";
import { namedError, PollerError } from "../errors.js";
import type { Events } from "../events.js";
import { Interest, type Mode } from "../interest.js";
import { attachInternally, Poller } from "../poller.js";
import { type Ready, readyOf } from "./ready.js";
import { Registration, type Taker } from "./registration.js";

/** Something that waits until a timer expires, and not longer. */
export interface Timed {
  /** The time is over, and nothing was ready by then. */
  expire(): void;
}

/** What was collected of a registration. */
interface Collected {
  readonly key: number;
  readonly ready: Ready;
}

export class Shared {
  readonly #poller = new Poller();
  readonly #collect: (events: Events) => number;
  readonly #byFd = new Map<number, Registration>();
  readonly #byKey = new Map<number, Registration>();
  readonly #timed = new Map<number, Timed>();
  #lastKey = 0;
  /** Whether the kernel has edges, as far as is known. */
  #hasEdges = true;
  /** How many wait. */
  #count = 0;

  constructor() {
    try {
      this.#collect = attachInternally(this.#poller, {
        onEvents: (events, phase) => this.#dispatch(events, phase),
        // The poller tries again, and what is waited for still comes.
        onError: () => {},
        onTrap: (error) => this.#abandon(error),
      });
      this.#poller.unref();
    } catch (error) {
      this.#poller.close();
      throw error;
    }
  }

  // ---- Those who wait ------------------------------------------------------------------------------------------------

  /** Has a taker wait for a descriptor. @throws PollerError if that cannot be; nothing has changed for the taker then */
  join(fd: number, taker: Taker): void {
    const registration = this.#byFd.get(fd);
    if (registration === undefined) this.#add(taker, this.#register(fd, taker.interest));
    else if (this.#armFor(taker, registration)) this.#add(taker, registration);
    else this.#add(taker, this.#registerAnew(fd, taker.interest));
  }

  #add(taker: Taker, registration: Registration): void {
    registration.add(taker);
    if (this.#count++ === 0) this.#poller.ref();
  }

  /** Returns `false` if the registration's file was closed, which those who wait for it are told. */
  #armFor(taker: Taker, registration: Registration): boolean {
    try {
      if (!this.#hasEdges) this.#checkFile(registration);
      this.#arm(registration, registration.interest | taker.interest, "edge-oneshot");
      return true;
    } catch (error) {
      if (!isGone(error)) throw error;
      this.#fail(registration, error);
      return false;
    }
  }

  /** Has a taker not wait any more. The registration stays, to be armed again by the next one. */
  leave(taker: Taker): void {
    const registration = taker.place;
    if (registration === undefined) return;
    registration.remove(taker);
    if (--this.#count === 0) this.#quietly(() => this.#poller.unref());
  }

  /** As {@link release}. */
  release(fd: number): void {
    const registration = this.#byFd.get(fd);
    if (registration?.isEmpty) this.#unregister(registration);
  }

  /** Returns the timer's key. @throws PollerError `ENOMEM` */
  expireAfter(timeout: number, timed: Timed): number {
    const key = ++this.#lastKey;
    this.#poller.addTimer(key, timeout);
    this.#timed.set(key, timed);
    return key;
  }

  forgetTimer(key: number): void {
    if (this.#timed.delete(key)) this.#quietly(() => this.#poller.deleteTimer(key));
  }

  // ---- Registrations -------------------------------------------------------------------------------------------------

  #register(fd: number, interest: Interest): Registration {
    const registration = new Registration(fd, ++this.#lastKey);
    const { key } = registration;
    try {
      if (this.#hasEdges) this.#poller.add(fd, key, interest, { mode: "edge-oneshot" });
      else this.#poller.add(fd, key, interest);
      registration.mode = this.#hasEdges ? "edge-oneshot" : "oneshot";
    } catch (error) {
      if (!this.#hasEdges || !hasCode(error, "ENOTSUP")) throw error;
      // The mode, or the interest. The same without edges tells which of them.
      this.#poller.add(fd, key, interest);
      this.#hasEdges = false;
      registration.mode = "oneshot";
    }
    this.#byFd.set(fd, registration);
    this.#byKey.set(key, registration);
    return registration;
  }

  /** As `#register`, for a number whose file was closed. It may be our own by now, of which kernels say `EINVAL`. */
  #registerAnew(fd: number, interest: Interest): Registration {
    try {
      return this.#register(fd, interest);
    } catch (error) {
      throw hasCode(error, "EINVAL") ? namedError("EBADF", "watch") : error;
    }
  }

  #arm(registration: Registration, interest: Interest, wanted: Mode): void {
    const { fd, key } = registration;
    const mode = this.#hasEdges ? wanted : "oneshot";
    if (registration.mode === mode) this.#poller.modify(fd, key, interest);
    else this.#poller.modify(fd, key, interest, { mode });
    registration.mode = mode;
  }

  /** What a modify with edges tells by itself. @throws PollerError `EBADF` if the file of a registration was closed */
  #checkFile({ fd, key }: Registration): void {
    try {
      this.#poller.add(fd, key, Interest.NONE);
    } catch (error) {
      if (hasCode(error, "EEXIST")) return;
      throw error;
    }
    // The number is another file's by now.
    throw namedError("EBADF", "watch");
  }

  #unregister({ fd, key }: Registration): void {
    if (this.#byFd.get(fd)?.key === key) this.#byFd.delete(fd);
    this.#byKey.delete(key);
    this.#quietly(() => this.#poller.delete(fd));
  }

  /** Ends something. If that fails, the kernel or the component holds nothing of it any more, and it has ended. */
  #quietly(end: () => void): void {
    try {
      end();
    } catch (error) {
      if (!(error instanceof PollerError)) throw error;
    }
  }

  // ---- What the kernel tells -----------------------------------------------------------------------------------------

  /** Returns whether there may be more to collect. */
  #dispatch(events: Events, phase: PollPhase): boolean {
    const expired: Timed[] = [];
    const collected = this.#gather(events, expired);
    this.#serve(collected, phase);
    // A time-out is one only if nothing was ready by then: so what is there is collected after each that is over.
    for (let asked = 0; asked < expired.length;) {
      asked = expired.length;
      if (this.#collectMore(events) > 0) this.#serve(this.#gather(events, expired), undefined);
    }
    for (const timed of expired) timed.expire();
    return false;
  }

  /** All that is there, as of now: what is armed by one shot is reported once, however many waits that takes. */
  #gather(events: Events, expired: Timed[]): Collected[] {
    const collected: Collected[] = [];
    do {
      for (const event of events) {
        const key = event.key as number;
        if (!event.timer) collected.push({ key, ready: readyOf(event) });
        else this.#noteExpired(key, expired);
      }
    } while (events.length === events.capacity && this.#collectMore(events) > 0);
    return collected;
  }

  #collectMore(events: Events): number {
    try {
      return this.#collect(events);
    } catch {
      // What was collected is served first. The next collection fails in the same way.
      return 0;
    }
  }

  #noteExpired(key: number, expired: Timed[]): void {
    const timed = this.#timed.get(key);
    if (timed !== undefined) expired.push(timed);
  }

  /** Serves all who are concerned. Without a phase, only those that do not stay: the others were called before. */
  #serve(collected: readonly Collected[], phase: PollPhase | undefined): void {
    for (const { key, ready } of collected) {
      // A callback for an earlier one may have ended this registration.
      const registration = this.#byKey.get(key);
      if (registration !== undefined) this.#deliver(registration, ready, phase);
    }
  }

  #deliver(registration: Registration, ready: Ready, phase: PollPhase | undefined): void {
    if (ready.refused) {
      this.#fail(registration, namedError(ready.errorCode ?? "EBADF", "watch"));
      return;
    }
    const callsBack = phase !== undefined && registration.turns.isNext(phase);
    // A callback may have any of them leave, and others come.
    for (const taker of registration.concerned(ready)) {
      if (taker.place === registration && (callsBack || !taker.stays)) taker.take(ready);
    }
    if (this.#byKey.get(registration.key) === registration) this.#rearm(registration);
  }

  #rearm(registration: Registration): void {
    if (registration.isEmpty) {
      if (!this.#hasEdges) this.#unregister(registration);
      return;
    }
    try {
      this.#arm(registration, registration.interest, registration.isStaying ? "oneshot" : "edge-oneshot");
    } catch (error) {
      this.#fail(registration, error as PollerError);
    }
  }

  /** Ends a registration that the kernel refused to change, and all who wait for it. */
  #fail(registration: Registration, error: PollerError): void {
    this.#unregister(registration);
    const told = isGone(error) ? namedError("EBADF", "watch") : error;
    for (const taker of registration.all()) {
      // A signal of the program's own making may have ended it when another one left.
      if (taker.place !== registration) continue;
      this.leave(taker);
      taker.fail(told);
    }
  }

  /**
   * The component has failed, and nothing more will come of it. Called inside the call that failed, and again if that was
   * at the end of the stack, which may cut this off anywhere: who was not told yet is still there then.
   */
  #abandon(error: PollerError): void {
    if (current === this) current = undefined;
    this.#timed.clear();
    for (const [key, registration] of this.#byKey) {
      for (const taker of registration.all()) {
        if (taker.place !== registration) continue;
        taker.fail(error);
        if (taker.place !== undefined) registration.remove(taker);
      }
      this.#byKey.delete(key);
    }
    this.#byFd.clear();
    this.#poller.close();
  }

  // ---- Closes --------------------------------------------------------------------------------------------------------

  /** The kernel forgets a descriptor only if it is told before the close, should the file have another descriptor. */
  closing(fd: number): void {
    if (this.#byFd.has(fd)) this.#quietly(() => this.#poller.delete(fd));
  }

  closed(fd: number): void {
    const registration = this.#byFd.get(fd);
    if (registration !== undefined) this.#fail(registration, namedError("EBADF", "watch"));
  }
}

let current: Shared | undefined;

/**
 * Has a taker wait for a descriptor. Returns where it waits.
 *
 * @throws PollerError in the words of the caller
 */
export function join(fd: number, taker: Taker, syscall: string): Shared {
  try {
    const shared = (current ??= opened());
    shared.join(fd, taker);
    return shared;
  } catch (error) {
    throw reworded(error, syscall, fd);
  }
}

/** Ends a descriptor's registration if nothing waits for it: what was armed for one that has left must not stay armed. */
export function release(fd: number): void {
  current?.release(fd);
}

function opened(): Shared {
  const shared = new Shared();
  listenForCloses({
    closing: (fd) => current?.closing(fd),
    closed: (fd) => current?.closed(fd),
  });
  return shared;
}

/** An error of the kernel's, as one of a call for a descriptor. */
export function reworded<E>(error: E, syscall: string, fd: number): E | PollerError {
  if (!(error instanceof PollerError) || error.errno === undefined) return error;
  return namedError(codeFor(error), syscall, `fd ${fd}`);
}

/** The code that tells the program what has happened. That the kernel does not know a registration means: it was closed. */
export function codeFor({ code }: PollerError): string {
  return code === "ENOENT" ? "EBADF" : code;
}

/**
 * Errors of a change of a registration whose file was closed: the number names nothing, or another file, which may be of a
 * kind that cannot be polled (`EPERM`, on Windows `ENOTSOCK`), or the poller's own (`EINVAL`).
 */
const GONE = ["ENOENT", "EBADF", "EPERM", "ENOTSOCK", "EINVAL"];

/** Whether the kernel refused to change a registration because its file was closed. */
function isGone(error: unknown): error is PollerError {
  return error instanceof PollerError && GONE.includes(error.code);
}

function hasCode(error: unknown, code: string): error is PollerError {
  return error instanceof PollerError && error.code === code;
}
