/** One run: serves the clients of another process until they are done, and says what came of it. */
import { setImmediate as eventLoopTurn } from "node:timers/promises";
import { ClientProcess } from "./client-process.js";
import type { Job } from "./job.js";
import { type Output, Progress } from "./progress.js";
import type { EchoServer } from "./server.js";
import { summary } from "./summary.js";

/**
 * How long a wait may block, and how long Node's event loop may stand still while events keep coming, in milliseconds.
 * Reports and signals are seen only when that loop turns.
 */
const LONGEST_WAIT = 250;
const LONGEST_STANDSTILL = 50;

const MOST_FAILURES_TOLD = 10;

export interface Surroundings {
  readonly output: Output;
  readonly errors: Output;
  /** Ends the run early. */
  readonly signal: AbortSignal;
}

/**
 * Runs the clients against the server, which stays open.
 *
 * @returns whether all went well; `undefined` if the signal ended it before that was known
 */
export async function run(
  server: EchoServer,
  job: Omit<Job, "port">,
  around: Surroundings,
): Promise<boolean | undefined> {
  const { output, errors, signal } = around;
  const clients = new ClientProcess({ ...job, port: server.port });
  const progress = new Progress(output, { ...job, port: server.port });
  try {
    const failures = await serve(server, clients, progress, signal);
    progress.clear();
    for (const line of told(failures ?? [])) errors.write(`echo: ${line}\n`);
    if (server.shortage !== undefined) errors.write(`echo: ${shortageLine(server)}\n`);
    output.write(summary({ ...job, port: server.port }, clients.report, server.counts, server.stats));
    return failures === undefined ? undefined : failures.length === 0;
  } finally {
    await clients.stop();
  }
}

/** Lets the poller and Node's event loop take turns until there is a verdict on the clients, or the signal. */
async function serve(
  server: EchoServer,
  clients: ClientProcess,
  progress: Progress,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  let lastTurn = performance.now();
  while (!signal.aborted) {
    const count = server.turn(LONGEST_WAIT);
    if (count > 0 && performance.now() - lastTurn < LONGEST_STANDSTILL) continue;
    await eventLoopTurn();
    lastTurn = performance.now();
    progress.show(clients.report);
    const verdict = clients.verdict();
    if (verdict !== undefined) return verdict;
  }
  return undefined;
}

function told(failures: readonly string[]): readonly string[] {
  const more = failures.length - MOST_FAILURES_TOLD;
  if (more <= 1) return failures;
  return [...failures.slice(0, MOST_FAILURES_TOLD), `and ${more} more clients`];
}

function shortageLine({ shortage }: EchoServer): string {
  const advice = shortage?.code === "EMFILE" ? ": more open files than allowed, see ulimit -n" : "";
  return `connections had to wait until others were closed: ${shortage?.message}${advice}`;
}
