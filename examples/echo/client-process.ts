/** The clients' process, seen from the one that starts it. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Job, Report } from "./job.js";

const PROGRAM = fileURLToPath(new URL("./clients.js", import.meta.url));

/** How long the process may take to start, in seconds: until its first report nothing is known of it. */
const LONGEST_START = 30;

/** Runs a job in a process of its own. What it reports is seen when Node's event loop turns. */
export class ClientProcess {
  /** The latest report. */
  report: Report = { connected: 0, finished: 0, failed: 0, messages: 0, bytes: 0, elapsed: 0 };

  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #lastReport = performance.now();
  #limit: number;
  #end: string | undefined;

  constructor(job: Job) {
    this.#limit = Math.max(job.timeout, LONGEST_START);
    this.#child = fork(PROGRAM, [JSON.stringify(job)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#child.on("message", (report) => {
      this.report = report as Report;
      this.#lastReport = performance.now();
      this.#limit = job.timeout;
    });
    this.#child.on("exit", (code, signal) => (this.#end = signal ?? `exit code ${code}`));
    this.#child.on("error", (error) => (this.#end ??= error.message));
    this.#closed = once(this.#child, "close").catch(() => {});
  }

  /** The process's id, once it has been started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Why no further report is to be expected; `undefined` while the job runs, an empty list if all went well. */
  verdict(): readonly string[] | undefined {
    const { failures } = this.report;
    if (failures !== undefined) return failures;
    // Its last report may still be in the channel when it has exited.
    if (this.#end !== undefined && !this.#child.connected) {
      return [`the clients' process ended before its clients did: ${this.#end}`];
    }
    if (performance.now() - this.#lastReport < this.#limit * 1000) return undefined;
    return [`the clients' process hangs: no report came for ${this.#limit} s`];
  }

  /** Ends the process, if it has not ended, and waits until it has. */
  async stop(): Promise<void> {
    // Only SIGKILL ends a process that is stopped.
    if (this.report.failures === undefined) this.#child.kill("SIGKILL");
    await this.#closed;
  }
}
