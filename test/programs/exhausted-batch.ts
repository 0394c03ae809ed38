/** A batch while the component has no memory left: only the change that needs some fails. */
import assert from "node:assert/strict";
import { Events, Interest, Poller, type Change } from "lio-poller";
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

// Beyond the numbers whose entries are there already.
const far = simulated.io.dup(first, 100_000);
const changes = [...fds, far].map((fd, key): Change => ({ op: "add", fd, key, interest: Interest.READABLE }));
const codes = poller.apply(changes).map((error) => error?.code);
assert.deepEqual(codes, ["EEXIST", ...fds.slice(1).map(() => undefined), "ENOMEM"]);
assert.equal(poller.stats().registrations, fds.length);
poller.delete(first);
assert.equal(poller.wait(events, { timeout: 0 }), 4);
console.log(PASSED);
