/** Takes all of a component's memory, 4 GiB of addresses that nobody writes to, and goes on. */
import assert from "node:assert/strict";
import { Events, Interest, Poller } from "lio-poller";
import { SimulatedEpoll } from "lio-poller/sim";
import { PASSED } from "../support/child.js";
import { takeAllMemory, takeMemory } from "../support/exhaustion.js";
import { MeasuredKernel } from "../support/wrapped-kernel.js";

const R = Interest.READABLE;
const outOfMemory = { name: "PollerError", code: "ENOMEM", errno: -12 } as const;

const simulated = new SimulatedEpoll();
const kernel = new MeasuredKernel(simulated);
const poller = new Poller({ kernel });
const near = simulated.io.eventfd(1);
const alsoNear = simulated.io.eventfd(1);
const far = simulated.io.dup(near, 100_000);
const events = new Events(64);
poller.add(near, 1, R);
assert.equal(poller.wait(events, { timeout: 0 }), 1);

// The largest there can be: one or two of them, and an error, and life goes on.
assert.equal(poller.wait(new Events(2 ** 26), { timeout: 0 }), 0);
takeMemory(poller, 2 ** 26);
assert.throws(() => poller.wait(new Events(2 ** 26)), { ...outOfMemory, syscall: "wait" });
poller.modify(near, 2, R);
assert.equal(poller.wait(events, { timeout: 0 }), 1);
assert.equal(events.toArray()[0]?.key, 2);

// To the last block.
takeAllMemory(poller);
assert.ok(kernel.bytes > 2 ** 32 - 2 ** 17, `${kernel.bytes} bytes`);

// A number that needs a page of its own: nothing is registered, here or in the kernel.
const before = poller.stats();
assert.throws(() => poller.add(far, 3, R), { ...outOfMemory, syscall: "add" });
assert.throws(() => poller.add(far, 3, R), outOfMemory);
assert.equal(poller.stats().registrations, before.registrations);
assert.throws(() => poller.delete(far), { code: "ENOENT" });
// What the kernel had kept would report again and again, until the poller gets itself another kernel object.
for (let i = 0; i < 4; i++) assert.equal(poller.wait(events, { timeout: 0 }), 0);
assert.equal(poller.stats().rebuilds, 0);
assert.equal(simulated.calls.create, 1);
assert.throws(() => new Poller({ kernel }), { ...outOfMemory, syscall: "create" });
assert.equal(simulated.instances, 1);

// What needs no memory works.
poller.add(alsoNear, 4, R);
poller.modify(near, 5, R, { mode: "level" });
assert.equal(poller.wait(events, { timeout: 0 }), 2);
assert.deepEqual(
  events
    .toArray()
    .map(({ key }) => Number(key))
    .toSorted(),
  [4, 5],
);
poller.delete(near);
poller.delete(alsoNear);

// What is given back can be taken again.
poller.close();
const heir = new Poller({ kernel });
heir.add(near, 6, R);
assert.equal(heir.wait(events, { timeout: 0 }), 1);

// Pages that were never written to take no room.
const resident = process.memoryUsage().rss;
assert.ok(resident < 400 * 2 ** 20, `${resident} bytes resident`);
console.log(PASSED);
