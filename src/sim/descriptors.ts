/** The descriptor table of a simulated process: numbers that point to open file descriptions. */
import { namedError } from "../errors.js";
import type { Description } from "./description.js";

/** 0, 1 and 2 are taken in every program. */
const FIRST = 3;

/** RLIMIT_NOFILE: numbers are below it. Linux's usual hard limit. */
export const DESCRIPTOR_LIMIT = 1_048_576;

export class Descriptors<File extends Description> {
  readonly #closing: (fd: number) => void;
  readonly #open = new Map<number, File>();
  /** No number below this one is free. */
  #free = FIRST;

  /** @param closing Told each number that is about to be closed. */
  constructor(closing: (fd: number) => void = () => {}) {
    this.#closing = closing;
  }

  /** How many descriptors are open. */
  get size(): number {
    return this.#open.size;
  }

  /** What a number points to, or `undefined` if it is not open. */
  find(fd: number): File | undefined {
    return this.#open.get(fd);
  }

  /** What a number points to. Throws EBADF if it is not open. */
  get(fd: number, syscall: string): File {
    const description = this.#open.get(fd);
    if (description === undefined) throw namedError("EBADF", syscall);
    return description;
  }

  /** Points the lowest free number at a description, as open(2) promises. Throws EMFILE if there is none. */
  add(description: File, syscall: string): number {
    const fd = this.#lowestFree();
    if (fd >= DESCRIPTOR_LIMIT) throw namedError("EMFILE", syscall);

    this.#point(fd, description);
    return fd;
  }

  /** Points this number at a description, closing what it pointed to: dup2(2). */
  replace(fd: number, description: File): void {
    const replaced = this.#open.get(fd);
    if (replaced !== undefined) this.#closing(fd);
    this.#point(fd, description);
    replaced?.drop();
  }

  /** Throws EBADF if the number is not open. */
  close(fd: number): void {
    const description = this.get(fd, "close");
    this.#closing(fd);
    this.#open.delete(fd);
    if (fd >= FIRST && fd < this.#free) this.#free = fd;
    description.drop();
  }

  #lowestFree(): number {
    while (this.#open.has(this.#free)) this.#free++;
    return this.#free;
  }

  #point(fd: number, description: File): void {
    description.hold();
    this.#open.set(fd, description);
  }
}
