/** One client: an ordinary `node:net` connection that sends messages and checks every byte that comes back. */
import { connect, type Socket } from "node:net";
import type { Job } from "./job.js";
import { PseudoRandom } from "./pseudo-random.js";

/** Sends a message, waits until all of it has come back, sends the next; with the last one it half-closes. */
export class Client {
  state: "running" | "finished" | "failed" = "running";
  /** Whether it was ever connected. */
  connected = false;
  /** Messages that came back whole and unchanged. */
  messages = 0;
  /** Bytes that came back unchanged. */
  bytes = 0;
  /** Why it failed. */
  failure: string | undefined;

  readonly #job: Job;
  readonly #onOver: () => void;
  readonly #random: PseudoRandom;
  readonly #words: Uint32Array;
  readonly #message: Buffer;
  readonly #socket: Socket;
  #received = 0;
  #lastProgress = performance.now();

  /**
   * @param number tells the clients apart; each sends bytes of its own
   * @param onOver called once, when it has finished or failed
   */
  constructor(
    readonly number: number,
    job: Job,
    onOver: () => void,
  ) {
    this.#job = job;
    this.#onOver = onOver;
    this.#random = new PseudoRandom(number);
    this.#words = new Uint32Array(Math.ceil(job.size / 4));
    this.#message = Buffer.from(this.#words.buffer, 0, job.size);
    this.#socket = connect({ host: "127.0.0.1", port: job.port, noDelay: true });
    this.#socket.on("connect", () => this.#begin());
    this.#socket.on("data", (chunk) => this.#check(chunk));
    this.#socket.on("end", () => this.#ended());
    this.#socket.on("error", (error) => this.#fail(reason(error)));
  }

  /** Fails if nothing has happened for longer than the job allows. */
  checkProgress(): void {
    if (this.state !== "running" || performance.now() - this.#lastProgress < this.#job.timeout * 1000) return;
    this.#fail(`hangs: nothing came for ${this.#job.timeout} s`);
  }

  #begin(): void {
    this.connected = true;
    this.#lastProgress = performance.now();
    this.#sendNext();
  }

  #sendNext(): void {
    // The socket is done with the buffer: what was in it has come back.
    this.#random.fill(this.#words);
    this.#received = 0;
    if (this.messages + 1 < this.#job.messages) this.#socket.write(this.#message);
    else this.#socket.end(this.#message);
  }

  #check(chunk: Buffer): void {
    // Data may have been on its way while the client failed.
    if (this.state !== "running") return;
    this.#lastProgress = performance.now();
    const expected = this.#message.subarray(this.#received, this.#received + chunk.length);
    if (!chunk.equals(expected)) return this.#fail(this.#difference(chunk, expected));
    this.#received += chunk.length;
    this.bytes += chunk.length;
    if (this.#received < this.#message.length) return;
    this.messages++;
    if (this.messages < this.#job.messages) this.#sendNext();
  }

  #difference(chunk: Buffer, expected: Buffer): string {
    const at = expected.findIndex((byte, i) => byte !== chunk[i]);
    if (at === -1) return "more bytes came back than were sent";
    const position = `byte ${this.#received + at} of message ${this.messages + 1}`;
    return `${position} came back as ${hexadecimal(chunk[at]!)}, and was sent as ${hexadecimal(expected[at]!)}`;
  }

  #ended(): void {
    if (this.state !== "running") return;
    if (this.messages < this.#job.messages) return this.#fail("the server closed the connection");
    this.state = "finished";
    this.#onOver();
  }

  #fail(why: string): void {
    if (this.state !== "running") return;
    this.state = "failed";
    this.failure = `client ${this.number}: ${why}; ${this.messages} of ${this.#job.messages} messages came back`;
    this.#socket.destroy();
    this.#onOver();
  }
}

function hexadecimal(byte: number): string {
  return `0x${byte.toString(16).padStart(2, "0")}`;
}

function reason(error: NodeJS.ErrnoException): string {
  const advice = error.code === "EMFILE" ? ", more clients than open files allowed, see ulimit -n" : "";
  return error.code === undefined ? error.message : `${error.syscall} ${error.code}${advice}`;
}
