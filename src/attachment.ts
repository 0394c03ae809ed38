/**
 * An attached poller: the event loop waits in its place.
 *
 * Whenever the kernel object may have events, the loop calls `wake`, which asks the component without blocking and passes
 * on all events at once. After that, and after every call that changes something, `settle` does the rest of what a blocking
 * wait would have done: it sends changes that were put off before the loop can block, and has the loop woken when the next
 * timer is due.
 *
 * All of that goes by the delivery. The runtime's timers are not used, because tests replace them.
 *
 * The delivery does not keep the attachment alive, nor the poller. What can still bring an event does: see `Remains.standing`.
 */
import { AsyncResource } from "node:async_hooks";
import { PollerError } from "./errors.js";
import { Events } from "./events.js";
import type { Delivery } from "./kernel.js";
import { reportUncaught } from "./uncaught.js";

/**
 * Where in a turn of the event loop something was collected: by a phase of libuv's, each of which comes once in a turn, or by
 * a thread's wake-up, of which a turn may have several.
 */
export type PollPhase = "idle" | "poll" | "wake";

/** What an attachment calls. */
export interface Receiver {
  /** Gets what was collected. Returns whether there may be more. */
  onEvents(events: Events, phase: PollPhase): boolean;
  /** The poller has an error of its own: see {@link AttachOptions.onError}. */
  onError(error: PollerError): void;
  /** The component has failed. Called inside the call that failed, perhaps more than once, and before `onError`. */
  onTrap?(error: PollerError): void;
}

/** Options of {@link Poller.attach}. */
export interface AttachOptions {
  /**
   * Called with the poller's own error, once per cause: {@link Poller.attach} lists them. It runs in the asynchronous
   * context of the call of `attach`. What it throws is an uncaught exception. Default: the error is an uncaught exception.
   */
  readonly onError?: (error: PollerError) => void;
}

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
  /** Somebody else may have it woken: its descriptor or its notifier was asked for. */
  isKnownElsewhere(): boolean;
  readonly trouble: Trouble;
  /** Functions that are called when the poller's component has failed. */
  readonly onTrap: Set<(error: PollerError) => void>;
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
  /** The kernel object reports what cannot be silenced, and is to be replaced. */
  readonly isUnruly: boolean;
}

const MOST_EVENTS = 1024;
/** As `Outlook.due`: in the loop's next turn. */
const AT_ONCE = 0;
/** After an error, the milliseconds until the poller is asked again: twice as many each time, while nothing comes. */
const SHORTEST_PAUSE = 1;
const LONGEST_PAUSE = 100;

/** A poller's error. It is the poller's, and the next attachment's if the poller is attached anew meanwhile. */
export class Trouble {
  /** The codes of the errors that were told, and whose causes may still be there. */
  readonly told = new Set<string>();
  /** While there is an error, the milliseconds until the poller is asked again; else 0. */
  pause = 0;
  /** When that is, as `Outlook.due`. */
  retry = Infinity;

  end(): void {
    this.told.clear();
    this.pause = 0;
    this.retry = Infinity;
  }
}

/** What is left to be closed of an attachment, and what keeps it from being collected: the registry holds this. */
interface Remains {
  delivery: Delivery | undefined;
  /** The attachment itself, while it may still get an event. */
  standing: Attachment | undefined;
}

const dropped = new FinalizationRegistry<Remains>(({ delivery }) => delivery?.close());

/**
 * What the delivery calls. It must not keep the attachment alive by itself, so it is a closure of its own: closures of one
 * scope share what they hold. One that stands is found without its weak reference, which costs more.
 */
function waking(remains: Remains, attachment: WeakRef<Attachment>): (isOver?: boolean) => void {
  return (isOver) => (remains.standing ?? attachment.deref())?.wake(isOver);
}

export class Attachment {
  readonly #poller: Attachable;
  readonly #trouble: Trouble;
  readonly #receiver: Receiver;
  readonly #context = new AsyncResource("lio-poller");
  readonly #events = new Events(MOST_EVENTS);
  readonly #remains: Remains = { delivery: undefined, standing: undefined };
  readonly #wake = waking(this.#remains, new WeakRef(this));
  readonly #expire = (): void => this.#remains.delivery?.arm(0);

  #rebuilds = 0;
  #isReferenced: boolean;
  #keepsLoop = false;
  #isCollecting = false;
  /** What the delivery is armed for, as `Outlook.due`: never later than the next timer is due. */
  #armed = Infinity;

  constructor(poller: Attachable, receiver: Receiver, isReferenced: boolean) {
    this.#poller = poller;
    this.#trouble = poller.trouble;
    this.#receiver = receiver;
    this.#isReferenced = isReferenced;
  }

  /** Begins. @throws PollerError if the event loop cannot wait for the poller */
  open(): void {
    const outlook = this.#poller.outlook();
    this.#rebuilds = outlook?.rebuilds ?? 0;
    const delivery = this.#deliver();
    this.#remains.delivery = delivery;
    dropped.register(this, this.#remains, this);
    if (!outlook?.isUnruly) this.#trouble.end();
    if (this.#trouble.pause > 0) delivery.pause(true);
    this.settle();
  }

  /** How the loop is told: `"uv_poll"`, `"thread"`; `undefined` if it is not. */
  get way(): string | undefined {
    return this.#remains.delivery?.way;
  }

  /** Whether what stands keeps the loop running. */
  refer(keeps: boolean): void {
    this.#isReferenced = keeps;
    this.settle();
  }

  close(): void {
    this.#remains.delivery?.close();
    this.#remains.delivery = undefined;
    this.#stand(false);
  }

  /** A notification is under way: it comes, whoever drops the poller meanwhile. */
  expectNotification(): void {
    if (this.#remains.delivery !== undefined) this.#stand(true);
  }

  /**
   * Does what the last call has made necessary. Must follow every call that changes something. Never throws, and can be
   * repeated: a call that was ended in the middle of it is made good by the next.
   */
  settle(): void {
    // What the callback changes is seen to when it has returned.
    if (this.#isCollecting || this.#remains.delivery === undefined) return;
    this.#follow(this.#poller.outlook());
  }

  #follow(outlook: Outlook | undefined): void {
    const { delivery } = this.#remains;
    if (delivery === undefined) return;
    if (outlook === undefined) {
      this.close();
      return;
    }
    const stands = outlook.standing > 0 || outlook.hasQueued || this.#poller.isKnownElsewhere();
    if (stands !== (this.#remains.standing !== undefined)) this.#stand(stands);
    const keepsLoop = this.#isReferenced && outlook.standing > 0;
    if (keepsLoop !== this.#keepsLoop) {
      delivery.refer(keepsLoop);
      this.#keepsLoop = keepsLoop;
    }
    if (outlook.hasQueued && this.#trouble.pause === 0) this.#arm(AT_ONCE);
    else this.#arm(Math.min(outlook.due, this.#trouble.retry));
  }

  /** Called by the delivery: there may be events, or what was armed is over. */
  wake(isOver = false): void {
    const { delivery } = this.#remains;
    if (delivery === undefined) return;
    const phase = this.#phase(delivery, isOver);
    if (isOver) this.#armed = Infinity;
    if (delivery.keepsContext) this.#turn(phase);
    else this.#context.runInAsyncScope(this.#turn, this, phase);
  }

  #phase({ keepsContext }: Delivery, isOver: boolean): PollPhase {
    if (!keepsContext) return "wake";
    return isOver ? "idle" : "poll";
  }

  #turn(phase: PollPhase): void {
    let count = 0;
    let hasMore = true;
    let failure: unknown;
    this.#isCollecting = true;
    try {
      count = this.#poller.collect(this.#events);
    } catch (error) {
      failure = error;
    }
    try {
      if (count > 0 || this.#poller.outlook()?.isNotified) {
        hasMore = this.#receiver.onEvents(this.#events, phase);
      }
    } catch (error) {
      reportUncaught(error);
    }
    this.#isCollecting = false;
    // There may be more than there was room for.
    if (count === MOST_EVENTS && hasMore) this.#arm(AT_ONCE);
    const outlook = this.#poller.outlook();
    failure ??= outlook === undefined ? this.#causeOfEnd() : this.#recover(outlook, count);
    if (failure !== undefined) this.#fail(failure);
    this.#follow(failure === undefined ? outlook : this.#poller.outlook());
  }

  /** Why the poller cannot be used after the callback; `undefined` if that has ended it itself. */
  #causeOfEnd(): unknown {
    if (this.#remains.delivery === undefined) return undefined;
    try {
      // A call in the callback may have been ended from outside, and nobody know of it.
      this.#poller.collect(this.#events);
    } catch (error) {
      return error;
    }
    return undefined;
  }

  /** Sees to what has happened to the kernel object. Returns the error that this met. */
  #recover(outlook: Outlook, count: number): unknown {
    if (this.#remains.delivery === undefined) return undefined;
    if (this.#trouble.pause === 0 && outlook.rebuilds === this.#rebuilds) return undefined;
    try {
      if (outlook.rebuilds !== this.#rebuilds) this.#move(outlook.rebuilds);
      if (this.#trouble.pause === 0) return undefined;
      if (outlook.isUnruly) {
        // It still cannot be replaced, but it had something to tell first.
        if (count > 0) this.#trouble.pause = SHORTEST_PAUSE;
        this.#askLater();
        return undefined;
      }
      this.#remains.delivery.pause(false);
    } catch (error) {
      return error;
    }
    this.#trouble.end();
    return undefined;
  }

  /** The kernel object is another now. @throws PollerError if the loop cannot wait for that; it still waits for the old one */
  #move(rebuilds: number): void {
    const delivery = this.#deliver();
    this.#remains.delivery?.close();
    this.#remains.delivery = delivery;
    this.#rebuilds = rebuilds;
    this.#keepsLoop = false;
    this.#armed = Infinity;
    if (this.#trouble.pause > 0) delivery.pause(true);
  }

  /**
   * The poller has an error. What it was asked for would come back at once, for the kernel object may look readable all
   * the time: it is asked again after a pause.
   */
  #fail(error: unknown): void {
    if (!(error instanceof PollerError)) {
      reportUncaught(error);
      return;
    }
    if (this.#trouble.pause === 0) this.#remains.delivery?.pause(true);
    this.#trouble.pause = Math.min(Math.max(SHORTEST_PAUSE, this.#trouble.pause * 2), LONGEST_PAUSE);
    if (this.#poller.outlook() !== undefined) this.#askLater();
    if (this.#trouble.told.has(error.code)) return;
    this.#trouble.told.add(error.code);
    try {
      this.#receiver.onError(error);
    } catch (thrown) {
      reportUncaught(thrown);
    }
  }

  #askLater(): void {
    this.#trouble.retry = (this.#poller.now() + this.#trouble.pause) * 1e6;
  }

  #deliver(): Delivery {
    return this.#context.runInAsyncScope(() => this.#poller.deliver(this.#wake));
  }

  /** Has the loop collect when it is due, unless it does so earlier. */
  #arm(due: number): void {
    if (due >= this.#armed) return;
    const delay = due === AT_ONCE ? 0 : Math.max(0, due / 1e6 - this.#poller.now());
    this.#remains.delivery?.arm(delay);
    this.#armed = delay === 0 ? AT_ONCE : due;
  }

  #stand(stands: boolean): void {
    this.#remains.standing = stands ? this : undefined;
    if (stands) this.#poller.onTrap.add(this.#expire);
    else this.#poller.onTrap.delete(this.#expire);
  }
}
