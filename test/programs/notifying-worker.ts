/** A worker that notifies the poller of another thread: so often, each time after so many milliseconds. */
import { parentPort, workerData } from "node:worker_threads";
import { notify, type Notifier } from "lio-poller";

const { notifier, times, pause } = workerData as { notifier: Notifier; times: number; pause: number };
const clock = new Int32Array(new SharedArrayBuffer(4));

parentPort?.once("message", () => {
  for (let i = 0; i < times; i++) {
    if (pause > 0) Atomics.wait(clock, 0, 0, pause);
    notify(notifier);
  }
  parentPort?.postMessage("done");
});
parentPort?.postMessage("ready");
