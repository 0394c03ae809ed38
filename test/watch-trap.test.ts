/** The shared poller's component fails: all who wait are told, and the next ones wait on a new one (issue 12, 6). */
import assert from "node:assert/strict";
import { Interest, Poller, type PollerError, type Ready, readable, watch, writable } from "lio-poller";
import { assertPasses, run } from "./support/child.js";
import { deliveries, idle, ONE, until } from "./support/deliveries.js";
import { openFiles } from "./support/descriptors.js";
import { close, eventfd, write } from "./support/files.js";
import { sampledSeeds } from "./support/sample.js";
import { breakShared, type Broken, renewShared } from "./support/shared-poller.js";

const { READABLE } = Interest;
const TRAPPED = "ERR_POLLER_TRAPPED";

for (const { way } of deliveries) {
  describe(`when the component of what waits fails, by ${way}`, () => {
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

    /** Everything that can wait, and what it is told. */
    function waitInAllWays(): { told: Record<string, unknown>; seen: Ready[]; isTold: () => boolean } {
      const told: Record<string, unknown> = {};
      const seen: Ready[] = [];
      const note = (name: string, promise: Promise<unknown>): void => {
        told[name] = undefined;
        promise.then(
          (value) => (told[name] = value),
          (error: PollerError) => (told[name] = error.code),
        );
      };
      const fd = open();
      note("promise", readable(fd));
      note("another promise", readable(fd));
      note("with a timeout", readable(open(), { timeout: 60_000 }));
      note("with a signal", readable(open(), { signal: new AbortController().signal }));
      note("iteration", watch(open(), READABLE).next());
      watch(fd, READABLE, (ready) => seen.push(ready));
      return { told, seen, isTold: () => Object.values(told).every(Boolean) && seen.length > 0 };
    }

    function assertAllTold({ told, seen }: ReturnType<typeof waitInAllWays>): void {
      for (const [name, code] of Object.entries(told)) assert.equal(code, TRAPPED, name);
      assert.deepEqual(
        seen.map(({ error, errorCode, readable: isReadable }) => [error, errorCode, isReadable]),
        [[true, TRAPPED, false]],
      );
    }

    const causes: Readonly<Record<string, [broken: Broken, act: () => unknown]>> = {
      "in the loop": ["wait", () => void readable(open(1)).catch(() => {})],
      "in the loop, as it arms again": [
        "modify",
        () => {
          const fd = open(1);
          const watching = watch(fd, READABLE, () => watching[Symbol.dispose]());
          breakShared("modify");
          watch(open(1), READABLE, () => {});
        },
      ],
      "as one joins": ["add", () => assert.rejects(readable(open()), { code: TRAPPED })],
      "as a callback begins": ["add", () => assert.throws(() => watch(open(), READABLE, () => {}), { code: TRAPPED })],
      "as a time begins": ["addTimer", () => assert.rejects(readable(open(), { timeout: 9 }), { code: TRAPPED })],
      "as a callback is disposed of": ["delete", () => watch(open(), READABLE, () => {})[Symbol.dispose]()],
      "as one is aborted": [
        "delete",
        async () => {
          const controller = new AbortController();
          const promise = readable(open(), { signal: controller.signal });
          controller.abort();
          await assert.rejects(promise, { name: "AbortError" });
        },
      ],
      "in a call of another poller": [
        "add",
        () => {
          using poller = new Poller();
          assert.throws(() => poller.add(open(), 1, READABLE), { code: TRAPPED });
        },
      ],
    };
    for (const [when, [broken, act]] of Object.entries(causes)) {
      it(`${when}, all who wait are told at once, and the next ones wait on a new poller`, async () => {
        const waiting = waitInAllWays();
        breakShared(broken);
        const acting = act();
        assert.equal(waiting.seen.length, 0, "no callback runs inside the call");
        await acting;
        await until(waiting.isTold);
        await idle(5);
        assertAllTold(waiting);
        assert.ok((await readable(open(1))).readable);
        const again = readable(open(), { timeout: 1 });
        await assert.rejects(again, { code: "ETIMEDOUT" });
      });
    }

    it("one that was disposed of, or aborted, before it could be told is not called", async () => {
      const controller = new AbortController();
      const never = (): void => assert.fail("called");
      const watching = watch(open(), READABLE, never);
      watch(open(), READABLE, never, { signal: controller.signal });
      breakShared("add");
      const failing = readable(open());
      watching[Symbol.dispose]();
      controller.abort();
      await assert.rejects(failing, { code: TRAPPED });
      await idle(5);
    });

    it("at the end of the stack, all who wait are told by the time that the next one waits", async () => {
      /** Has the component fail with so many calls around. Returns whether they are too many. */
      const failAt = (depth: number): boolean => {
        try {
          if (depth > 0) return failAt(depth - 1);
          renewShared(way);
          return false;
        } catch {
          return true;
        }
      };
      const fd = open();
      let [least, most] = [0, 1 << 16];
      while (most - least > 1) {
        // Else a new instance is made there, which takes more of the stack.
        readable(fd).catch(() => {});
        const middle = (least + most) >> 1;
        if (failAt(middle)) most = middle;
        else least = middle;
      }
      for (const less of sampledSeeds(`depths of the stack, for all who wait, by ${way}`, -60, 70, 8)) {
        const depth = most + less;
        const waiting = waitInAllWays();
        failAt(depth);
        const next = readable(open(1));
        if (failAt(0)) assert.fail("there is room here");
        await assert.rejects(next, { code: TRAPPED });
        await until(waiting.isTold);
        assertAllTold(waiting);
      }
    });

    it("what was given to the old poller does not end what waits on the new one", async () => {
      const old = new AbortController();
      const ended = [readable(open(), { timeout: 60_000 }), readable(open(), { signal: old.signal })];
      const watching = watch(open(), READABLE, () => {});
      breakShared("add");
      await assert.rejects(readable(open()), { code: TRAPPED });
      const fd = open();
      const promises = Array.from({ length: 20 }, () => readable(fd, { timeout: 60_000 }));
      for (const promise of ended) await assert.rejects(promise, { code: TRAPPED });
      old.abort();
      watching[Symbol.dispose]();
      await idle(2);
      write(fd, ONE);
      for (const ready of await Promise.all(promises)) assert.ok(ready.readable);
    });

    it("nothing of the old poller is left open", async () => {
      await writable(open());
      const before = openFiles().size;
      for (let i = 0; i < 5; i++) {
        const fd = eventfd(0);
        const promise = readable(fd);
        breakShared("wait");
        write(fd, ONE);
        await assert.rejects(promise, { code: TRAPPED });
        close(fd);
        const another = eventfd(1);
        await readable(another);
        close(another);
      }
      await idle(5);
      assert.equal(openFiles().size, before);
    });
  });
}

describe("the first that waits", () => {
  it("is told EMFILE while no descriptor is left, and nothing is kept", () =>
    assertPasses("watching-limit", "ulimit -n 64"));
});

describe("when the component of what waits fails in a process that has nothing else to do", () => {
  for (const { way } of deliveries) {
    it(`the process hears of it before it ends, by ${way}`, () => {
      const { status, signal, stdout, stderr } = run("watching-trap", [way]);
      assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: "" });
      assert.deepEqual(stdout.trim().split("\n").toSorted(), [
        "again true",
        `iteration ${TRAPPED}`,
        `promise ${TRAPPED}`,
        `timeout ${TRAPPED}`,
        `watch ${TRAPPED}`,
      ]);
    });
  }
});
