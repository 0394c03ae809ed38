/**
 * The poller's face: checks what it is given, then asks the component. Nothing about readiness is decided here.
 */
import { isMainThread } from "node:worker_threads";
import { type Attachable, Attachment, type AttachOptions, type Outlook, type Receiver, Trouble } from "./attachment.js";
import { BUSY, IDLE, type Instance, instanceFor, type LiftedPoller, type Resource, TRAPPED } from "./component.js";
import { adoptKeys, dispose } from "./dispose.js";
import { errorCodeAt, errorOf, rethrowLifted } from "./error-code.js";
import { invalidType, invalidValue, namedError, outOfRange, pollerError, type PollerError } from "./errors.js";
import { type Events, isEvents, type Key, roomFor, setLength } from "./events.js";
import { ANY_INTEREST, type Interest, type Mode, MODES } from "./interest.js";
import type { Kernel, KernelName } from "./kernel.js";
import { type Notifier, notifierOf } from "./notifier.js";
import { platformKernel } from "./platform.js";
import { reportUncaught } from "./uncaught.js";

/** What a {@link Poller} is made of. */
export interface PollerOptions {
  /** A kernel of this platform by its name, or a kernel object such as a simulated one. Default: the platform's. */
  readonly kernel?: KernelName | Kernel;
}

/** What {@link Poller.add} and {@link Poller.modify} may be told beside the interest. */
export interface RegistrationOptions {
  /** How often one state of readiness is reported. Default: `"oneshot"`; for `modify`, as before. */
  readonly mode?: Mode;
}

/** How long {@link Poller.wait} may block: one of the two, or neither. */
export interface WaitOptions {
  /** Milliseconds, with fractions, at least 0, which does not block. Default, and with `Infinity`: for ever. */
  readonly timeout?: number;
  /** When the wait ends, in milliseconds of {@link Poller.now}: at once if that has passed; with `Infinity`, never. */
  readonly deadline?: number;
}

/**
 * When a timer is due: milliseconds from now, or a deadline in milliseconds of {@link Poller.now}. One that has passed is
 * due at once; a timer that repeats counts its periods from there.
 */
export type When =
  | number
  | {
      /** Milliseconds, with fractions. Due at once if that has passed. */
      readonly deadline: number;
    };

/** What {@link Poller.addTimer} and {@link Poller.modifyTimer} may be told beside the moment. */
export interface TimerOptions {
  /** Milliseconds from one expiration to the next, with fractions; 0 is none. Default: none; for `modifyTimer`, as before. */
  readonly repeat?: number;
}

/** One change of a batch: see {@link Poller.apply}. */
export type Change =
  | {
      /** As {@link Poller.add} or {@link Poller.modify}. */
      readonly op: "add" | "modify";
      /** The descriptor. */
      readonly fd: number;
      /** What its events will bear: any u64. */
      readonly key: Key;
      /** What to watch for. */
      readonly interest: Interest;
      /** Default: `"oneshot"`; for `modify`, as before. */
      readonly mode?: Mode;
    }
  | {
      /** As {@link Poller.delete}. */
      readonly op: "delete";
      /** The descriptor. */
      readonly fd: number;
    };

/** Counts since the poller was created: see {@link Poller.stats}. */
export interface PollerStats {
  /** Calls of `wait`. */
  readonly waits: number;
  /** Events reported. */
  readonly events: number;
  /** Times that the kernel was asked to wait. */
  readonly kernelWaits: number;
  /** Changes that were sent to the kernel; on epoll, each is a system call. */
  readonly changes: number;
  /** Of those, the ones that only armed again, or disarmed what was not armed again in time. */
  readonly rearmsMade: number;
  /** Times that arming again needed no system call. */
  readonly rearmsLeftOut: number;
  /** Times that the kernel object was replaced, because a closed descriptor kept reporting through a duplicate. */
  readonly rebuilds: number;
  /** Registrations that stand now. */
  readonly registrations: number;
  /** Timers that stand now, armed or fired. */
  readonly timers: number;
}

const CHANGE_BYTES = 32;
const FAILURE_BYTES = 12;
const CHANGES_PER_CALL = 1024;
/** The largest number below 2^64 that a number can be: 584 years in nanoseconds. */
const LONGEST_TIMEOUT = 2 ** 64 - 2 ** 11;

/**
 * The longest that a thread blocks without running any JavaScript, in nanoseconds: a worker is terminated only when it
 * does. The main thread is not terminated.
 */
const LONGEST_BLOCK = isMainThread ? Infinity : 100e6;

/**
 * For `readable`, `writable` and `watch`: attaches a poller, and returns what collects more of its events inside
 * `onEvents`.
 *
 * @internal
 */
export let attachInternally: (poller: Poller, receiver: Receiver) => (events: Events) => number;

/**
 * A set of registered descriptors, and the wait for any of them to become ready.
 *
 * A poller belongs to the thread that made it. Everything is synchronous, and only {@link Poller.wait} blocks; or nothing
 * does, once it is {@link Poller.attach | attached} to the event loop. A descriptor is an integer of 32 bits; one below 0
 * is never open.
 *
 * Every method throws a {@link PollerError} with code `ERR_POLLER_CLOSED` after `close`, `ERR_POLLER_BUSY` while a call
 * of a poller on the same kernel runs (from inside a kernel written in JavaScript), and `ERR_POLLER_TRAPPED` once the
 * component has failed. `close` never throws the first. A call that was ended from outside counts as a failure of the
 * component: by Ctrl-C in a REPL, by a time limit of `node:vm`, or because the stack is exhausted.
 */
export class Poller implements Disposable {
  readonly #kernel: Kernel;
  readonly #instance: Instance;
  #representation: number;
  #attachment: Attachment | undefined;
  #isReferenced = true;
  readonly #trouble = new Trouble();
  /** Its notifier or its descriptor was given away: whether anybody still uses it, nobody knows. */
  #isKnownElsewhere = false;
  #lifted: Resource<LiftedPoller> | undefined;

  static {
    attachInternally = (poller, receiver) => {
      poller.#attach(receiver);
      return (events) => poller.#wait(events, 0);
    };
  }

  /**
   * Makes the kernel object, which takes a descriptor of the process.
   *
   * @throws PollerError `EMFILE`, `ENFILE`; `ENOMEM`, also if there is no address space for the component's memory;
   * `ERR_POLLER_UNSUPPORTED` if the platform has no such kernel, the kernel object lacks a function, there is no
   * WebAssembly, or a file of the package cannot be used
   * @throws TypeError `ERR_INVALID_ARG_TYPE`
   */
  constructor(options?: PollerOptions) {
    adoptKeys(Poller.prototype);
    this.#kernel = kernelOf(options);
    this.#instance = instanceFor(this.#kernel);
    if (this.#instance.state === BUSY) throw busy();
    const resource = rethrowLifted("create", () => this.#instance.createPoller());
    this.#lifted = resource;
    this.#representation = resource.representation;
  }

  /**
   * Registers a descriptor, armed. The verdict is the kernel's.
   *
   * @param fd the descriptor. The poller neither owns nor closes it
   * @param key what its events will bear: any u64
   * @param interest what to watch for: {@link Interest}'s numbers, joined with `|`
   * @throws PollerError `EEXIST` if it is registered, `EBADF` if it is not open, `EPERM` if this kind of file cannot be
   * polled, `ENOSPC` at the user's limit of registrations, `ELOOP` if pollers would watch one another in a circle or too
   * deep a nest, `EINVAL` if it is this poller's own, `ENOMEM`; nothing is registered then
   * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
   */
  add(fd: number, key: Key, interest: Interest, options?: RegistrationOptions): void {
    if (options === undefined && areOrdinary(fd, key, interest)) {
      this.#add(fd, key, 0, interest, KEEP);
      return;
    }
    checkFd(fd, this.#instance);
    checkInterest(interest);
    const low = lowWord(key);
    this.#add(fd, low, highWord(key), interest, modeOf(options));
  }

  #add(fd: number, low: number, high: number, interest: Interest, mode: number): void {
    const instance = this.#idle();
    let failure: number;
    instance.state = BUSY;
    try {
      failure = instance.add(this.#representation, fd, low, high, interest, mode === KEEP ? 0 : mode);
    } catch (cause) {
      throw instance.trapped(cause);
    }
    instance.refresh();
    instance.state = IDLE;
    if (failure !== 0) throw errorAt(instance, failure, "add", fd);
    this.#attachment?.settle();
  }

  /**
   * Replaces key, interest and, if given, mode of a registration, and arms it again.
   *
   * Arming again before the next wait makes no system call. Otherwise the change is sent with the next wait. If the
   * kernel rejects it, you get an event with `refused` and `errorCode`. So this call does not always report that the
   * descriptor has been closed.
   *
   * @throws PollerError `ENOENT` if it is not registered; if the kernel was asked, `EBADF` if it was closed, `EPERM`,
   * `ENOMEM`; the registration is as before then
   * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
   */
  modify(fd: number, key: Key, interest: Interest, options?: RegistrationOptions): void {
    // Nearly every call is like this, and the less code there is for it, the more of the loop around it is inlined.
    if (options === undefined && areOrdinary(fd, key, interest)) {
      this.#modify(fd, key, 0, interest, KEEP);
      return;
    }
    checkFd(fd, this.#instance);
    checkInterest(interest);
    const low = lowWord(key);
    this.#modify(fd, low, highWord(key), interest, modeOf(options));
  }

  #modify(fd: number, low: number, high: number, interest: Interest, mode: number): void {
    const instance = this.#idle();
    let failure: number;
    instance.state = BUSY;
    try {
      failure = instance.modify(this.#representation, fd, low, high, interest, mode);
    } catch (cause) {
      throw instance.trapped(cause);
    }
    instance.state = IDLE;
    if (failure !== 0) throw errorAt(instance, failure, "modify", fd);
    if (this.#attachment !== undefined) this.#attachment.settle();
  }

  /**
   * Ends a registration, in the kernel too. No event of it is reported afterwards. A descriptor that was closed while
   * registered is deleted once with success.
   *
   * @throws PollerError `ENOENT` if it is not registered, `EBADF` if it is below 0
   * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  delete(fd: number): void {
    checkFd(fd, this.#instance);
    const instance = this.#idle();
    let failure: number;
    instance.state = BUSY;
    try {
      failure = instance.delete(this.#representation, fd);
    } catch (cause) {
      throw instance.trapped(cause);
    }
    instance.state = IDLE;
    if (failure !== 0) throw errorAt(instance, failure, "delete", fd);
    this.#attachment?.settle();
  }

  /**
   * Makes many changes at once, as if one after the other. Changes of one descriptor that follow each other go to the
   * kernel as one where that makes no difference.
   *
   * @returns for each change the error that it met, or `undefined`. A change that failed left nothing behind and did not
   * keep the others from being made
   * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE` if any change is
   * malformed; none is made then
   */
  apply(changes: Iterable<Change>): (PollerError | undefined)[] {
    const checked = checkedChanges(changes, this.#instance);
    const instance = this.#idle();
    const verdicts = new Array<PollerError | undefined>(checked.length).fill(undefined);
    for (let from = 0; from < checked.length; from += CHANGES_PER_CALL) {
      this.#applySome(instance, checked, from, verdicts);
    }
    this.#attachment?.settle();
    return verdicts;
  }

  #applySome(instance: Instance, checked: CheckedChange[], from: number, verdicts: (PollerError | undefined)[]): void {
    const length = Math.min(checked.length - from, CHANGES_PER_CALL);
    instance.state = BUSY;
    try {
      const list = instance.allocate(length * CHANGE_BYTES);
      instance.refresh();
      for (let i = 0; i < length; i++) writeChange(instance, list + i * CHANGE_BYTES, checked[from + i]!);
      const area = instance.apply(this.#representation, list, length);
      instance.refresh();
      const failures = instance.words[area >> 2] as number;
      const count = instance.words[(area >> 2) + 1] as number;
      for (let i = 0; i < count; i++) {
        const at = failures + i * FAILURE_BYTES;
        const index = from + (instance.words[at >> 2] as number);
        verdicts[index] = errorOf(errorCodeAt(instance, at + 4), OPERATIONS[checked[index]!.tag] as string);
      }
      instance.applied(area);
    } catch (cause) {
      throw instance.trapped(cause);
    }
    instance.state = IDLE;
  }

  /**
   * Arms a timer, which expires after so long, and with `repeat` again and again from then on. Timers have keys of their
   * own. None expires early; periods that no wait has seen come as one event that counts them.
   *
   * A timer without `repeat` that has expired stands, so that it can be added, modified or deleted, once.
   *
   * @param key what its events will bear: any u64
   * @param when milliseconds from now, with fractions; 0 is due at once. Or a deadline
   * @throws PollerError `EEXIST` if it is armed, `ENOMEM`; nothing has changed then
   * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  addTimer(key: Key, when: When, options?: TimerOptions): void {
    const low = lowWord(key);
    const period = periodOf(options) ?? 0;
    const nanoseconds = this.#delayOf(when);
    const instance = this.#idle();
    this.#settle(instance, "addTimer", () =>
      instance.addTimer(this.#representation, low, highWord(key), nanoseconds, period),
    );
  }

  /**
   * Arms a timer anew, whether or not it has expired. Without `repeat` it keeps its period; `repeat: 0` ends that.
   *
   * @throws PollerError `ENOENT` if there is no such timer
   * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  modifyTimer(key: Key, when: When, options?: TimerOptions): void {
    const low = lowWord(key);
    const period = periodOf(options) ?? -1;
    const nanoseconds = this.#delayOf(when);
    const instance = this.#idle();
    this.#settle(instance, "modifyTimer", () =>
      instance.modifyTimer(this.#representation, low, highWord(key), nanoseconds, period),
    );
  }

  /**
   * Ends a timer. One that has expired is deleted once with success.
   *
   * @throws PollerError `ENOENT` if there is no such timer
   * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  deleteTimer(key: Key): void {
    const low = lowWord(key);
    const instance = this.#idle();
    this.#settle(instance, "deleteTimer", () => instance.deleteTimer(this.#representation, low, highWord(key)));
  }

  /** A call that answers 0, or where its failed result lies. */
  #settle(instance: Instance, syscall: string, call: () => number): void {
    let failure: number;
    instance.state = BUSY;
    try {
      failure = call();
    } catch (cause) {
      throw instance.trapped(cause);
    }
    instance.refresh();
    instance.state = IDLE;
    if (failure !== 0) throw errorAt(instance, failure, syscall);
    this.#attachment?.settle();
  }

  /**
   * Waits until a registered descriptor is ready or a timer expires, or the timeout is over.
   *
   * Blocks this thread. It returns 0 before the timeout is over only if it was notified. A notification ends one wait; an
   * old one may end another if the kernel object was replaced meanwhile (`rebuilds` in {@link stats}). Signals do not end
   * it, and JavaScript's signal handlers run only after it.
   *
   * @param events where the events go; what it held before is gone
   * @returns how many events there are, at most `events.capacity`
   * @throws PollerError `EINVAL` if there is room for no event, `ENOMEM`; `EMFILE` if a descriptor that was closed while
   * a duplicate of it lives has to be silenced and no descriptor is left for that, and nothing is ready;
   * `ERR_POLLER_ATTACHED` if the poller is attached
   * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  wait(events: Events, options?: WaitOptions): number {
    if (!isEvents(events)) throw invalidType("events", "an instance of Events", events);
    const timeout = this.#timeoutOf(options);
    if (this.#attachment !== undefined) this.#checkDetached();
    if (timeout >= 0 ? timeout <= LONGEST_BLOCK : LONGEST_BLOCK === Infinity) return this.#wait(events, timeout);
    return this.#waitInParts(events, timeout);
  }

  /** Waits as often as it takes, so that the thread can be terminated in between. */
  #waitInParts(events: Events, timeout: number): number {
    const end = timeout < 0 ? Infinity : this.now() * 1e6 + timeout;
    let left = timeout < 0 ? Infinity : timeout;
    while (true) {
      const count = this.#wait(events, Math.min(left, LONGEST_BLOCK));
      if (count > 0 || left <= LONGEST_BLOCK || this.#outlook().isNotified) return count;
      left = Math.max(0, end - this.now() * 1e6);
    }
  }

  #wait(events: Events, timeout: number): number {
    const instance = this.#idle();
    const room = roomFor(events, this.#kernel, instance);
    setLength(events, 0);
    let count: number;
    instance.state = BUSY;
    try {
      count = instance.wait(this.#representation, room, timeout);
    } catch (cause) {
      throw instance.trapped(cause);
    }
    instance.state = IDLE;
    if (count < 0) throw errorAt(instance, ~count, "wait");
    setLength(events, count);
    return count;
  }

  /**
   * Attaches the poller to this thread's event loop, which waits in its place. Nothing blocks: whenever there are events,
   * the callback gets them, all at once. If one turn of the loop has no room for all, the rest comes in the next turn.
   * Registrations, timers and notifications work as before. A notification without events calls the callback with none.
   *
   * A registration or an armed timer keeps the event loop active, unless {@link Poller.unref} was called. Timers come up
   * to a millisecond late, and never early.
   *
   * What the callback throws is an uncaught exception. It runs in the asynchronous context of this call.
   *
   * You need not close an attached poller that you drop. It is closed when it is collected, if nothing is registered, no
   * timer is armed, and neither {@link Poller.notifier} nor {@link Poller.fd} was ever used. Otherwise it stays open, and
   * goes on calling the callback.
   *
   * The poller may have an error of its own, which is no event of a descriptor. `onError` gets it, once: again only after
   * the poller has recovered. Without `onError` it is an uncaught exception. Meanwhile the poller is still attached. It
   * tries again after 1 ms, then at growing intervals up to 100 ms. Each time it first delivers what is ready, and timers
   * come when they are due. These errors are:
   * - `EMFILE`, `ENFILE`, `ENOMEM`, `ENOSPC`, `EAGAIN`: the kernel object must be replaced, because a descriptor was closed
   *   while a duplicate of it lives, and the system lacks what that takes
   * - `ERR_POLLER_TRAPPED`: the component has failed. The poller is not attached any more; make a new one
   *
   * @param callback gets the events, which stand until it returns: the same object each time. They are what was ready when
   * it was called, also if the callback ends some of these registrations
   * @throws PollerError `ERR_POLLER_ATTACHED` if it is attached; `ENOTSUP` if the kernel cannot be waited for by an event
   * loop, as simulated ones; `ENOSPC` at the user's limit of registrations, of which the event loop needs one; `EMFILE`,
   * `ENOMEM`, `EAGAIN`
   * @throws TypeError `ERR_INVALID_ARG_TYPE`
   */
  attach(callback: (events: Events) => void, options?: AttachOptions): void {
    if (typeof callback !== "function") throw invalidType("callback", "of type function", callback);
    this.#attach({
      onEvents: (events) => {
        callback(events);
        return true;
      },
      onError: onErrorOf(options) ?? reportUncaught,
    });
  }

  #attach(receiver: Receiver): void {
    this.#checkDetached();
    this.#attachment = new Attachment(this.#attachable(), receiver, this.#isReferenced);
    try {
      this.#attachment.open();
    } catch (error) {
      this.detach();
      throw error;
    }
    if (receiver.onTrap !== undefined) this.#instance.onTrap.add(receiver.onTrap.bind(receiver));
  }

  /** An attachment that was never opened to its end is none. */
  #checkDetached(): void {
    this.#idle();
    if (this.#attachment?.way !== undefined) throw attached();
    this.detach();
  }

  #attachable(): Attachable {
    return {
      collect: (events) => this.#wait(events, 0),
      outlook: () => (this.#canBeUsed() ? this.#outlook() : undefined),
      deliver: (wake) => {
        const delivery = this.#instance.deliver(this.#outlook().handle, wake);
        if (delivery === undefined) throw namedError("ENOTSUP", "attach", "no event loop can wait for this kernel");
        return delivery;
      },
      now: () => this.now(),
      isKnownElsewhere: () => this.#isKnownElsewhere,
      trouble: this.#trouble,
      onTrap: this.#instance.onTrap,
    };
  }

  /** What holds after the last call. */
  #outlook(): Outlook {
    const instance = this.#instance;
    const at = instance.outlook(this.#representation) >> 2;
    const { words } = instance;
    const high = words[at + 5] as number;
    return {
      hasQueued: words[at] !== 0,
      rebuilds: words[at + 1] as number,
      standing: words[at + 2] as number,
      isNotified: words[at + 3] !== 0,
      due: high === 0xffff_ffff ? Infinity : high * 2 ** 32 + (words[at + 4] as number),
      handle: words[at + 6] as number,
      isUnruly: words[at + 7] !== 0,
    };
  }

  /**
   * Takes the waiting back from the event loop: the callback is not called any more, and {@link Poller.wait} works again.
   * Does nothing if the poller is not attached. Events that have not been delivered are not lost.
   */
  detach(): void {
    this.#attachment?.close();
    this.#attachment = undefined;
  }

  /** How the event loop is told of events: `"uv_poll"` or `"thread"`; `undefined` if the poller is not attached. */
  get delivery(): string | undefined {
    return this.#attachment?.way;
  }

  /**
   * Has a registration or an armed timer keep the event loop active while the poller is attached. This is the default. As
   * with Node's own handles, calling it again has no effect, and it can be called before {@link Poller.attach}.
   */
  ref(): void {
    this.#idle();
    this.#isReferenced = true;
    this.#attachment?.refer(true);
  }

  /** Lets the event loop end, whatever is registered. Else as {@link Poller.ref}: it holds until `ref` is called. */
  unref(): void {
    this.#idle();
    this.#isReferenced = false;
    this.#attachment?.refer(false);
  }

  /**
   * Ends the next wait early. Notifications that no wait has seen are one. Other threads use a {@link notifier}.
   *
   * @throws PollerError `EMFILE`, `ENFILE`, `ENOMEM`, at the first call only
   */
  notify(): void {
    const instance = this.#idle();
    let failure: number;
    instance.state = BUSY;
    try {
      failure = instance.notify(this.#representation);
    } catch (cause) {
      throw instance.trapped(cause);
    }
    instance.state = IDLE;
    if (failure !== 0) throw errorAt(instance, failure, "notify");
    this.#attachment?.expectNotification();
  }

  /**
   * A notifier, with which any thread can end a wait of this poller, for ever: see {@link notify}.
   *
   * @throws PollerError `EMFILE`, `ENFILE`, `ENOMEM`; `ENOTSUP` if the kernel belongs to one thread, as simulated ones do
   */
  notifier(): Notifier {
    const id = this.#liftedCall("notifier", (poller) => poller.notifier());
    this.#staysForOthers();
    if (id === 0n)
      throw namedError("ENOTSUP", "notifier", "this kernel's pollers can be notified in their thread only");
    return notifierOf(id);
  }

  /**
   * The kernel object's own descriptor, to watch it with another poller or event loop: readable when an event is there.
   * It may look readable when there is nothing to report. It changes when `stats().rebuilds` does; do not close it.
   */
  get fd(): number {
    const descriptor = Number(this.#liftedCall("descriptor", (poller) => poller.descriptor()));
    this.#staysForOthers();
    return descriptor;
  }

  #staysForOthers(): void {
    this.#isKnownElsewhere = true;
    this.#attachment?.settle();
  }

  /**
   * The time of the clock by which this poller waits, in milliseconds with fractions. It never goes back; where it begins
   * is the kernel's affair. Deadlines are counted by it. Never blocks.
   */
  now(): number {
    return this.#idle().now();
  }

  /** What has been done so far, and what stands now. */
  stats(): PollerStats {
    const statistics = this.#liftedCall("stats", (poller) => poller.statistics());
    return {
      waits: Number(statistics.waits),
      events: Number(statistics.events),
      kernelWaits: Number(statistics.kernelWaits),
      changes: Number(statistics.changes),
      rearmsMade: Number(statistics.rearmsMade),
      rearmsLeftOut: Number(statistics.rearmsLeftOut),
      rebuilds: Number(statistics.rebuilds),
      registrations: statistics.registrations,
      timers: statistics.timers,
    };
  }

  /**
   * Closes the kernel object and forgets all registrations; the registered descriptors stay open. Closing twice does no
   * harm. A poller that is dropped without closing is closed when it is collected.
   *
   * @throws PollerError `ERR_POLLER_BUSY`; `ERR_POLLER_TRAPPED` if a kernel written in JavaScript throws
   */
  close(): void {
    const lifted = this.#lifted;
    if (lifted === undefined) return;
    if (this.#instance.isBusy()) throw busy();
    this.detach();
    this.#lifted = undefined;
    this.#representation = 0;
    // A trapped instance has closed everything.
    if (this.#instance.state === TRAPPED) this.#instance.release();
    else this.#instance.closePoller(lifted);
  }

  /** As {@link Poller.close}: what `using` calls at the end of its block. */
  [dispose](): void {
    this.close();
  }

  /** Nanoseconds to wait, or `FOR_EVER`. */
  #timeoutOf(options: WaitOptions | undefined): number {
    if (options === undefined) return FOR_EVER;
    checkOptions(options);
    const { timeout, deadline } = options;
    if (deadline === undefined) return timeout === undefined ? FOR_EVER : timeoutOf(timeout);
    if (timeout !== undefined) throw invalidValue("options", "a timeout or a deadline, not both", options);
    checkDeadline("options.deadline", deadline);
    return deadline === Infinity ? FOR_EVER : nanosecondsOf("options.deadline", Math.max(0, deadline - this.now()));
  }

  /** Nanoseconds until a timer is due; below 0 since it was, from where one that repeats has its beat. */
  #delayOf(when: When): number {
    if (typeof when !== "object" || when === null) return nanosecondsOf("when", when);
    const { deadline } = when;
    checkDeadline("when.deadline", deadline);
    const left = deadline - this.now();
    return left < 0 ? -nanosecondsOf("when.deadline", -left) : nanosecondsOf("when.deadline", left);
  }

  /** The instance, if a call can be made. */
  #idle(): Instance {
    const instance = this.#instance;
    if (instance.state !== IDLE || this.#representation === 0) throw this.#refusal();
    return instance;
  }

  #canBeUsed(): boolean {
    return this.#instance.state === IDLE && this.#representation !== 0;
  }

  #refusal(): PollerError {
    if (this.#lifted === undefined) return pollerError("ERR_POLLER_CLOSED", "The poller is closed");
    const instance = this.#instance;
    if (instance.isBusy()) return busy();
    instance.release();
    return pollerError("ERR_POLLER_TRAPPED", "The poller's component has failed; make a new poller");
  }

  #liftedCall<T>(syscall: string, call: (poller: LiftedPoller) => T): T {
    const instance = this.#idle();
    return rethrowLifted(syscall, () => instance.lifted(() => call(this.#lifted!.lifted)));
  }
}

function attached(): PollerError {
  return pollerError("ERR_POLLER_ATTACHED", "The poller is attached to the event loop, which waits in its place");
}

function busy(): PollerError {
  return pollerError("ERR_POLLER_BUSY", "The poller is busy: a call of a poller on the same kernel is running");
}

/** The error of a result that says that a call failed. */
function errorAt(instance: Instance, area: number, syscall: string, fd?: number): PollerError {
  const error = errorOf(errorCodeAt(instance, area + 4), syscall);
  if (fd !== undefined) error.message += `, fd ${fd}`;
  return error;
}

// ---- Arguments -------------------------------------------------------------------------------------------------------

/** No mode was given. */
const KEEP = -1;

function kernelOf(options: PollerOptions | undefined): Kernel {
  checkOptions(options);
  const kernel = options?.kernel;
  if (kernel === undefined || typeof kernel === "string") return platformKernel(kernel);
  if (typeof kernel === "object" && kernel !== null && typeof kernel.open === "function") return kernel;
  throw invalidType("options.kernel", "the name of a kernel or a kernel object", kernel);
}

function checkOptions(options: object | undefined): void {
  if (options === undefined || (typeof options === "object" && options !== null)) return;
  throw invalidType("options", "of type object", options);
}

/** @internal */
export function checkFd(fd: number, { largestDescriptor }: { readonly largestDescriptor: number }): void {
  if (typeof fd === "number" && (fd | 0) === fd) return;
  if (typeof fd !== "number") throw invalidType("fd", "of type number", fd);
  const smallest = -1 - largestDescriptor;
  if (Number.isInteger(fd) && fd >= smallest && fd <= largestDescriptor) return;
  throw outOfRange("fd", `an integer >= ${smallest} and <= ${largestDescriptor}`, fd);
}

function checkInterest(interest: Interest): void {
  if (typeof interest === "number" && (interest & ANY_INTEREST) === interest) return;
  if (typeof interest !== "number") throw invalidType("interest", "of type number", interest);
  throw outOfRange("interest", "values of Interest joined with |", interest);
}

/** Whether arguments need no further look: a descriptor, a key of 32 bits, an interest. */
function areOrdinary(fd: number, key: Key, interest: Interest): key is number {
  return (
    typeof fd === "number" &&
    (fd | 0) === fd &&
    typeof key === "number" &&
    key >>> 0 === key &&
    typeof interest === "number" &&
    (interest & ANY_INTEREST) === interest
  );
}

/** The lower 32 bits of a key. */
function lowWord(key: Key): number {
  if (typeof key === "number" && key >>> 0 === key) return key;
  checkKey(key);
  return typeof key === "number" ? key % 2 ** 32 : Number(key & 0xffff_ffffn);
}

/** The upper 32 bits of a key that `lowWord` has accepted. */
function highWord(key: Key): number {
  if (typeof key === "number") return key >>> 0 === key ? 0 : Math.floor(key / 2 ** 32);
  return Number(key >> 32n);
}

function checkKey(key: Key): void {
  if (typeof key === "number") {
    if (!Number.isSafeInteger(key) || key < 0) throw outOfRange("key", "an integer >= 0 and <= 2^53 - 1", key);
  } else if (typeof key === "bigint") {
    if (key < 0n || key >= 2n ** 64n) throw outOfRange("key", "a bigint >= 0n and < 2n ** 64n", key);
  } else {
    throw invalidType("key", "of type number or bigint", key);
  }
}

function modeOf(options: RegistrationOptions | undefined): number {
  if (options === undefined) return KEEP;
  checkOptions(options);
  const { mode } = options;
  return mode === undefined ? KEEP : modeNumber(mode);
}

function modeNumber(mode: Mode): number {
  const number = MODES.indexOf(mode);
  if (number === -1) throw invalidValue("mode", `one of ${MODES.map((name) => `"${name}"`).join(", ")}`, mode);
  return number;
}

function onErrorOf(options: AttachOptions | undefined): AttachOptions["onError"] {
  if (options === undefined) return undefined;
  checkOptions(options);
  const { onError } = options;
  if (onError !== undefined && typeof onError !== "function") {
    throw invalidType("options.onError", "of type function", onError);
  }
  return onError;
}

/** Below 0: for ever. */
const FOR_EVER = -1;

function timeoutOf(timeout: number): number {
  return timeout === Infinity ? FOR_EVER : nanosecondsOf("options.timeout", timeout);
}

function checkDeadline(name: string, deadline: number): void {
  if (typeof deadline !== "number") throw invalidType(name, "of type number", deadline);
  if (Number.isNaN(deadline)) throw outOfRange(name, "a number of milliseconds", deadline);
}

/** The period of a timer; `undefined` if none is given. One that is not 0 is at least a nanosecond. */
function periodOf(options: TimerOptions | undefined): number | undefined {
  if (options === undefined) return undefined;
  checkOptions(options);
  const { repeat } = options;
  return repeat === undefined ? undefined : nanosecondsOf("options.repeat", repeat);
}

/** Milliseconds as nanoseconds, rounded up so that nothing comes early. */
function nanosecondsOf(name: string, milliseconds: number): number {
  if (typeof milliseconds !== "number") throw invalidType(name, "of type number", milliseconds);
  if (!(milliseconds >= 0)) throw outOfRange(name, "a number >= 0", milliseconds);
  return Math.min(Math.ceil(milliseconds * 1e6), LONGEST_TIMEOUT);
}

// ---- Batches ---------------------------------------------------------------------------------------------------------

/** The operations in the order of the `change` variant in `wit/poller.wit`. */
const OPERATIONS = ["add", "modify", "delete"] as const;
const TAG_MODIFY = 1;
const TAG_DELETE = 2;

interface CheckedChange {
  readonly tag: number;
  readonly fd: number;
  readonly low: number;
  readonly high: number;
  readonly interest: number;
  readonly mode: number;
}

function checkedChanges(changes: Iterable<Change>, instance: Instance): CheckedChange[] {
  if (typeof (changes as Partial<Iterable<Change>> | null | undefined)?.[Symbol.iterator] !== "function") {
    throw invalidType("changes", "iterable", changes);
  }
  return Array.from(changes, (change) => checkedChange(change, instance));
}

function checkedChange(change: Change, instance: Instance): CheckedChange {
  if (typeof change !== "object" || change === null) throw invalidType("change", "of type object", change);
  const { op, fd } = change;
  const tag = OPERATIONS.indexOf(op);
  if (tag === -1) throw invalidValue("change.op", '"add", "modify" or "delete"', op);
  checkFd(fd, instance);
  if (tag === TAG_DELETE) return { tag, fd, low: 0, high: 0, interest: 0, mode: KEEP };
  const { key, interest, mode } = change as Exclude<Change, { op: "delete" }>;
  checkInterest(interest);
  const low = lowWord(key);
  return { tag, fd, low, high: highWord(key), interest, mode: mode === undefined ? KEEP : modeNumber(mode) };
}

/** Writes a change as the canonical ABI stores the `change` variant. */
function writeChange(instance: Instance, at: number, change: CheckedChange): void {
  const { bytes, words } = instance;
  bytes[at] = change.tag;
  words[(at >> 2) + 2] = change.fd;
  words[(at >> 2) + 3] = Math.floor(change.fd / 2 ** 32);
  if (change.tag === TAG_DELETE) return;
  words[(at >> 2) + 4] = change.low;
  words[(at >> 2) + 5] = change.high;
  bytes[at + 24] = change.interest;
  if (change.tag === TAG_MODIFY) {
    bytes[at + 25] = change.mode === KEEP ? 0 : 1;
    bytes[at + 26] = change.mode;
  } else {
    bytes[at + 25] = change.mode === KEEP ? 0 : change.mode;
  }
}
