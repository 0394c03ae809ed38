/** AbortSignals: each has one listener of ours, however many wait with it. */
import { reportUncaught } from "../uncaught.js";

/** Something that a signal ends. */
export interface Abortable {
  /** The signal was aborted. Never calls back into the program. */
  abort(signal: AbortSignal): void;
}

/** All that a signal ends. */
class Abortion implements EventListenerObject {
  readonly #signal: AbortSignal;
  readonly #abortables = new Set<Abortable>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(abortable: Abortable): void {
    this.#abortables.add(abortable);
    if (this.#abortables.size > 1) return;
    try {
      this.#signal.addEventListener("abort", this);
    } catch (error) {
      this.#abortables.delete(abortable);
      throw error;
    }
  }

  remove(abortable: Abortable): void {
    if (!this.#abortables.delete(abortable) || this.#abortables.size > 0) return;
    try {
      this.#signal.removeEventListener("abort", this);
    } catch (error) {
      // A signal of the program's own making. What was to end has ended, and others go on.
      reportUncaught(error);
    }
  }

  handleEvent(): void {
    for (const abortable of this.#abortables) abortable.abort(this.#signal);
  }
}

const abortions = new WeakMap<AbortSignal, Abortion>();

/** Has a signal end something. What the signal throws comes through, and then it ends nothing. */
export function listen(signal: AbortSignal, abortable: Abortable): void {
  let abortion = abortions.get(signal);
  if (abortion === undefined) abortions.set(signal, (abortion = new Abortion(signal)));
  abortion.add(abortable);
}

/** Has a signal not end something any more. Does nothing if it would not. */
export function unlisten(signal: AbortSignal, abortable: Abortable): void {
  abortions.get(signal)?.remove(abortable);
}

/** As Node's own; or what a signal of the program's own making throws in its place. */
export function abortError(signal: AbortSignal): unknown {
  try {
    const error = new Error("The operation was aborted", { cause: signal.reason });
    return Object.assign(error, { name: "AbortError", code: "ABORT_ERR" });
  } catch (error) {
    return error;
  }
}
