/** The only thread of a process that loads the package: enters a state, says so, and ends as it was ordered to. */
import { parentPort, workerData } from "node:worker_threads";
import { importInContext } from "../support/contexts.js";
import { CODE_OF_WORKER, type LoneOrders, THROWN } from "../support/lone.js";

const { ending, state, byThread, inContext } = workerData as LoneOrders;
const port = parentPort!;

const FILES = ["index.js", "io.js", "platform.js"];
const importing = async (file: string): Promise<object> =>
  (await import(new URL(`../../../dist/${file}`, import.meta.url).href)) as object;
const modules = await (inContext ? importInContext(FILES) : Promise.all(FILES.map(importing)));
const [{ Events, Interest, Poller, readable, watch }, { socketpair, write }, { platformKernel }] =
  modules as unknown as [
    typeof import("lio-poller"),
    typeof import("lio-poller/io"),
    typeof import("../../dist/platform.js"),
  ];
if (byThread) Object.assign(platformKernel(undefined), { inLoop: false });
const { READABLE } = Interest;

/** Whether the thread comes to its end by itself: all that would keep it running is let go. */
const returns = ending === "return";
/** What blocks for good ends only by another's will. */
const canBlock = ending === "terminate" || ending === "exit in the main thread";

const enter: Readonly<Record<LoneOrders["state"], () => unknown>> = {
  nothing: () => {},
  "an open poller": () => void new Poller().notify(),
  "a pending readable": () => {
    const [fd, peer] = socketpair();
    const ready = readable(fd);
    if (returns) write(peer, new Uint8Array(1));
    return returns ? ready : undefined;
  },
  "an ended watch": () => {
    const end = new AbortController();
    watch(socketpair()[0], READABLE, () => {}, { signal: end.signal });
    end.abort();
  },
  "a live watch": () => {
    const [fd, peer] = socketpair();
    const end = new AbortController();
    watch(fd, READABLE, () => end.abort(), { signal: end.signal });
    if (returns) write(peer, new Uint8Array(1));
  },
  "an attached poller": () => {
    const poller = new Poller();
    poller.add(socketpair()[0], 1, READABLE);
    poller.attach(() => {});
    if (returns) poller.unref();
  },
  "a blocking wait": () => void new Poller().wait(new Events(1), canBlock ? {} : { timeout: 5 }),
};

const blocks = canBlock && state === "a blocking wait";
if (blocks) port.postMessage("about to block");
await enter[state]();
if (canBlock && !blocks) port.postMessage("entered");
if (ending === "exit in the worker") process.exit(CODE_OF_WORKER);
if (ending === "throw") {
  throw new Error(THROWN);
}
// For as long as it takes until another ends it.
if (canBlock) setInterval(() => {}, 60_000);
