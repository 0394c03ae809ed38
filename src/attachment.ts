/**
 * An attached poller: the event loop waits in its place.
 *
 * Whenever the kernel object may have events, the loop calls `wake`, which asks the component without blocking and passes
 * on all events at once. After that, and after every call that changes something, `settle` does the rest of what a blocking
 * wait would have done: it sends changes that were put off before the loop can block, and has the loop woken when the next
 * timer is due.
 *
 * All of that goes by the delivery. The runtime's timers are not used, because tests replace them.
 */
import { AsyncResource } from "node:async_hooks";
import { Events } from "./events.js";
import type { Delivery } from "./kernel.js";
import { reportUncaught } from "./uncaught.js";

/** What a poller does for its attachment. */
export interface Attachable {
  /** Puts what there is into the events without blocking, and returns how many there are. */
  collect(events: Events): number;
  /** What the loop must know; `undefined` once the poller cannot be used any more. */
  outlook(): Outlook | undefined;
  /** As `OpenKernel.deliver`, for the kernel object of the last outlook. */
  deliver(wake: (isOver?: boolean) => void): Delivery;
  /** Milliseconds of the poller's clock. */
  now(): number;
}

/** `numbersOutlook` of `assembly/abi/numbers.ts`. */
export interface Outlook {
  /** A change waits for the next wait. */
  readonly hasQueued: boolean;
  /** Changes when the kernel object is another. */
  readonly rebuilds: number;
  /** Registrations and armed timers. */
  readonly standing: number;
  /** The last wait was notified. */
  readonly isNotified: boolean;
  /** When the next timer is due, in nanoseconds of the poller's clock; `Infinity` if none is armed. */
  readonly due: number;
  /** What the kernel knows its object by. */
  readonly handle: number;
}

const MOST_EVENTS = 1024;
/** As `Outlook.due`: in the loop's next turn. */
const AT_ONCE = 0;

export class Attachment {
  readonly #poller: Attachable;
  readonly #callback: (events: Events) => void;
  readonly #context = new AsyncResource("lio-poller");
  readonly #events = new Events(MOST_EVENTS);
  readonly #wake = (isOver?: boolean): void => {
    if (isOver) this.#armed = Infinity;
    if (this.#delivery?.keepsContext) this.#collect();
    else this.#context.runInAsyncScope(this.#collect, this);
  };

  #delivery: Delivery | undefined;
  #rebuilds: number;
  #isReferenced = true;
  #keepsLoop = false;
  #isCollecting = false;
  /** What the delivery is armed for, as `Outlook.due`: never later than the next timer is due. */
  #armed = Infinity;

  constructor(poller: Attachable, callback: (events: Events) => void) {
    this.#poller = poller;
    this.#callback = callback;
    this.#delivery = this.#deliver();
    this.#rebuilds = poller.outlook()?.rebuilds ?? 0;
    this.settle();
  }

  /** How the loop is told: `"uv_poll"`, `"thread"`. */
  get way(): string {
    return this.#delivery?.way ?? "none";
  }

  /** Whether what stands keeps the loop running. */
  refer(keeps: boolean): void {
    this.#isReferenced = keeps;
    this.settle();
  }

  close(): void {
    this.#delivery?.close();
    this.#delivery = undefined;
  }

  /** Does what the last call has made necessary. Must follow every call that changes something. */
  settle(): void {
    // What the callback changes is seen to when it has returned.
    if (this.#isCollecting || this.#delivery === undefined) return;
    const outlook = this.#poller.outlook();
    if (outlook === undefined) {
      this.close();
      return;
    }
    if (outlook.rebuilds !== this.#rebuilds) this.#move(outlook.rebuilds);
    const keepsLoop = this.#isReferenced && outlook.standing > 0;
    if (keepsLoop !== this.#keepsLoop) this.#delivery.refer((this.#keepsLoop = keepsLoop));
    this.#arm(outlook.hasQueued ? AT_ONCE : outlook.due);
  }

  #deliver(): Delivery {
    return this.#context.runInAsyncScope(() => this.#poller.deliver(this.#wake));
  }

  #collect(): void {
    if (this.#delivery === undefined) return;
    this.#isCollecting = true;
    let count = 0;
    try {
      count = this.#poller.collect(this.#events);
      if (count > 0 || this.#poller.outlook()?.isNotified) this.#callback(this.#events);
    } catch (error) {
      reportUncaught(error);
    } finally {
      this.#isCollecting = false;
    }
    // There may be more than there was room for.
    if (count === MOST_EVENTS) this.#arm(AT_ONCE);
    this.settle();
  }

  /** The kernel object is another now. */
  #move(rebuilds: number): void {
    this.#delivery?.close();
    this.#delivery = this.#deliver();
    this.#rebuilds = rebuilds;
    this.#keepsLoop = false;
    this.#armed = Infinity;
  }

  /** Has the loop collect when it is due, unless it does so earlier. */
  #arm(due: number): void {
    if (due >= this.#armed) return;
    this.#armed = due;
    this.#delivery?.arm(due === AT_ONCE ? 0 : Math.max(0, due / 1e6 - this.#poller.now()));
  }
}
