/**
 * One kqueue: its knotes, and the queue of those that are to be reported. It works as kern_event.c of the kernels does,
 * all of which descend from FreeBSD's: what happens to a file runs the filters of the knotes on it, those that find
 * something are queued, and the filter is run again when the event is taken.
 */
import {
  type Condition,
  type Description,
  type Filter,
  type Filtered,
  IN,
  LAST,
  OUT,
  PRI,
  type Watcher,
} from "./description.js";
import type { Descriptors } from "./descriptors.js";
import type { Particulars } from "./kqueue-flavours.js";
import type { ErrorCode } from "./lowering.js";
import type { Refusal } from "./refusals.js";

/** A file that kqueue can watch. */
export type FilteredFile = Description & Filtered;

/** The filters in the order of `filter` in `wit/kqueue.wit`. */
export const FILTERS = ["read", "write", "except", "user"] as const;
export type FilterName = (typeof FILTERS)[number];

/** The `actions` of `wit/kqueue.wit`, as bits in their order there. */
export const ADD = 1;
export const DELETE = 2;
export const ENABLE = 4;
export const DISABLE = 8;
export const CLEAR = 16;
export const DISPATCH = 32;

/** An element of the eventlist. */
export interface KqueueEvent {
  readonly fd: number;
  readonly generation: number;
  readonly filter: FilterName;
  readonly end: boolean;
  readonly last: boolean;
  readonly error: ErrorCode | undefined;
  readonly amount: bigint;
}

/** For whom the bits of `wake` are. */
const HINTS: Readonly<Record<Filter, number>> = { read: IN, write: OUT, except: PRI };

/** What the knote of a notifier finds, which is in the queue only when it was notified. */
const NOTIFIED: Condition = { active: true, end: false, amount: 0n };

/** A knote: what one filter watches. */
class Knote implements Watcher {
  readonly fd: number;
  readonly filter: FilterName;
  readonly #instance: KqueueInstance;
  readonly #file: FilteredFile | undefined;
  /** EV_CLEAR and EV_DISPATCH, as it was made with: no later change of a knote sets them. */
  readonly modes: number;
  generation: number;
  isActive = false;
  isDisabled: boolean;
  /** EV_ONESHOT. */
  isLast = false;

  constructor(instance: KqueueInstance, fd: number, filter: FilterName, modes: number, file?: FilteredFile) {
    this.#instance = instance;
    this.fd = fd;
    this.filter = filter;
    this.modes = modes;
    this.#file = file;
    this.generation = 0;
    this.isDisabled = false;
    file?.watch(this);
  }

  evaluate(): Condition {
    return this.filter === "user" || this.#file === undefined ? NOTIFIED : this.#file.evaluate(this.filter);
  }

  wake(bits: number): void {
    if (this.filter === "user" || (bits !== 0 && (bits & HINTS[this.filter]) === 0)) return;
    if (bits & LAST) this.isLast = true;
    if (this.evaluate().active) this.#instance.activate(this);
  }

  detach(): void {
    this.#file?.unwatch(this);
  }

  /** Knotes end with their number, so that none is left when its file goes. */
  released(): void {}
}

export class KqueueInstance {
  /** The number by which the kqueue itself would be polled. No simulated file has it. */
  readonly descriptor: number;
  readonly #descriptors: Descriptors<FilteredFile>;
  readonly #particulars: Particulars;
  /** By number, then by filter. */
  readonly #knotes = new Map<number, Map<FilterName, Knote>>();
  /** Those with something to report, the one that waited longest first. */
  readonly #queue = new Set<Knote>();
  #notified: Knote | undefined;

  constructor(descriptors: Descriptors<FilteredFile>, particulars: Particulars, descriptor: number) {
    this.#descriptors = descriptors;
    this.#particulars = particulars;
    this.descriptor = descriptor;
  }

  /** One change of kevent(2)'s changelist. Returns why it is refused, or nothing. */
  change(fd: number, generation: number, filter: FilterName, actions: number): Refusal | undefined {
    if (filter === "user") return "invalid-argument";
    if (filter === "except" && !this.#particulars.hasExcept) return "not-supported";

    const { enableAndDisable, closedWithoutAdd } = this.#particulars;
    const isBoth = (actions & (ENABLE | DISABLE)) === (ENABLE | DISABLE);
    if (isBoth && enableAndDisable === "refused") return "invalid-argument";
    const disables = (actions & DISABLE) !== 0 && !(isBoth && enableAndDisable === "enable");
    const enables = (actions & ENABLE) !== 0 && !disables;

    const file = this.#descriptors.find(fd);
    if (file === undefined) return actions & ADD ? "bad-descriptor" : closedWithoutAdd;

    const knote = this.#knotes.get(fd)?.get(filter);
    if (knote === undefined) return actions & ADD ? this.#add(fd, generation, filter, actions, disables) : "not-found";
    if (actions & DELETE) this.#drop(knote);
    else this.#update(knote, generation, actions, enables, disables);
    return undefined;
  }

  #add(fd: number, generation: number, filter: Filter, actions: number, disables: boolean): Refusal | undefined {
    const file = this.#descriptors.find(fd);
    const refusal = file?.attach(filter, this.#particulars);
    if (refusal !== undefined) return refusal;

    const knote = new Knote(this, fd, filter, actions & (CLEAR | DISPATCH), file);
    const others = this.#knotes.get(fd);
    if (others === undefined) this.#knotes.set(fd, new Map([[filter, knote]]));
    else others.set(filter, knote);
    knote.generation = generation;
    knote.isDisabled = disables;
    if (knote.evaluate().active) this.activate(knote);
    return undefined;
  }

  /**
   * "Re-adding an existing event will modify the parameters of the original event." That it "automatically enables it" is
   * not what the kernels do to one that is disabled: only EV_ENABLE does.
   */
  #update(knote: Knote, generation: number, actions: number, enables: boolean, disables: boolean): void {
    const { everyChangeSetsData, evaluates } = this.#particulars;
    const isEnabling = (actions & ADD) !== 0 || (enables && knote.isDisabled);
    if (enables) knote.isDisabled = false;
    if (disables) knote.isDisabled = true;
    if (everyChangeSetsData || actions & ADD) knote.generation = generation;

    const isRun = { always: true, enabled: !knote.isDisabled, enabling: isEnabling }[evaluates];
    if (isRun && knote.evaluate().active) this.activate(knote);
    // What happened while it was disabled is known, and looked at again when it is taken.
    else if (knote.isActive && !knote.isDisabled) this.#queue.add(knote);
  }

  /** A knote has something to report. Where it already is in the queue, it stays. */
  activate(knote: Knote): void {
    knote.isActive = true;
    if (!knote.isDisabled) this.#queue.add(knote);
  }

  /**
   * The taking of events in kevent(2), which never waits: kqueue_scan(). A level-triggered one goes to the end, behind
   * those for which there is no room, so that each has its turn.
   */
  take(capacity: number, events: KqueueEvent[]): number {
    for (let left = this.#queue.size; left > 0 && events.length < capacity; left--) {
      const [knote] = this.#queue;
      if (knote === undefined) break;
      this.#queue.delete(knote);
      // It stays active: when it is enabled it is queued again.
      if (knote.isDisabled) continue;

      const { active, end, error, amount } = knote.evaluate();
      if (!active) {
        knote.isActive = false;
        continue;
      }
      const { fd, generation, filter, isLast: last } = knote;
      events.push({ fd, generation, filter, end, last, error: error && { tag: error }, amount });
      this.#settle(knote);
    }
    return events.length;
  }

  /** What becomes of a knote that was reported. */
  #settle(knote: Knote): void {
    if (knote.isLast) return this.#drop(knote);
    const clears = (knote.modes & CLEAR) !== 0;
    const dispatches = (knote.modes & DISPATCH) !== 0 && !(clears && this.#particulars.clearExcludesDispatch);
    if (dispatches) knote.isDisabled = true;
    if (clears || dispatches) knote.isActive = false;
    else this.#queue.add(knote);
  }

  /** EV_ADD and EV_CLEAR of EVFILT_USER. */
  attachNotifier(): void {
    this.#notified ??= new Knote(this, 0, "user", CLEAR);
  }

  /** NOTE_TRIGGER. */
  notify(): void {
    if (this.#notified !== undefined) this.activate(this.#notified);
  }

  /** EV_DELETE of EVFILT_USER. */
  detachNotifier(): void {
    if (this.#notified !== undefined) this.#queue.delete(this.#notified);
    this.#notified = undefined;
  }

  /** "Calling close() on a file descriptor will remove any kevents that reference the descriptor." */
  closing(fd: number): void {
    for (const knote of this.#knotes.get(fd)?.values() ?? []) this.#drop(knote);
  }

  /** close(2) of the kqueue: its knotes end. */
  close(): void {
    for (const fd of this.#knotes.keys()) this.closing(fd);
    this.detachNotifier();
  }

  #drop(knote: Knote): void {
    knote.detach();
    this.#queue.delete(knote);
    const others = this.#knotes.get(knote.fd);
    others?.delete(knote.filter);
    if (others?.size === 0) this.#knotes.delete(knote.fd);
  }
}
