/**
 * The events of a wait, read where the component wrote them.
 *
 * Layout: the `event` record of `wit/poller.wit` as the canonical ABI stores it, 32 bytes.
 *
 *    0  key       8  amount     16  readiness (1 byte)      20  1 if there is an error      24  its tag      28  its number
 */
import type { Instance, LiftedEvents, Resource } from "./component.js";
import { codeOf, errorCodeAt, rethrowLifted } from "./error-code.js";
import { invalidType, outOfRange, pollerError } from "./errors.js";
import type { Kernel } from "./kernel.js";

/** A key: any u64. A number where it is a safe integer, else a bigint, whichever way it was given. */
export type Key = number | bigint;

/** Something that happened to one registration, or a timer that has expired. */
export interface ReadyEvent {
  /** The registration's key, or the timer's. */
  readonly key: Key;
  /** A read will not block. Only if it was asked for. */
  readonly readable: boolean;
  /** A write will not block. Only if it was asked for. */
  readonly writable: boolean;
  /** Exceptional data is there. Only if it was asked for. */
  readonly priority: boolean;
  /** The peer will send no more. */
  readonly readClosed: boolean;
  /** Both directions have ended, where the kernel can tell. */
  readonly hangUp: boolean;
  /**
   * An error is pending on the descriptor, which the next operation on it throws. With `refused`, none is pending, and
   * the refusal is the error.
   */
  readonly error: boolean;
  /**
   * The kernel refused to arm the registration: a `modify` that was put off has failed, for instance because the
   * descriptor is closed. `errorCode` says why. The registration stays disarmed until the next `modify`.
   */
  readonly refused: boolean;
  /**
   * With `refused`, why the kernel refused, such as `"EBADF"`. Else the code of the pending error, such as
   * `"ECONNREFUSED"`, where the kernel tells it without consuming it: kqueue does, AFD does for connects, epoll does not.
   */
  readonly errorCode: string | undefined;
  /** How many bytes can be read or written, where the kernel tells; else 0. */
  readonly bytes: number;
  /** A timer has expired: `key` is its key. */
  readonly timer: boolean;
  /** How often the timer has expired since it was last reported: more than once if waits came too seldom. Else 0. */
  readonly expirations: number;
}

const READABLE = 1;
const WRITABLE = 2;
const PRIORITY = 4;
const READ_CLOSED = 8;
const HANG_UP = 16;
const ERROR = 32;
const TIMER = 64;
const REFUSED = 128;

const EVENT_WORDS = 8;
const MOST_EVENTS = 2 ** 26;

/** Joins the two words of a u64: a number where it is a safe integer, else a bigint. */
function joined(low: number, high: number): Key {
  if (high === 0) return low;
  return high < 2 ** 21 ? high * 2 ** 32 + low : (BigInt(high) << 32n) | BigInt(low);
}

/**
 * The event that iteration is at. It is the same object for every event: copy what is to be kept.
 *
 * What loops read is read before, and kept in ordinary fields with accessors of hardly any code: V8 does not inline longer
 * ones, and each would cost several nanoseconds an event.
 */
class Cursor implements ReadyEvent {
  key: Key = 0;
  private readiness = 0;

  /** @param place the event's place in `Instance.words` */
  constructor(
    private readonly instance: Instance,
    private place: number,
  ) {}

  get readable(): boolean {
    return (this.readiness & READABLE) !== 0;
  }
  get writable(): boolean {
    return (this.readiness & WRITABLE) !== 0;
  }
  get priority(): boolean {
    return (this.readiness & PRIORITY) !== 0;
  }
  get readClosed(): boolean {
    return (this.readiness & READ_CLOSED) !== 0;
  }
  get hangUp(): boolean {
    return (this.readiness & HANG_UP) !== 0;
  }
  get error(): boolean {
    return (this.readiness & ERROR) !== 0;
  }
  get refused(): boolean {
    return (this.readiness & REFUSED) !== 0;
  }
  get errorCode(): string | undefined {
    const at = this.place * 4 + 20;
    return this.instance.bytes[at] === 0 ? undefined : codeOf(errorCodeAt(this.instance, at + 4));
  }
  get bytes(): number {
    return this.timer ? 0 : this.amount();
  }
  get timer(): boolean {
    return (this.readiness & TIMER) !== 0;
  }
  get expirations(): number {
    return this.timer ? this.amount() : 0;
  }

  private amount(): number {
    const { words } = this.instance;
    return Number(joined(words[this.place + 2] as number, words[this.place + 3] as number));
  }

  moveTo(place: number): void {
    const { words } = this.instance;
    const high = words[place + 1] as number;
    this.key = high === 0 ? (words[place] as number) : joined(words[place] as number, high);
    this.readiness = words[place + 4] as number;
    this.place = place;
  }
}

/** One pass over the events. It is its own result, so that a step makes no object. */
class Pass implements IterableIterator<ReadyEvent> {
  readonly done = false;

  constructor(
    readonly value: Cursor,
    private place: number,
    private readonly end: number,
  ) {}

  next(): IteratorResult<ReadyEvent> {
    const { place } = this;
    if (place === this.end) return { done: true, value: undefined };
    this.value.moveTo(place);
    this.place = place + EVENT_WORDS;
    return this;
  }

  [Symbol.iterator](): this {
    return this;
  }
}

/** Where the events of one instance lie. */
interface Room {
  readonly instance: Instance;
  readonly resource: Resource<LiftedEvents>;
  readonly first: number;
}

/** For the poller: where a wait's events go, and how many came. */
export let roomFor: (events: Events, kernel: Kernel, instance: Instance) => number;
export let setLength: (events: Events, length: number) => void;
/** Whether a value is room for events, and not only looks like it. */
export let isEvents: (value: unknown) => value is Events;

/**
 * Room for the events of a wait, to be used again and again.
 *
 * It belongs to the kernel of the first poller that waits with it. What it holds stands until the next wait with it;
 * other waits, and closing the poller, leave it alone.
 *
 * @example
 * const events = new Events(256);
 * poller.wait(events);
 * for (const event of events) if (event.readable) read(event.key);
 */
export class Events implements Iterable<ReadyEvent> {
  /** How many events there is room for. */
  readonly capacity: number;

  #length = 0;
  #room: Room | undefined;
  #kernel: Kernel | undefined;

  static {
    roomFor = (events, kernel, instance) => events.#roomFor(kernel, instance);
    isEvents = (value): value is Events => typeof value === "object" && value !== null && #room in value;
    setLength = (events, length) => {
      events.#length = length;
    };
  }

  /**
   * @param capacity how many events one wait may report: an integer from 0 to 2^26. With 0, waiting fails with `EINVAL`.
   * @throws TypeError `ERR_INVALID_ARG_TYPE`, RangeError `ERR_OUT_OF_RANGE`
   */
  constructor(capacity = 1024) {
    if (typeof capacity !== "number") throw invalidType("capacity", "of type number", capacity);
    if (!Number.isInteger(capacity) || capacity < 0 || capacity > MOST_EVENTS) {
      throw outOfRange("capacity", `an integer >= 0 and <= ${MOST_EVENTS}`, capacity);
    }
    this.capacity = capacity;
  }

  /** How many events the last wait brought. */
  get length(): number {
    return this.#length;
  }

  /**
   * Goes through the events without copying any: each step yields the same object, which stands for the next event.
   * Keep values of it, not the object.
   */
  [Symbol.iterator](): IterableIterator<ReadyEvent> {
    const room = this.#room;
    if (room === undefined) return [][Symbol.iterator]();
    const first = room.first / 4;
    return new Pass(new Cursor(room.instance, first), first, first + this.#length * EVENT_WORDS);
  }

  /** The events as plain objects that can be kept. */
  toArray(): ReadyEvent[] {
    return Array.from(this, (event) => ({
      key: event.key,
      readable: event.readable,
      writable: event.writable,
      priority: event.priority,
      readClosed: event.readClosed,
      hangUp: event.hangUp,
      error: event.error,
      refused: event.refused,
      errorCode: event.errorCode,
      bytes: event.bytes,
      timer: event.timer,
      expirations: event.expirations,
    }));
  }

  #roomFor(kernel: Kernel, instance: Instance): number {
    const room = this.#room;
    if (room?.instance === instance) return room.resource.representation;
    if (this.#kernel !== undefined && this.#kernel !== kernel) {
      throw pollerError("ERR_POLLER_UNSUPPORTED", "These Events belong to the pollers of another kernel");
    }
    // An instance that trapped took its room along; the next one makes new room.
    const resource = rethrowLifted("wait", () => instance.createEvents(this.capacity));
    const first = instance.words[instance.read(resource.representation) >> 2] as number;
    this.#room = { instance, resource, first };
    this.#kernel = kernel;
    return resource.representation;
  }
}
