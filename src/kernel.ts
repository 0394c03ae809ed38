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
  /** The interfaces that the component's world imports, by their WIT names, such as `epoll` and `clock`. */
  readonly imports: Readonly<Record<string, Readonly<Record<string, ImportedFunction>>>>;

  /**
   * Has `wake` called in this thread's event loop whenever the kernel object with that handle, which its `create` gave,
   * may have events, again and again for as long as it may. Left out by kernels that cannot: their pollers cannot be
   * attached. Nobody blocks in a wait for the object meanwhile.
   *
   * @throws PollerError if there are not the means for it
   */
  deliver?(handle: number, wake: () => void): Delivery;

  /** Closes everything that the instance still holds. Called after a trap; calling it twice does no harm. */
  close(): void;
}

/** A kernel object's way into an event loop. */
export interface Delivery {
  /** How the loop is told, such as `"uv_poll"`. */
  readonly way: string;
  /** Whether `wake` is called in the asynchronous context in which `deliver` was. */
  readonly keepsContext: boolean;
  /** Keeps the loop running, or does not. A new one does not. */
  refer(keeps: boolean): void;
  /** Lets the next call come, where `keepsContext` is false: then each waits for the last one to be acknowledged. */
  acknowledge(): void;
  /** When this returns, `wake` is not called any more. Calling it twice does no harm. */
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
