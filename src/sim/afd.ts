/**
 * Windows's completion ports and AFD, simulated: what `wit/iocp.wit` and `wit/clock.wit` ask of a host, on sockets that
 * exist only here and in time that passes only here. A model of what wit/iocp.wit says; what Microsoft does not document
 * is as the open sources say that rely on it (wepoll, libuv, mio), and as Wine does it.
 *
 * Not modelled: listening and connecting, datagrams, requests that fail, and that Windows counts whole milliseconds.
 */
import { namedError } from "../errors.js";
import type { Kernel, OpenKernel } from "../kernel.js";
import { type AfdTable, bindIocp } from "./afd-imports.js";
import { type Change, type Completion, Port, PortNotifier, type Refusal } from "./afd-port.js";
import type { Description, Polled } from "./description.js";
import { VirtualClock } from "./clock.js";
import { Descriptors } from "./descriptors.js";
import { bindClock } from "./lowering.js";
import { createIo, type Files, type SimulatedIo } from "./files.js";
import { createRegularFile } from "./regular.js";
import { createSocketPair } from "./socket.js";
import { createTcpPair } from "./tcp.js";
import { pass, waitFor } from "./waiting.js";

/** One wait returns no more, whatever the capacity. */
const MAXIMUM_COMPLETIONS = 1024;

type AfdFile = Description & Polled;

/** The files that AFD has a model of. Of these the sockets are what can be polled. */
const files: Files<AfdFile> = {
  poll: (file) => file.poll(),
  pipe: () => lacking("pipe"),
  socketpair: createSocketPair,
  tcpPair: createTcpPair,
  eventfd: () => lacking("eventfd"),
  regular: createRegularFile,
};

function lacking(syscall: string): never {
  throw namedError("ENOTSUP", syscall, "Windows has none that could be polled");
}

/** How many system calls were made. The counts never go down. */
export interface AfdCalls {
  /** CreateIoCompletionPort. */
  readonly create: number;
  /** One per change, refused ones included: NtDeviceIoControlFile, NtCancelIoFileEx. */
  readonly control: number;
  /** GetQueuedCompletionStatusEx. A wait whose changes were refused is not made. */
  readonly wait: number;
  /** CloseHandle of ports. */
  readonly close: number;
}

/**
 * A kernel with nothing but completion ports, AFD, a clock and files, for tests that need neither Windows nor time: give
 * it to a poller as its kernel, make descriptors with `io`, and let things happen with `io` and `clock`.
 *
 * Of the descriptors only sockets can be polled. A wait that finds nothing ready blocks nobody: it moves the clock to its
 * timeout, through the actions that were scheduled on the way. Objects of this class share nothing.
 *
 * ```ts
 * const simulated = new SimulatedAfd();
 * const [watched, peer] = simulated.io.tcpPair();
 * simulated.clock.after(5, () => simulated.io.write(peer, new Uint8Array(1)));
 * ```
 */
export class SimulatedAfd implements Kernel {
  readonly name = "iocp";

  /** The time by which waits go on. */
  readonly clock = new VirtualClock();

  /** The calls that make, use and close descriptors. */
  readonly io: SimulatedIo;

  readonly #descriptors = new Descriptors<AfdFile>();
  readonly #calls = { create: 0, control: 0, wait: 0, close: 0 };
  readonly #ports = new Set<Port>();

  /** Makes a kernel with no file open and nothing scheduled. */
  constructor() {
    this.io = createIo(files, this.#descriptors, (syscall) => pass(this.clock, syscall));
  }

  /** System calls on ports up to now: a view that goes on counting. */
  get calls(): AfdCalls {
    return this.#calls;
  }

  /** How many ports are open, of all component instances. */
  get instances(): number {
    return this.#ports.size;
  }

  /** How many requests are under way or have ended without being taken, on ports that are open. */
  get requests(): number {
    return [...this.#ports].reduce((sum, port) => sum + port.requests, 0);
  }

  /** How many descriptors of files are open. */
  get descriptors(): number {
    return this.#descriptors.size;
  }

  /** Gives a component instance its own table of handles on this kernel. */
  open(): OpenKernel {
    const handles = new Map<number, Port>();
    const notifiers = new Map<number, PortNotifier>();
    let nextNotifier = 0;
    const table: AfdTable = {
      create: () => {
        const handle = this.#calls.create++;
        const port = new Port(this.#descriptors);
        this.#ports.add(port);
        handles.set(handle, port);
        return handle;
      },
      find: (handle) => handles.get(handle),
      change: (port, change) => this.#change(port, change),
      wait: (port, capacity, timeout) => this.#wait(port, capacity, timeout),
      close: (handle) => {
        this.#close(handles.get(handle));
        handles.delete(handle);
      },
      createNotifier: () => {
        notifiers.set(nextNotifier, new PortNotifier());
        return nextNotifier++;
      },
      attachNotifier: (handle, port, token) => {
        const notifier = notifiers.get(handle);
        if (notifier === undefined || port === undefined) return "bad-descriptor";
        return notifier.attach(port, token);
      },
      notify: (handle) => notifiers.get(handle)?.notify(),
      closeNotifier: (handle) => void notifiers.delete(handle),
    };

    const now = (): bigint => this.clock.now();
    return {
      imports: { iocp: bindIocp(table, now), clock: bindClock(now) },
      close: () => {
        for (const handle of handles.keys()) table.close(handle);
        notifiers.clear();
      },
    };
  }

  #change(port: Port | undefined, change: Change): Refusal | undefined {
    if (port === undefined) return "bad-descriptor";
    this.#calls.control++;
    return port.change(change);
  }

  #wait(port: Port | undefined, capacity: number, timeout: bigint | undefined): Completion[] | Refusal {
    if (port === undefined) return "bad-descriptor";
    this.#calls.wait++;
    if (capacity === 0) return "invalid-argument";

    const room = Math.min(capacity, MAXIMUM_COMPLETIONS);
    let completions: Completion[] = [];
    const take = (): number => {
      completions = port.take(room);
      return completions.length;
    };
    waitFor(this.clock, take, timeout);
    return completions;
  }

  #close(port: Port | undefined): void {
    if (port === undefined) return;
    this.#calls.close++;
    port.close();
    this.#ports.delete(port);
  }
}
