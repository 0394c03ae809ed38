/** Drops pollers and events of kernels that have trapped, and has them collected: the kernels are not called again. */
import assert from "node:assert/strict";
import { Events, Poller } from "lio-poller";
import { PASSED } from "../support/child.js";
import { kernelObjects } from "../support/descriptors.js";
import { collectGarbage, collectUntil, whenCollected } from "../support/garbage.js";
import { ReplaceableKernel, type Instead } from "../support/replaceable-kernel.js";

const ATTEMPTS = 10;
const failure = new Error("the host fails");

/** How often a kernel was called from when it trapped on, and how many of the three objects on it were collected. */
interface Attempt {
  calls: number;
  collected: number;
}

function trapAndDrop(attempt: Attempt): void {
  const kernel = new ReplaceableKernel();
  const dropped = [new Poller({ kernel }), new Poller({ kernel })] as const;
  const events = new Events(4);
  dropped[1].notify();
  dropped[0].wait(events, { timeout: 0 });
  for (const object of [...dropped, events]) whenCollected(object, countsCollection(attempt));
  for (const name of ["wait", "close", "closeNotifier"]) kernel.replace(name, countsIn(attempt));
  assert.throws(() => dropped[0].wait(events, { timeout: 0 }), { code: "ERR_POLLER_TRAPPED" });
}

// Functions of their own, which keep alive nothing but what they count in.

function countsCollection(attempt: Attempt): () => void {
  return () => attempt.collected++;
}

function countsIn(attempt: Attempt): Instead {
  return () => {
    attempt.calls++;
    // Later calls would come from the collection, where throwing ends the process.
    if (attempt.calls === 1) throw failure;
  };
}

// What the first poller of a process opens for all of them stays open.
new Poller().close();
const before = kernelObjects();
const attempts: Attempt[] = Array.from({ length: ATTEMPTS }, () => ({ calls: 0, collected: 0 }));
for (const attempt of attempts) trapAndDrop(attempt);
const collected = (): number => attempts.filter((attempt) => attempt.collected === 3).length;
// A collector may keep the last one for a while.
await collectUntil(() => collected() >= ATTEMPTS - 1);
// What the last collection has scheduled runs, and would fail this with what it throws.
await collectGarbage();
assert.ok(
  collected() >= ATTEMPTS - 1,
  `collected are ${attempts.map((attempt) => attempt.collected).join()} of 3 each`,
);
for (const { calls } of attempts) assert.equal(calls, 1);
assert.deepEqual(kernelObjects(), before);
console.log(PASSED);
