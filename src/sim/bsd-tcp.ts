/**
 * A connected pair of TCP sockets of the BSDs and macOS, as tcp(4) describes them and tcp_input.c and uipc_socket.c build
 * them: no addresses, no delays, nothing lost, and one buffer each way, of the size that receivers begin with.
 *
 * An urgent byte is taken out of the stream, and its place is marked there: SO_OOBINLINE is not set.
 */
import { namedError } from "../errors.js";
import { BsdSocket } from "./bsd-socket.js";
import { type Description, type Filtered, WOULD_BLOCK } from "./description.js";
import type { Particulars } from "./kqueue-flavours.js";

/** tcp_recvspace. */
const SIZE = 65_536;

class TcpSocket extends BsdSocket<TcpSocket> {
  #isReleased = false;
  /** How many bytes there are to read before the mark: so_oobmark; 0 is SS_RCVATMARK. */
  #mark: number | undefined;
  /** The urgent byte, until it is taken. */
  #urgent: number | undefined;

  /** The mark stays, whether or not the byte was taken, until what is behind it is read. */
  protected override get isMarked(): boolean {
    return this.#mark !== undefined;
  }

  /** soreceive() stops at the mark. */
  protected override take(buffer: Uint8Array): number {
    if (this.#mark === 0 && this.received.length > 0) this.#mark = undefined;
    const count = this.received.take(this.#mark === undefined ? buffer : buffer.subarray(0, this.#mark));
    if (this.#mark !== undefined) this.#mark -= count;
    return count;
  }

  /** What nobody will read is thrown away, and answered by a reset if the socket is closed: tcp_do_segment(). */
  protected arrive(bytes: Uint8Array): void {
    if (this.#isReleased) return this.peer.#reset();
    if (this.receivesNoMore) return;
    this.received.put(bytes);
    this.tellReader();
  }

  override sendUrgent(byte: number): number {
    if (this.roomFor(1, "sendUrgent") === 0) return WOULD_BLOCK;
    this.peer.#arriveUrgent(byte);
    return 1;
  }

  #arriveUrgent(byte: number): void {
    if (this.#isReleased) return this.peer.#reset();
    if (this.receivesNoMore) return;
    this.#mark = this.received.length;
    this.#urgent = byte;
    this.tellReader();
  }

  /** tcp_usr_rcvoob(). */
  override receiveUrgent(): number {
    const byte = this.#urgent;
    if (this.#mark === undefined || byte === undefined) throw namedError("EINVAL", "receiveUrgent");
    this.#urgent = undefined;
    return byte;
  }

  #reset(): void {
    if (this.sendsNoMore && this.receivesNoMore) return;
    this.error = "ECONNRESET";
    this.endReceiving();
    this.endSending();
  }

  /** Data that nobody read is lost, and the sender learns of it. */
  protected override release(): void {
    this.#isReleased = true;
    if (this.received.length > 0) this.peer.#reset();
    else if (!this.sendsNoMore) this.peer.endReceiving();
    this.received.clear();
  }
}

/** Makes two sockets that are connected to each other. */
export function createBsdTcpPair(particulars: Particulars): [Description & Filtered, Description & Filtered] {
  const first = new TcpSocket(particulars, SIZE);
  const second = new TcpSocket(particulars, SIZE);
  first.peer = second;
  second.peer = first;
  return [first, second];
}
