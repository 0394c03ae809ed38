/** Iterates over the moments in which a descriptor is ready, each waited for by one waiter. */
import { adoptKeys, asyncDispose } from "../dispose.js";
import type { Interest } from "../interest.js";
import type { Ready } from "./ready.js";
import { Waiter } from "./waiter.js";

/** What `watch` returns without a callback. */
export interface ReadyIterator extends AsyncIterableIterator<Ready, undefined>, AsyncDisposable {
  /** Ends the registration, and the iteration. Never rejects. */
  return(): Promise<IteratorReturnResult<undefined>>;
}

const DONE = { done: true, value: undefined } as const;

export class Iteration implements ReadyIterator {
  readonly #fd: number;
  readonly #interest: Interest;
  readonly #signal: AbortSignal | undefined;
  #isOver = false;
  #waiter: Waiter | undefined;
  #settle: ((result: IteratorResult<Ready, undefined>) => void) | undefined;
  /** The step that was asked for last, while it is not done. */
  #step: Promise<unknown> | undefined;

  constructor(fd: number, interest: Interest, signal: AbortSignal | undefined) {
    adoptKeys(Iteration.prototype);
    this.#fd = fd;
    this.#interest = interest;
    this.#signal = signal;
  }

  /** Steps that are asked for before the last one is done come after it. */
  next(): Promise<IteratorResult<Ready, undefined>> {
    const step = this.#step === undefined ? this.#take() : this.#step.then(() => this.#take());
    const forget = (): void => {
      if (this.#step === settled) this.#step = undefined;
    };
    const settled: Promise<unknown> = step.then(forget, forget);
    this.#step = settled;
    return step;
  }

  #take(): Promise<IteratorResult<Ready, undefined>> {
    if (this.#isOver) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => {
      const taken = (value: Ready): void => resolve({ done: false, value });
      const failed = (error: unknown): void => {
        reject(error);
        this.#end();
      };
      this.#settle = resolve;
      this.#waiter = new Waiter("watch", this.#interest, taken, failed);
      try {
        this.#waiter.start(this.#fd, this.#signal, Infinity);
      } catch (error) {
        failed(error);
      }
    });
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#end();
    return Promise.resolve(DONE);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#settle?.(DONE);
    this.#waiter?.cancel();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [asyncDispose](): Promise<void> {
    this.#end();
  }
}
