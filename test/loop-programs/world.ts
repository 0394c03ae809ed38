/** What a program has done so far and what it waits for; and the first thing that was wrong. */
import { AsyncLocalStorage } from "node:async_hooks";
import { File, Files, isReady } from "./files.js";

/** What a program throws, to be seen as an uncaught exception, once. */
export class Thrown extends Error {}

/** Something that waits for a descriptor. */
export abstract class Watched {
  readonly id: number;
  readonly file: File | undefined;
  /** The number has meant something else since: what is told may be late, or about the other file. */
  isDoubtful = false;
  /** It must be told that the descriptor was closed. */
  isGone = false;
  /** It waits from the first, so that it is known for which file. */
  isCertain = true;

  constructor(
    readonly world: World,
    readonly fd: number,
    readonly interest: number,
  ) {
    this.id = ++world.lastId;
    this.file = world.files.at(fd);
  }

  /** Whether it must be told something, if the loop has only time for it. */
  abstract owes(): boolean;
  /** Whether the loop must not end because of it. */
  abstract keepsLoop(): boolean;
  abstract get name(): string;

  protected get isReady(): boolean {
    return !this.isDoubtful && this.file !== undefined && isReady(this.file, this.interest);
  }

  toString(): string {
    const file = this.file === undefined ? "nothing" : `${this.file.kind}, poll(2) ${this.file.bits.toString(16)}`;
    const doubt = `${this.isDoubtful ? ", doubtful" : ""}${this.isGone ? ", gone" : ""}`;
    return `#${this.id} ${this.name} of ${this.fd} (${file}), interest ${this.interest}${doubt}`;
  }
}

export class World {
  readonly files = new Files((fd) => this.#numberHasChanged(fd));
  readonly live = new Set<Watched>();
  /** To be seen as uncaught exceptions. */
  readonly thrown = new Set<unknown>();
  readonly context = new AsyncLocalStorage<number>();
  readonly trace: string[] = [];
  failure: string | undefined;
  lastId = 0;
  /** How deep in callbacks. */
  depth = 0;
  isQuiet = false;
  /** Inside a call of the package's, where nothing is called back. */
  #isCalling = false;

  constructor(
    /** What is wrong and known. */
    private readonly known: RegExp | undefined,
  ) {}

  note(line: string): void {
    if (this.failure !== undefined) return;
    this.trace.push(`${"  ".repeat(this.depth)}${line}`);
  }

  /** Only the first thing counts: what comes after it may be its consequence. */
  fail(what: string): void {
    this.note(`WRONG: ${what}`);
    if (!this.isKnown(what)) this.failure ??= what;
  }

  isKnown(what: string): boolean {
    return this.known?.test(what) ?? false;
  }

  start<Kind extends Watched>(watched: Kind): Kind {
    this.live.add(watched);
    return watched;
  }

  #numberHasChanged(fd: number): void {
    for (const watched of this.live) if (watched.fd === fd) watched.isDoubtful = true;
  }

  /** The number is waited for again: those whose file it does not name any more hear of it. */
  joined(fd: number): void {
    const file = this.files.at(fd);
    for (const watched of this.live) if (watched.fd === fd && watched.file !== file) watched.isGone = watched.isCertain;
  }

  /** The descriptor is about to be closed in a way that all who wait for it hear of. */
  closing(fd: number): void {
    for (const watched of this.live) if (watched.fd === fd) watched.isGone = watched.isCertain;
  }

  /** Calls the package. */
  call<Result>(call: () => Result): Result {
    const isCalling = this.#isCalling;
    this.#isCalling = true;
    try {
      return call();
    } finally {
      this.#isCalling = isCalling;
    }
  }

  /** Is called back by the package. */
  calledBack(what: string, act: () => void): void {
    const isCalling = this.#isCalling;
    if (isCalling) this.fail(`${what} was called inside another call`);
    this.#isCalling = false;
    this.depth++;
    try {
      act();
    } finally {
      this.depth--;
      this.#isCalling = isCalling;
    }
  }

  throwLater(): never {
    const error = new Thrown(`#${++this.lastId}`);
    this.thrown.add(error);
    throw error;
  }

  /** An exception that nobody caught. */
  caught(error: unknown): void {
    if (this.thrown.delete(error)) return;
    this.fail(`an exception that is none of the program's, or a second time: ${(error as Error)?.stack ?? error}`);
  }
}
