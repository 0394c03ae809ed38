/**
 * Which numbers the descriptors of pollers have, and what comes of it if one has the number of a registration whose file was
 * closed. To be run under the limit of descriptors that its argument is.
 */
import assert from "node:assert/strict";
import { Events, Interest, Poller, watch } from "lio-poller";
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

// A registration whose file was closed, and whose number our duplicate has by now.
for (const { kernel } of deliveries) {
  for (const end of ["delete", "modify", "apply", "wait"] as const) {
    const poller = new Poller({ kernel });
    const number = dup(readEnd, next());
    poller.add(number, 1, READABLE, { mode: "level" });
    close(number);
    poller.attach(() => {});
    assert.ok(openFiles().has(number), "it is ours");
    if (end === "modify")
      assert.throws(() => poller.modify(number, 2, Interest.WRITABLE), { code: /^E(BADF|NOENT|INVAL)$/ });
    if (end === "apply") assert.deepEqual(poller.apply([{ op: "delete", fd: number }]), [undefined]);
    else poller.delete(number);
    assert.equal(poller.stats().registrations, 0);
    if (end === "wait") {
      poller.detach();
      assert.equal(poller.wait(new Events(1), { timeout: 0 }), 0);
    }
    poller.close();
  }
}

// The same for what waits in the loop, whose poller replaces its kernel object: a duplicate keeps a closed file reporting.
const [ghost, waited] = [eventfd(1), eventfd(0)];
const iteration = watch(waited, READABLE)[Symbol.asyncIterator]();
const step = iteration.next();
const watching = watch(ghost, READABLE, () => {});
const duplicate = dup(ghost);
await idle(5);
close(waited);
close(ghost);
await idle(20);
watching[Symbol.dispose]();
await idle(20);
assert.equal((await iteration.return!()).done, true);
await Promise.race([step.catch(() => {}), idle(1000).then(() => assert.fail("the pending step is never settled"))]);
close(duplicate);

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
