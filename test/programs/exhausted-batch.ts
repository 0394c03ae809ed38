/** A batch whose list finds no memory in the component. */
import assert from "node:assert/strict";
import { Events, Interest, Poller, type Change, type PollerError } from "lio-poller";
import { SimulatedEpoll } from "lio-poller/sim";
import { PASSED } from "../support/child.js";
import { takeAllMemory } from "../support/exhaustion.js";

const simulated = new SimulatedEpoll();
const poller = new Poller({ kernel: simulated });
const fds = Array.from({ length: 200 }, () => simulated.io.eventfd(1));
const [first = -1] = fds;
const events = new Events(4);
poller.add(first, 1, Interest.READABLE, { mode: "level" });
poller.wait(events, { timeout: 0 });
takeAllMemory(poller);

const changes = fds.map((fd, key): Change => ({ op: "add", fd, key, interest: Interest.READABLE }));
const codes = new Set<string | undefined>();
try {
  for (const error of poller.apply(changes)) codes.add(error?.code);
} catch (error) {
  codes.add((error as PollerError).code);
}
assert.deepEqual([...codes], ["ENOMEM"]);
assert.equal(poller.stats().registrations, 1);
assert.equal(poller.wait(events, { timeout: 0 }), 1);
console.log(PASSED);
