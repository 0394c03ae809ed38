/** Runs out of memory long before the last address: the engine gives a component no more than 4 MiB. */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { Events, Interest, Poller } from "lio-poller";
import { SimulatedEpoll } from "lio-poller/sim";
import { PASSED } from "../support/child.js";
import { takeMemory } from "../support/exhaustion.js";
import { instanceFor } from "../support/internals.js";

const R = Interest.READABLE;
const outOfMemory = { name: "PollerError", code: "ENOMEM", errno: -12 } as const;

function drop(...rooms: readonly { readonly lifted: unknown }[]): void {
  for (const { lifted } of rooms) (lifted as Disposable)[Symbol.dispose]();
}

setFlagsFromString("--wasm-max-mem-pages=64");
const simulated = new SimulatedEpoll();
const poller = new Poller({ kernel: simulated });
const fd = simulated.io.eventfd(1);
poller.add(fd, 1, R);
for (let i = 0; i < 2; i++) {
  assert.throws(() => poller.wait(new Events(2 ** 20), { timeout: 0 }), { ...outOfMemory, syscall: "wait" });
}
const events = new Events(4);
assert.equal(poller.wait(events, { timeout: 0 }), 1);

// Timers live in three blocks that double: there is room for the smaller two when there is none for the largest.
const instance = instanceFor(simulated);
let timers = 0;
const addTimers = (): void => {
  for (;;) poller.addTimer(timers++, 1e6);
};
assert.throws(addTimers, { ...outOfMemory, syscall: "addTimer" });
const bytes = instance.bytesInUse();
for (let i = 0; i < 3; i++) assert.throws(addTimers, outOfMemory);
assert.equal(instance.bytesInUse(), bytes, "what was taken for nothing is given back");
assert.equal(poller.stats().timers, timers - 4);
poller.deleteTimer(0);
poller.addTimer(0, 1e6);

// All is taken but for room for the largest block of a few timers and for the smallest: not for the third.
const other = new Poller({ kernel: simulated });
const spare = Array.from({ length: 8 }, () => instance.createEvents(1));
const room = instance.createEvents(16);
for (let capacity = 2 ** 16; capacity > 4; capacity /= 2) takeMemory(other, capacity);
drop(...spare);
takeMemory(other, 4);
drop(room);
const left = instance.bytesInUse();
for (let i = 0; i < 3; i++) assert.throws(() => other.addTimer(1, 1e6), outOfMemory);
assert.equal(instance.bytesInUse(), left, "the largest block is given back");
other.close();

poller.close();
assert.ok(instance.bytesInUse() < left - bytes / 2);
console.log(PASSED);
