/**
 * A thread, or a process, that ends with attached pollers whose requests are under way: how, its orders say, which are a
 * thread's data or a process's argument.
 */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { Interest, Poller, readable, type Mode } from "lio-poller";
import { socketpair } from "lio-poller/io";

/** `"stay"` does not end; `"fire"` neither, and its callbacks never rest. */
export type Ending = "return" | "exit" | "throw" | "stay" | "fire" | "exit in the callback" | "throw in the callback";

export interface Orders {
  readonly ending: Ending;
  /** Sockets to watch, which are somebody else's to close. */
  readonly fds: readonly number[];
}

const { ending, fds } = isMainThread ? ordersOfProcess() : (workerData as Orders);
const isFiring = ending === "fire" || ending.endsWith("in the callback");
const [interest, mode]: [Interest, Mode] = isFiring ? [Interest.WRITABLE, "level"] : [Interest.READABLE, "oneshot"];

function ordersOfProcess(): Orders {
  const pairs = Array.from({ length: 40 }, () => socketpair());
  return { ending: process.argv[2] as Ending, fds: pairs.map(([fd]) => fd) };
}

function tell(what: string): void {
  if (isMainThread) console.log(what);
  else parentPort?.postMessage(what);
}

let calls = 0;
function onEvents(): void {
  if (calls++ === 0) tell("called");
  if (ending === "exit in the callback") process.exit(7);
  if (ending === "throw in the callback") throw new Error("thrown in the callback");
}

const pollers = Array.from({ length: 4 }, () => new Poller());
for (const poller of pollers) {
  poller.notifier();
  for (const [key, fd] of fds.entries()) poller.add(fd, key, interest, { mode });
  poller.attach(onEvents);
}
// Whoever waits for a promise keeps the loop.
if (fds[0] !== undefined && ending !== "return") void readable(fds[0]);
tell("attached");

// The threads wait by now, or hold what they have dequeued.
setTimeout(() => {
  if (ending === "exit") process.exit(7);
  if (ending === "throw") throw new Error("thrown with pollers attached");
  if (ending === "return") for (const poller of pollers) poller.unref();
}, 20);
