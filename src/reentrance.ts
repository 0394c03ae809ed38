/**
 * Whether a component has called out to code that may call pollers: a kernel in JavaScript.
 *
 * That is how a call inside another call is told from a call after one that never came to its end. V8 can end JavaScript
 * anywhere, and then runs neither `catch` nor `finally`: Ctrl-C in a REPL, the time limit of `node:vm`, the inspector's
 * `Runtime.terminateExecution`. At the end of the stack a `catch` runs, but the first call in it may fail again.
 */

const withoutScript = new WeakSet<object>();

/** Notes that a core function runs nobody's JavaScript, so that nothing can call a poller from inside it. */
export function runsNoScript<Call extends object>(call: Call): Call {
  withoutScript.add(call);
  return call;
}

/** The imports of one instance's core modules. */
export class Reentrance {
  readonly #isOver: () => void;
  /** Exports of the instance's own modules, which jco links with one another. */
  readonly #own = new WeakSet<object>();
  #running = 0;
  #isTurnWatched = false;

  /** @param isOver called after a turn in which the component called out: no call of that turn runs any more */
  constructor(isOver: () => void) {
    this.#isOver = isOver;
  }

  /** A kernel in JavaScript was called and has not returned; or was ended in this very turn. */
  get isPossible(): boolean {
    return this.#running > 0;
  }

  /** The imports for a core module, those that may run JavaScript watched. */
  watch(imports: WebAssembly.Imports): WebAssembly.Imports {
    const watched = Object.entries(imports).map(([name, functions]) => {
      // Resources are jco's own affair.
      if (name.startsWith("[export]")) return [name, functions] as const;
      const each = Object.entries(functions).map(([key, value]) => [key, this.#watched(value)] as const);
      return [name, Object.fromEntries(each)] as const;
    });
    return Object.fromEntries(watched) as WebAssembly.Imports;
  }

  /** The exports of a core module of the instance, noted: other modules may import them as they are. */
  owned(exports: WebAssembly.Exports): WebAssembly.Exports {
    for (const value of Object.values(exports)) this.#own.add(value);
    return exports;
  }

  #watched(value: WebAssembly.ImportValue): WebAssembly.ImportValue {
    if (typeof value !== "function" || this.#own.has(value) || withoutScript.has(value)) return value;
    const call = value as (...flat: unknown[]) => unknown;
    return (...flat: unknown[]): unknown => {
      if (!this.#isTurnWatched) this.#watchTurn();
      this.#running++;
      try {
        return call(...flat);
      } finally {
        this.#running--;
      }
    };
  }

  #watchTurn(): void {
    void this.#afterTurn();
    this.#isTurnWatched = true;
  }

  // A microtask that nobody can fake.
  async #afterTurn(): Promise<void> {
    await undefined;
    this.#isTurnWatched = false;
    this.#running = 0;
    this.#isOver();
  }
}
