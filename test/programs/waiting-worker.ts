/** A worker that waits for ever, again and again, and tells when each wait ends. */
import { parentPort } from "node:worker_threads";
import { Events, Poller } from "lio-poller";

const poller = new Poller();
const events = new Events(1);
parentPort?.postMessage(poller.notifier());
for (let i = 0; i < 3; i++) parentPort?.postMessage({ count: poller.wait(events) });
poller.close();
