/**
 * An attached poller: its waits are the event loop's.
 *
 * Whenever the kernel object may have events, the loop calls `wake`, which asks the component without blocking and hands
 * on what there is, all at once. After that, and after every call that changes something, `settle` sees to the rest of
 * what a blocking wait would have done: changes that wait for the next wait go down before the loop can block, and the
 * loop is woken when the next timer is due.
 */
import { AsyncResource } from "node:async_hooks";
import { clearImmediate, clearTimeout, setImmediate, setTimeout } from "node:timers";
import type { PollerError } from "./errors.js";
import { Events } from "./events.js";
import type { Delivery } from "./kernel.js";
import { runtime } from "./runtime.js";

/**
 * Where in a turn of the event loop something was collected. In one turn there is at most one collection in each phase, and
 * they come in this order.
 */
export type PollPhase = "wake" | "immediate" | "timeout";

/** What an attachment calls. */
export interface Receiver {
  /** Gets what was collected. Returns whether there may be more. */
  onEvents(events: Events, phase: PollPhase): boolean;
  /** The component has failed. Called inside the call that failed; without it, the loop throws the error. */
  onTrap?(error: PollerError): void;
}

/** What a poller does for its attachment. */
export interface Attachable {
  /** Puts what there is into the events without blocking, and returns how many there are. */
  collect(events: Events): number;
  /** What the loop must know; `undefined` once the poller cannot be used any more. */
  outlook(): Outlook | undefined;
  /** Has `wake` called whenever the kernel object may have events. */
  deliver(wake: () => void): Delivery;
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
/** What `setTimeout` can do, in milliseconds. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

export class Attachment {
  readonly #poller: Attachable;
  readonly #receiver: Receiver;
  readonly #context = new AsyncResource("lio-poller");
  readonly #events = new Events(MOST_EVENTS);
  readonly #wake = (): void => {
    const delivery = this.#delivery;
    if (delivery?.keepsContext) {
      this.#collect("wake");
      return;
    }
    this.#collectInContext("wake");
    // In the loop's next turn: some runtimes call a thread-safe function for as long as it is called anew, and nothing else.
    setImmediate(() => delivery?.acknowledge());
  };

  #delivery: Delivery | undefined;
  #rebuilds: number;
  #isReferenced = true;
  #keepsLoop = false;
  #isCollecting = false;
  #immediate: NodeJS.Immediate | undefined;
  #timeout: NodeJS.Timeout | undefined;
  /** When the timeout ends: never after the next timer is due. */
  #timeoutDue = Infinity;

  constructor(poller: Attachable, receiver: Receiver) {
    this.#poller = poller;
    this.#receiver = receiver;
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
    clearImmediate(this.#immediate);
    clearTimeout(this.#timeout);
  }

  /** Does what the last call has made necessary. Must follow every call that changes something. */
  settle(): void {
    // What the callback does is seen to when it has returned.
    if (this.#isCollecting || this.#delivery === undefined) return;
    const outlook = this.#poller.outlook();
    if (outlook === undefined) {
      this.close();
      return;
    }
    if (outlook.rebuilds !== this.#rebuilds) this.#move(outlook.rebuilds);
    const keepsLoop = this.#isReferenced && outlook.standing > 0;
    if (keepsLoop !== this.#keepsLoop) this.#delivery.refer((this.#keepsLoop = keepsLoop));
    if (outlook.hasQueued) this.#collectSoon();
    if (outlook.due < this.#timeoutDue) this.#arm(outlook.due);
  }

  #deliver(): Delivery {
    return this.#context.runInAsyncScope(() => this.#poller.deliver(this.#wake));
  }

  /** Where it is called from has a context of its own. */
  #collectInContext(phase: PollPhase): void {
    this.#context.runInAsyncScope(this.#collect, this, phase);
  }

  #collect(phase: PollPhase): void {
    if (this.#delivery === undefined) return;
    this.#isCollecting = true;
    let isFull = false;
    try {
      const count = this.#poller.collect(this.#events);
      isFull = count === MOST_EVENTS;
      if (count > 0 || this.#poller.outlook()?.isNotified) {
        const hasMore = this.#receiver.onEvents(this.#events, phase);
        isFull &&= hasMore;
      }
    } catch (error) {
      if (!this.#isTold()) throwUncaught(error);
    } finally {
      this.#isCollecting = false;
    }
    // There may be more than there was room for.
    if (isFull) this.#collectSoon();
    this.settle();
  }

  /** Whether the component has failed, and the receiver was told so. */
  #isTold(): boolean {
    return this.#receiver.onTrap !== undefined && this.#poller.outlook() === undefined;
  }

  /** Before the loop blocks: an immediate that is pending keeps it from that. */
  #collectSoon(): void {
    if (this.#delivery === undefined) return;
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      this.#collectInContext("immediate");
    });
  }

  /** The kernel object is another now. */
  #move(rebuilds: number): void {
    this.#delivery?.close();
    this.#delivery = this.#deliver();
    this.#rebuilds = rebuilds;
    this.#keepsLoop = false;
  }

  /** Sees to it that what is due is collected, a millisecond late at most as far as the loop can tell. */
  #arm(due: number): void {
    const milliseconds = Math.ceil(due / 1e6 - this.#poller.now());
    if (milliseconds <= 0) {
      this.#collectSoon();
      return;
    }
    clearTimeout(this.#timeout);
    this.#timeoutDue = due;
    this.#timeout = setTimeout(
      () => {
        this.#timeoutDue = Infinity;
        this.#collectInContext("timeout");
      },
      Math.min(milliseconds, LONGEST_TIMEOUT),
    );
    // The delivery is what keeps the loop running.
    this.#timeout.unref();
  }
}

/** Throws where nobody catches it, so that it goes the way of all such errors, and so that what comes next still does. */
export function throwUncaught(error: unknown): void {
  // As soon as nothing runs any more. In a microtask Deno forgets which error it was, and a tick comes late in Bun.
  const later = runtime.name === "deno" ? process.nextTick : queueMicrotask;
  later(() => {
    throw error;
  });
}
