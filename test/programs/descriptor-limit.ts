/** Runs out of descriptors, wherever a poller needs one. To be run under a low `ulimit -n`. */
import assert from "node:assert/strict";
import { Events, Interest, Poller } from "lio-poller";
import { close, dup, eventfd } from "lio-poller/io";
import { PASSED } from "../support/child.js";

const limited = { name: "PollerError", code: "EMFILE", errno: -24 } as const;
const fillers: number[] = [];
const events = new Events(4);

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

function free(count: number): void {
  for (const fd of fillers.splice(0, count)) close(fd);
}

// Loads what is loaded once.
new Poller().close();

// Creating.
fill();
assert.throws(() => new Poller(), { ...limited, syscall: "create" });
assert.throws(() => new Poller(), limited);
free(1);
const poller = new Poller();

// The first notification.
assert.throws(() => poller.notify(), { ...limited, syscall: "notify" });
poller.add(fillers[0] as number, 1, Interest.WRITABLE);
assert.equal(poller.wait(events, { timeout: 0 }), 1, "what needs no descriptor works");
free(2);
poller.notify();
assert.equal(poller.wait(events), 0);

// Silencing what was closed while a duplicate of it lives, which takes a new kernel object.
free(2);
const watched = eventfd(1);
const duplicate = dup(watched);
poller.add(watched, 2, Interest.READABLE, { mode: "level" });
close(watched);
poller.delete(watched);
fill();
assert.throws(() => {
  for (let i = 0; i < 10; i++) poller.wait(events, { timeout: 0 });
}, limited);
assert.equal(poller.stats().rebuilds, 0);
free(1);
for (let i = 0; i < 10; i++) assert.equal(poller.wait(events, { timeout: 0 }), 0);
assert.equal(poller.stats().rebuilds, 1);

// Attaching.
fill();
assert.throws(() => poller.attach(() => {}), { ...limited, syscall: "attach" });
assert.equal(poller.delivery, undefined);
assert.equal(poller.wait(events, { timeout: 0 }), 0);
free(3);
poller.attach(() => {});
assert.notEqual(poller.delivery, undefined);

poller.close();
close(duplicate);
console.log(PASSED);
