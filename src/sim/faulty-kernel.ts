/**
 * A kernel in which things go wrong: another one, with faults in its calls.
 *
 * A wrapper, so that the kernel within stays what its manual says. What a wrapper cannot do, simulated kernels have a
 * word for themselves, such as `SimulatedEpoll.order`.
 */
import { invalidType, pollerError } from "../errors.js";
import type { ImportedFunction, Kernel, KernelName, OpenKernel } from "../kernel.js";
import { imported, u64 } from "./abi.js";
import type { VirtualClock } from "./clock.js";
import { faultyEpoll } from "./faulty-epoll.js";
import { faultyIocp } from "./faulty-iocp.js";
import { faultyKqueue } from "./faulty-kqueue.js";
import { checkFault, type DocumentedErrors, type FaultSource, type KernelCall, type KernelChange } from "./faults.js";
import { Shuffle } from "./shuffle.js";

/** A kernel's functions, on JavaScript values. */
export type Functions = Readonly<Record<string, (...lifted: never[]) => unknown>>;

/** What goes wrong in one call, put together. */
export interface Plan {
  /** The error that it fails with; `"spurious"` for a wait that only ends. */
  readonly end: { readonly error: string | undefined; readonly after: number | undefined } | undefined;
  /** The refused changes, by their places. */
  readonly refusals: ReadonlyMap<number, string> | undefined;
  /** The most events that a wait brings. */
  readonly most: number;
  /** Puts a wait's events in another order. */
  readonly shuffle: Shuffle | undefined;
}

/** Asks what goes wrong in a call that is about to be made; `undefined` is nothing. */
export type Ask = (
  name: string,
  changes: readonly KernelChange[],
  notify: (() => void) | undefined,
) => Plan | undefined;

/** A kind of kernel: its interface in `wit/`, wrapped. */
export interface FaultyInterface {
  readonly errors: readonly DocumentedErrors[];
  /** @param now the kernel's clock */
  wrap(kernel: Functions, ask: Ask, now: () => bigint): Readonly<Record<string, ImportedFunction>>;
}

/** The kernels that can be wrapped. */
const INTERFACES: Readonly<Partial<Record<string, FaultyInterface>>> = {
  epoll: faultyEpoll,
  iocp: faultyIocp,
  kqueue: faultyKqueue,
};

const NO_ERRORS: readonly string[] = [];
const NO_CHANGES: readonly KernelChange[] = [];

/**
 * A kernel like another one, in which things go wrong as a source of faults decides.
 *
 * What a poller on it answers must still be true: an operation that failed left everything as it was, no event is lost,
 * told twice or made up, and no wait ends early without a reason.
 *
 * ```ts
 * const simulated = new SimulatedEpoll();
 * const faults = randomFaults({ seed: 7 });
 * const poller = new Poller({ kernel: new FaultyKernel(simulated, faults) });
 * // … and when something is wrong: console.error(faults.script)
 * ```
 *
 * Each call of the source may decide on several faults of one call. What it throws ends the component, as a trap does.
 */
export class FaultyKernel implements Kernel {
  readonly name: KernelName;
  readonly #inner: Kernel & { readonly clock?: VirtualClock };
  readonly #source: FaultSource;
  readonly #interface: FaultyInterface;
  readonly #errors: ReadonlyMap<string, readonly string[]>;
  #calls = 0;
  #injected = 0;

  /**
   * @param kernel a kernel whose functions take JavaScript values, as the simulated ones' do. With a `clock`, time can
   * pass by faults
   * @throws TypeError `ERR_INVALID_ARG_TYPE`
   * @throws {PollerError} `ERR_POLLER_UNSUPPORTED` for a kind of kernel whose faults are not known
   */
  constructor(kernel: Kernel & { readonly clock?: VirtualClock }, source: FaultSource) {
    if (typeof kernel !== "object" || kernel === null || typeof kernel.open !== "function") {
      throw invalidType("kernel", "a kernel object", kernel);
    }
    if (typeof source !== "function") throw invalidType("source", "of type function", source);
    const { name } = kernel;
    const known = typeof name === "string" && Object.hasOwn(INTERFACES, name) ? INTERFACES[name] : undefined;
    if (known === undefined) throw pollerError("ERR_POLLER_UNSUPPORTED", `A kernel "${name}" has no faults here`);
    this.name = name;
    this.#inner = kernel;
    this.#source = source;
    this.#interface = known;
    this.#errors = new Map(known.errors.map(({ call, operation, errors }) => [operation ?? call, errors]));
  }

  /** How many calls the kernel was asked for, its clock's included. */
  get calls(): number {
    return this.#calls;
  }

  /** How many faults happened. */
  get injected(): number {
    return this.#injected;
  }

  /** The errors that the manual lists for the calls of this kind of kernel. */
  get documentedErrors(): readonly DocumentedErrors[] {
    return this.#interface.errors;
  }

  open(): OpenKernel {
    const inner = this.#inner.open();
    const ask: Ask = (name, changes, notify) => this.#ask(name, changes, notify);
    const now = inner.imports["clock"]?.["now"] as (() => bigint) | undefined;
    if (now === undefined) throw pollerError("ERR_POLLER_UNSUPPORTED", "The kernel has no clock");
    const clock = imported({ parameters: [], result: u64 }, () => {
      ask("now", NO_CHANGES, undefined);
      return now();
    });
    const functions = inner.imports[this.name] as Functions;
    return {
      imports: { [this.name]: this.#interface.wrap(functions, ask, now), clock: { now: clock } },
      close: () => inner.close(),
    };
  }

  #ask(name: string, changes: readonly KernelChange[], notify: (() => void) | undefined): Plan | undefined {
    const call: KernelCall = {
      index: this.#calls++,
      name,
      changes,
      errors: this.#errors.get(name) ?? NO_ERRORS,
      errorsOf: ({ operation }) => this.#errors.get(operation) ?? NO_ERRORS,
      notify,
    };
    const faults = this.#source(call);
    if (faults === undefined || faults.length === 0) return undefined;

    let end: Plan["end"];
    let refusals: Map<number, string> | undefined;
    let most = Infinity;
    let shuffle: Shuffle | undefined;
    for (const fault of faults) {
      checkFault(fault);
      this.#injected++;
      switch (fault.kind) {
        case "error":
          end = { error: fault.error, after: fault.after };
          break;
        case "spurious":
          end = { error: undefined, after: fault.after };
          break;
        case "change":
          refusals ??= new Map();
          refusals.set(fault.index, fault.error);
          break;
        case "partial":
          most = Math.max(1, fault.most);
          break;
        case "shuffle":
          shuffle = new Shuffle(fault.seed);
          break;
        case "delay":
          this.#inner.clock?.advance(fault.milliseconds);
          break;
        case "notify":
          notify?.();
          break;
      }
    }
    return { end, refusals, most, shuffle };
  }
}
