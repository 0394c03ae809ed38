/** An attached poller's timer, a wait and a promise while node:test's own fake timers stand still. */
import assert from "node:assert/strict";
import { mock } from "node:test";
import { Events, Poller, readable } from "lio-poller";
import { PASSED } from "../support/child.js";
import { close, eventfd } from "../support/files.js";

mock.timers.enable();
using waiting = new Poller();
const began = waiting.now();
assert.equal(waiting.wait(new Events(1), { timeout: 5 }), 0);
assert.ok(waiting.now() - began >= 5);

using attached = new Poller();
await new Promise<void>((resolve) => {
  attached.attach(() => resolve());
  attached.addTimer(1, 5);
});
const fd = eventfd(0);
await assert.rejects(readable(fd, { timeout: 5 }), { code: "ETIMEDOUT" });
close(fd);
console.log(PASSED);
