/**
 * The files of a program: which numbers name them, and what poll(2) says of them.
 *
 * Only the program does anything to them, so that looking at a file and at its other end before and after each of its
 * calls sees all that was ever true of them. Two kinds are late: terminals and connections may learn of a call a while
 * after it.
 */
import * as io from "lio-poller/io";
import { Interest, type Ready } from "lio-poller";
import { openMemory, openTerminal, poll } from "./system.js";

const [IN, PRI, OUT, ERR, HUP, NVAL, RDHUP] = [0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x2000] as const;
const ASKED = IN | PRI | OUT | RDHUP;
const BITS = [IN, PRI, OUT, ERR, HUP, RDHUP] as const;

export const KINDS = ["pipe", "socketpair", "eventfd", "tcp", "terminal", "memory"] as const;
export type Kind = (typeof KINDS)[number];

/** An open file, as long as numbers name it. */
export class File {
  readonly numbers = new Set<number>();
  /** The other end. */
  peer: File | undefined;
  /** What poll(2) said last. */
  bits = 0;
  /** What it has said in this step of the program, and in the one before. */
  lately = 0;
  before = 0;
  /** Since when it has said so of each of `BITS`. */
  readonly since: number[] = BITS.map(() => Infinity);

  constructor(readonly kind: Kind) {}

  get isLate(): boolean {
    return this.kind === "tcp" || this.kind === "terminal";
  }
}

/** What of poll(2)'s bits an interest asks for; hang-ups and errors concern everybody. */
function asked(interest: Interest): number {
  let bits: number = ERR | HUP;
  if (interest & Interest.READABLE) bits |= IN | RDHUP;
  if (interest & Interest.WRITABLE) bits |= OUT;
  if (interest & Interest.PRIORITY) bits |= PRI;
  return bits;
}

/** Whether somebody with the interest is to be told, by what poll(2) said last. */
export function isReady(file: File, interest: Interest): boolean {
  // A terminal that can be written to again does not always say so: Linux wakes nobody for each byte that was taken.
  const told = file.kind === "terminal" ? file.bits & ~OUT : file.bits;
  return interest !== Interest.NONE && (told & asked(interest)) !== 0;
}

/** Since when the file has been ready without a break, `Infinity` if it is not. */
export function readySince(file: File, interest: Interest): number {
  return Math.min(...BITS.map((bit, index) => (asked(interest) & bit ? (file.since[index] as number) : Infinity)));
}

/** What is wrong with what was told of a file, if anything: it was not true, neither in this step nor in the last. */
export function untruth(file: File, ready: Ready): string | undefined {
  if (file.isLate) return undefined;
  const bits = file.before | file.lately;
  const holds: Record<string, boolean> = {
    readable: (bits & (IN | RDHUP | HUP | ERR)) !== 0,
    writable: (bits & (OUT | ERR)) !== 0,
    priority: (bits & PRI) !== 0,
    readClosed: (bits & (RDHUP | HUP)) !== 0,
    hangUp: (bits & HUP) !== 0,
    error: (bits & ERR) !== 0,
  };
  for (const [name, held] of Object.entries(holds)) {
    if (ready[name as keyof Ready] === true && !held) return `${name}, by poll(2) ${bits.toString(16)} at most`;
  }
  return undefined;
}

/** Whether a number is nobody's. */
export function isFree(fd: number): boolean {
  const revents = new Int32Array(1);
  poll(Int32Array.of(fd), Int32Array.of(0), revents);
  return revents[0] === NVAL;
}

/** What is connected to for every connection, and open as long as the process runs. */
let listener: number | undefined;

export function openListener(): number {
  return (listener ??= io.listen({ host: "127.0.0.1", port: 0 }));
}

function connection(): [number, number] {
  const one = io.connect(io.localAddress(openListener()));
  let other = io.WOULD_BLOCK;
  while (other === io.WOULD_BLOCK) other = io.accept(openListener());
  return [one, other];
}

function terminal(): [number, number] {
  const pair = new Int32Array(2);
  if (openTerminal(pair) !== 0) throw new Error("there is no terminal to be had");
  return [pair[0] as number, pair[1] as number];
}

const make: Readonly<Record<Kind, () => readonly number[]>> = {
  pipe: () => io.pipe(),
  socketpair: () => io.socketpair(),
  eventfd: () => [io.eventfd()],
  tcp: connection,
  terminal,
  memory: () => [openMemory()],
};

export class Files {
  readonly #named = new Map<number, File>();
  /** How often each number came to mean another file, or none. */
  readonly #changes = new Map<number, number>();
  /** The numbers that the program has open, in no order. */
  readonly numbers: number[] = [];
  /** Those that it had. */
  readonly former: number[] = [];

  /** @param onChange is called when a number names another file, or none */
  constructor(private readonly onChange: (fd: number) => void) {}

  at(fd: number): File | undefined {
    return this.#named.get(fd);
  }

  changesOf(fd: number): number {
    return this.#changes.get(fd) ?? 0;
  }

  open(kind: Kind): readonly number[] {
    const fds = make[kind]();
    const files = fds.map((fd) => this.#name(fd, new File(kind)));
    if (files.length === 2) [files[0]!.peer, files[1]!.peer] = [files[1], files[0]];
    this.look(files);
    return fds;
  }

  #name(fd: number, file: File): File {
    this.#change(fd);
    this.#named.set(fd, file);
    this.numbers.push(fd);
    file.numbers.add(fd);
    return file;
  }

  #forget(fd: number): void {
    const file = this.#named.get(fd);
    if (file === undefined) return;
    this.#named.delete(fd);
    this.numbers.splice(this.numbers.indexOf(fd), 1);
    file.numbers.delete(fd);
    if (this.former.push(fd) > 8) this.former.shift();
    this.#change(fd);
  }

  #change(fd: number): void {
    this.#changes.set(fd, this.changesOf(fd) + 1);
    this.onChange(fd);
  }

  /** Does something to a file, and looks at what that changes. */
  touch<T>(fd: number, call: () => T): T {
    const file = this.#named.get(fd);
    const files = [file, file?.peer].filter((each) => each !== undefined);
    this.look(files);
    try {
      return call();
    } finally {
      this.look(files);
    }
  }

  /** @param onto a number of the program, or the lowest free one */
  duplicate(fd: number, onto?: number): number {
    const replaced = onto === undefined ? undefined : this.#named.get(onto);
    const file = this.#named.get(fd) as File;
    this.look([file, replaced, replaced?.peer].filter((each) => each !== undefined));
    if (onto !== undefined) this.#forget(onto);
    const copy = onto === undefined ? io.dup(fd) : io.dup(fd, onto);
    this.#name(copy, file);
    this.look([file, replaced?.peer].filter((each) => each !== undefined));
    return copy;
  }

  close(fd: number, by: (fd: number) => void = io.close): void {
    const file = this.#named.get(fd);
    this.look([file, file?.peer].filter((each) => each !== undefined));
    // Whoever is told of it asks what the number means.
    this.#forget(fd);
    by(fd);
    if (file?.peer !== undefined) this.look([file.peer]);
  }

  /** Asks poll(2) about files. */
  look(files: readonly File[]): void {
    const open = files.filter((file) => file.numbers.size > 0);
    const fds = Int32Array.from(open, ({ numbers }) => numbers.values().next().value as number);
    const revents = new Int32Array(open.length);
    poll(fds, new Int32Array(open.length).fill(ASKED), revents);
    const now = performance.now();
    for (const [index, file] of open.entries()) {
      const bits = revents[index] as number;
      file.lately |= bits;
      if (bits === file.bits) continue;
      file.bits = bits;
      for (const [place, bit] of BITS.entries()) {
        if (!(bits & bit)) file.since[place] = Infinity;
        else if (file.since[place] === Infinity) file.since[place] = now;
      }
    }
  }

  lookAtAll(): void {
    this.look([...new Set(this.#named.values())]);
  }

  /** What was true before the last step is not true any more. */
  step(): void {
    for (const file of new Set(this.#named.values())) {
      file.before = file.lately;
      file.lately = 0;
    }
    this.lookAtAll();
  }
}
