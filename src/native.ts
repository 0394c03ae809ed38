/** Loads the native addon. Nothing else in this package touches the binary. */
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { pollerError } from "./errors.js";
import type { CanonicalOptions, CoreFunction, Delivery } from "./kernel.js";

/** One instance's table of kernel handles, with the core functions that use it. */
export interface NativeKernel {
  /** The functions that `bind` knows, by their WIT names in camel case. */
  readonly functions: readonly string[];
  /** Makes the core function of that name for an instance with this memory. */
  bind(name: string, memory: CanonicalOptions["memory"], realloc: CanonicalOptions["realloc"]): CoreFunction;
  /**
   * As `OpenKernel.deliver`. Returns a negative error number if that cannot be.
   *
   * @param inLoop by the loop's own means; else, or if it has none that serve, by a thread
   */
  deliver(handle: number, wake: (isOver: boolean) => void, inLoop: boolean): NativeDelivery | number;
  /** Closes every handle of the table. */
  close(): void;
}

/** One kernel object's way into this thread's event loop, until it is closed: see `host/loop.h`. */
export interface NativeDelivery extends Omit<Delivery, "pause"> {
  readonly way: "uv_poll" | "thread";
  /** As `Delivery.pause`. Returns 0, or a negative error number. */
  pause(pauses: boolean): number;
}

/**
 * The descriptor helpers: see `host/io.cc`, and `host/io_windows.cc`, whose descriptors are SOCKETs. Each returns a count,
 * a descriptor or zero, or a negative error number, one of Node's; an argument of the wrong type or range is `-EINVAL`.
 * None throws, and none looks at more than its own safety: `io.ts` checks the arguments.
 *
 * An address is a host and its port, or the path of a Unix socket with the port -1.
 */
export interface NativeIo {
  /** Where descriptors can be above 2^31 - 1: the largest. */
  readonly largestDescriptor?: number;
  /** Puts the read end and the write end into the first two places of `pair`. */
  pipe(pair: Float64Array): number;
  /** Puts both ends into the first two places of `pair`. */
  socketpair(datagram: boolean, pair: Float64Array): number;
  eventfd(initial: number): number;
  listen(hostOrPath: string, port: number, backlog: number): number;
  /** Sets `host` and `port`, or `path`, on `into`. */
  localAddress(fd: number, into: object): number;
  accept(fd: number): number;
  connect(hostOrPath: string, port: number): number;
  /** The error number that was pending, positive, or zero. */
  pendingError(fd: number): number;
  read(fd: number, buffer: Uint8Array, offset: number, length: number): number;
  write(fd: number, buffer: Uint8Array, offset: number, length: number): number;
  sendUrgent(fd: number, byte: number): number;
  /** The byte. */
  receiveUrgent(fd: number): number;
  /** `how` is 0 for reading, 1 for writing, 2 for both. */
  shutdown(fd: number, how: number): number;
  setNonBlocking(fd: number, enabled: boolean): number;
  dup(fd: number): number;
  dupOnto(fd: number, onto: number): number;
  close(fd: number): number;
  /** Windows only, for tests: how many handles the process has, of every kind. */
  openHandles?(): number;
  /** Windows only, for tests: how many threads the process has. */
  openThreads?(): number;
}

/** The clock of `wit/clock.wit`: see `host/clock.cc`. */
export interface NativeClock {
  /** Puts the moment into `moment`. */
  read(): void;
  /** A u64: nanoseconds of a clock that never goes back. */
  readonly moment: ArrayBuffer;
}

export interface NativeAddon {
  /** The kernels of this platform, by name; the first is the one to use. */
  readonly kernels: Readonly<Record<string, new () => NativeKernel>>;
  readonly io: NativeIo;
  readonly clock: NativeClock;
  /** Tells this process's notifiers from another's. */
  readonly nonce: bigint;
  /** Wakes the poller whose notifier has that name, on whichever thread; any other name does nothing. */
  notify(name: number): void;
  /** Does at once what the runtime does with an error that nobody catches: it may not return. */
  reportUncaught(error: unknown): void;
}

function load(): NativeAddon {
  const require = createRequire(import.meta.url);
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  try {
    return require("node-gyp-build")(root) as NativeAddon;
  } catch (cause) {
    throw pollerError(
      "ERR_POLLER_ADDON",
      `lio-poller has no native addon for ${process.platform}-${process.arch}. ` +
        `Run "npm rebuild lio-poller" with a C++ compiler installed.`,
      { cause },
    );
  }
}

export const native: NativeAddon = load();
