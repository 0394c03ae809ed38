/**
 * What can go wrong in a kernel, and who decides that it does: at random but by a seed, or by a script. Nothing here
 * knows a kernel; `faulty-kernel.ts` lets these faults happen.
 */
import { errorNumber, invalidType, invalidValue, outOfRange } from "../errors.js";

/** Which errors the manual lists for one of a kernel's calls. */
export interface DocumentedErrors {
  /** The function of the kernel's interface in `wit/`, as jco spells it. */
  readonly call: string;
  /** For calls that carry changes: the kind of change. */
  readonly operation?: string;
  /** The page, and its section unless that is "ERRORS". */
  readonly manual: string;
  /** Node's names of the errors. */
  readonly errors: readonly string[];
}

/** The call fails. A wait fails after its changes were made, unless events come first. */
export interface ErrorFault {
  /** Which fault it is. */
  readonly kind: "error";
  /** Node's name of the error. */
  readonly error: string;
  /** A wait fails after so many milliseconds; at once, and without looking for events, unless told. */
  readonly after?: number;
}

/** The kernel refuses one of the changes that the call carries, and makes the others. */
export interface ChangeFault {
  /** Which fault it is. */
  readonly kind: "change";
  /** The place of the change, from 0. */
  readonly index: number;
  /** Node's name of the error. */
  readonly error: string;
}

/** A wait ends with no events, unless events come first. */
export interface SpuriousFault {
  /** Which fault it is. */
  readonly kind: "spurious";
  /** After so many milliseconds; at once, and without looking for events, unless told. */
  readonly after?: number;
}

/** A wait brings fewer events, though there are more and there is room. */
export interface PartialFault {
  /** Which fault it is. */
  readonly kind: "partial";
  /** How many it brings at most: at least 1. */
  readonly most: number;
}

/** A wait brings its events in another order. */
export interface ShuffleFault {
  /** Which fault it is. */
  readonly kind: "shuffle";
  /** Which order: an integer that is at least 0. */
  readonly seed: number;
}

/** Time passes before the call, as if the thread had not been scheduled. Needs a kernel with a clock. */
export interface DelayFault {
  /** Which fault it is. */
  readonly kind: "delay";
  /** How much. */
  readonly milliseconds: number;
}

/** Another thread notifies the poller before its wait looks. Does nothing if the poller never had a notifier. */
export interface NotifyFault {
  /** Which fault it is. */
  readonly kind: "notify";
}

/** One thing that goes wrong in one call of a kernel. All are plain data, so that a script of them can be printed. */
export type Fault = ErrorFault | ChangeFault | SpuriousFault | PartialFault | ShuffleFault | DelayFault | NotifyFault;

/** A change that a call carries. */
export interface KernelChange {
  /** What kind of change it is, as {@link DocumentedErrors} names it. */
  readonly operation: string;
  /** The descriptor that it is about. */
  readonly fd: number;
}

/** A call of a kernel that is about to be made. */
export interface KernelCall {
  /** How many were made before it. */
  readonly index: number;
  /** The function of the kernel's interface in `wit/`, as jco spells it, or `"now"` of its clock. */
  readonly name: string;
  /** The changes that it carries. */
  readonly changes: readonly KernelChange[];
  /** The errors that the manual lists for the call itself. */
  readonly errors: readonly string[];
  /** The errors that the manual lists for a change. */
  errorsOf(change: KernelChange): readonly string[];
  /** Notifies the poller that waits, as another thread would, now or later; `undefined` if it has no notifier. */
  readonly notify: (() => void) | undefined;
}

/** Decides what goes wrong in a call. It may also act behind the poller's back, but must not use pollers. */
export type FaultSource = (call: KernelCall) => readonly Fault[] | undefined;

/** A fault and the call that it belongs to. */
export interface ScriptedFault {
  /** Which call it is, by how many were made before it. */
  readonly call: number;
  /** What goes wrong with it. */
  readonly fault: Fault;
}

/** What {@link randomFaults} may be told. */
export interface RandomFaultsOptions {
  /** An integer from 0 to 2^32 - 1. The same seed and the same calls give the same faults. */
  readonly seed: number;
  /** How many of the calls something goes wrong in, from 0 to 1. Default: 0.1. */
  readonly rate?: number;
}

/** A source of faults that keeps what it has decided. */
export type RandomFaults = FaultSource & {
  /** All faults up to now, for {@link scriptedFaults}: print it, with the seed, when a test fails. */
  readonly script: readonly ScriptedFault[];
};

/**
 * Faults of every kind, at random: errors that the manual lists for the call or for one of its changes, waits that end
 * early, are notified, or bring events in part or in another order, and time that passes.
 *
 * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 */
export function randomFaults(options: RandomFaultsOptions): RandomFaults {
  if (typeof options !== "object" || options === null) throw invalidType("options", "of type object", options);
  const { seed, rate = 0.1 } = options;
  checkNumber("options.seed", seed, 0, 2 ** 32 - 1, true);
  checkNumber("options.rate", rate, 0, 1);

  const random = new Sequence(seed);
  const script: ScriptedFault[] = [];
  const decide = (call: KernelCall): readonly Fault[] | undefined => {
    if (random.fraction() >= rate) return undefined;
    const fault = anyFault(call, random);
    if (fault === undefined) return undefined;
    script.push({ call: call.index, fault });
    return [fault];
  };
  return Object.assign(decide, { script });
}

/**
 * The faults of a script, each in the call that it names by its number.
 *
 * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
 */
export function scriptedFaults(script: readonly ScriptedFault[]): FaultSource {
  if (!Array.isArray(script)) throw invalidType("script", "an array", script);
  const byCall = new Map<number, Fault[]>();
  for (const entry of script as readonly ScriptedFault[]) {
    if (typeof entry !== "object" || entry === null) throw invalidType("script", "an array of objects", entry);
    const { call, fault } = entry;
    checkNumber("script.call", call, 0, Number.MAX_SAFE_INTEGER, true);
    checkFault(fault);
    const others = byCall.get(call);
    if (others === undefined) byCall.set(call, [fault]);
    else others.push(fault);
  }
  return ({ index }) => byCall.get(index);
}

/** The number that a fault of each kind has. */
const NUMBERS: Readonly<
  Record<Fault["kind"], { readonly name: string; readonly isWhole?: true; readonly least?: 1 } | null>
> = {
  error: { name: "after" },
  change: { name: "index", isWhole: true },
  spurious: { name: "after" },
  partial: { name: "most", isWhole: true, least: 1 },
  shuffle: { name: "seed", isWhole: true },
  delay: { name: "milliseconds" },
  notify: null,
};

/**
 * Refuses what is no fault, so that a misspelt one does not pass for a kernel that works.
 *
 * @internal
 */
export function checkFault(fault: Fault): void {
  if (typeof fault !== "object" || fault === null) throw invalidType("fault", "of type object", fault);
  const { kind } = fault;
  if (typeof kind !== "string" || !Object.hasOwn(NUMBERS, kind))
    throw invalidValue("fault.kind", Object.keys(NUMBERS).join(", "), kind);
  const number = NUMBERS[kind];
  if (number !== null) {
    const { name, isWhole, least = 0 } = number;
    const value = (fault as unknown as Readonly<Record<string, number | undefined>>)[name];
    const isLeftOut = value === undefined && name === "after";
    if (!isLeftOut) checkNumber(`fault.${name}`, value as number, least, Number.MAX_SAFE_INTEGER, isWhole);
  }
  if (kind !== "error" && kind !== "change") return;
  if (typeof fault.error !== "string") throw invalidType("fault.error", "of type string", fault.error);
  if (errorNumber(fault.error) === 0) throw invalidValue("fault.error", "the name of an error", fault.error);
}

/**
 * The shortest script that still fails, as far as leaving out entries finds one: halves first, single ones last.
 *
 * @param script what failed: faults, steps, anything
 * @param fails runs a shorter script, from a fresh start, and tells whether it still fails
 * @throws TypeError `ERR_INVALID_ARG_TYPE`
 */
export function shrink<Entry>(script: readonly Entry[], fails: (script: readonly Entry[]) => boolean): Entry[] {
  if (!Array.isArray(script)) throw invalidType("script", "an array", script);
  if (typeof fails !== "function") throw invalidType("fails", "of type function", fails);
  let shortest = [...(script as readonly Entry[])];
  let size = Math.ceil(shortest.length / 2);
  while (size > 0) {
    let shorter = false;
    for (let from = 0; from < shortest.length;) {
      const attempt = shortest.filter((_, index) => index < from || index >= from + size);
      if (fails(attempt)) {
        shortest = attempt;
        shorter = true;
      } else {
        from += size;
      }
    }
    // What could not be left out before may be, now that others are gone.
    if (!shorter || size > shortest.length) size = size === 1 ? 0 : Math.ceil(Math.min(size, shortest.length) / 2);
  }
  return shortest;
}

/** Numbers that look random and are the same each time: a counter, mixed as hash functions finish. */
export class Sequence {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to 2^32 - 1. */
  word(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let word = this.#state;
    word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
    return (word ^ (word >>> 16)) >>> 0;
  }

  /** From 0 to 1, without 1. */
  fraction(): number {
    return this.word() / 2 ** 32;
  }

  /** An integer from 0 to `bound` - 1. */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }

  /** One of the choices, of which there must be one. */
  pick<Choice>(choices: readonly Choice[]): Choice {
    return choices[this.below(choices.length)] as Choice;
  }
}

/** Something that can go wrong in this call. */
function anyFault(call: KernelCall, random: Sequence): Fault | undefined {
  const { changes, errors, name } = call;
  const choices: (() => Fault)[] = [() => ({ kind: "delay", milliseconds: random.below(2000) / 1000 })];
  if (changes.length > 0) {
    choices.push(() => {
      const index = random.below(changes.length);
      return { kind: "change", index, error: random.pick(call.errorsOf(changes[index] as KernelChange)) };
    });
  }
  if (errors.length > 0) choices.push(() => ({ kind: "error", error: random.pick(errors) }));
  if (name === "wait") {
    choices.push(
      () => ({ kind: "spurious", after: random.below(2000) / 1000 }),
      () => ({ kind: "partial", most: 1 + random.below(4) }),
      () => ({ kind: "shuffle", seed: random.word() }),
      () => ({ kind: "notify" }),
    );
  }
  return random.pick(choices)();
}

function checkNumber(name: string, value: number, least: number, most: number, isWhole = false): void {
  if (typeof value !== "number") throw invalidType(name, "of type number", value);
  if (value >= least && value <= most && (!isWhole || Number.isInteger(value))) return;
  throw outOfRange(name, `${isWhole ? "an integer" : "a number"} >= ${least} and <= ${most}`, value);
}
