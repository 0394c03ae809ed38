/**
 * Linux's epoll, simulated: what `wit/epoll.wit` and `wit/clock.wit` ask of a host, on files that exist only here and
 * in time that passes only here. A model of epoll(7), epoll_ctl(2) and epoll_wait(2), and where they leave something
 * open (the order of events, what counts as an edge) of what Linux does, checked against 6.18.
 *
 * Not modelled: EPOLLEXCLUSIVE, EPOLLWAKEUP, bits that `wit/epoll.wit` does not name, instances that watch instances,
 * limits of memory and of watches, and signals.
 */
import type { Kernel, OpenKernel } from "../kernel.js";
import { VirtualClock } from "./clock.js";
import { DESCRIPTOR_LIMIT, Descriptors } from "./descriptors.js";
import { bindEpoll, type EpollCalls } from "./epoll-imports.js";
import { EpollInstance, EVENT_WORDS, type EventOrder, type Operation, type PolledFile } from "./epoll-instance.js";
import { createEventFd } from "./eventfd.js";
import { createIo, type Files, type SimulatedIo } from "./files.js";
import { bindClock } from "./lowering.js";
import { createPipe } from "./pipe.js";
import type { Refusal } from "./refusals.js";
import { createRegularFile } from "./regular.js";
import { createSocketPair } from "./socket.js";
import { createTcpPair } from "./tcp.js";
import { pass, waitFor } from "./waiting.js";

/** One wait returns no more, whatever the capacity. */
const MAXIMUM_EVENTS = 1024;

/** What one notification adds to a notifier's counter. */
const ONE = new Uint8Array(BigUint64Array.of(1n).buffer);

const files: Files<PolledFile> = {
  poll: (file) => file.poll(),
  pipe: createPipe,
  socketpair: createSocketPair,
  tcpPair: createTcpPair,
  eventfd: createEventFd,
  regular: createRegularFile,
};

/** How many system calls were made. The counts never go down. */
export interface SystemCalls {
  /** epoll_create1(2). */
  readonly create: number;
  /** epoll_ctl(2): one per change, refused ones included. */
  readonly control: number;
  /** epoll_wait(2). A wait whose changes were refused is not made. */
  readonly wait: number;
  /** close(2) of epoll instances. */
  readonly close: number;
}

/**
 * A kernel with nothing but epoll, a clock and files, for tests that need neither Linux nor time: give it to a poller
 * as its kernel, make descriptors with `io`, and let things happen with `io` and `clock`.
 *
 * A wait that finds nothing ready blocks nobody: it moves the clock to its timeout, through the actions that were
 * scheduled on the way. Objects of this class share nothing; each has descriptors from 3 up.
 *
 * ```ts
 * const simulated = new SimulatedEpoll();
 * const [readEnd, writeEnd] = simulated.io.pipe();
 * simulated.clock.after(5, () => simulated.io.write(writeEnd, new Uint8Array(1)));
 * ```
 */
export class SimulatedEpoll implements Kernel {
  readonly name = "epoll";

  /** The time by which waits go on. */
  readonly clock = new VirtualClock();

  /** The calls that make, use and close descriptors. */
  readonly io: SimulatedIo;

  /**
   * In which order waits look at what may be ready, as Linux promises none. Without one, the registration that waited
   * longest comes first, as Linux does it. It is called while a poller waits, and must not use pollers.
   */
  order: EventOrder | undefined = undefined;

  readonly #descriptors = new Descriptors<PolledFile>();
  readonly #calls = { create: 0, control: 0, wait: 0, close: 0 };
  readonly #instances = new Set<EpollInstance>();
  #notifiers = 0;
  /** Instances have numbers that no file can have, so that none of them can be taken for a file. */
  #nextDescriptor = DESCRIPTOR_LIMIT;

  /** Makes a kernel with no file open and nothing scheduled. */
  constructor() {
    this.io = createIo(files, this.#descriptors, (syscall) => pass(this.clock, syscall));
  }

  /** System calls on epoll instances up to now: a view that goes on counting. */
  get calls(): SystemCalls {
    return this.#calls;
  }

  /** How many epoll instances are open, of all component instances. */
  get instances(): number {
    return this.#instances.size;
  }

  /** How many notifiers are open, of all component instances. */
  get notifiers(): number {
    return this.#notifiers;
  }

  /** How many descriptors of files are open. */
  get descriptors(): number {
    return this.#descriptors.size;
  }

  /** Gives a component instance its own table of handles on this kernel. */
  open(): OpenKernel {
    const handles = new Map<number, EpollInstance>();
    const notifiers = new Map<number, PolledFile>();
    let nextNotifier = 0;
    const calls: EpollCalls = {
      events: new Uint32Array(MAXIMUM_EVENTS * EVENT_WORDS),

      create: () => {
        const handle = this.#calls.create;
        handles.set(handle, this.#create());
        return handle;
      },
      find: (handle) => handles.get(handle),
      control: (instance, operation, fd, mask, slot, generation) =>
        this.#control(instance, operation, fd, mask, slot, generation),
      wait: (instance, capacity, timeout) => this.#wait(instance, capacity, timeout, calls.events),
      close: (handle) => {
        this.#close(handles.get(handle));
        handles.delete(handle);
      },

      createNotifier: () => {
        const notifier = createEventFd(0);
        notifier.hold();
        notifiers.set(nextNotifier, notifier);
        this.#notifiers++;
        return nextNotifier++;
      },
      attachNotifier: (handle, instance, slot, generation) => {
        const notifier = notifiers.get(handle);
        if (notifier === undefined || instance === undefined) return "bad-descriptor";
        return instance.attach(notifier, slot, generation);
      },
      notify: (handle) => void notifiers.get(handle)?.write(ONE),
      closeNotifier: (handle) => {
        notifiers.get(handle)?.drop();
        if (notifiers.delete(handle)) this.#notifiers--;
      },
    };

    const now = (): bigint => this.clock.now();
    return {
      imports: { epoll: bindEpoll(calls, now), clock: bindClock(now) },
      close: () => {
        for (const handle of handles.keys()) calls.close(handle);
        for (const handle of notifiers.keys()) calls.closeNotifier(handle);
      },
    };
  }

  #create(): EpollInstance {
    this.#calls.create++;
    const instance = new EpollInstance(this.#descriptors, this.#nextDescriptor++);
    this.#instances.add(instance);
    return instance;
  }

  #control(
    instance: EpollInstance | undefined,
    operation: Operation,
    fd: number,
    mask: number,
    slot: number,
    generation: number,
  ): Refusal | undefined {
    if (instance === undefined) return "bad-descriptor";
    this.#calls.control++;
    return instance.control(operation, fd, mask, slot, generation);
  }

  #wait(
    instance: EpollInstance | undefined,
    capacity: number,
    timeout: bigint | undefined,
    events: Uint32Array,
  ): number | Refusal {
    if (instance === undefined) return "bad-descriptor";
    this.#calls.wait++;
    if (capacity === 0) return "invalid-argument";

    const room = Math.min(capacity, MAXIMUM_EVENTS);
    return waitFor(this.clock, () => instance.take(room, events, this.order), timeout);
  }

  #close(instance: EpollInstance | undefined): void {
    if (instance === undefined) return;
    this.#calls.close++;
    instance.close();
    this.#instances.delete(instance);
  }
}
