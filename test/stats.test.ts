/** What a poller counts. */
import assert from "node:assert/strict";
import { Events, Interest, Poller } from "lio-poller";
import { FaultyKernel, SimulatedEpoll } from "lio-poller/sim";

describe("the statistics of a poller", () => {
  it("count what it has done, each under its name", () => {
    const simulated = new SimulatedEpoll();
    using poller = new Poller({ kernel: simulated });
    const counts = {
      waits: 0,
      events: 0,
      kernelWaits: 0,
      changes: 0,
      rearmsMade: 0,
      rearmsLeftOut: 0,
      rebuilds: 0,
      registrations: 0,
      timers: 0,
    };
    const holds = (changed: Partial<typeof counts>): void => {
      Object.assign(counts, changed);
      assert.deepEqual(poller.stats(), counts);
    };
    const events = new Events(4);
    const fds = [simulated.io.eventfd(1), simulated.io.eventfd(1), simulated.io.eventfd(0)] as const;
    holds({});
    for (const [key, fd] of fds.entries()) poller.add(fd, key, Interest.READABLE);
    holds({ changes: 3, registrations: 3 });
    poller.addTimer(1, 1);
    poller.addTimer(2, 1000);
    holds({ timers: 2 });
    assert.equal(poller.wait(events, { timeout: 0 }), 2);
    holds({ waits: 1, events: 2, kernelWaits: 1 });
    poller.modify(fds[0], 0, Interest.READABLE);
    holds({ rearmsLeftOut: 1 });
    simulated.io.read(fds[0], new Uint8Array(8));
    simulated.clock.advance(1);
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    holds({ waits: 2, events: 3, kernelWaits: 2 });
    // The other one was not armed again, and that the kernel told it nevertheless has it disarmed.
    assert.equal(poller.wait(events, { timeout: 0 }), 0);
    holds({ waits: 3, kernelWaits: 3, changes: 4, rearmsMade: 1 });
    poller.deleteTimer(1);
    poller.delete(fds[2]);
    holds({ timers: 1, changes: 5, registrations: 2 });
    assert.throws(() => poller.wait(new Events(0), { timeout: 0 }), { code: "EINVAL" });
    holds({});
  });
});

describe("a wait", () => {
  it("asks for the time only if something depends on it", () => {
    let asked = 0;
    const simulated = new SimulatedEpoll();
    const kernel = new FaultyKernel(simulated, ({ name }) => void (name === "now" && asked++));
    using poller = new Poller({ kernel });
    const events = new Events(4);
    poller.add(simulated.io.eventfd(1), 1, Interest.READABLE, { mode: "level" });
    for (let i = 0; i < 10; i++) poller.wait(events, { timeout: 0 });
    poller.wait(events);
    assert.equal(asked, 0);
    poller.wait(events, { timeout: 1 });
    assert.notEqual(asked, 0);
  });
});
