/**
 * A connected pair of AF_UNIX stream sockets, as unix(7), shutdown(2) and poll(2) describe them. What the pages leave
 * open (how much fits, which bits an end shows when the other is gone) is Linux's, checked against 6.18.
 */
import { namedError } from "../errors.js";
import { Description, ERR, HUP, IN, OUT, PAGE, type Polled, PRI, RDHUP, WOULD_BLOCK } from "./description.js";

/** SO_SNDBUF as `net.core.wmem_default` has it: bytes of kernel memory, not of payload. */
const SEND_BUFFER = 212_992;

/** The most payload that one packet carries in its head, and the most in pages behind it: bytes. */
const HEAD = 3776;
const PAGES = 32_768;

const RECEIVE_SHUTDOWN = 1;
const SEND_SHUTDOWN = 2;
const BOTH_SHUTDOWN = RECEIVE_SHUTDOWN | SEND_SHUTDOWN;

const SHUTDOWNS = { read: RECEIVE_SHUTDOWN, write: SEND_SHUTDOWN, both: BOTH_SHUTDOWN } as const;
const PEER_SHUTDOWNS = { read: SEND_SHUTDOWN, write: RECEIVE_SHUTDOWN, both: BOTH_SHUTDOWN } as const;

/** What one piece of a write becomes, kept in memory that counts against the sender until the last byte is read. */
interface Packet {
  readonly bytes: Uint8Array;
  readonly memory: number;
  start: number;
}

class StreamSocket extends Description implements Polled {
  readonly pollable = true;
  /** Set once, right after both ends were made. */
  peer!: StreamSocket;
  readonly #received: Packet[] = [];
  #memory = 0;
  #shutdown = 0;
  #reset = false;

  poll(): number {
    let bits = 0;
    if (this.#received.length > 0) bits |= IN;
    if (this.#shutdown & RECEIVE_SHUTDOWN) bits |= IN | RDHUP;
    if (this.#shutdown === BOTH_SHUTDOWN) bits |= HUP;
    if (this.#reset) bits |= ERR;
    if (this.#writable) bits |= OUT;
    return bits;
  }

  /** A socket that was full is writable again only when most has been read: a quarter of the buffer may be in use. */
  get #writable(): boolean {
    return (this.#memory + 1) * 4 <= SEND_BUFFER;
  }

  read(buffer: Uint8Array): number {
    if (buffer.length === 0) return 0;
    if (this.#received.length > 0) return this.#take(buffer);
    if (this.#reset) {
      // The error is told once, as SO_ERROR is.
      this.#reset = false;
      throw namedError("ECONNRESET", "read");
    }
    return this.#shutdown & RECEIVE_SHUTDOWN ? 0 : WOULD_BLOCK;
  }

  #take(buffer: Uint8Array): number {
    let count = 0;
    for (let packet = this.#received[0]; packet && count < buffer.length; packet = this.#received[0]) {
      const bytes = packet.bytes.subarray(packet.start, packet.start + buffer.length - count);
      buffer.set(bytes, count);
      packet.start += bytes.length;
      count += bytes.length;
      if (packet.start < packet.bytes.length) break;
      this.#received.shift();
      this.peer.#freed(packet);
    }
    return count;
  }

  /** Every packet that leaves is an edge for the sender, whether or not it had been waiting for room. */
  #freed(packet: Packet): void {
    this.#memory -= packet.memory;
    if (this.#writable) this.wake(OUT);
  }

  write(buffer: Uint8Array): number {
    if (this.#shutdown & SEND_SHUTDOWN) throw namedError("EPIPE", "write");

    let count = 0;
    while (count < buffer.length && this.#memory < SEND_BUFFER) {
      const bytes = buffer.slice(count, count + HEAD + PAGES);
      const packet = { bytes, memory: memoryFor(bytes.length), start: 0 };
      this.#memory += packet.memory;
      this.peer.#received.push(packet);
      // Linux wakes those who wait for priority data, too (sock_def_readable), which moves their place among the ready.
      this.peer.wake(IN | PRI);
      count += bytes.length;
    }
    return count === 0 && buffer.length > 0 ? WOULD_BLOCK : count;
  }

  override sendUrgent(): number {
    throw namedError("ENOTSUP", "sendUrgent", "simulated AF_UNIX sockets have no urgent data");
  }

  override receiveUrgent(): number {
    throw namedError("ENOTSUP", "receiveUrgent", "simulated AF_UNIX sockets have no urgent data");
  }

  override shutdown(how: "read" | "write" | "both"): void {
    this.#end(SHUTDOWNS[how]);
    this.peer.#end(PEER_SHUTDOWNS[how]);
  }

  #end(directions: number): void {
    this.#shutdown |= directions;
    this.wake(0);
  }

  protected override release(): void {
    // Data that nobody read is lost, and the sender learns of it.
    if (this.#received.length > 0) this.peer.#reset = true;
    this.peer.#end(BOTH_SHUTDOWN);
    for (const packet of this.#received.splice(0)) this.peer.#freed(packet);
  }
}

/** What the kernel charges for a packet: its bookkeeping, a head of a power of two, and whole pages for the rest. */
function memoryFor(length: number): number {
  const overflow = Math.max(0, length - HEAD);
  const paged = Math.min(length, Math.ceil(overflow / PAGE) * PAGE);
  const head = length - paged;
  const headRoom = 2 ** Math.ceil(Math.log2(Math.ceil(head / 64) * 64 + 320));
  return 256 + headRoom + Math.ceil(paged / PAGE) * PAGE;
}

/** Makes two sockets that are connected to each other. */
export function createSocketPair(): [Description & Polled, Description & Polled] {
  const first = new StreamSocket();
  const second = new StreamSocket();
  first.peer = second;
  second.peer = first;
  return [first, second];
}
