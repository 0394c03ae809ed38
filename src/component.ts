/**
 * Instances of the components, and the canonical ABI for the calls that are made often.
 *
 * jco instantiates the component and serves the rare calls. What it generates costs microseconds a call, so the often
 * used ones go to the core module's exports directly, and read their results from its memory as the canonical ABI lays
 * them out.
 */
import { type ComponentName, components } from "./components.js";
import { coreModule, instantiationError } from "./core-modules.js";
import { disposeOf } from "./dispose.js";
import { pollerError, type PollerError } from "./errors.js";
import { registerGarbage } from "./finalization.js";
import type { Delivery, Kernel, OpenKernel } from "./kernel.js";
import { Reentrance } from "./reentrance.js";

/** A resource of the component: jco's object, and what the component knows it by. */
export interface Resource<T> {
  readonly lifted: T;
  readonly representation: number;
}

type Root = ReturnType<(typeof components)[ComponentName]>;
export type LiftedPoller = Root["poller"]["Poller"]["prototype"];
export type LiftedEvents = Root["poller"]["Events"]["prototype"];

const POLLER = "lio:poller/poller@0.1.0";

/**
 * The core exports that are called directly. The `numbers…` are those of `assembly/abi/numbers.ts`: a key is its two words,
 * and each returns 0, or where the result lies that says why it failed.
 */
interface CoreExports extends WebAssembly.Exports {
  readonly memory: WebAssembly.Memory;
  readonly cabi_realloc: (old: number, oldSize: number, alignment: number, size: number) => number;
  readonly numbersLargestDescriptor: WebAssembly.Global;
  readonly numbersAdd: Instance["add"];
  readonly numbersModify: Instance["modify"];
  readonly numbersDelete: Instance["delete"];
  readonly numbersWait: Instance["wait"];
  readonly numbersNotify: Instance["notify"];
  readonly numbersAddTimer: Instance["addTimer"];
  readonly numbersModifyTimer: Instance["modifyTimer"];
  readonly numbersDeleteTimer: Instance["deleteTimer"];
  readonly inUse: Instance["bytesInUse"];
  readonly numbersOutlook: Instance["outlook"];
  readonly numbersLanding: () => number;
  readonly numbersLandingBytes: () => number;
}

/** No call runs. */
export const IDLE = 0;
/** A call runs, or has never come to its end: see `Instance.isBusy`. */
export const BUSY = 1;
/** The component trapped: it must not be called again. */
export const TRAPPED = 2;

/** One instance of a component, on one kernel. */
export class Instance {
  /** `IDLE`, `BUSY` or `TRAPPED`. */
  state: typeof IDLE | typeof BUSY | typeof TRAPPED = IDLE;

  // The views of memory. A memory that has grown leaves them with length 0, so whatever can make it grow ends in
  // `refresh`: creating, adding, batches and timers. Waiting, modifying and deleting need no memory.
  bytes: Uint8Array;
  words: Uint32Array;

  /** The largest descriptor that can be given; the smallest is as far below -1. */
  readonly largestDescriptor: number;
  readonly add: (poller: number, fd: number, low: number, high: number, interest: number, mode: number) => number;
  /** A mode below 0 is none. */
  readonly modify: (poller: number, fd: number, low: number, high: number, interest: number, mode: number) => number;
  readonly delete: (poller: number, fd: number) => number;
  /** Nanoseconds; below 0 is for ever. Returns a count, or below 0 the complement of where its failed result lies. */
  readonly wait: (poller: number, events: number, timeout: number) => number;
  readonly notify: (poller: number) => number;
  /** Nanoseconds, below 0 for a moment that has passed; a period of 0 is none. */
  readonly addTimer: (poller: number, low: number, high: number, delay: number, period: number) => number;
  /** A period below 0 keeps the one that there is. */
  readonly modifyTimer: (poller: number, low: number, high: number, delay: number, period: number) => number;
  readonly deleteTimer: (poller: number, low: number, high: number) => number;
  /** Returns where it lies. */
  readonly outlook: (poller: number) => number;
  readonly apply: (poller: number, changes: number, length: number) => number;
  readonly applied: (result: number) => void;
  readonly read: (events: number) => number;
  readonly allocate: (bytes: number) => number;
  /** Bytes of its memory that the component has allocated and not released. */
  readonly bytesInUse: () => number;

  /** Called after a trap, whichever of the pollers was called, and perhaps more than once. */
  readonly onTrap = new Set<(error: PollerError) => void>();

  readonly #kernel: OpenKernel;
  readonly #root: Root;
  readonly #memory: WebAssembly.Memory;
  readonly #reentrance = new Reentrance(() => void this.isBusy());
  #representation = 0;
  /** What `close` ends. */
  #closing = 0;
  #isReleased = false;
  /** What was thrown out of the component. */
  #cause: unknown;

  constructor(kernel: Kernel) {
    const { name } = kernel;
    this.#kernel = kernel.open();
    let core: CoreExports | undefined;
    const instantiateCore = (module: WebAssembly.Module, imports: WebAssembly.Imports = {}): WebAssembly.Instance => {
      const watched = this.#reentrance.watch(this.#watchResources(imports));
      const { exports } = new WebAssembly.Instance(module, watched);
      if (!("cabi_realloc" in exports)) return { exports: this.#reentrance.owned(exports) };
      core = exports as CoreExports;
      // For the addon, to which jco hands the allocator: calling it costs more than a system call.
      Object.assign(core.cabi_realloc, { landing: core.numbersLanding(), landingBytes: core.numbersLandingBytes() });
      return { exports: this.#reentrance.owned(this.#guardDestructors(exports)) };
    };
    const imports: Record<string, object> = { "lio:poller/types": {} };
    for (const [face, functions] of Object.entries(this.#kernel.imports)) imports[`lio:poller/${face}`] = functions;
    try {
      this.#root = components[name]((file) => coreModule(name, file), imports as never, instantiateCore);
    } catch (cause) {
      this.#kernel.close();
      throw instantiationError(cause, name);
    }
    if (core === undefined) throw new Error("the component has no core module that exports its allocator");
    const { memory, cabi_realloc } = core;
    this.#memory = memory;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.largestDescriptor = core.numbersLargestDescriptor.value as number;
    this.add = core.numbersAdd;
    this.modify = core.numbersModify;
    this.delete = core.numbersDelete;
    this.wait = core.numbersWait;
    this.notify = core.numbersNotify;
    this.addTimer = core.numbersAddTimer;
    this.modifyTimer = core.numbersModifyTimer;
    this.deleteTimer = core.numbersDeleteTimer;
    this.outlook = core.numbersOutlook;
    this.apply = core[`${POLLER}#[method]poller.apply`] as Instance["apply"];
    this.applied = core[`cabi_post_${POLLER}#[method]poller.apply`] as Instance["applied"];
    this.read = core[`${POLLER}#[method]events.read`] as Instance["read"];
    this.bytesInUse = core.inUse;
    this.allocate = (bytes) => cabi_realloc(0, 0, 8, bytes);
  }

  /** Milliseconds of the kernel's clock, which never goes back. */
  now(): number {
    const now = this.#kernel.imports["clock"]?.["now"] as (() => bigint) | undefined;
    if (now === undefined) throw new Error("the kernel has no clock");
    return Number(now()) / 1e6;
  }

  /** As `OpenKernel.deliver`; `undefined` if the kernel has no such thing. */
  deliver(handle: number, wake: (isOver?: boolean) => void): Delivery | undefined {
    return this.#kernel.deliver?.(handle, wake);
  }

  /** Makes a poller in this instance. @throws jco's error, whose payload is the error code; or PollerError if it trapped */
  createPoller(): Resource<LiftedPoller> {
    return this.lifted(() => {
      const lifted = this.#root.poller.Poller.create();
      return { lifted, representation: this.#representation };
    });
  }

  /** Makes room for events in this instance. @throws as `createPoller` */
  createEvents(capacity: number): Resource<LiftedEvents> {
    return this.lifted(() => {
      const lifted = this.#root.poller.Events.create(capacity);
      return { lifted, representation: this.#representation };
    });
  }

  /** Ends a poller of this instance. @throws PollerError if it trapped */
  closePoller({ lifted, representation }: Resource<LiftedPoller>): void {
    this.#closing = representation;
    this.lifted(() => disposeOf(lifted));
    this.#closing = 0;
  }

  /** Runs a call through jco, which throws the component's errors with their payload, and traps as they are. */
  lifted<T>(call: () => T): T {
    this.state = BUSY;
    let value: T;
    try {
      value = call();
    } catch (error) {
      if (!isLiftedError(error)) throw this.trapped(error);
      this.refresh();
      this.state = IDLE;
      throw error;
    }
    this.refresh();
    this.state = IDLE;
    return value;
  }

  /** Makes the views anew if memory has grown. Never needed after a call that only answers. */
  refresh(): void {
    if (this.bytes.length !== 0) return;
    this.bytes = new Uint8Array(this.#memory.buffer);
    this.words = new Uint32Array(this.#memory.buffer);
  }

  /**
   * Whether a call runs that the caller is inside of, which a kernel in JavaScript makes possible. If one has begun and
   * cannot be running any more, it was ended from outside, and what its core was doing is half done: that is a trap.
   */
  isBusy(): boolean {
    if (this.state !== BUSY) return false;
    if (this.#reentrance.isPossible) return true;
    this.trapped(undefined);
    return false;
  }

  /**
   * Ends the instance after something was thrown out of it. What its core was doing is half done, whether a trap or an
   * import threw, so nothing of it is used again; its descriptors are closed.
   */
  trapped(cause: unknown): PollerError {
    this.state = TRAPPED;
    this.#cause = cause;
    this.release();
    return trapError(cause);
  }

  /** Closes what a trapped instance holds and tells of the trap, if that has not been done: the stack may be at its end. */
  release(): void {
    if (this.#isReleased) return;
    try {
      this.#kernel.close();
      for (const tell of this.onTrap) tell(trapError(this.#cause));
      this.#isReleased = true;
    } catch {
      // The trap is what the user is told of.
    }
  }

  /** Keeps jco, which drops resources that were collected, from calling an instance that must not be called. */
  #guardDestructors(exports: WebAssembly.Exports): WebAssembly.Exports {
    const guarded = Object.entries(exports).map(([name, value]) => {
      if (!name.includes("#[dtor]") || typeof value !== "function") return [name, value] as const;
      const destroy = (representation: number): void => {
        if (this.state === BUSY && representation === this.#closing) value(representation);
        // From a collection, which happens inside no call.
        else if (!this.isBusy() && this.state === IDLE) this.lifted(() => value(representation));
      };
      return [name, destroy] as const;
    });
    return Object.fromEntries(guarded);
  }

  /** Notes by which representation the component knows the resource that it makes: jco keeps that to itself. */
  #watchResources(imports: WebAssembly.Imports): WebAssembly.Imports {
    const exported = imports[`[export]${POLLER}`];
    if (exported === undefined) return imports;
    const watched = Object.entries(exported).map(([name, create]) => {
      if (!name.startsWith("[resource-new]") || typeof create !== "function") return [name, create] as const;
      const noting = (representation: number): number => {
        this.#representation = representation;
        return create(representation) as number;
      };
      return [name, noting] as const;
    });
    return { ...imports, [`[export]${POLLER}`]: Object.fromEntries(watched) };
  }
}

function trapError(cause: unknown): PollerError {
  return pollerError("ERR_POLLER_TRAPPED", "The poller's component failed, and its pollers are closed", { cause });
}

function isLiftedError(error: unknown): boolean {
  return (error as { payload?: { tag?: unknown } } | undefined)?.payload?.tag !== undefined;
}

registerGarbage();

const instances = new WeakMap<Kernel, Instance>();

/** The instance for a kernel: one per thread, made on first use, and made anew if it trapped. */
export function instanceFor(kernel: Kernel): Instance {
  const known = instances.get(kernel);
  // Of a call that was ended from outside, this may be the first to know.
  known?.isBusy();
  if (known !== undefined && known.state !== TRAPPED) return known;
  known?.release();
  const instance = new Instance(kernel);
  instances.set(kernel, instance);
  return instance;
}
