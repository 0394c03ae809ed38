/**
 * A TCP echo server on the poller: one thread, many connections, and nothing that blocks but the wait.
 *
 * Every registration is one-shot, the poller's default: an event disarms it, and once the event is dealt with `modify`
 * arms it again. That costs no system call as long as the interest stays and it comes before the next wait.
 */
import { Events, Interest, type KernelName, Poller, PollerError, type PollerStats, type ReadyEvent } from "lio-poller";
import { accept, close, listen, localAddress, read, WOULD_BLOCK, write } from "lio-poller/io";

export interface ServerOptions {
  /** A kernel of this platform. Default: the platform's own. */
  readonly kernel?: KernelName;
  /** The port to listen on. Default: 0, any free one. */
  readonly port?: number;
  /** What to answer. It may be the received bytes themselves, which are overwritten afterwards. Default: an echo. */
  readonly answer?: (received: Uint8Array) => Uint8Array;
}

/** What a server has done so far. */
export interface ServerCounts {
  /** Connections accepted. */
  accepted: number;
  /** Connections that failed, rather than being ended by the client. */
  failed: number;
  bytesRead: number;
  bytesWritten: number;
  /** Times that bytes had to wait until the client made room for them. */
  partialWrites: number;
}

interface Connection {
  readonly fd: number;
  /** What could not be written yet. While there is any, nothing is read: a client that does not read fills no memory. */
  pending: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** How many connections may wait to be accepted; the system may have a lower limit. */
const BACKLOG = 4096;

/** Errors that end when something is closed, here or elsewhere. */
const SHORTAGES = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ENOSPC"]);

/** Errors of accept that do not go away: the listening socket itself is wrong. */
const MISTAKES = new Set(["EBADF", "EINVAL", "ENOTSOCK"]);

/** Listens on 127.0.0.1 and answers, for as long as `turn` is called. */
export class EchoServer implements Disposable {
  readonly port: number;
  readonly counts: ServerCounts = { accepted: 0, failed: 0, bytesRead: 0, bytesWritten: 0, partialWrites: 0 };

  readonly #poller: Poller;
  readonly #events = new Events(1024);
  readonly #listener: number;
  readonly #connections = new Map<number, Connection>();
  readonly #answer: (received: Uint8Array) => Uint8Array;
  // One for all connections: a connection keeps bytes of its own only while they cannot be written.
  readonly #buffer = new Uint8Array(64 * 1024);
  #accepting = true;
  #closed = false;
  #shortage: PollerError | undefined;

  /** @throws PollerError what `listen` and `new Poller` throw, such as `EADDRINUSE`, `EMFILE`, `ERR_POLLER_UNSUPPORTED` */
  constructor({ kernel, port = 0, answer = (received) => received }: ServerOptions = {}) {
    this.#answer = answer;
    this.#poller = new Poller(kernel === undefined ? {} : { kernel });
    this.#listener = listen({ host: "127.0.0.1", port }, { backlog: BACKLOG });
    this.port = (localAddress(this.#listener) as { port: number }).port;
    // A descriptor is a good key as long as it is deleted before it is closed, and closed only while its own event is
    // served: a wait reports each registration once, so no later event of the same wait can bear a reused number.
    this.#poller.add(this.#listener, this.#listener, Interest.READABLE);
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Why connections had to wait to be accepted, if they ever had to. */
  get shortage(): PollerError | undefined {
    return this.#shortage;
  }

  /** What the poller has done so far. */
  get stats(): PollerStats {
    return this.#poller.stats();
  }

  /**
   * Waits for events and deals with them.
   *
   * @param timeout how long to block at most, in milliseconds. Node's own event loop, and with it every signal handler,
   * stands still meanwhile
   * @returns how many events there were
   * @throws PollerError what no longer has to do with a single connection, such as `EMFILE` when none is open
   */
  turn(timeout: number): number {
    const count = this.#poller.wait(this.#events, { timeout });
    for (const event of this.#events) {
      if (event.key === this.#listener) this.#acceptAll();
      else this.#serve(this.#connections.get(event.key as number)!, event);
    }
    return count;
  }

  /** Closes everything. Closing twice does no harm. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#poller.close();
    for (const fd of this.#connections.keys()) close(fd);
    this.#connections.clear();
    close(this.#listener);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Takes every connection that waits, so that a burst of them costs one event. */
  #acceptAll(): void {
    for (;;) {
      try {
        const fd = accept(this.#listener);
        if (fd === WOULD_BLOCK) break;
        this.#open(fd);
      } catch (error) {
        if (!(error instanceof PollerError) || MISTAKES.has(error.code)) throw error;
        if (SHORTAGES.has(error.code)) return this.#stopAccepting(error);
        // The rest is about a connection that ended while it waited: see "Error handling" in accept(2). On to the next.
      }
    }
    this.#poller.modify(this.#listener, this.#listener, Interest.READABLE);
  }

  #open(fd: number): void {
    try {
      this.#poller.add(fd, fd, Interest.READABLE);
    } catch (error) {
      close(fd);
      throw error;
    }
    this.#connections.set(fd, { fd, pending: NOTHING });
    this.counts.accepted++;
  }

  /**
   * Leaves the listening socket disarmed until a connection ends. It stays readable without a descriptor to accept
   * with, so arming it again at once would make the loop spin.
   */
  #stopAccepting(error: PollerError): void {
    if (this.#connections.size === 0) throw error;
    this.#shortage ??= error;
    this.#accepting = false;
  }

  /** Moves bytes of one connection, then arms it for what it waits for now. Whatever fails ends this connection only. */
  #serve(connection: Connection, event: ReadyEvent): void {
    const { fd } = connection;
    try {
      if (!this.#move(connection, event)) return this.#drop(connection);
      const interest = connection.pending.length > 0 ? Interest.WRITABLE : Interest.READABLE;
      this.#poller.modify(fd, fd, interest);
    } catch (error) {
      // ECONNRESET and EPIPE are everyday life: the client is gone.
      if (!(error instanceof PollerError)) throw error;
      this.counts.failed++;
      this.#drop(connection);
    }
  }

  /** @returns whether the connection stays open */
  #move(connection: Connection, event: ReadyEvent): boolean {
    if (event.writable) return this.#send(connection, connection.pending);
    if (event.readable) return this.#receive(connection);
    // Neither was reported: the kernel has refused to arm it again.
    return false;
  }

  /** Reads once. If there is more, the next wait says so again, and the other connections have had their turn. */
  #receive(connection: Connection): boolean {
    const count = read(connection.fd, this.#buffer);
    if (count === WOULD_BLOCK) return true;
    // The client sends no more, but it may still read. All answers are written, since nothing is read before they are.
    if (count === 0) return false;
    this.counts.bytesRead += count;
    return this.#send(connection, this.#answer(this.#buffer.subarray(0, count)));
  }

  #send(connection: Connection, bytes: Uint8Array): boolean {
    const count = Math.max(0, write(connection.fd, bytes));
    this.counts.bytesWritten += count;
    if (count === bytes.length) {
      connection.pending = NOTHING;
      return true;
    }
    this.counts.partialWrites++;
    // What comes from the shared buffer has to be copied, for the next connection overwrites it.
    connection.pending = bytes === connection.pending ? bytes.subarray(count) : bytes.slice(count);
    return true;
  }

  #drop({ fd }: Connection): void {
    this.#poller.delete(fd);
    close(fd);
    this.#connections.delete(fd);
    if (this.#accepting) return;
    this.#accepting = true;
    this.#poller.modify(this.#listener, this.#listener, Interest.READABLE);
  }
}
