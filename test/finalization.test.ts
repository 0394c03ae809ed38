/** Finalizers, which give back what users drop. */
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { Events, Poller } from "lio-poller";
import { SimulatedEpoll } from "lio-poller/sim";
import { collect, collectGarbage, collectUntil, whenCollected } from "./support/garbage.js";

describe("finalizers", () => {
  const kernels: SimulatedEpoll[] = [];

  // Functions of their own, for a frame may keep what it has seen.

  function use(): void {
    const kernel = new SimulatedEpoll();
    kernels.push(kernel);
    using poller = new Poller({ kernel });
    for (let i = 0; i < 10; i++) poller.wait(new Events(4), { timeout: 0 });
  }

  function drop(): void {
    kernels.length = 0;
  }

  it("run for all others when a kernel was dropped with what was on it (in Node before 26, V8 ends them all)", async () => {
    await collectGarbage();
    use();
    // What was on the kernel is found to be garbage, and then itself, with no turn for callbacks between.
    await turn();
    collect();
    drop();
    collect();
    await turn();
    let collected = 0;
    const count = (): void => void collected++;
    (function dropOthers() {
      for (let i = 0; i < 10; i++) whenCollected({}, count);
    })();
    assert.ok(await collectUntil(() => collected > 0));
  });

  it("run for what is dropped together with its kernel, or are not needed", async () => {
    let left = 0;
    const count = (): void => void left--;
    (function dropAll() {
      for (let i = 0; i < 10; i++) {
        const kernel = new SimulatedEpoll();
        whenCollected(kernel, count);
        whenCollected(new Poller({ kernel }), count);
        left += 2;
      }
    })();
    assert.ok(await collectUntil(() => left <= 2), `${left} are left`);
  });
});
