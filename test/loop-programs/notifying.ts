/** A worker that notifies whatever poller it is told of. */
import { parentPort } from "node:worker_threads";
import { notify, type Notifier } from "lio-poller";

parentPort?.on("message", (notifier: Notifier) => notify(notifier));
parentPort?.postMessage("ready");
