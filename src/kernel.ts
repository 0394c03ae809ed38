/**
 * What a kernel must offer so that a component can be instantiated on it: the platform's own, the simulated ones, and
 * any other that a program brings.
 */
import type { ComponentName } from "./components.js";

/**
 * The names of the kernels that there is a component for. Which of them this platform has is in {@link platformKernels}.
 *
 * @useDeclaredType
 */
export type KernelName = ComponentName;

/** A kernel to poll with. Pollers on the same object share a component instance. */
export interface Kernel {
  /** Which component speaks to it: `wit/<name>.wit` says what it must offer. */
  readonly name: KernelName;

  /** Opens the kernel for one component instance, which gets a table of handles of its own. */
  open(): OpenKernel;
}

/** One component instance's hold on a kernel. */
export interface OpenKernel {
  /**
   * The interfaces that the component's world imports, by their WIT names, such as `epoll` and `clock`.
   *
   * `wait` returns a moment with its events. It must be one of `clock.now`, read after the kernel returned: the poller
   * measures its timeouts and timers by it, and does not read the clock again. Without a timeout it may be 0. On
   * JavaScript values that is `{ events, moment }`, with a bigint of nanoseconds.
   */
  readonly imports: Readonly<Record<string, Readonly<Record<string, ImportedFunction>>>>;

  /**
   * Calls `wake` in this thread's event loop whenever the kernel object with that handle, which its `create` returned, may
   * have events, and again in each turn of the loop while it may. Calls `wake(true)` when what {@link Delivery.arm} was
   * given is over. Nobody waits for the object by other means meanwhile.
   *
   * A kernel without this function works, but its pollers cannot be attached to the event loop.
   *
   * @param handle the kernel object
   * @param wake must be called from the event loop, never from inside another call. It never throws
   * @throws PollerError if the system refuses, such as `EMFILE` or `ENOMEM`
   */
  deliver?(handle: number, wake: (isOver?: boolean) => void): Delivery;

  /** Closes everything that the instance still holds. Called after a trap; calling it twice does no harm. */
  close(): void;
}

/** A kernel object's connection to the event loop. None of its functions blocks. */
export interface Delivery {
  /** How the event loop is told, such as `"uv_poll"`: what {@link Poller.delivery} returns. */
  readonly way: string;
  /** Whether `wake` is called in the asynchronous context in which `deliver` was called. */
  readonly keepsContext: boolean;
  /** If `keeps`, keeps the event loop active. A new delivery does not. */
  refer(keeps: boolean): void;
  /**
   * Calls `wake(true)` once, when so many milliseconds are over. If 0, calls it in a later turn of the event loop, which
   * does not block before that. Replaces what was armed before. Does not keep the event loop active.
   *
   * Too early is harmless, too late delays the poller's timers. Not to be built on the runtime's own timers if those may
   * be replaced, as tests do.
   *
   * @param milliseconds at least 0, with fractions. `Infinity` disarms
   */
  arm(milliseconds: number): void;
  /**
   * If `pauses`, calls `wake` only for what was armed, and not for events, until it is called again with `false`.
   *
   * @throws PollerError if the system refuses to go on, such as `ENOSPC`: it is still paused then
   */
  pause(pauses: boolean): void;
  /** Ends the delivery. `wake` is not called any more. Calling it twice is harmless. */
  close(): void;
}

/** What jco hands to an import that brings its own core function: only what the function's type needs. */
export interface CanonicalOptions {
  /** The component's linear memory. Its buffer is another one after it has grown. */
  readonly memory?: {
    /** The bytes as they are now. */
    readonly buffer: ArrayBuffer;
  };
  /** The component's `cabi_realloc`: makes room for what is returned in memory. Sizes and alignment are bytes. */
  readonly realloc?: (oldPointer: number, oldSize: number, alignment: number, newSize: number) => number;
}

/** A core function: the canonical ABI's flat integers in and out. */
export type CoreFunction = (...flat: never[]) => number | bigint | void;

/** jco's name for an import's own core function. See "Optimized Host Bindings" in its documentation. */
export const cabiLower: unique symbol = Symbol.for("cabiLower") as never;

/**
 * An imported function. Without a core function jco lifts its arguments and lowers its results, which costs
 * microseconds a call; with one, the component calls it directly.
 */
export type ImportedFunction = ((...lifted: never[]) => unknown) & {
  /** Makes the core function for one instance. The property is `Symbol.for("cabiLower")`. */
  readonly [cabiLower]?: (options: CanonicalOptions) => CoreFunction;
};
