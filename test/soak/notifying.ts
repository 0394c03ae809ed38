/** A thread that counts and notifies, so many times without a pause. */
import { workerData } from "node:worker_threads";
import { notify, type Notifier } from "lio-poller";

const { notifier, counter, times } = workerData as {
  notifier: Notifier;
  counter: SharedArrayBuffer;
  times: number;
};
const words = new Int32Array(counter);
for (let i = 0; i < times; i++) {
  Atomics.add(words, 0, 1);
  notify(notifier);
}
