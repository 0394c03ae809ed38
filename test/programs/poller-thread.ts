/** A thread with pollers: opens them, says so, and on a message ends as it was told to, closing none. */
import { parentPort, workerData } from "node:worker_threads";
import { Events, Interest, Poller } from "lio-poller";

/**
 * How the thread ends; with `"terminate"`, `"block"` and `"attach"` it does not, and with `"wait"` after its poller has had
 * an event.
 */
export type Ending = "return" | "exit" | "throw" | "terminate" | "wait" | "block" | "attach";

export interface Orders {
  readonly pollers: number;
  readonly ending: Ending;
  /** What to wait for. */
  readonly fd?: number;
}

const { pollers: count, ending, fd } = workerData as Orders;
const port = parentPort;
if (port === null) throw new Error("this is a thread's program");

const events = new Events(4);
const pollers = Array.from({ length: count }, () => {
  const poller = new Poller();
  poller.notify();
  poller.wait(events, { timeout: 0 });
  return poller;
});

const endings: Readonly<Record<Ending, () => void>> = {
  return: () => port.close(),
  exit: () => process.exit(3),
  throw: () => {
    throw new Error("the thread throws");
  },
  terminate: () => {},
  block: () => {
    port.postMessage("blocking");
    for (;;) pollers[0]?.wait(events);
  },
  attach: () => {
    for (const [key, poller] of pollers.entries()) {
      poller.attach(() => {});
      poller.addTimer(key, 60_000);
    }
    port.postMessage("attached");
  },
  wait: () => {
    const [poller] = pollers;
    if (poller === undefined || fd === undefined) throw new Error("there is nothing to wait for");
    poller.add(fd, 7, Interest.READABLE);
    poller.wait(events);
    process.exit(Number(events.toArray()[0]?.key));
  },
};

port.on("message", () => endings[ending]());
port.postMessage("ready");
