/** Checks arguments, before anything happens. Each option is read once: it may be a getter of the program's. */
import { invalidType, outOfRange } from "../errors.js";
import { ANY_INTEREST, Interest } from "../interest.js";

interface Options {
  readonly signal?: AbortSignal;
  readonly timeout?: number;
}

/** The signal of options. @throws TypeError `ERR_INVALID_ARG_TYPE` */
export function signalOf(options: Options | undefined): AbortSignal | undefined {
  if (options === undefined) return undefined;
  if (typeof options !== "object" || options === null) throw invalidType("options", "of type object", options);
  const { signal } = options;
  if (signal !== undefined) checkSignal(signal);
  return signal;
}

/** By what it offers, for it may be another realm's. */
function checkSignal(signal: AbortSignal): void {
  if (typeof signal === "object" && signal !== null) {
    const { aborted, addEventListener, removeEventListener } = signal;
    const isListened = typeof addEventListener === "function" && typeof removeEventListener === "function";
    if (isListened && typeof aborted === "boolean") return;
    if ("abort" in signal && "signal" in signal) {
      throw invalidType("options.signal", "an AbortSignal, which is the controller's property `signal`", signal);
    }
  }
  throw invalidType("options.signal", "an AbortSignal", signal);
}

/** The time-out of options that `signalOf` has accepted, in milliseconds; `Infinity` if there is none. */
export function timeoutOf(options: Options | undefined): number {
  const timeout = options?.timeout;
  if (timeout === undefined) return Infinity;
  if (typeof timeout !== "number") throw invalidType("options.timeout", "of type number", timeout);
  if (!(timeout >= 0)) throw outOfRange("options.timeout", "a number >= 0", timeout);
  return timeout;
}

/** @throws TypeError, RangeError if it is no interest, or none at all */
export function checkInterest(interest: Interest): void {
  if (typeof interest !== "number") throw invalidType("interest", "of type number", interest);
  if ((interest & ANY_INTEREST) === interest && interest !== Interest.NONE) return;
  throw outOfRange("interest", "values of Interest joined with |, at least one", interest);
}
