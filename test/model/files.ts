/** The files of a program, by what a poller can know of them: which numbers name them, and what happened to them. */
import type { SimulatedIo } from "lio-poller/sim";

/** An open file description, as long as numbers name it. */
export class File {
  readonly numbers = new Set<number>();
  /** The other end of a pipe or a pair. */
  peer: File | undefined = undefined;
  /** Counts what happened to it that could make an edge. */
  stirs = 0;

  /** @param pollable whether the kernel polls such files at all */
  constructor(readonly pollable: boolean) {}

  get isOpen(): boolean {
    return this.numbers.size > 0;
  }

  /** What poll(2) says of it now. */
  bits(io: SimulatedIo): number {
    for (const number of this.numbers) return io.poll(number);
    return 0;
  }
}

/** Which number names which file. */
export class Files {
  readonly #named = new Map<number, File>();
  /** The numbers that are open, in no order. */
  readonly numbers: number[] = [];

  at(number: number): File | undefined {
    return this.#named.get(number);
  }

  name(number: number, file: File): void {
    this.forget(number);
    this.#named.set(number, file);
    this.numbers.push(number);
    file.numbers.add(number);
  }

  /** Answers the file that the number named. */
  forget(number: number): File | undefined {
    const file = this.#named.get(number);
    if (file === undefined) return undefined;
    this.#named.delete(number);
    this.numbers.splice(this.numbers.indexOf(number), 1);
    file.numbers.delete(number);
    return file;
  }
}
