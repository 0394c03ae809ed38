/**
 * A connected pair of AF_UNIX stream sockets of the BSDs and macOS, as unix(4) and shutdown(2) describe them and the
 * kernels' uipc_usrreq.c and uipc_socket.c build them, and what their TCP sockets have in common with these.
 */
import { namedError } from "../errors.js";
import { ByteQueue } from "./byte-queue.js";
import { type Condition, Description, type Filter, type Filtered, IN, OUT, PRI, WOULD_BLOCK } from "./description.js";
import type { Particulars } from "./kqueue-flavours.js";
import type { Refusal } from "./refusals.js";

/** What can be on its way: PIPSIZ of FreeBSD and macOS. The others' is larger. */
const SIZE = 8192;

/** SO_SNDLOWAT: less room than this is none, for EVFILT_WRITE and for a write that does not fit entirely. */
const LOW_WATER = 2048;

/** A stream socket whose data waits in the receiver's buffer. */
export abstract class BsdSocket<Peer extends BsdSocket<Peer>> extends Description implements Filtered {
  /** Set once, right after both ends were made. */
  peer!: Peer;
  readonly received: ByteQueue;
  readonly #particulars: Particulars;
  /** SBS_CANTRCVMORE and SBS_CANTSENDMORE. */
  protected receivesNoMore = false;
  protected sendsNoMore = false;
  /** SO_ERROR, which is told once. */
  protected error: "ECONNRESET" | undefined;

  constructor(particulars: Particulars, size: number) {
    super();
    this.#particulars = particulars;
    this.received = new ByteQueue(size);
  }

  /** Bytes arrive from the peer. */
  protected abstract arrive(bytes: Uint8Array): void;

  /** Whether out-of-band data was announced and not passed yet. */
  protected get isMarked(): boolean {
    return false;
  }

  attach(): Refusal | undefined {
    return undefined;
  }

  /** filt_soread(), filt_sowrite() and filt_soexcept(). */
  evaluate(filter: Filter): Condition {
    if (filter === "except") return this.#evaluateExcept();
    const end = filter === "read" ? this.receivesNoMore : this.sendsNoMore;
    const amount = filter === "read" ? this.received.length : end ? 0 : this.peer.received.room;
    const active = end || this.error !== undefined || amount >= (filter === "read" ? 1 : LOW_WATER);
    return { active, end, error: end ? this.#refusal : undefined, amount: BigInt(amount) };
  }

  #evaluateExcept(): Condition {
    if (this.isMarked) return { active: true, end: false, amount: 0n };
    const active = this.receivesNoMore && this.#particulars.exceptTellsEnd;
    return { active, end: active, error: active ? this.#refusal : undefined, amount: 0n };
  }

  get #refusal(): Refusal | undefined {
    return this.error === undefined ? undefined : "connection-reset";
  }

  read(buffer: Uint8Array): number {
    if (buffer.length === 0) return 0;
    const count = this.take(buffer);
    if (count > 0) {
      this.peer.wake(OUT);
      return count;
    }
    this.#tellError("read");
    return this.receivesNoMore ? 0 : WOULD_BLOCK;
  }

  protected take(buffer: Uint8Array): number {
    return this.received.take(buffer);
  }

  write(buffer: Uint8Array): number {
    const room = this.roomFor(buffer.length, "write");
    if (buffer.length === 0) return 0;
    if (room === 0) return WOULD_BLOCK;
    const bytes = buffer.subarray(0, room);
    this.peer.arrive(bytes);
    return bytes.length;
  }

  /** How many of so many bytes can be sent. */
  protected roomFor(length: number, syscall: string): number {
    if (this.sendsNoMore) throw namedError("EPIPE", syscall);
    this.#tellError(syscall);
    const { room } = this.peer.received;
    return room < Math.min(length, LOW_WATER) ? 0 : Math.min(room, length);
  }

  #tellError(syscall: string): void {
    const { error } = this;
    if (error === undefined) return;
    this.error = undefined;
    throw namedError(error, syscall);
  }

  /** That no more is read concerns this end alone. */
  override shutdown(how: "read" | "write" | "both"): void {
    if (how !== "write") {
      this.received.clear();
      this.endReceiving();
      // There is room for what the peer sends, again.
      this.peer.wake(OUT);
    }
    if (how !== "read") {
      this.endSending();
      this.peer.endReceiving();
    }
  }

  protected endReceiving(): void {
    this.receivesNoMore = true;
    this.tellReader();
  }

  protected endSending(): void {
    this.sendsNoMore = true;
    this.wake(OUT);
  }

  protected tellReader(): void {
    this.wake(IN | PRI);
  }
}

class UnixSocket extends BsdSocket<UnixSocket> {
  /** Nobody asks whether it will be read: uipc_send(). */
  protected arrive(bytes: Uint8Array): void {
    this.received.put(bytes);
    this.tellReader();
  }

  override sendUrgent(): number {
    throw namedError("ENOTSUP", "sendUrgent", "AF_UNIX sockets have no urgent data");
  }

  override receiveUrgent(): number {
    throw namedError("ENOTSUP", "receiveUrgent", "AF_UNIX sockets have no urgent data");
  }

  /** soisdisconnected() of the peer. What it has received stays there to be read. */
  protected override release(): void {
    this.received.clear();
    this.peer.endReceiving();
    this.peer.endSending();
  }
}

/** Makes two sockets that are connected to each other. */
export function createBsdSocketPair(particulars: Particulars): [Description & Filtered, Description & Filtered] {
  const first = new UnixSocket(particulars, SIZE);
  const second = new UnixSocket(particulars, SIZE);
  first.peer = second;
  second.peer = first;
  return [first, second];
}
