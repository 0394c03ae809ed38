/**
 * Ends a process whose contract test blocks for ever.
 *
 * "At once" is tested under an infinite timeout, so a poller that misses an event would hang the run without a word, and
 * so would one that spins while a simulated clock stands still. The blocked thread can do nothing about it. A second thread can: it says which wait it was, and kills the process.
 */
import { writeSync } from "node:fs";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

/** How long a wait may last before the run is given up, in milliseconds. No scenario has a tenth of it as its timeout. */
const patience = 30_000;
const role = "lio-poller contract watchdog";

export interface Watchdog {
  /** Starts the clock over what is about to block, or with `undefined` stops it. */
  watch(what: string | undefined): void;
}

/** Starts the thread. It keeps no process alive. */
export async function startWatchdog(): Promise<Watchdog> {
  const worker = new Worker(new URL(import.meta.url), { workerData: role });
  // A thread opens descriptors while it starts, which would look like leaks of the scenario that runs meanwhile.
  await new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  worker.unref();
  return { watch: (what) => worker.postMessage(what) };
}

function guard(port: NonNullable<typeof parentPort>): void {
  let timer: NodeJS.Timeout | undefined;
  port.on("message", (what: string | undefined) => {
    clearTimeout(timer);
    // Deno makes null of undefined.
    if (typeof what === "string") timer = setTimeout(giveUp, patience, what);
  });
  port.postMessage("ready");
}

function giveUp(what: string): void {
  writeSync(2, `\nblocked for ${patience / 1000} s: ${what}\n`);
  // The other thread does not return to its event loop, so nothing gentler reaches it.
  process.kill(process.pid, "SIGKILL");
}

if (!isMainThread && workerData === role && parentPort !== null) guard(parentPort);
