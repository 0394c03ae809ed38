/** A thread of the soak that sends its own process a signal, over and over. */
import { workerData } from "node:worker_threads";
import { STOP } from "./shared.js";

const control = new Int32Array(workerData as SharedArrayBuffer);
while (Atomics.load(control, 0) !== STOP) {
  for (let i = 0; i < 8; i++) process.kill(process.pid, "SIGUSR2");
  Atomics.wait(control, 2, 0, 4);
}
