/**
 * A component's linear memory as the canonical ABI uses it: little-endian, addressed by 32-bit offsets, and replaced by
 * a new buffer whenever it grows, which can happen inside `realloc`.
 */
import type { CanonicalOptions } from "../kernel.js";

/** Return areas, and most lists of these interfaces, are aligned to their 32-bit members. */
const ALIGNMENT = 4;

export class LinearMemory {
  readonly #memory: NonNullable<CanonicalOptions["memory"]>;
  readonly #realloc: CanonicalOptions["realloc"];
  #view: DataView;

  constructor({ memory, realloc }: CanonicalOptions) {
    // Functions whose types need no memory are given none, and use none of this.
    this.#memory = memory ?? { buffer: new ArrayBuffer(0) };
    this.#realloc = realloc;
    this.#view = new DataView(this.#memory.buffer);
  }

  /** The memory as it is now. Look again after each `allocate` and after anything that runs the component. */
  get view(): DataView {
    if (this.#view.buffer !== this.#memory.buffer) this.#view = new DataView(this.#memory.buffer);
    return this.#view;
  }

  /**
   * Checks that `count` items of `size` bytes can be at a pointer, as the canonical ABI wants before it uses one.
   *
   * @returns The pointer as the unsigned number that it is: flat integers arrive signed.
   * @throws {RangeError} If they reach beyond the memory or are not aligned.
   */
  check(pointer: number, count: number, size: number, alignment = ALIGNMENT): number {
    const start = pointer >>> 0;
    const end = start + (count >>> 0) * size;
    if (end > this.#memory.buffer.byteLength) throw new RangeError(`${start} to ${end} is beyond the linear memory`);
    if (start % alignment !== 0) throw new RangeError(`${start} is not aligned to ${alignment} bytes`);
    return start;
  }

  /** Room for a list in the component, which owns it from then on. An empty list needs none: any pointer will do. */
  allocate(count: number, size: number, alignment = ALIGNMENT): number {
    if (count === 0) return 0;
    if (this.#realloc === undefined) throw new RangeError("the component gave no realloc to return a list with");
    return this.check(this.#realloc(0, 0, alignment, count * size), count, size, alignment);
  }
}
