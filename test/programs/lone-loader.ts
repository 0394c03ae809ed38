/**
 * A process whose main thread never loads the package: a worker does, as its argument orders. Ends with `AS_ORDERED` if the
 * worker has ended as it should.
 */
import { Worker } from "node:worker_threads";
import { AS_ORDERED, CODE_OF_WORKER, type LoneOrders, THROWN } from "../support/lone.js";

const orders = JSON.parse(process.argv[2]!) as LoneOrders;
const worker = new Worker(new URL("./lone-loading-worker.js", import.meta.url), { workerData: orders });
const { ending } = orders;
const expected = {
  return: 0,
  "exit in the worker": CODE_OF_WORKER,
  throw: 1,
  terminate: 1,
  "exit in the main thread": -1,
};

let thrown = "";
worker.on("error", ({ message }) => (thrown = message));
worker.once("message", () => {
  if (ending === "terminate") void worker.terminate();
  if (ending === "exit in the main thread") process.exit(AS_ORDERED);
});
worker.once("exit", (code) => {
  // Bun and Deno have numbers of their own for what did not end by itself.
  const isExpected =
    ending === "return" || process.versions["bun"] || "Deno" in globalThis || code === expected[ending];
  if (!isExpected || thrown !== (ending === "throw" ? THROWN : "")) {
    console.error(`the worker ended with ${code} ${thrown}`);
    return;
  }
  // What is called late is called while the process goes on.
  setTimeout(() => process.exit(AS_ORDERED), 20);
});
