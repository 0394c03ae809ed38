/**
 * Which numbers the descriptors of pollers have, and what comes of it if one has the number of a registration whose file was
 * closed. To be run under the limit of descriptors that its argument is.
 */
import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { Events, Interest, Poller, readable, watch, writable } from "lio-poller";
import { close, dup, eventfd, pipe, write } from "lio-poller/io";
import { deliveries, idle, ONE, until } from "../support/deliveries.js";
import { PASSED } from "../support/child.js";
import { openFiles } from "../support/descriptors.js";

const { READABLE } = Interest;
const limit = Number(process.argv[2]);
/** From where on ours are. */
const FIRST = Math.min(limit / 2, 512);
/** Where select(2) ends. */
const END = 1024;

const [readEnd, writeEnd] = pipe();

/** The lowest number that is free. */
function lowest(): number {
  const number = dup(readEnd);
  close(number);
  return number;
}

/** The number that the next descriptor of ours will have. */
function next(): number {
  const probe = new Poller();
  const number = probe.fd;
  probe.close();
  return number;
}

/** Notified once before, a wait ends at once, and the next one does not. */
function assertNotified(poller: Poller): void {
  const events = new Events(1);
  const begin = performance.now();
  assert.equal(poller.wait(events, { timeout: 10_000 }), 0);
  assert.ok(performance.now() - begin < 5000, "notified");
  poller.wait(events, { timeout: 1 });
}

// What the first poller and its event loop open for all that come after.
const first = new Poller();
first.attach(() => {});
first.close();
await idle(5);

for (const { kernel, way } of deliveries) {
  const free = lowest();
  const poller = new Poller({ kernel });
  poller.notify();
  poller.wait(new Events(1), { timeout: 0 });
  poller.attach(() => {});
  assert.equal(lowest(), free, `delivery by ${way}`);
  assert.ok(poller.fd >= FIRST && poller.fd < Math.min(limit, END), String(poller.fd));
  poller.close();
  // A thread is gone, and its pipe closed, when close returns.
  assert.equal(lowest(), free);
}

// A registration whose file was closed, and whose number a descriptor of ours has by now: the duplicate that a loop waits on,
// or the notifier's.
for (const { kernel } of deliveries) {
  for (const ours of ["duplicate", "notifier"] as const) {
    for (const end of ["delete", "modify", "add", "apply", "wait"] as const) {
      const poller = new Poller({ kernel });
      const events = new Events(1);
      const number = dup(readEnd, next());
      poller.add(number, 1, READABLE, { mode: "level" });
      close(number);
      if (ours === "notifier") poller.notify();
      else poller.attach(() => {});
      assert.ok(openFiles().has(number), "it is ours");
      if (end === "modify") assert.throws(() => poller.modify(number, 2, Interest.WRITABLE), { code: "EBADF" });
      if (end === "add") assert.throws(() => poller.add(number, 2, READABLE), { name: "PollerError" });
      if (end === "apply") assert.deepEqual(poller.apply([{ op: "delete", fd: number }]), [undefined]);
      else if (poller.stats().registrations > 0) poller.delete(number);
      assert.equal(poller.stats().registrations, 0);
      poller.detach();
      if (ours === "notifier") assertNotified(poller);
      else if (end === "wait") assert.equal(poller.wait(events, { timeout: 0 }), 0);
      // Whoever guesses its number is told that there is nothing of theirs.
      if (ours === "notifier") assert.throws(() => poller.add(number, 1, READABLE), { code: "EBADF" });
      poller.notify();
      assertNotified(poller);
      poller.close();
    }
  }
}

// The same for what waits in the loop, whose poller replaces its kernel object: a duplicate keeps a closed file reporting.
// Of Node's own close nobody tells the poller.
const [ghost, quiet] = [eventfd(1), eventfd(0)];
// The shared poller is there before its next number is asked for.
const watching = watch(ghost, READABLE, () => {});
const waited = dup(quiet, next());
const iteration = watch(waited, READABLE)[Symbol.asyncIterator]();
const step = iteration.next().then(
  () => "told",
  ({ code }) => code,
);
const duplicate = dup(ghost);
await idle(5);
closeSync(waited);
closeSync(ghost);
await idle(20);
watching[Symbol.dispose]();
await idle(20);
assert.ok(openFiles().has(waited), "it is ours");
await assert.rejects(writable(waited), { code: "EBADF" });
assert.equal((await iteration.return!()).done, true);
await Promise.race([step, idle(1000).then(() => assert.fail("the pending step is never settled"))]);
await assert.rejects(readable(waited), { name: "PollerError" });
close(duplicate);
close(quiet);

// With none left there, or none below select's end, the lowest.
const taken: number[] = [];
for (let number = FIRST; number < Math.min(limit, END); number++) {
  try {
    taken.push(dup(readEnd, number));
  } catch {
    // It is the loop's.
  }
}
const low = lowest();
const last = new Poller();
assert.equal(last.fd, low);
const live = eventfd(0);
last.add(live, 1, READABLE);
let told = false;
last.attach(() => (told = true));
write(live, ONE);
await until(() => told);
last.close();
for (const number of [...taken, live, readEnd, writeEnd]) close(number);
console.log(PASSED);
process.exit(0);
