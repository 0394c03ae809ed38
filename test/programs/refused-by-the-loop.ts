/**
 * What comes of it if the event loop's own kernel object refuses to watch a poller, with the error whose number and code are
 * its arguments: see `test/native/preload/refused_add.cc`. Without arguments nothing is refused.
 */
import assert from "node:assert/strict";
import { Events, Interest, Poller, readable } from "lio-poller";
import { close, dup, eventfd, pipe, write } from "lio-poller/io";
import { openedSince, openFiles } from "../support/descriptors.js";
import { ONE, until } from "../support/deliveries.js";
import { PASSED } from "../support/child.js";

const { READABLE } = Interest;
const [number, code] = process.argv.slice(2);

function refuse(): void {
  if (number !== undefined) process.env["REFUSED"] = number;
}
const allow = (): void => void delete process.env["REFUSED"];

// What the first poller opens for all that come after.
new Poller().close();
const [readEnd, writeEnd] = pipe();
write(writeEnd, ONE);
const fd = eventfd(0);

const uncaught: unknown[] = [];
process.on("uncaughtException", (error) => uncaught.push((error as { code?: unknown }).code));

refuse();
const before = openFiles();
for (let i = 0; i < 2; i++) {
  if (code === undefined) await readable(readEnd);
  else await assert.rejects(readable(readEnd), { code });
}
if (code !== undefined) assert.deepEqual(openedSince(before), []);

const poller = new Poller();
poller.add(fd, 1, READABLE);
const attach = (): void => poller.attach(() => {});
if (code === undefined) attach();
else {
  assert.throws(attach, { code });
  assert.equal(poller.wait(new Events(1), { timeout: 0 }), 0);
}
poller.close();
// The loop turns once more.
await new Promise((resolve) => setTimeout(resolve, 1));

// And where the poller replaces its kernel object, which the loop has watched.
allow();
const [old, live] = [eventfd(1), eventfd(0)];
const replacing = new Poller();
let told = 0;
replacing.add(old, 1, READABLE, { mode: "level" });
replacing.add(live, 2, READABLE);
replacing.attach((events) => {
  for (const { key } of events) if (key === 2) told++;
});
await new Promise((resolve) => setTimeout(resolve, 1));
const duplicate = dup(old);
refuse();
close(old);
try {
  replacing.delete(old);
} catch (error) {
  uncaught.push((error as { code?: unknown }).code);
}
await until(() => replacing.stats().rebuilds > 0 && (code === undefined || uncaught.length > 0));
if (code !== undefined) assert.equal(uncaught[0], code);
allow();
write(live, ONE);
replacing.addTimer(1, 0);
await until(() => told > 0);
replacing.close();
for (const each of [duplicate, live, fd, readEnd, writeEnd]) close(each);
console.log(PASSED);
process.exit(0);
