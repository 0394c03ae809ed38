/** Promises, callbacks and iterations, each of which knows what it may be told. */
import { performance } from "node:perf_hooks";
import { type Ready, type ReadyIterator, PollerError, readable, watch, writable } from "lio-poller";
import { isFree, readySince, untruth } from "./files.js";
import { Watched, type World } from "./world.js";

/** Timeouts up to this are waited for. */
const SOON = 100;

interface Coded extends Error {
  readonly code?: string;
}

export interface Options {
  readonly signal?: AbortSignal | undefined;
  readonly timeout?: number | undefined;
}

/** Node tells how often its loop has turned. */
const turns = (): number | undefined => {
  const { nodeTiming } = performance as { nodeTiming?: { uvMetricsInfo?: { loopCount: number } } };
  return nodeTiming?.uvMetricsInfo?.loopCount;
};

/** What waits for one piece of news. */
export abstract class Wait extends Watched {
  /** How it must end, by what is true of the number now. */
  doom: string | undefined;
  readonly #deadline: number;

  constructor(
    world: World,
    fd: number,
    interest: number,
    readonly options: Options,
  ) {
    super(world, fd, interest);
    this.#deadline = performance.now() + (options.timeout ?? Infinity);
    if (options.signal?.aborted) this.doom = "ABORT_ERR";
    else if (this.file === undefined) this.#doomIfFree();
    else if (this.file.kind === "memory") this.doom = "EPERM";
  }

  /** The number may be the package's by now. */
  #doomIfFree(): void {
    if (isFree(this.fd)) this.doom = "EBADF";
    else this.isDoubtful = true;
  }

  /** Begins to wait by a call, inside of which others may be called back. */
  protected begin(call: () => void): void {
    const { files } = this.world;
    const changes = files.changesOf(this.fd);
    this.world.start(this);
    if (this.doom !== "ABORT_ERR") this.world.joined(this.fd);
    this.world.call(call);
    if (files.changesOf(this.fd) !== changes) this.isDoubtful = true;
  }

  keepsLoop(): boolean {
    return this.doom === undefined && !this.isDoubtful;
  }

  owes(): boolean {
    if (this.doom !== undefined || this.isGone || this.options.signal?.aborted) return true;
    return this.isReady || (this.options.timeout ?? Infinity) <= SOON;
  }

  protected wrong(what: string): void {
    this.world.fail(`${this} ${what}`);
  }

  protected told(ready: Ready): void {
    this.world.note(`told ${this}: ${words(ready)}`);
    if (this.isDoubtful) return;
    if (this.doom !== undefined) return this.wrong(`was told, which had to fail with ${this.doom}`);
    checkReady(this, ready);
  }

  protected failed(error: Coded): void {
    this.world.note(`failed ${this}: ${error.code}`);
    switch (error.code) {
      case "EBADF":
        if (this.doom !== "EBADF" && !this.isDoubtful) this.wrong("failed with EBADF, and is open");
        break;
      case "EPERM":
        if (this.doom !== "EPERM" && !this.isDoubtful) this.wrong("failed with EPERM");
        break;
      case "ABORT_ERR":
        if (!this.options.signal?.aborted) this.wrong("was aborted by nobody");
        if (error.name !== "AbortError" || error.cause !== this.options.signal?.reason) {
          this.wrong("was aborted without its reason");
        }
        return;
      case "ETIMEDOUT":
        this.#expired();
        break;
      default:
        this.wrong(`failed with what is not documented: ${error.stack}`);
    }
    if (this.doom !== undefined && this.doom !== error.code && !this.isDoubtful) {
      this.wrong(`failed with ${error.code}, not with ${this.doom}`);
    }
    if (!(error instanceof PollerError) || typeof error.errno !== "number" || error.errno >= 0) {
      this.wrong(`failed with an error that does not say what failed: ${error.stack}`);
    } else if (error.syscall !== this.name) this.wrong(`failed in the name of ${error.syscall}`);
  }

  #expired(): void {
    const now = performance.now();
    if (this.options.timeout === undefined) return this.wrong("expired, without a timeout");
    if (now < this.#deadline) return this.wrong(`expired ${this.#deadline - now} ms early`);
    if (this.isDoubtful || this.file === undefined) return;
    const since = readySince(this.file, this.interest);
    if (since < this.#deadline) this.wrong(`expired, and had been ready for ${this.#deadline - since} ms by then`);
  }
}

function words(ready: Ready): string {
  return Object.entries(ready)
    .flatMap(([name, value]) => (value === true ? [name] : []))
    .join(" ");
}

function checkReady(watched: Watched, ready: Ready): void {
  const { interest, file, world } = watched;
  const isConcerned =
    (ready.readable && interest & 1) ||
    (ready.writable && interest & 2) ||
    (ready.priority && interest & 4) ||
    ready.hangUp ||
    ready.error;
  if (!isConcerned) world.fail(`${watched} was told what it did not ask for: ${words(ready)}`);
  if (file === undefined) return;
  const wrong = untruth(file, ready);
  if (wrong !== undefined) world.fail(`${watched} was told what was not true: ${wrong}`);
}

/** `readable` and `writable`. */
export class PromiseWait extends Wait {
  readonly #then: (() => void) | undefined;

  /** @param then is called when the promise was settled */
  constructor(world: World, fd: number, interest: 1 | 2, options: Options, then?: () => void) {
    super(world, fd, interest, options);
    this.#then = then;
  }

  ask(): void {
    const { signal, timeout = Infinity } = this.options;
    this.world.note(`${this} timeout ${timeout}, ${signal === undefined ? "no signal" : "signal"}`);
    const call = this.interest === 1 ? readable : writable;
    this.begin(() => {
      call(this.fd, signal === undefined ? { timeout } : { signal, timeout }).then(
        (ready) => this.#settle(() => this.told(ready)),
        (error: Coded) => this.#settle(() => this.failed(error)),
      );
    });
  }

  get name(): string {
    return this.interest === 1 ? "readable" : "writable";
  }

  #settle(check: () => void): void {
    if (!this.world.live.delete(this)) return this.wrong("was settled, and was not waiting");
    check();
    this.#then?.();
  }
}

/** `watch` with a callback. */
export class CallbackWait extends Wait {
  calls = 0;
  /** Calls when the program became quiet. */
  callsBefore = 0;
  #isOver = false;
  #lastTurn: number | undefined = undefined;
  #disposable: Disposable | undefined;

  constructor(
    world: World,
    fd: number,
    interest: number,
    options: Options,
    readonly act: (watch: CallbackWait, ready: Ready) => void,
  ) {
    super(world, fd, interest, options);
  }

  ask(): void {
    this.world.note(`${this}, ${this.options.signal === undefined ? "no signal" : "signal"}`);
    this.begin(() => this.#watch());
  }

  get name(): string {
    return "watch";
  }

  #watch(): void {
    const changes = this.world.files.changesOf(this.fd);
    try {
      const { signal } = this.options;
      this.#disposable = this.world.context.run(this.id, () => {
        return watch(this.fd, this.interest, (ready) => this.#called(ready), signal && { signal });
      });
      if (this.doom === "ABORT_ERR") this.#end();
      else if (this.doom !== undefined && this.world.files.changesOf(this.fd) === changes) {
        this.wrong(`did not throw ${this.doom}`);
      }
      // Called back inside of the call, something has aborted the signal.
      if (this.options.signal?.aborted) this.#end();
    } catch (error) {
      this.#end();
      if (this.world.files.changesOf(this.fd) !== changes) this.isDoubtful = true;
      if (this.doom === "ABORT_ERR") this.wrong(`threw, and its signal was aborted: ${error}`);
      else this.failed(error as Coded);
    }
  }

  #end(): void {
    this.#isOver = true;
    this.world.live.delete(this);
  }

  /** Its signal is about to be aborted. */
  abort(): void {
    this.world.note(`abort ${this}`);
    this.#end();
  }

  dispose(): void {
    // A callback can ask for it before the call has returned.
    if (this.#disposable === undefined) return;
    this.world.note(`dispose ${this}`);
    this.#end();
    this.world.call(() => this.#disposable?.[Symbol.dispose]());
  }

  override owes(): boolean {
    return this.isGone || (this.isReady && this.calls === this.callsBefore);
  }

  #called(ready: Ready): void {
    this.calls++;
    this.world.note(`call ${this}: ${words(ready)} ${ready.errorCode ?? ""}`);
    if (this.#isOver) return this.wrong(`was called after its end: ${words(ready)} ${ready.errorCode ?? ""}`);
    if (this.world.context.getStore() !== this.id) this.wrong("was called in another's context");
    if (ready.errorCode !== undefined) {
      this.#end();
      if (ready.errorCode !== "EBADF" || !ready.error || !this.isDoubtful) this.wrong(`was told ${ready.errorCode}`);
    } else {
      const turn = turns();
      if (turn !== undefined && turn === this.#lastTurn) this.wrong("was called twice in a turn of the loop");
      this.#lastTurn = turn;
      if (!this.isDoubtful) checkReady(this, ready);
    }
    this.world.calledBack(String(this), () => this.act(this, ready));
  }
}

/** One step of an iteration. */
class Step extends Wait {
  constructor(
    readonly iteration: IterationWait,
    options: Options,
    isFirst: boolean,
  ) {
    super(iteration.world, iteration.fd, iteration.interest, options);
    if (isFirst) return;
    // What is true when its turn comes is not known yet.
    this.isDoubtful = true;
    this.isCertain = false;
    this.doom = undefined;
  }

  get name(): string {
    return "watch";
  }

  override owes(): boolean {
    if (this.iteration.isOver) return true;
    return this.iteration.head === this && super.owes();
  }

  override keepsLoop(): boolean {
    return !this.iteration.isOver && this.iteration.head === this && super.keepsLoop();
  }

  ask(next: () => void): void {
    this.begin(next);
  }

  fulfil(ready: Ready): void {
    this.told(ready);
  }

  reject(error: Coded): void {
    this.failed(error);
  }
}

/** `watch` without a callback, through which a program iterates. */
export class IterationWait {
  isOver = false;
  readonly #iterator: ReadyIterator;
  readonly #steps: Step[] = [];

  constructor(
    readonly world: World,
    readonly fd: number,
    readonly interest: number,
    readonly options: Options,
  ) {
    world.note(`iteration of ${fd}, interest ${interest}`);
    this.#iterator = watch(fd, interest, options.signal && { signal: options.signal });
  }

  get head(): Watched | undefined {
    return this.#steps[0];
  }

  async next(): Promise<IteratorResult<Ready, undefined>> {
    const wasOver = this.isOver;
    const step = new Step(this, this.options, this.#steps.length === 0);
    this.#steps.push(step);
    let promise: Promise<IteratorResult<Ready, undefined>> | undefined;
    if (wasOver) {
      this.world.start(step);
      promise = this.#iterator.next();
    } else step.ask(() => void (promise = this.#iterator.next()));
    try {
      const result = await (promise as Promise<IteratorResult<Ready, undefined>>);
      this.#settled(step);
      if (result.done) {
        this.world.note(`done ${step}`);
        if (!this.isOver) this.world.fail(`${step} is done, and nobody has ended it`);
      } else if (wasOver) this.world.fail(`${step} was told after its end`);
      else step.fulfil(result.value);
      return result;
    } catch (error) {
      this.#settled(step);
      if (wasOver) this.world.fail(`${step} failed after its end: ${error}`);
      else step.reject(error as Coded);
      this.isOver = true;
      throw error;
    }
  }

  #settled(step: Step): void {
    if (this.#steps.shift() !== step) this.world.fail(`${step} was settled out of order`);
    if (!this.world.live.delete(step)) this.world.fail(`${step} was settled, and was not waiting`);
  }

  async return(): Promise<IteratorResult<Ready, undefined>> {
    this.world.note(`return of the iteration of ${this.fd}`);
    this.isOver = true;
    const result = await this.world.call(() => this.#iterator.return());
    if (!result.done) this.world.fail(`return() of the iteration of ${this.fd} is not done`);
    return result;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
