/**
 * A connected pair of TCP sockets, as tcp(7) and poll(2) describe them: no addresses, no delays, nothing lost. What the
 * pages leave open (which bits an end shows, what becomes of an urgent byte that nobody asked for) is Linux's, checked
 * against 6.18 over the loopback interface.
 *
 * An urgent byte has its place in the stream like any other, and a mark on it: one mark at a time, the latest. Reading
 * stops before the mark, and the read after that leaves the byte out.
 */
import { namedError } from "../errors.js";
import { Description, ERR, HUP, IN, OUT, type Polled, PRI, RDHUP, WOULD_BLOCK } from "./description.js";

/**
 * How many bytes can be on their way, and how many may be for a socket that was full to be writable again. On Linux both
 * vary with the sizes of writes, the settings and the time.
 */
const SEND_BUFFER = 2 ** 21;
const LOW_WATER = 2 ** 20;

const RECEIVE_SHUTDOWN = 1;
const SEND_SHUTDOWN = 2;
const BOTH_SHUTDOWN = RECEIVE_SHUTDOWN | SEND_SHUTDOWN;

/** The mark: none, on a byte that can be taken, or on one that was taken and keeps its place. */
type Mark = "none" | "valid" | "taken";

class TcpSocket extends Description implements Polled {
  readonly pollable = true;
  /** Set once, right after both ends were made. */
  peer!: TcpSocket;
  readonly #received: Uint8Array[] = [];
  /** Bytes that have arrived, and those of them that were read or left out: places in the stream. */
  #arrived = 0;
  #copied = 0;
  #mark: Mark = "none";
  #markedAt = 0;
  #urgentByte = 0;
  #shutdown = 0;
  /** The peer has said that it sends no more. */
  #finished = false;
  /** The connection has ended in both directions, by a reset. */
  #ended = false;
  #error: "ECONNRESET" | "EPIPE" | undefined;
  #released = false;
  /** A write found no room, so that its end is an edge. */
  #wasFull = false;

  poll(): number {
    let bits = 0;
    if (this.#arrived - this.#copied > (this.#isAtMark ? 1 : 0)) bits |= IN;
    if (this.#mark === "valid") bits |= PRI;
    if (this.#shutdown & RECEIVE_SHUTDOWN) bits |= IN | RDHUP;
    if (this.#shutdown === BOTH_SHUTDOWN || this.#ended) bits |= HUP;
    if (this.#error !== undefined) bits |= ERR;
    if (this.#shutdown & SEND_SHUTDOWN || !this.#wasFull) bits |= OUT;
    return bits;
  }

  get #isAtMark(): boolean {
    return this.#mark !== "none" && this.#markedAt === this.#copied;
  }

  read(buffer: Uint8Array): number {
    if (buffer.length === 0) return 0;
    // An urgent byte at the head is left out.
    if (this.#isAtMark && this.#arrived > this.#copied) this.#pass();
    const count = this.#take(buffer);
    if (count > 0) {
      this.peer.#freed();
      return count;
    }
    if (this.#error === "ECONNRESET") throw this.#told("read");
    return this.#shutdown & RECEIVE_SHUTDOWN ? 0 : WOULD_BLOCK;
  }

  /** Copies what is there, up to the mark. */
  #take(buffer: Uint8Array): number {
    const limit = this.#mark === "none" ? buffer.length : Math.min(buffer.length, this.#markedAt - this.#copied);
    let count = 0;
    for (let piece = this.#received[0]; piece !== undefined && count < limit; piece = this.#received[0]) {
      const bytes = piece.subarray(0, limit - count);
      buffer.set(bytes, count);
      count += bytes.length;
      this.#drop(bytes.length);
    }
    return count;
  }

  /** Leaves out the byte at the head, and with it the mark that is on it. */
  #pass(): void {
    this.#drop(1);
    this.#mark = "none";
  }

  /** Takes bytes off the head, of its first piece at most. */
  #drop(count: number): void {
    const piece = this.#received.shift() as Uint8Array;
    if (count < piece.length) this.#received.unshift(piece.subarray(count));
    this.#copied += count;
  }

  override receiveUrgent(): number {
    if (this.#mark !== "valid") throw namedError("EINVAL", "receiveUrgent");
    if (this.#ended && !this.#finished) throw namedError("ENOTCONN", "receiveUrgent");
    this.#mark = "taken";
    return this.#urgentByte;
  }

  write(buffer: Uint8Array): number {
    return this.#send(buffer, "write", false);
  }

  override sendUrgent(byte: number): number {
    return this.#send(Uint8Array.of(byte), "sendUrgent", true);
  }

  #send(buffer: Uint8Array, syscall: string, isUrgent: boolean): number {
    if (this.#error !== undefined) throw this.#told(syscall);
    if (this.#shutdown & SEND_SHUTDOWN) throw namedError("EPIPE", syscall);

    const bytes = buffer.slice(0, SEND_BUFFER - this.#unread);
    if (bytes.length < buffer.length) this.#wasFull = true;
    if (bytes.length === 0) return buffer.length === 0 ? 0 : WOULD_BLOCK;
    this.peer.#arrive(bytes, isUrgent);
    return bytes.length;
  }

  /** Bytes that were sent and are not read yet. */
  get #unread(): number {
    return this.peer.#arrived - this.peer.#copied;
  }

  #freed(): void {
    if (!this.#wasFull || this.#unread > LOW_WATER) return;
    this.#wasFull = false;
    this.wake(OUT);
  }

  #arrive(bytes: Uint8Array, isUrgent: boolean): void {
    // There is nobody to take it: the answer is a reset.
    if (this.#released || this.#shutdown === BOTH_SHUTDOWN) {
      this.peer.#reset();
      this.#reset();
      return;
    }
    this.#received.push(bytes);
    this.#arrived += bytes.length;
    if (isUrgent) {
      // An earlier one at the head is forgotten; elsewhere it becomes an ordinary byte.
      if (this.#isAtMark && this.#markedAt < this.#arrived - 1) this.#pass();
      this.#mark = "valid";
      this.#markedAt = this.#arrived - 1;
      this.#urgentByte = bytes[bytes.length - 1] as number;
    }
    // Linux wakes those who wait for priority data whatever arrives (sock_def_readable).
    this.wake(IN | PRI);
  }

  override shutdown(how: "read" | "write" | "both"): void {
    if (this.#ended) throw namedError("ENOTCONN", "shutdown");
    const directions = { read: RECEIVE_SHUTDOWN, write: SEND_SHUTDOWN, both: BOTH_SHUTDOWN }[how];
    this.#end(directions);
    // Only the end of sending travels.
    if (directions & SEND_SHUTDOWN) this.peer.#finish();
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#end(RECEIVE_SHUTDOWN);
  }

  #end(directions: number): void {
    this.#shutdown |= directions;
    this.wake(0);
  }

  /** One that comes when the peer has already stopped sending is told as a broken pipe, and to who writes alone. */
  #reset(): void {
    if (this.#ended) return;
    this.#error = this.#finished ? "EPIPE" : "ECONNRESET";
    this.#ended = true;
    this.#end(BOTH_SHUTDOWN);
  }

  /** The error is told once, as SO_ERROR is. */
  #told(syscall: string): Error {
    const error = namedError(this.#error ?? "EPIPE", syscall);
    this.#error = undefined;
    return error;
  }

  protected override release(): void {
    this.#released = true;
    if (this.#ended) return;
    // Data that nobody read is lost, and the sender learns of it.
    if (this.#arrived > this.#copied) this.peer.#reset();
    else this.peer.#finish();
  }
}

/** Makes two sockets that are connected to each other. */
export function createTcpPair(): [Description & Polled, Description & Polled] {
  const first = new TcpSocket();
  const second = new TcpSocket();
  first.peer = second;
  second.peer = first;
  return [first, second];
}
