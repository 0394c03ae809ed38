/** Time-outs beside readiness, and turns of the loop: how many there are of either must make no difference (issue 13, 4). */
import assert from "node:assert/strict";
import { Interest, type PollerError, readable, watch } from "lio-poller";
import { deliveries, idle, ONE, until } from "./support/deliveries.js";
import { close, eventfd, write } from "./support/files.js";
import { renewShared } from "./support/shared-poller.js";

const { READABLE } = Interest;

function busyFor(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** How many fulfilled, and how many were told each code. */
async function outcomes(promises: readonly Promise<unknown>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const result of await Promise.allSettled(promises)) {
    const name = result.status === "fulfilled" ? "ready" : (result.reason as PollerError).code;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

for (const { way } of deliveries) {
  describe(`time-outs and turns, by ${way}`, () => {
    let fds: number[];
    const open = (initial = 0): number => {
      const fd = eventfd(initial);
      fds.push(fd);
      return fd;
    };

    before(() => renewShared(way));
    after(() => renewShared());
    beforeEach(() => (fds = []));
    afterEach(() => fds.forEach((fd) => close(fd)));

    // Requests complete in their own time there: what is ready may be missed without any time.
    if (process.platform !== "win32") {
      for (const count of [1500, 3000, 5000]) {
        it(`nothing that is ready is told ETIMEDOUT: ${count} that became ready while the loop was busy`, async () => {
          const all = Array.from({ length: count }, () => open());
          const promises = all.map((fd) => readable(fd, { timeout: 50 }));
          for (const fd of all) write(fd, ONE);
          busyFor(60);
          assert.deepEqual(await outcomes(promises), { ready: count });
        });

        it(`nothing that is ready is told ETIMEDOUT: ${count} that are, without any time`, async () => {
          const promises = Array.from({ length: count }, () => readable(open(1), { timeout: 0 }));
          assert.deepEqual(await outcomes(promises), { ready: count });
        });
      }

      it("what is not ready is told ETIMEDOUT, and what is, is not, thousands of both", async () => {
        const promises = Array.from({ length: 6000 }, (_, i) => readable(open(i % 2), { timeout: 5 }));
        busyFor(10);
        assert.deepEqual(await outcomes(promises), { ready: 3000, ETIMEDOUT: 3000 });
      });

      it("thousands that wait for one descriptor are told the same", async () => {
        const fd = open();
        const promises = Array.from({ length: 3000 }, () => readable(fd, { timeout: 20 }));
        write(fd, ONE);
        busyFor(25);
        assert.deepEqual(await outcomes(promises), { ready: 3000 });
      });
    }

    /** The most calls of one of some callbacks in each turn, until there were so many turns with calls. */
    async function callsPerTurn(turns: number, watched: readonly number[], beside: () => unknown): Promise<number[]> {
      const calls = new Map<number, number>();
      const watchings = watched.map((fd) => watch(fd, READABLE, () => calls.set(fd, (calls.get(fd) ?? 0) + 1)));
      const state = { isOver: false };
      const other = (async () => {
        while (!state.isOver) await beside();
      })();
      const most: number[] = [];
      for (let called = 0; called < turns;) {
        calls.clear();
        await new Promise((resolve) => setImmediate(resolve));
        most.push(Math.max(0, ...calls.values()));
        if (calls.size > 0) called++;
      }
      state.isOver = true;
      for (const watching of watchings) watching[Symbol.dispose]();
      await other;
      return most;
    }

    const besides: Readonly<Record<string, () => () => unknown>> = {
      "nothing else": () => () => idle(1),
      "time-outs of 0": () => {
        const silent = open();
        return () => assert.rejects(readable(silent, { timeout: 0 }));
      },
      "time-outs of 1 ms": () => {
        const silent = open();
        return () => assert.rejects(readable(silent, { timeout: 1 }));
      },
      // libuv before 1.49 called again in the same turn for a timer that had become due in it.
      "time-outs that are over when the loop's time is looked at": () => {
        const silent = open();
        return () => {
          const waiting = assert.rejects(readable(silent, { timeout: 0.1 }));
          busyFor(2);
          clearTimeout(setTimeout(() => {}, 1000));
          return waiting;
        };
      },
      "promises that are kept": () => {
        const ready = open(1);
        return () => readable(ready);
      },
      "promises that are kept in time": () => {
        const ready = open(1);
        return () => readable(ready, { timeout: 0 });
      },
      immediates: () => () => new Promise((resolve) => setImmediate(resolve)),
    };
    for (const [what, begin] of Object.entries(besides)) {
      it(`a callback is called once in a turn, and goes on being called, beside ${what}`, async () => {
        const most = await callsPerTurn(200, [open(1), open(1), open(1)], begin());
        assert.equal(most.filter((calls) => calls > 1).length, 0);
        // A thread that wakes the loop takes a few turns.
        if (way === "uv_poll") assert.ok(most.length <= 250, `in 200 of ${most.length} turns`);
      });
    }

    it("a callback is called once in a turn, also if the loop's time goes on while timers expire", async () => {
      const silent = open();
      /** Node reads the clock for its loop when a timer is made. */
      const updateTime = (): void => {
        busyFor(2);
        clearTimeout(setTimeout(() => {}, 1));
      };
      let most = 0;
      for (let round = 0; round < 20; round++) {
        let calls = 0;
        const waits = [1, 2, 3, 4, 5, 6].map((timeout) => assert.rejects(readable(silent, { timeout })));
        const begin = (): Disposable =>
          watch(open(1), READABLE, () => {
            calls++;
            updateTime();
          });
        const watching = await new Promise<Disposable>((resolve) => {
          setTimeout(() => {
            resolve(begin());
            updateTime();
          }, 0);
        });
        for (let turns = 0; turns < 3; turns++) {
          await new Promise((resolve) => setImmediate(resolve));
          most = Math.max(most, calls);
          calls = 0;
        }
        watching[Symbol.dispose]();
        await Promise.all(waits);
      }
      assert.equal(most, 1);
    });

    it("thousands of callbacks are each called once in a turn", async () => {
      const watched = Array.from({ length: 3000 }, () => open(1));
      const most = await callsPerTurn(20, watched, () => idle(1));
      assert.ok(most.every((calls) => calls <= 1));
    });

    it("a callback that was passed over in a turn is called in the next ones", async () => {
      const fd = open(1);
      let calls = 0;
      using watching = watch(fd, READABLE, () => calls++);
      assert.ok(watching);
      for (let expected = 1; expected < 20; expected++) {
        await until(() => calls >= expected);
        await assert.rejects(readable(open(), { timeout: 0 }));
      }
    });
  });
}
