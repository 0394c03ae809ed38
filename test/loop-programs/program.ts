/**
 * A random program: what it does follows from its words, and from what came of the words before.
 *
 * Now and then it becomes quiet: it does nothing any more but read what it is told of, until all that wait for something
 * that is true were told. Meanwhile nothing of its own keeps the loop running if something of the package has to.
 */
import { getEventListeners } from "node:events";
import { closeSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { Interest, type Mode, readable, type Ready, watch, writable } from "lio-poller";
import * as io from "lio-poller/io";
import { deliveries } from "../support/deliveries.js";
import { Random } from "../support/random.js";
import { isFree, KINDS, type Kind } from "./files.js";
import { OwnPoller } from "./pollers.js";
import { CallbackWait, IterationWait, type Options, PromiseWait, Wait } from "./waits.js";
import { type Watched, World } from "./world.js";

const KIND_WEIGHTS: readonly Kind[] = [...KINDS, "pipe", "pipe", "socketpair", "socketpair", "eventfd", "eventfd"];
const INTERESTS = [1, 1, 1, 1, 2, 3, 4, 5] as const;
const MODES: readonly Mode[] = ["oneshot", "oneshot", "level", "edge-oneshot"];
const TIMEOUTS = [undefined, undefined, 0, 1, 2.5, 4, 1e6, Infinity] as const;
const MOST_NUMBERS = 40;
const MOST_WAITING = 400;
const MOST_ACTIONS = 400;
/** Milliseconds. */
const NEVER = 1e6;
/** More descriptors than one batch of the shared poller has room for. */
const CROWD = 1100;
/** What the body of an iteration throws. */
const BY_THE_BODY = "by the body";
const bytes = new Uint8Array(1 << 16);
const one = new Uint8Array(new BigUint64Array([1n]).buffer);
/** Node alone closes whatever has a number, and tells who listens. */
const isNode = !("Deno" in globalThis) && !("bun" in process.versions);

/** How a program ends: in time, or not. */
export interface Setting {
  /** Milliseconds, after which what was not told is lost. */
  readonly patience: number;
  readonly worker: Worker;
  /** What is wrong and is not to be told. */
  readonly known: RegExp | undefined;
}

/** The words of a program, one for each step. */
export function wordsOf(seed: number): readonly number[] {
  const random = new Random(seed);
  return Array.from({ length: 12 + random.below(50) }, () => random.word());
}

export class Program {
  readonly world: World;
  readonly #pollers: OwnPoller[] = [];
  readonly #callbacks: CallbackWait[] = [];
  readonly #iterations: IterationWait[] = [];
  readonly #consumers = new Set<Promise<void>>();
  #controllers = [new AbortController(), new AbortController(), new AbortController()];
  #actions = 0;
  #resume: (() => void) | undefined;

  constructor(private readonly setting: Setting) {
    this.world = new World(setting.known);
  }

  /** Runs the program to its end, or to the first thing that is wrong. */
  async run(words: readonly number[]): Promise<void> {
    for (const [index, word] of words.entries()) {
      if (this.world.failure !== undefined) break;
      this.world.note(`-- step ${index}`);
      this.world.files.step();
      const random = new Random(word);
      this.#act(random);
      await this.#pause(random.below(12));
    }
    if (this.world.failure === undefined) await this.#becomeQuiet();
    await this.#end();
  }

  /** The loop has nothing to do any more. Returns how the program goes on, if that was not its end. */
  loopHasEnded(): (() => void) | undefined {
    if (this.#resume === undefined) return undefined;
    const kept = [...this.world.live].find((watched) => watched.keepsLoop());
    if (kept !== undefined) this.world.fail(`the loop has ended although ${kept} waits`);
    return this.#resume;
  }

  // ---- Time ----------------------------------------------------------------------------------------------------------

  async #pause(choice: number): Promise<void> {
    if (choice < 5) await turn();
    else if (choice < 7) await this.#idle(1);
    else if (choice < 8) await this.#becomeQuiet();
    else if (choice < 9) busy(2);
    // Else the next step comes in the same turn.
  }

  /** Lets the loop block. What waits keeps it running, and else this does. */
  #idle(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const resume = (): void => {
        if (this.#resume === resume) this.#resume = undefined;
        clearTimeout(timer);
        resolve();
      };
      this.#resume = resume;
      const timer = setTimeout(resume, milliseconds);
      if ([...this.world.live].some((watched) => watched.keepsLoop())) timer.unref();
    });
  }

  async #becomeQuiet(): Promise<void> {
    const { world } = this;
    world.note("quiet");
    world.isQuiet = true;
    for (const callback of this.#callbacks) callback.callsBefore = callback.calls;
    for (const poller of this.#pollers) poller.becomeQuiet();
    const end = performance.now() + this.setting.patience;
    do {
      await this.#idle(1);
      world.files.step();
      const debtor = [...world.live].find((watched) => watched.owes() && !world.isKnown(`lost: ${watched}`));
      if (world.failure !== undefined || (debtor === undefined && world.thrown.size === 0)) break;
      if (performance.now() > end) world.fail(`lost: ${debtor ?? "an exception"}`);
    } while (world.failure === undefined);
    for (const { signal } of this.#controllers) this.#checkListeners(signal);
    world.isQuiet = false;
  }

  /** Nothing listens to a signal that nothing waits with. */
  #checkListeners(signal: AbortSignal): void {
    if ([...this.world.live].some((watched) => watched instanceof Wait && watched.options.signal === signal)) return;
    const count = countListeners(signal);
    if (count > 0) this.world.fail(`${count} listen to a signal that nothing waits with`);
  }

  // ---- What a program does -------------------------------------------------------------------------------------------

  #act(random: Random): void {
    if (++this.#actions > MOST_ACTIONS || this.world.depth > 3) return;
    const { files } = this.world;
    if (files.numbers.length < 4) return this.#open(random);
    const choice = random.below(100);
    if (choice < 8) this.#open(random);
    else if (choice < 20) this.#write(random);
    else if (choice < 24) this.#read(this.#number(random));
    else if (choice < 32) this.#close(random);
    else if (choice < 37) this.#duplicate(random);
    else if (choice < 39) this.#shutdown(random);
    else if (choice < 54) this.#wait(this.#number(random), random);
    else if (choice < 66) this.#watch(this.#number(random), random);
    else if (choice < 73) this.#iterate(this.#number(random), random);
    else if (choice < 81) this.#stop(random);
    else if (choice < 83) this.#burst(random);
    else if (choice < 84) this.#misuse(random);
    else if (choice < 85 && random.below(8) === 0) this.#crowd(random);
    else this.#poll(random);
  }

  /** One that is open, now and then one that is not. */
  #number(random: Random): number {
    const { numbers, former } = this.world.files;
    if (random.below(12) > 0 || former.length === 0) return random.pick(numbers);
    const fd = random.pick(former);
    // It may be the package's by now.
    return this.world.files.at(fd) !== undefined || isFree(fd) ? fd : random.pick(numbers);
  }

  #open(random: Random): void {
    const { files } = this.world;
    if (files.numbers.length >= MOST_NUMBERS) return;
    const kind = random.pick(KIND_WEIGHTS);
    this.world.note(`open ${kind}: ${files.open(kind).join(", ")}`);
  }

  #write(random: Random): void {
    const { files } = this.world;
    const fd = random.pick(files.numbers);
    const file = files.at(fd);
    if (file === undefined) return;
    const choice = random.below(10);
    this.world.note(`write ${fd}`);
    files.touch(fd, () => {
      attempt(() => {
        if (file.kind === "eventfd") io.write(fd, one);
        else if (choice === 0 && file.kind === "tcp") io.sendUrgent(fd, 1);
        else if (choice === 1 && file.kind === "tcp") io.receiveUrgent(fd);
        else if (choice > 2 || file.kind === "memory") io.write(fd, bytes, 0, 1 + random.below(100));
        else for (let room = 16; room > 0 && io.write(fd, bytes) > 0; room--);
      });
    });
  }

  /** All that there is. */
  #read(fd: number): void {
    if (this.world.files.at(fd) === undefined) return;
    this.world.note(`read ${fd}`);
    this.world.files.touch(fd, () =>
      attempt(() => {
        for (let rest = 64; rest > 0 && io.read(fd, bytes) > 0; rest--);
      }),
    );
  }

  #close(random: Random): void {
    const { files } = this.world;
    const fd = random.pick(files.numbers);
    const choice = random.below(6);
    if (choice < 2) this.#endAll(fd);
    // The package may take the number, so that what only hears of it when it is waited for again never does.
    const isKnown = choice < 5 || !isNode || [...this.world.live].some((each) => each.fd === fd && !canBeEnded(each));
    this.world.note(`close ${fd}${choice < 2 ? "" : ", behind all backs"}${isKnown ? "" : ", by another way"}`);
    if (isKnown) this.world.closing(fd);
    this.world.call(() => files.close(fd, isKnown ? io.close : closeSync));
  }

  /** Ends what can be ended that waits for a number. */
  #endAll(fd: number): void {
    for (const callback of this.#callbacks) if (callback.fd === fd) callback.dispose();
    for (const poller of this.#pollers) if (poller.registered.includes(fd)) poller.delete(fd);
    for (const iteration of this.#iterations) if (iteration.fd === fd) void this.#return(iteration);
  }

  #duplicate(random: Random): void {
    const { files } = this.world;
    const fd = random.pick(files.numbers);
    const onto = random.below(3) === 0 ? random.pick(files.numbers) : undefined;
    if (onto === fd || files.numbers.length >= MOST_NUMBERS) return;
    this.world.note(`duplicate ${fd} onto ${onto ?? "a free number"}`);
    this.world.note(`  = ${this.world.call(() => files.duplicate(fd, onto))}`);
  }

  #shutdown(random: Random): void {
    const fd = random.pick(this.world.files.numbers);
    const how = random.pick(["read", "write", "both"] as const);
    this.world.note(`shutdown ${fd} ${how}`);
    this.world.files.touch(fd, () => attempt(() => io.shutdown(fd, how)));
  }

  #signal(random: Random): AbortSignal | undefined {
    return random.below(2) === 0 ? undefined : random.pick(this.#controllers).signal;
  }

  #wait(fd: number, random: Random, options?: Options): void {
    if (this.world.live.size >= MOST_WAITING) return;
    const word = random.word();
    const interest = random.below(4) === 0 ? Interest.WRITABLE : Interest.READABLE;
    const { world } = this;
    const wait = new PromiseWait(world, fd, interest, options ?? this.#options(random), () => {
      const next = new Random(word);
      if (!world.isQuiet && next.below(3) === 0) this.#act(next);
      else if (interest === Interest.READABLE && next.below(2) === 0) this.#read(fd);
    });
    wait.ask();
  }

  #options(random: Random): Options {
    return { signal: this.#signal(random), timeout: random.pick(TIMEOUTS) };
  }

  #watch(fd: number, random: Random): void {
    if (this.world.live.size >= MOST_WAITING) return;
    const own = new Random(random.word());
    const most = 1 + own.below(4);
    const signal = this.#signal(random);
    const callback = new CallbackWait(this.world, fd, random.pick(INTERESTS), { signal }, (watched, ready) => {
      this.#served(watched, ready, own, most);
    });
    this.#callbacks.push(callback);
    callback.ask();
  }

  #served(watched: CallbackWait, ready: Ready, random: Random, most: number): void {
    const isRead = ready.readable && watched.interest & Interest.READABLE;
    if (this.world.isQuiet) {
      // So that it becomes quiet: nobody needs to be told of what is always so.
      if (isRead) this.#read(watched.fd);
      return;
    }
    if (random.below(3) === 0) this.#act(random);
    if (isRead && random.below(2) === 0) this.#read(watched.fd);
    if (random.below(4) === 0 && this.#callbacks.length > 0) random.pick(this.#callbacks).dispose();
    if (watched.calls >= most) watched.dispose();
    if (random.below(10) === 0) this.world.throwLater();
  }

  #iterate(fd: number, random: Random): void {
    if (this.world.live.size >= MOST_WAITING) return;
    const signal = this.#signal(random);
    const iteration = new IterationWait(this.world, fd, random.pick(INTERESTS), { signal });
    this.#iterations.push(iteration);
    const own = new Random(random.word());
    const consumer = this.#follow(
      own.below(3) === 0 ? this.#stepThrough(iteration, own) : this.#consume(iteration, own),
    );
    this.#consumers.add(consumer);
    void consumer.finally(() => this.#consumers.delete(consumer));
  }

  /** What an iteration throws, the iteration itself has looked at. */
  async #follow(consumer: Promise<void>): Promise<void> {
    try {
      await consumer;
    } catch (error) {
      if (error instanceof Error && error.message === BY_THE_BODY) return;
      if (typeof (error as { code?: unknown }).code !== "string") this.world.fail(`an iteration threw ${error}`);
    }
  }

  async #consume(iteration: IterationWait, random: Random): Promise<void> {
    let left = 1 + random.below(4);
    for await (const ready of iteration) {
      if (!this.world.isQuiet && random.below(4) === 0) this.#act(random);
      if (ready.readable && random.below(2) === 0) this.#read(iteration.fd);
      if (random.below(3) === 0) await turn();
      if (--left > 0 && !this.world.isQuiet) continue;
      const way = random.below(3);
      if (way === 0) break;
      if (way === 1) return;
      throw new Error(BY_THE_BODY);
    }
  }

  /** Asks for several steps at once, and ends it while they are awaited. */
  async #stepThrough(iteration: IterationWait, random: Random): Promise<void> {
    const steps = Array.from({ length: 1 + random.below(3) }, () => iteration.next());
    if (random.below(2) === 0) await this.#return(iteration);
    await Promise.all(steps);
    await this.#return(iteration);
    const after = await iteration.next();
    if (!after.done) this.world.fail(`an iteration of ${iteration.fd} goes on after its end`);
  }

  async #return(iteration: IterationWait): Promise<void> {
    try {
      await iteration.return();
    } catch (error) {
      this.world.fail(`return() threw ${error}`);
    }
  }

  /** Ends something. */
  #stop(random: Random): void {
    switch (random.below(4)) {
      case 0:
        return this.#abort(random.below(this.#controllers.length));
      case 1:
        if (this.#iterations.length > 0) void this.#return(random.pick(this.#iterations));
        return;
      default:
        if (this.#callbacks.length > 0) random.pick(this.#callbacks).dispose();
    }
  }

  #abort(index: number): void {
    const controller = this.#controllers[index] as AbortController;
    this.#controllers[index] = new AbortController();
    this.world.note("abort");
    for (const watched of this.world.live) {
      if (watched instanceof CallbackWait && watched.options.signal === controller.signal) watched.abort();
    }
    this.world.call(() => controller.abort(new Error("by the program")));
  }

  /** Many wait at once, for one number or for several. */
  #burst(random: Random): void {
    const fd = random.below(2) === 0 ? this.#number(random) : undefined;
    const options = random.below(2) === 0 ? this.#options(random) : undefined;
    for (let count = 20 + random.below(100); count > 0; count--)
      this.#wait(fd ?? this.#number(random), random, options);
  }

  /** More become ready, and expire, at once than a batch has room for. */
  #crowd(random: Random): void {
    const { files } = this.world;
    if (files.numbers.length > MOST_NUMBERS) return;
    this.world.note("a crowd");
    const isLate = random.below(2) === 0;
    const fds = Array.from({ length: CROWD }, () => files.open("eventfd")[0] as number);
    const fill = (): void => {
      for (const fd of fds) files.touch(fd, () => io.write(fd, one));
    };
    if (!isLate) fill();
    for (const fd of fds) new PromiseWait(this.world, fd, Interest.READABLE, { timeout: isLate ? 20 : 0 }).ask();
    if (!isLate) return;
    fill();
    busy(25);
  }

  /** Wrong arguments are refused, and nothing is waited for then. */
  #misuse(random: Random): void {
    const fd = random.pick(this.world.files.numbers);
    const never = (): void => this.world.fail("a callback of a watch() that threw is called");
    const signal = { aborted: false } as AbortSignal;
    const wrong: readonly (() => unknown)[] = [
      () => watch(fd, 0, never),
      () => watch(fd, 8, never),
      () => watch("1" as never, 1, never),
      () => watch(fd, 1, never, { signal }),
      () => watch(fd, 1, never, { signal: {} as AbortSignal }),
      () => watch(fd, 1, { signal } as never, never as never),
      () => readable(fd, { timeout: -1 }),
      () => readable(fd, { timeout: Number.NaN }),
      () => readable(fd, { signal }),
      () => writable(fd, { signal, timeout: 1 }),
      () => readable(fd, 1 as never),
      () => readable(1.5),
    ];
    const which = random.below(wrong.length);
    this.world.note(`misuse ${which} of ${fd}`);
    const check = (error: { code?: unknown }): void => {
      if (error.code !== "ERR_INVALID_ARG_TYPE" && error.code !== "ERR_OUT_OF_RANGE") {
        this.world.fail(`misuse ${which}: ${error}`);
      }
    };
    const took = (): void => this.world.fail(`misuse ${which} was taken`);
    try {
      const result = wrong[which]?.();
      if (result instanceof Promise) result.then(took, check);
      else took();
    } catch (error) {
      check(error as { code?: unknown });
    }
  }

  // ---- Its own pollers -----------------------------------------------------------------------------------------------

  #poll(random: Random): void {
    const open = this.#pollers.filter((poller) => !poller.isClosed);
    if (open.length < 2 && random.below(3) === 0) return this.#make(random);
    if (open.length === 0) return this.#make(random);
    const poller = random.pick(open);
    const fd = poller.registered.length > 0 && random.below(2) === 0 ? random.pick(poller.registered) : undefined;
    const interest = random.pick(INTERESTS);
    const mode = random.pick(MODES);
    switch (random.below(16)) {
      case 0:
        return poller.attach();
      case 1:
        return poller.detach();
      case 2:
        return poller.refer(random.below(2) === 0);
      case 3:
        return poller.wait();
      case 4:
        return poller.notify(random.below(2) === 0 ? this.setting.worker : undefined);
      case 5:
        return poller.addTimer(random.pick([0, 1, 2.5, 4, NEVER]));
      case 6:
        return poller.deleteTimer();
      case 7:
        return random.below(4) === 0 ? poller.close() : poller.attach();
      case 8:
        return poller.delete(fd ?? this.#number(random));
      case 9:
      case 10:
      case 11:
      case 12:
        if (fd === undefined) return;
        return random.below(3) === 0 ? poller.modify(fd, interest, mode) : poller.rearm(fd);
      default:
        return poller.add(this.#number(random), interest, mode);
    }
  }

  #make(random: Random): void {
    const { kernel } = random.pick(deliveries);
    const own = new Random(random.word());
    const poller = new OwnPoller(this.world, kernel, (self, events) => {
      if (this.world.isQuiet) return;
      for (let left = Math.min(events.length, 3); left > 0; left--) {
        const fd = own.pick([...self.registered, -1]);
        if (own.below(3) === 0) this.#act(own);
        // Armed again at once, or late, or never.
        else if (own.below(2) === 0 && fd !== -1 && !self.isClosed) self.rearm(fd);
      }
      if (own.below(12) === 0) this.world.throwLater();
    });
    this.#pollers.push(poller);
    if (random.below(4) > 0) poller.attach();
  }

  // ---- The end -------------------------------------------------------------------------------------------------------

  /** Ends all that waits, and closes all that is open. */
  async #end(): Promise<void> {
    const { world } = this;
    const { files } = world;
    world.note("-- end");
    world.isQuiet = true;
    for (const poller of this.#pollers) if (!poller.isClosed) poller.clear();
    for (const callback of this.#callbacks) callback.dispose();
    for (const iteration of this.#iterations) void this.#return(iteration);
    for (const index of this.#controllers.keys()) this.#abort(index);
    // Whoever waits yet hears that another file has the number, when that is waited for.
    const waited = new Set([...world.live].map(({ fd }) => fd));
    const ready = files.open("eventfd")[0] as number;
    files.touch(ready, () => io.write(ready, one));
    for (const fd of waited) {
      if (fd === ready || (files.at(fd) === undefined && !isFree(fd))) continue;
      files.duplicate(ready, fd);
      new PromiseWait(world, fd, Interest.READABLE, { timeout: 0 }).ask();
    }
    await this.#settle();
    while (files.numbers.length > 0) files.close(files.numbers[0] as number);
    await turn();
  }

  /** Closes what holds nothing any more, and does not keep the loop from its end. */
  close(): void {
    for (const poller of this.#pollers) if (!poller.isClosed) poller.close();
  }

  /** Until nothing waits any more. */
  async #settle(): Promise<void> {
    const end = performance.now() + this.setting.patience;
    for (;;) {
      const left = [...this.world.live].find((watched) => !this.world.isKnown(`lost: ${watched}`));
      if (left === undefined && this.#consumers.size === 0 && this.world.thrown.size === 0) return;
      await this.#idle(1);
      this.world.files.step();
      if (performance.now() < end) continue;
      this.world.fail(`does not end: ${left ?? (this.#consumers.size > 0 ? "an iteration" : "an exception")}`);
      this.world.live.clear();
      return;
    }
  }
}

/** Node alone tells. */
function countListeners(signal: AbortSignal): number {
  return isNode ? getEventListeners(signal, "abort").length : 0;
}

/** Whether it ends when the program wants it to. */
function canBeEnded(watched: Watched): boolean {
  return !(watched instanceof PromiseWait) || watched.options.signal !== undefined;
}

/** Blocks the loop. */
function busy(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** What a system call answers is the kernel's affair. */
function attempt(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    if (typeof (error as { code?: unknown }).code !== "string") throw error;
  }
}
