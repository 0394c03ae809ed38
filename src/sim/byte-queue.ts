/** Bytes on their way from a writer to a reader, first in, first out: what the pipes and sockets of the BSDs keep. */

export class ByteQueue {
  readonly capacity: number;
  #bytes: Uint8Array | undefined;
  #start = 0;
  #length = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get length(): number {
    return this.#length;
  }

  /** How many bytes there is room for. */
  get room(): number {
    return this.capacity - this.#length;
  }

  /** Takes in as many as there is room for, and tells how many. */
  put(bytes: Uint8Array): number {
    const count = Math.min(bytes.length, this.room);
    const ring = (this.#bytes ??= new Uint8Array(this.capacity));
    const end = (this.#start + this.#length) % this.capacity;
    const first = Math.min(count, this.capacity - end);
    ring.set(bytes.subarray(0, first), end);
    ring.set(bytes.subarray(first, count), 0);
    this.#length += count;
    return count;
  }

  /** Gives out as many as the buffer holds, and tells how many. */
  take(buffer: Uint8Array): number {
    const count = Math.min(buffer.length, this.#length);
    if (count === 0 || this.#bytes === undefined) return 0;

    const first = Math.min(count, this.capacity - this.#start);
    buffer.set(this.#bytes.subarray(this.#start, this.#start + first), 0);
    buffer.set(this.#bytes.subarray(0, count - first), first);
    this.#start = (this.#start + count) % this.capacity;
    this.#length -= count;
    return count;
  }

  clear(): void {
    this.#length = 0;
  }
}
