/**
 * A pipe as pipe(7) describes it and Linux builds it: 16 slots of a page each. A write of up to a page is atomic and
 * starts a new slot unless it fits behind the last one, so a pipe can be full with little in it.
 */
import { namedError } from "../errors.js";
import { Description, ERR, HUP, IN, OUT, PAGE, type Polled, WOULD_BLOCK } from "./description.js";

const SLOTS = 16;

interface Slot {
  readonly page: Uint8Array;
  start: number;
  end: number;
}

class Pipe {
  readonly slots: Slot[] = [];
  readonly reader = new ReadEnd(this);
  readonly writer = new WriteEnd(this);
  readable = true;
  writable = true;

  get full(): boolean {
    return this.slots.length === SLOTS;
  }
}

class ReadEnd extends Description implements Polled {
  readonly pollable = true;
  readonly #pipe: Pipe;

  constructor(pipe: Pipe) {
    super();
    this.#pipe = pipe;
  }

  poll(): number {
    const { slots, writable } = this.#pipe;
    return (slots.length > 0 ? IN : 0) | (writable ? 0 : HUP);
  }

  read(buffer: Uint8Array): number {
    const pipe = this.#pipe;
    if (buffer.length === 0) return 0;
    if (pipe.slots.length === 0) return pipe.writable ? WOULD_BLOCK : 0;

    const wasFull = pipe.full;
    const count = take(pipe.slots, buffer);
    // Writers wait for a free slot, not for free bytes.
    if (wasFull && !pipe.full) pipe.writer.wake(OUT);
    return count;
  }

  write(): number {
    throw namedError("EBADF", "write", "the read end of a pipe");
  }

  protected override release(): void {
    this.#pipe.readable = false;
    this.#pipe.writer.wake(0);
  }
}

class WriteEnd extends Description implements Polled {
  readonly pollable = true;
  readonly #pipe: Pipe;

  constructor(pipe: Pipe) {
    super();
    this.#pipe = pipe;
  }

  poll(): number {
    const { full, readable } = this.#pipe;
    return (full ? 0 : OUT) | (readable ? 0 : ERR);
  }

  read(): number {
    throw namedError("EBADF", "read", "the write end of a pipe");
  }

  write(buffer: Uint8Array): number {
    const pipe = this.#pipe;
    if (buffer.length === 0) return 0;
    if (!pipe.readable) throw namedError("EPIPE", "write");

    const count = put(pipe.slots, buffer);
    // Even a write that found no room wakes the reader. Linux does so since 5.14 for edge-triggered users, who had come
    // to expect an edge per write (commit 3a34b13a88ca, "pipe: make pipe writes always wake up readers").
    pipe.reader.wake(IN);
    return count === 0 ? WOULD_BLOCK : count;
  }

  protected override release(): void {
    this.#pipe.writable = false;
    this.#pipe.reader.wake(0);
  }
}

function take(slots: Slot[], buffer: Uint8Array): number {
  let count = 0;
  for (let slot = slots[0]; slot !== undefined && count < buffer.length; slot = slots[0]) {
    const length = Math.min(slot.end - slot.start, buffer.length - count);
    buffer.set(slot.page.subarray(slot.start, slot.start + length), count);
    slot.start += length;
    count += length;
    if (slot.start === slot.end) slots.shift();
  }
  return count;
}

function put(slots: Slot[], buffer: Uint8Array): number {
  let count = merge(slots.at(-1), buffer);
  while (count < buffer.length && slots.length < SLOTS) {
    const length = Math.min(PAGE, buffer.length - count);
    const page = new Uint8Array(PAGE);
    page.set(buffer.subarray(count, count + length));
    slots.push({ page, start: 0, end: length });
    count += length;
  }
  return count;
}

/** Linux puts the part of a write that exceeds whole pages behind the last slot, if it fits there entirely. */
function merge(last: Slot | undefined, buffer: Uint8Array): number {
  const length = buffer.length % PAGE;
  if (last === undefined || length === 0 || last.end + length > PAGE) return 0;

  last.page.set(buffer.subarray(0, length), last.end);
  last.end += length;
  return length;
}

/** Makes a pipe: its read end, its write end. */
export function createPipe(): [reader: Description & Polled, writer: Description & Polled] {
  const { reader, writer } = new Pipe();
  return [reader, writer];
}
