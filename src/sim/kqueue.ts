/**
 * The kqueue of a BSD or of macOS, simulated: what `wit/kqueue.wit` and `wit/clock.wit` ask of a host, on files that
 * exist only here and in time that passes only here. A model of each system's kqueue(2), and where it leaves something
 * open of its kernel's kern_event.c, sys_pipe.c, uipc_socket.c and uipc_usrreq.c.
 *
 * Not modelled: flags, filters and fields that `wit/kqueue.wit` does not name, kqueues that watch kqueues, limits
 * of memory, and signals.
 */
import { invalidType, invalidValue, namedError } from "../errors.js";
import type { Kernel, OpenKernel } from "../kernel.js";
import { createBsdPipe } from "./bsd-pipe.js";
import { createBsdSocketPair } from "./bsd-socket.js";
import { createBsdTcpPair } from "./bsd-tcp.js";
import { VirtualClock } from "./clock.js";
import { ERR, HUP, IN, OUT, PRI, RDHUP } from "./description.js";
import { DESCRIPTOR_LIMIT, Descriptors } from "./descriptors.js";
import { createEventFd } from "./eventfd.js";
import { createIo, type Files, type SimulatedIo } from "./files.js";
import { FLAVOURS, type KqueueFlavour, type Particulars } from "./kqueue-flavours.js";
import { bindKqueue, type KqueueCalls, type KqueueChange, type Waited } from "./kqueue-imports.js";
import { type FilteredFile, type KqueueEvent, KqueueInstance } from "./kqueue-instance.js";
import { bindClock, type Failure } from "./lowering.js";
import type { Refusal } from "./refusals.js";
import { createRegularFile } from "./regular.js";
import { pass, waitFor } from "./waiting.js";

/** The most changes of one kevent(2), and the most events. */
const MOST_CHANGES = 512;
const MOST_EVENTS = 2048;

function filesOf(particulars: Particulars): Files<FilteredFile> {
  return {
    poll: bitsOf,
    pipe: () => createBsdPipe(particulars),
    socketpair: () => createBsdSocketPair(particulars),
    tcpPair: () => createBsdTcpPair(particulars),
    eventfd: (initial) => {
      if (!particulars.hasEventFds) throw namedError("ENOSYS", "eventfd", "this system has none");
      return createEventFd(initial);
    },
    regular: createRegularFile,
  };
}

/** poll(2), as far as the filters know. */
function bitsOf(file: FilteredFile): number {
  const [read, write, except] = [file.evaluate("read"), file.evaluate("write"), file.evaluate("except")];
  let bits = read.end ? RDHUP : 0;
  if (read.active) bits |= IN;
  if (write.active) bits |= OUT;
  if (except.active) bits |= PRI;
  if (write.end) bits |= HUP;
  if (read.error !== undefined || write.error !== undefined) bits |= ERR;
  return bits;
}

/** Which kqueue to simulate. */
export interface SimulatedKqueueOptions {
  /** The system whose kqueue it is. */
  readonly flavour: KqueueFlavour;
}

/** How many system calls were made. The counts never go down. */
export interface KqueueSystemCalls {
  /** kqueue(2). */
  readonly kqueue: number;
  /** kevent(2): one per wait, one per 512 changes that are made without a wait, and one per use of a notifier. */
  readonly kevent: number;
  /** close(2) of kqueues. */
  readonly close: number;
}

/**
 * A kernel with nothing but kqueue, a clock and files, for tests that need neither a BSD, nor macOS, nor time: give it to a
 * poller as its kernel, make descriptors with `io`, and let things happen with `io` and `clock`.
 *
 * A wait that finds nothing ready blocks nobody: it moves the clock to its timeout, through the actions that were
 * scheduled on the way. Objects of this class share nothing; each has descriptors from 3 up.
 *
 * ```ts
 * const simulated = new SimulatedKqueue({ flavour: "freebsd" });
 * const [readEnd, writeEnd] = simulated.io.pipe();
 * simulated.clock.after(5, () => simulated.io.write(writeEnd, new Uint8Array(1)));
 * ```
 */
export class SimulatedKqueue implements Kernel {
  readonly name = "kqueue";

  /** The system whose kqueue it is. */
  readonly flavour: KqueueFlavour;

  /** The time by which waits go on. */
  readonly clock = new VirtualClock();

  /** The calls that make, use and close descriptors. */
  readonly io: SimulatedIo;

  readonly #particulars: Particulars;
  readonly #instances = new Set<KqueueInstance>();
  readonly #descriptors = new Descriptors<FilteredFile>((fd) => this.#closing(fd));
  readonly #calls = { kqueue: 0, kevent: 0, close: 0 };
  /** Kqueues have numbers that no file can have, so that none of them can be taken for a file. */
  #nextDescriptor = DESCRIPTOR_LIMIT;

  /**
   * Makes a kernel with no file open and nothing scheduled.
   *
   * @throws {TypeError} `ERR_INVALID_ARG_VALUE` if there is no such flavour, `ERR_INVALID_ARG_TYPE`.
   */
  constructor(options: SimulatedKqueueOptions) {
    if (typeof options !== "object" || options === null) throw invalidType("options", "of type object", options);
    const { flavour } = options;
    if (typeof flavour !== "string" || !Object.hasOwn(FLAVOURS, flavour)) {
      throw invalidValue("options.flavour", `one of ${Object.keys(FLAVOURS).join(", ")}`, flavour);
    }
    this.flavour = flavour;
    this.#particulars = FLAVOURS[flavour];
    this.io = createIo(filesOf(this.#particulars), this.#descriptors, (syscall) => pass(this.clock, syscall));
  }

  /** System calls on kqueues up to now: a view that goes on counting. */
  get calls(): KqueueSystemCalls {
    return this.#calls;
  }

  /** How many kqueues are open, of all component instances. */
  get instances(): number {
    return this.#instances.size;
  }

  /** How many descriptors of files are open. */
  get descriptors(): number {
    return this.#descriptors.size;
  }

  /** Gives a component instance its own table of handles on this kernel. */
  open(): OpenKernel {
    const handles = new Map<number, KqueueInstance>();
    /** By handle, the kqueue that each notifier is attached to. */
    const notifiers = new Map<number, KqueueInstance | undefined>();
    let nextNotifier = 0;
    const calls: KqueueCalls = {
      create: () => {
        const handle = this.#calls.kqueue;
        handles.set(handle, this.#create());
        return handle;
      },
      find: (handle) => handles.get(handle),
      control: (instance, changes) => this.#control(instance, changes),
      wait: (instance, changes, capacity, timeout) => this.#wait(instance, changes, capacity, timeout),
      close: (handle) => {
        this.#close(handles.get(handle));
        handles.delete(handle);
      },

      createNotifier: () => {
        notifiers.set(nextNotifier, undefined);
        return nextNotifier++;
      },
      attachNotifier: (notifier, instance) => {
        if (!notifiers.has(notifier) || instance === undefined) return "bad-descriptor";
        this.#calls.kevent++;
        for (const [other, attached] of notifiers) if (attached === instance) notifiers.set(other, undefined);
        notifiers.set(notifier, instance);
        instance.attachNotifier();
        return undefined;
      },
      notify: (notifier) => {
        const instance = notifiers.get(notifier);
        if (instance === undefined || !this.#instances.has(instance)) return;
        this.#calls.kevent++;
        instance.notify();
      },
      closeNotifier: (notifier) => {
        const instance = notifiers.get(notifier);
        notifiers.delete(notifier);
        if (instance === undefined || !this.#instances.has(instance)) return;
        this.#calls.kevent++;
        instance.detachNotifier();
      },
    };

    const now = (): bigint => this.clock.now();
    return {
      imports: { kqueue: bindKqueue(calls, now), clock: bindClock(now) },
      close: () => {
        for (const handle of handles.keys()) calls.close(handle);
        for (const handle of notifiers.keys()) calls.closeNotifier(handle);
      },
    };
  }

  #create(): KqueueInstance {
    this.#calls.kqueue++;
    const instance = new KqueueInstance(this.#descriptors, this.#particulars, this.#nextDescriptor++);
    this.#instances.add(instance);
    return instance;
  }

  #control(instance: KqueueInstance | undefined, changes: readonly KqueueChange[]): readonly Failure[] {
    if (instance === undefined) return changes.map((_, index) => ({ index, error: { tag: "bad-descriptor" } }));
    this.#calls.kevent += Math.ceil(changes.length / MOST_CHANGES);
    return apply(instance, changes);
  }

  /** Without EV_RECEIPT: "if an error occurs while processing an element of the changelist", that is what is returned. */
  #wait(
    instance: KqueueInstance | undefined,
    changes: readonly KqueueChange[],
    capacity: number,
    timeout: bigint | undefined,
  ): Waited {
    if (instance === undefined) return "bad-descriptor";
    if (capacity === 0 || capacity > MOST_EVENTS || changes.length > MOST_CHANGES) return "invalid-argument";

    this.#calls.kevent++;
    const failures = apply(instance, changes);
    if (failures.length > 0) return { failures };
    const events: KqueueEvent[] = [];
    waitFor(this.clock, () => instance.take(Math.max(capacity, changes.length), events), timeout);
    return events;
  }

  #close(instance: KqueueInstance | undefined): void {
    if (instance === undefined) return;
    this.#calls.close++;
    instance.close();
    this.#instances.delete(instance);
  }

  #closing(fd: number): void {
    for (const instance of this.#instances) instance.closing(fd);
  }
}

function apply(instance: KqueueInstance, changes: readonly KqueueChange[]): readonly Failure[] {
  return changes.flatMap(({ fd, generation, filter, actions }, index) => {
    const tag: Refusal | undefined = instance.change(fd, generation, filter, actions);
    return tag === undefined ? [] : [{ index, error: { tag } }];
  });
}
