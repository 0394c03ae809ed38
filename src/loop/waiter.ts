/** What waits for a descriptor once, and settles a promise. */
import { namedError, type PollerError } from "../errors.js";
import type { Interest } from "../interest.js";
import type { Ready } from "./ready.js";
import type { Registration, Taker } from "./registration.js";
import { join, release, reworded, type Shared, type Timed } from "./shared.js";
import { type Abortable, abortError, listen, unlisten } from "./signals.js";

export class Waiter implements Taker, Timed, Abortable {
  readonly stays = false;
  place: Registration | undefined;
  order = 0;
  #isOver = false;
  #fd = -1;
  #shared: Shared | undefined;
  #signal: AbortSignal | undefined;
  #timer: number | undefined;

  constructor(
    readonly syscall: string,
    readonly interest: Interest,
    readonly resolve: (ready: Ready) => void,
    readonly reject: (error: unknown) => void,
  ) {}

  /** Begins to wait. @throws PollerError, Error what the promise is to be rejected with. Nothing is left then */
  start(fd: number, signal: AbortSignal | undefined, timeout: number): void {
    this.#fd = fd;
    try {
      if (signal !== undefined) this.#heed(signal);
      if (this.#isOver) return;
      this.#shared = join(fd, this, this.syscall);
      if (timeout !== Infinity) this.#timer = this.#shared.expireAfter(timeout, this);
    } catch (error) {
      this.cancel();
      throw error;
    }
  }

  #heed(signal: AbortSignal): void {
    if (signal.aborted) throw abortError(signal);
    this.#signal = signal;
    listen(signal, this);
  }

  take(ready: Ready): void {
    this.#end();
    this.resolve(ready);
  }

  fail(error: PollerError): void {
    this.reject(reworded(error, this.syscall, this.#fd));
    this.#end();
  }

  expire(): void {
    if (this.#isOver) return;
    this.cancel();
    this.reject(namedError("ETIMEDOUT", this.syscall, `fd ${this.#fd}`));
  }

  abort(signal: AbortSignal): void {
    this.cancel();
    this.reject(abortError(signal));
  }

  /** Does not wait any more. The promise stays as it is. */
  cancel(): void {
    this.#end();
    release(this.#fd);
  }

  #end(): void {
    this.#isOver = true;
    this.#shared?.leave(this);
    if (this.#timer !== undefined) this.#shared?.forgetTimer(this.#timer);
    this.#timer = undefined;
    if (this.#signal !== undefined) unlisten(this.#signal, this);
    this.#signal = undefined;
  }
}
