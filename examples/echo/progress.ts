/** How far the clients are: on a terminal one line that is written over, elsewhere a line every second. */
import type { Job, Report } from "./job.js";
import { count, mebibytes, seconds } from "./numbers.js";

/** Where the lines go: `process.stdout`, or what stands in for it. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Milliseconds from one line to the next. */
const TERMINAL_INTERVAL = 100;
const PLAIN_INTERVAL = 1000;

const ERASE_LINE = "\r\x1b[K";

export class Progress {
  readonly #output: Output;
  readonly #job: Job;
  #next = 0;

  constructor(output: Output, job: Job) {
    this.#output = output;
    this.#job = job;
  }

  /** Writes a line, unless the last one is too recent or no client is connected yet. */
  show(report: Report): void {
    const now = performance.now();
    if (now < this.#next || report.connected === 0) return;
    const { isTTY = false, columns } = this.#output;
    this.#next = now + (isTTY ? TERMINAL_INTERVAL : PLAIN_INTERVAL);
    const line = this.#line(report);
    // A line that wraps cannot be written over. A terminal that does not know its width says 0.
    this.#output.write(isTTY ? ERASE_LINE + line.slice(0, (columns || 80) - 1) : `${line}\n`);
  }

  /** Makes room for what is written next. */
  clear(): void {
    if (this.#output.isTTY) this.#output.write(ERASE_LINE);
  }

  #line({ elapsed, connected, finished, failed, messages, bytes }: Report): string {
    const { clients, messages: each } = this.#job;
    const parts = [
      seconds(elapsed),
      `${count(messages)} of ${count(clients * each)} messages`,
      mebibytes(bytes),
      `${count(connected)} connected`,
      `${count(finished)} finished`,
    ];
    if (failed > 0) parts.push(`${count(failed)} FAILED`);
    return parts.join("  ");
  }
}
