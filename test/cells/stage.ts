/** Where one cell is played: a poller on a faulty kernel, a bystander that must never notice, and a fault that waits. */
import assert from "node:assert/strict";
import { Events, Interest, Poller, PollerError, type Mode } from "lio-poller";
import { FaultyKernel, type Fault, type FaultSource, type KernelCall, type KernelChange } from "lio-poller/sim";
import type { Dialect, SimulatedKernel } from "../model/dialect.js";
import { instanceFor } from "../support/internals.js";

/** `"ok"`, or the code of an error; of several operations, joined by commas. */
export type Answer = string;

/** A key, and the code of the error that came with it. */
export type Told = readonly [key: number, errorCode: string | undefined];

const BYSTANDER = 9999;
const NEWCOMER = 9000;

/** Which call is to fail: one of a name, or one that carries a change of this kind of this descriptor. */
export interface Aim {
  readonly call: string;
  readonly change?: string | undefined;
  readonly fd?: number | undefined;
  /** Which of the changes of this kind of this descriptor in the call: the first, unless told. */
  readonly nth?: number | undefined;
}

export class Stage {
  readonly kernel: SimulatedKernel;
  readonly faulty: FaultyKernel;
  readonly poller: Poller;
  readonly events = new Events(2048);
  /** Room for one. */
  readonly single = new Events(1);
  /** The descriptor that a cell is about, and those beside it. */
  fds: number[] = [];
  /** Calls that were made since the fault began to wait: the call's name, and what kind of change it carried. */
  readonly calls = new Set<string>();

  /** Whoever writes to these makes them ready. */
  readonly #peers = new Map<number, number>();
  readonly #bystander: number;
  readonly #baseline: number;
  #causes: { readonly aim: Aim; readonly error: string }[] = [];
  #aim: Aim | undefined;
  #error: string | undefined;
  #observed = false;

  constructor(dialect: Dialect) {
    this.kernel = dialect.create();
    this.faulty = new FaultyKernel(this.kernel, this.#source);
    // Room for the events of waits is made once, and stays.
    using first = new Poller({ kernel: this.faulty });
    for (const events of [this.events, this.single]) first.wait(events, { timeout: 0 });
    first.close();
    this.#baseline = this.bytes;
    this.poller = new Poller({ kernel: this.faulty });
    this.#bystander = this.ready();
    this.poller.add(this.#bystander, BYSTANDER, Interest.READABLE, { mode: "level" });
  }

  get io(): SimulatedKernel["io"] {
    return this.kernel.io;
  }

  get fd(): number {
    return this.fds[0] ?? assert.fail("no descriptor");
  }

  /** What the component has allocated. */
  get bytes(): number {
    return instanceFor(this.faulty).bytesInUse();
  }

  /** A new descriptor that is not ready to be read. */
  idle(): number {
    const [fd, peer] = this.io.socketpair();
    this.#peers.set(fd, peer);
    return fd;
  }

  /** A new descriptor that is ready to be read. */
  ready(): number {
    const fd = this.idle();
    this.feed(fd);
    return fd;
  }

  /** Makes a descriptor ready to be read, or more so. */
  feed(fd: number): void {
    this.io.write(this.#peers.get(fd) ?? assert.fail("no peer"), Uint8Array.of(1));
  }

  /** Registers the cell's descriptor, and others. */
  register(mode: Mode, count = 1): void {
    this.fds = Array.from({ length: count }, () => this.ready());
    this.fds.forEach((fd, index) => this.poller.add(fd, 7 + index, Interest.READABLE, { mode }));
  }

  /** Nothing is ready any more but what a cell makes so. */
  quieten(): void {
    this.io.read(this.#bystander, new Uint8Array(8));
  }

  /** Waits without blocking, and answers what was told beside the bystander, who must be told. */
  poll(): Told[] {
    this.poller.wait(this.events, { timeout: 0 });
    return this.toldNow();
  }

  /** What the last wait told beside the bystander. */
  toldNow(): Told[] {
    const told = this.events.toArray().map(({ key, error, refused, errorCode }): Told => {
      // No file here has an error of its own.
      assert.deepEqual([error, refused], [errorCode !== undefined, errorCode !== undefined], `key ${key}`);
      return [Number(key), errorCode];
    });
    const others = told.filter(([key]) => key !== BYSTANDER);
    const isReady = (this.io.poll(this.#bystander) & 1) !== 0;
    if (isReady) assert.equal(told.length - others.length, 1, "the bystander is told, once");
    return others.toSorted(([one], [other]) => one - other);
  }

  answerOf(call: () => unknown): Answer {
    try {
      call();
      return "ok";
    } catch (error) {
      if (!(error instanceof PollerError) || error.code.startsWith("ERR_")) throw error;
      return error.code;
    }
  }

  /** What has to go wrong once before the call of a cell is made at all. */
  cause(aim: Aim, error: string): void {
    this.#causes.push({ aim, error });
  }

  /** From now on, calls are observed, and the first that is aimed at fails so. */
  wait(aim: Aim, error: string | undefined): void {
    this.#observed = true;
    this.#aim = error === undefined ? undefined : aim;
    this.#error = error;
  }

  /** Whether all that was to fail has failed. */
  get isOver(): boolean {
    return this.#causes.length === 0 && this.#aim === undefined;
  }

  /** From now on, nothing goes wrong. */
  over(): void {
    this.#observed = false;
  }

  /** The next operations work, and when all is closed nothing is left. */
  assertSound(): void {
    const { poller } = this;
    const newcomer = this.ready();
    poller.add(newcomer, NEWCOMER, Interest.READABLE);
    this.feed(this.#bystander);
    assert.deepEqual(
      this.poll().filter(([key]) => key === NEWCOMER),
      [[NEWCOMER, undefined]],
    );
    poller.modify(newcomer, NEWCOMER + 1, Interest.WRITABLE);
    assert.ok(this.poll().some(([key]) => key === NEWCOMER + 1));
    poller.delete(newcomer);
    poller.notify();
    poller.close();
    assert.deepEqual([this.kernel.instances, this.kernel.notifiers ?? 0], [0, 0]);
    assert.equal(this.bytes, this.#baseline, "bytes in use");
  }

  readonly #source: FaultSource = (call) => {
    if (!this.#observed) return undefined;
    if (call.errors.length > 0) this.calls.add(call.name);
    for (const { operation } of call.changes) this.calls.add(`${call.name} ${operation}`);

    const [cause] = this.#causes;
    const fault = cause === undefined ? undefined : this.#hit(call, cause.aim, cause.error);
    if (fault !== undefined) {
      this.#causes.shift();
      return [fault];
    }

    const aim = this.#aim;
    const found = aim === undefined ? undefined : this.#hit(call, aim, this.#error as string);
    if (found === undefined) return undefined;
    this.#aim = undefined;
    return [found];
  };

  /** The fault, if the call is the one that is aimed at. */
  #hit(call: KernelCall, aim: Aim, error: string): Fault | undefined {
    if (aim.call !== call.name) return undefined;
    if (aim.change === undefined) return { kind: "error", error };
    const places = [...call.changes.keys()].filter((place) => {
      const { operation, fd } = call.changes[place] as KernelChange;
      return operation === aim.change && fd === (aim.fd ?? this.fd);
    });
    const index = places[aim.nth ?? 0];
    return index === undefined ? undefined : { kind: "change", index, error };
  }
}
