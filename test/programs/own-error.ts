/**
 * An attached poller that must replace its kernel object while no descriptor is left, under a low `ulimit -n`: by which
 * delivery, and how its errors are told, its arguments say.
 */
import assert from "node:assert/strict";
import { type Events, Interest, Poller, type PollerError } from "lio-poller";
import { close, dup, eventfd, read, write } from "lio-poller/io";
import { PASSED } from "../support/child.js";
import { deliveries, idle, ONE, untilIdly } from "../support/deliveries.js";

const [wanted, telling] = process.argv.slice(2);
const { kernel } = deliveries.find(({ way }) => way === wanted)!;
const R = Interest.READABLE;
const told: unknown[] = [];
let calls = 0;
const keys: unknown[] = [];
const fillers: number[] = [];

/** Takes every descriptor that there is. */
function fill(): void {
  for (;;) {
    try {
      fillers.push(eventfd(0));
    } catch (error) {
      assert.equal((error as { code?: unknown }).code, "EMFILE");
      return;
    }
  }
}

function free(): void {
  for (const fd of fillers.splice(0)) close(fd);
}

function note(events: Events): void {
  calls++;
  for (const { key, timer, readable } of events) {
    keys.push(timer ? `timer ${key}` : key);
    assert.ok(timer || readable);
  }
}

const poller = new Poller({ kernel });
const live = eventfd(0);
const bytes = new Uint8Array(8);
poller.add(live, 2, R);
// The first notification takes a descriptor.
poller.notify();
const onError = ({ name, code }: PollerError): void => {
  told.push(`${name} ${code}`);
  if (telling !== "an onError that attaches anew") return;
  poller.detach();
  poller.attach(note, { onError });
};
if (telling === "uncaughtException") poller.attach(note);
else poller.attach(note, { onError });
process.on("uncaughtException", (error: NodeJS.ErrnoException) => {
  if (telling !== "uncaughtException") throw error;
  told.push(`${error.name} ${error.code}`);
});

/** Closes a descriptor whose registration its duplicate keeps alive, when no other is free. Returns the duplicate. */
async function haunt(): Promise<number> {
  const ghost = eventfd(1);
  poller.add(ghost, 1, R, { mode: "level" });
  await untilIdly(() => keys.includes(1));
  const duplicate = dup(ghost);
  fill();
  close(ghost);
  poller.delete(ghost);
  fill();
  return duplicate;
}

/** The other descriptor is served as always. */
async function assertServed(): Promise<void> {
  keys.length = 0;
  write(live, ONE);
  await untilIdly(() => keys.includes(2));
  read(live, bytes);
  poller.modify(live, 2, R);
}

// Half a second after its start Deno opens files of its own, and panics if it cannot.
if ("Deno" in globalThis) await idle(1500);
const duplicate = await haunt();
await untilIdly(() => told.length > 0);
assert.deepEqual(told, ["PollerError EMFILE"]);
for (let i = 0; i < 20; i++) await assertServed();

// Timers come, and none early.
keys.length = 0;
const began = poller.now();
poller.addTimer(7, 30);
await untilIdly(() => keys.includes("timer 7"));
assert.ok(poller.now() - began >= 30);
const { length } = keys;
const before = calls;
poller.notify();
await untilIdly(() => calls > before);
assert.equal(keys.length, length);

// It does not spin, and tells nothing twice.
await idle(300);
const { waits, rebuilds } = poller.stats();
await idle(500);
const more = poller.stats().waits - waits;
assert.ok(more <= 20, `it was asked ${more} times`);
assert.equal(rebuilds, 0);
await assertServed();
assert.deepEqual(told, ["PollerError EMFILE"]);

// It recovers by itself.
free();
await untilIdly(() => poller.stats().rebuilds === 1);
await assertServed();
await idle(50);
const { waits: rested } = poller.stats();
await idle(100);
assert.ok(poller.stats().waits - rested <= 2, "it is asked without a reason");

// The same cause is another one then.
const another = await haunt();
await untilIdly(() => told.length > 1);
assert.deepEqual(told, ["PollerError EMFILE", "PollerError EMFILE"]);

// It keeps the process running, and nothing else does.
keys.length = 0;
setTimeout(() => write(live, ONE), 300).unref();
const alive = setInterval(() => {
  if (!keys.includes(2)) return;
  free();
  close(duplicate);
  close(another);
  poller.close();
  clearInterval(alive);
  console.log(PASSED);
}, 5);
alive.unref();
