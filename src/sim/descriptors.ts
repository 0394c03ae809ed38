/** The descriptor table of a simulated process: numbers that point to open file descriptions. */
import { namedError } from "../errors.js";
import type { Description } from "./description.js";

/** 0, 1 and 2 are taken in every program. */
const FIRST = 3;

/** RLIMIT_NOFILE: numbers are below it. Linux's usual hard limit. */
export const DESCRIPTOR_LIMIT = 1_048_576;

export class Descriptors {
  /** What the numbers are multiples of. Files are counted, handles of Windows go by fours. */
  readonly #step: number;
  readonly #open = new Map<number, Description>();
  readonly #first: number;
  /** No number below this one is free. */
  #free: number;

  constructor(step = 1) {
    this.#step = step;
    this.#first = FIRST * step;
    this.#free = this.#first;
  }

  /** How many descriptors are open. */
  get size(): number {
    return this.#open.size;
  }

  /** What a number points to, or `undefined` if it is not open. */
  find(fd: number): Description | undefined {
    return this.#open.get(fd);
  }

  /** What a number points to. Throws EBADF if it is not open. */
  get(fd: number, syscall: string): Description {
    const description = this.#open.get(fd);
    if (description === undefined) throw namedError("EBADF", syscall);
    return description;
  }

  /** Points the lowest free number at a description, as open(2) promises. Throws EMFILE if there is none. */
  add(description: Description, syscall: string): number {
    const fd = this.#lowestFree();
    if (fd >= DESCRIPTOR_LIMIT) throw namedError("EMFILE", syscall);

    this.#point(fd, description);
    return fd;
  }

  /** Points this number at a description, closing what it pointed to: dup2(2). */
  replace(fd: number, description: Description): void {
    const replaced = this.#open.get(fd);
    this.#point(fd, description);
    replaced?.drop();
  }

  /** Throws EBADF if the number is not open. */
  close(fd: number): void {
    const description = this.get(fd, "close");
    this.#open.delete(fd);
    if (fd >= this.#first && fd < this.#free) this.#free = fd;
    description.drop();
  }

  #lowestFree(): number {
    while (this.#open.has(this.#free)) this.#free += this.#step;
    return this.#free;
  }

  #point(fd: number, description: Description): void {
    description.hold();
    this.#open.set(fd, description);
  }
}
