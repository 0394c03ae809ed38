/**
 * A pipe of the BSDs and macOS, as pipe(2) describes it and their kernels' sys_pipe.c builds it: a ring of 16,384 bytes
 * each way. That it grows to 65,536 bytes for large writes, if the system has memory for it, is not modelled.
 */
import { namedError } from "../errors.js";
import { ByteQueue } from "./byte-queue.js";
import { type Condition, Description, type Filter, type Filtered, IN, LAST, OUT, WOULD_BLOCK } from "./description.js";
import type { Particulars } from "./kqueue-flavours.js";
import type { Refusal } from "./refusals.js";

/** PIPE_SIZE. */
const SIZE = 16_384;

/** PIPE_BUF: so many bytes are written entirely or not at all, and EVFILT_WRITE wants room for them. */
const ATOMIC = 512;

class PipeEnd extends Description implements Filtered {
  /** Set once, right after both ends were made. */
  peer!: PipeEnd;
  readonly #particulars: Particulars;
  readonly #isReader: boolean;
  /** What the other end has written. */
  readonly #incoming = new ByteQueue(SIZE);
  #isClosed = false;

  constructor(particulars: Particulars, isReader: boolean) {
    super();
    this.#particulars = particulars;
    this.#isReader = isReader;
  }

  get #canWrite(): boolean {
    return !this.#isReader || this.#particulars.hasTwoWayPipes;
  }

  get #canRead(): boolean {
    return this.#isReader || this.#particulars.hasTwoWayPipes;
  }

  attach(filter: Filter, { exceptOnOthers, writeWithoutReader }: Particulars): Refusal | undefined {
    if (filter === "except") return exceptOnOthers;
    return filter === "write" && this.peer.#isClosed ? writeWithoutReader : undefined;
  }

  /** A filter of the wrong end waits for the pipe's end, without error: "Neutered" in pipe_kqfilter() of XNU. */
  evaluate(filter: Filter): Condition {
    const end = this.peer.#isClosed;
    if (filter === "read") {
      return { active: end || this.#incoming.length > 0, end, amount: BigInt(this.#incoming.length) };
    }
    const room = end || !this.#canWrite ? 0 : this.peer.#incoming.room;
    return { active: end || room >= ATOMIC, end, amount: BigInt(room) };
  }

  read(buffer: Uint8Array): number {
    if (!this.#canRead) throw namedError("EBADF", "read", "the write end of a pipe");
    if (buffer.length === 0) return 0;
    if (this.#incoming.length === 0) return this.peer.#isClosed ? 0 : WOULD_BLOCK;

    const count = this.#incoming.take(buffer);
    // pipe_read() tells everybody who waits for this direction, once there is room for an atomic write.
    if (this.#incoming.room >= ATOMIC) this.#tellBoth();
    return count;
  }

  write(buffer: Uint8Array): number {
    if (!this.#canWrite) throw namedError("EBADF", "write", "the read end of a pipe");
    if (this.peer.#isClosed) throw namedError("EPIPE", "write");
    if (buffer.length === 0) return 0;

    const queue = this.peer.#incoming;
    const fits = buffer.length > ATOMIC || queue.room >= buffer.length;
    const count = fits ? queue.put(buffer) : 0;
    // pipe_write() tells them of whatever is there, also if it found no room.
    this.peer.#tellBoth();
    return count === 0 ? WOULD_BLOCK : count;
  }

  /** EVFILT_READ here and EVFILT_WRITE of the other end are on one list of knotes, which is told as a whole. */
  #tellBoth(): void {
    this.wake(IN);
    this.peer.wake(OUT);
  }

  protected override release(): void {
    this.#isClosed = true;
    this.peer.wake(OUT);
    this.peer.wake(IN);
    if (this.#particulars.endsWriteKnotes) this.peer.wake(OUT | LAST);
  }
}

/** Makes a pipe: its read end, its write end. */
export function createBsdPipe(
  particulars: Particulars,
): [reader: Description & Filtered, writer: Description & Filtered] {
  const reader = new PipeEnd(particulars, true);
  const writer = new PipeEnd(particulars, false);
  reader.peer = writer;
  writer.peer = reader;
  return [reader, writer];
}
