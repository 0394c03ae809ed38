/** A worker, or a process, that gets into a state, says so at its first event, and ends itself if it is told how. */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { writeSync } from "node:fs";
import type { Orders } from "../storm/storm.js";
import { enter, openDescriptors } from "../storm/states.js";

/** To tell endings of this program's own choice from all others. */
const EXIT_CODE = 7;

const orders = (isMainThread ? JSON.parse(process.argv[2] as string) : workerData) as Orders;
const { state, ending, delay, isInWorker } = orders;
let isOver = false;
let events = 0;

function end(): void {
  if (ending === "throw") throw new Error("the storm throws");
  process.exit(EXIT_CODE);
}

function onEvent(): void {
  if (events++ === 0) begin();
  if (isOver) end();
}

/** The first event has come. */
function begin(): void {
  if (parentPort !== null) parentPort.postMessage("delivered");
  else say();
  if (ending === "exit in callback") setTimeout(() => (isOver = true), delay);
  if (ending === "exit" || ending === "throw") setTimeout(end, delay);
}

// Not through a stream: it would be told in a turn that may never come.
function say(): void {
  writeSync(1, "delivered\n");
}

if (isMainThread && isInWorker) {
  // The process ends while its worker is in the state.
  const worker = new Worker(new URL(import.meta.url), { workerData: { ...orders, ending: "none" } });
  worker.once("message", begin);
} else {
  // Not while this module is evaluated: some of what it imports awaits at the top, and V8 from 12 on aborts in
  // SourceTextModule::AsyncModuleExecutionFulfilled when a worker is terminated in the middle of such a module.
  setImmediate(() => enter(state, orders.fds ?? openDescriptors(), onEvent));
}
