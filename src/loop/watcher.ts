/** What calls back whenever a descriptor is ready. */
import { AsyncResource } from "node:async_hooks";
import { reportUncaught } from "../uncaught.js";
import { adoptKeys, dispose } from "../dispose.js";
import type { PollerError } from "../errors.js";
import type { Interest } from "../interest.js";
import { callLater, doNotCall } from "./later.js";
import { failureOf, type Ready } from "./ready.js";
import type { Registration, Taker } from "./registration.js";
import { codeFor, join, release, type Shared } from "./shared.js";
import { type Abortable, listen, unlisten } from "./signals.js";

export class Watcher implements Taker, Abortable, Disposable {
  readonly stays = true;
  place: Registration | undefined;
  order = 0;
  readonly #fd: number;
  readonly #callback: (ready: Ready) => void;
  readonly #context = new AsyncResource("lio-poller.watch");
  readonly #signal: AbortSignal | undefined;
  #isOver = false;
  #shared: Shared | undefined;
  /** The call that tells that it is over, while that is to come. */
  #last: (() => void) | undefined;

  constructor(
    fd: number,
    readonly interest: Interest,
    callback: (ready: Ready) => void,
    signal?: AbortSignal,
  ) {
    adoptKeys(Watcher.prototype);
    this.#fd = fd;
    this.#callback = callback;
    this.#signal = signal;
    if (signal?.aborted) return;
    try {
      if (signal !== undefined) listen(signal, this);
      if (!this.#isOver) this.#shared = join(fd, this, "watch");
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  take(ready: Ready): void {
    try {
      this.#context.runInAsyncScope(this.#callback, undefined, ready);
    } catch (error) {
      reportUncaught(error);
    }
  }

  fail(error: PollerError): void {
    // Until then it can be disposed of.
    this.#last ??= () => {
      this.#end();
      this.take(failureOf(codeFor(error)));
    };
    callLater(this.#last);
  }

  abort(): void {
    this.#end();
  }

  [dispose](): void {
    this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#last !== undefined) doNotCall(this.#last);
    if (this.#signal !== undefined) unlisten(this.#signal, this);
    if (this.place === undefined) return;
    this.#shared?.leave(this);
    release(this.#fd);
  }
}
