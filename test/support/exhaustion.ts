/** Takes a component's memory, by room for events: addresses that nobody writes to. */
import assert from "node:assert/strict";
import { Events, PollerError, type Poller } from "lio-poller";

/** What was taken with each poller, so that it stays so for as long as there is the poller. */
const kept = new WeakMap<Poller, Events[]>();

/** Takes room for so many events, over and over, until there is none. */
export function takeMemory(poller: Poller, capacity: number): void {
  const taken = kept.get(poller) ?? [];
  kept.set(poller, taken);
  for (;;) {
    const room = new Events(capacity);
    try {
      poller.wait(room, { timeout: 0 });
    } catch (error) {
      assert.ok(error instanceof PollerError);
      assert.equal(error.code, "ENOMEM");
      assert.equal(room.length, 0);
      return;
    }
    taken.push(room);
  }
}

/** Takes all memory, to the last block. */
export function takeAllMemory(poller: Poller): void {
  for (let capacity = 2 ** 26; capacity >= 1; capacity /= 2) takeMemory(poller, capacity);
}
