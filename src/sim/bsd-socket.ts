/**
 * A connected pair of AF_UNIX stream sockets of the BSDs and macOS, as unix(4) and shutdown(2) describe them and the
 * kernels' uipc_usrreq.c and uipc_socket.c build them: what is sent waits in the receiver's buffer, of 8,192 bytes
 * everywhere (PIPSIZ of FreeBSD and macOS; the others' are larger).
 */
import { namedError } from "../errors.js";
import { ByteQueue } from "./byte-queue.js";
import { type Condition, Description, type Filter, type Filtered, IN, OUT, PRI, WOULD_BLOCK } from "./description.js";
import type { Particulars } from "./kqueue-flavours.js";
import type { Refusal } from "./refusals.js";

const SIZE = 8192;

/** SO_SNDLOWAT: less room than this is none, for EVFILT_WRITE and for a write that does not fit entirely. */
const LOW_WATER = 2048;

class StreamSocket extends Description implements Filtered {
  /** Set once, right after both ends were made. */
  peer!: StreamSocket;
  readonly #particulars: Particulars;
  readonly #received = new ByteQueue(SIZE);
  /** SBS_CANTRCVMORE and SBS_CANTSENDMORE. */
  #receivesNoMore = false;
  #sendsNoMore = false;

  constructor(particulars: Particulars) {
    super();
    this.#particulars = particulars;
  }

  attach(): Refusal | undefined {
    return undefined;
  }

  /** filt_soread(), filt_sowrite() and filt_soexcept(). Sockets of this kind have no out-of-band data. */
  evaluate(filter: Filter): Condition {
    if (filter === "write") {
      const room = this.#sendsNoMore ? 0 : this.peer.#received.room;
      return { active: this.#sendsNoMore || room >= LOW_WATER, end: this.#sendsNoMore, amount: BigInt(room) };
    }
    const end = this.#receivesNoMore;
    if (filter === "except") return { active: end && this.#particulars.exceptTellsEnd, end, amount: 0n };
    return { active: end || this.#received.length > 0, end, amount: BigInt(this.#received.length) };
  }

  read(buffer: Uint8Array): number {
    if (buffer.length === 0) return 0;
    if (this.#received.length === 0) return this.#receivesNoMore ? 0 : WOULD_BLOCK;

    const count = this.#received.take(buffer);
    this.peer.wake(OUT);
    return count;
  }

  write(buffer: Uint8Array): number {
    if (this.#sendsNoMore) throw namedError("EPIPE", "write");
    if (buffer.length === 0) return 0;

    const queue = this.peer.#received;
    if (queue.room < Math.min(buffer.length, LOW_WATER)) return WOULD_BLOCK;
    const count = queue.put(buffer);
    this.peer.#tellReaders();
    return count;
  }

  /** That no more is read concerns this end alone: the peer may go on sending, and nobody reads it. */
  override shutdown(how: "read" | "write" | "both"): void {
    if (how !== "write") {
      this.#received.clear();
      this.#endReceiving();
    }
    if (how !== "read") {
      this.#endSending();
      this.peer.#endReceiving();
    }
  }

  /** soisdisconnected() of the peer. What it has received stays there to be read. */
  protected override release(): void {
    this.#received.clear();
    this.peer.#endReceiving();
    this.peer.#endSending();
  }

  #endReceiving(): void {
    this.#receivesNoMore = true;
    this.#tellReaders();
  }

  #endSending(): void {
    this.#sendsNoMore = true;
    this.wake(OUT);
  }

  #tellReaders(): void {
    this.wake(IN | PRI);
  }
}

/** Makes two sockets that are connected to each other. */
export function createBsdSocketPair(particulars: Particulars): [Description & Filtered, Description & Filtered] {
  const first = new StreamSocket(particulars);
  const second = new StreamSocket(particulars);
  first.peer = second;
  second.peer = first;
  return [first, second];
}
