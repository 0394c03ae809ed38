/** Attached pollers: the event loop waits in their place. Each test runs on every way of delivery that there is here. */
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { getSystemErrorName } from "node:util";
import { Worker } from "node:worker_threads";
import { Events, Interest, type Key, notify, Poller, type ReadyEvent, restrict } from "lio-poller";
import { SimulatedEpoll } from "lio-poller/sim";
import { assertPasses, run } from "./support/child.js";
import { deliveries, idle, ONE, until, untilIdly } from "./support/deliveries.js";
import { close, closedNumber, dup, eventfd, write } from "./support/files.js";
import { BUSY, instanceFor, native, platformKernel } from "./support/internals.js";
import { watchLeaks } from "./support/leaks.js";
import { ReplaceableKernel } from "./support/replaceable-kernel.js";

const R = Interest.READABLE;

for (const { way, kernel } of deliveries) {
  describe(`an attached poller, by ${way}`, () => {
    let poller: Poller;
    let fds: number[];
    /** What each call of the callback got. */
    let batches: ReadyEvent[][];
    const note = (events: Events): void => void batches.push(events.toArray());
    const keys = (): Key[][] => batches.map((batch) => batch.map(({ key }) => key));
    const open = (initial = 0): number => {
      const fd = eventfd(initial);
      fds.push(fd);
      return fd;
    };

    beforeEach(() => {
      poller = new Poller({ kernel });
      fds = [];
      batches = [];
    });

    afterEach(() => {
      poller.close();
      for (const fd of fds) close(fd);
    });

    it("tells how it is delivered to, while it is", () => {
      assert.equal(poller.delivery, undefined);
      poller.attach(note);
      assert.equal(poller.delivery, way);
      poller.detach();
      assert.equal(poller.delivery, undefined);
    });

    it("calls back in a later turn, with all that is ready at once", async () => {
      poller.attach(note);
      for (let key = 0; key < 100; key++) poller.add(open(1), key, R);
      assert.deepEqual(batches, []);
      await until(() => batches.flat().length === 100);
      if (way === "uv_poll") assert.equal(batches.length, 1);
      assert.deepEqual(
        keys()
          .flat()
          .toSorted((a, b) => Number(a) - Number(b)),
        Array.from({ length: 100 }, (_, key) => key),
      );
      assert.ok(batches.flat().every(({ readable, writable }) => readable && !writable));
    });

    it("reports what was registered, ready and armed before it was attached", async () => {
      poller.add(open(1), 1, R);
      poller.addTimer(2, 0);
      poller.attach(note);
      await until(() => batches.flat().length === 2);
    });

    it("blocks nothing while nothing is ready, and wakes for a write that comes later", async () => {
      const fd = open();
      poller.add(fd, 1, R);
      poller.attach(note);
      await idle(20);
      assert.deepEqual(batches, []);
      assert.ok(poller.stats().kernelWaits <= 1);
      setTimeout(() => write(fd, ONE), 5);
      await until(() => batches.length === 1);
      assert.deepEqual(keys(), [[1]]);
    });

    it("delivers level-triggered events for as long as they hold, and no turn goes by without the loop's others", async () => {
      poller.add(open(1), 1, R, { mode: "level" });
      poller.attach(note);
      let timers = 0;
      const timer = setInterval(() => timers++, 1);
      await until(() => batches.length > 50 && timers > 5);
      clearInterval(timer);
    });

    it("needs no system call for a registration that is armed again in the callback, or in a promise's continuation", async () => {
      const fd = open(1);
      poller.add(fd, 1, R);
      poller.attach((events) => {
        note(events);
        if (batches.length % 2 === 0) poller.modify(fd, 1, R);
        else queueMicrotask(() => void Promise.resolve().then(() => poller.modify(fd, 1, R)));
      });
      await until(() => batches.length >= 200);
      const { changes, rearmsMade, rearmsLeftOut } = poller.stats();
      // The thread may look again before a continuation has run.
      if (way === "uv_poll") assert.deepEqual({ changes, rearmsMade }, { changes: 1, rearmsMade: 0 });
      assert.ok(rearmsLeftOut >= 190, `${rearmsLeftOut} were left out`);
    });

    it("does not spin when a registration is not armed again while its descriptor is ready", async () => {
      poller.add(open(1), 1, R);
      poller.attach(note);
      await idle(50);
      assert.deepEqual(keys(), [[1]]);
      const { kernelWaits, changes } = poller.stats();
      assert.ok(kernelWaits <= 4 && changes <= 2, JSON.stringify({ kernelWaits, changes }));
    });

    it("arms again before the loop blocks, wherever and however late that is asked for", async () => {
      const fd = open(1);
      poller.add(fd, 1, R);
      poller.attach(note);
      const places: ((rearm: () => void) => unknown)[] = [
        (rearm) => setTimeout(rearm, 5),
        (rearm) => setImmediate(rearm),
        (rearm) => process.nextTick(rearm),
        (rearm) => setTimeout(() => process.nextTick(rearm), 5),
        (rearm) => setTimeout(() => setImmediate(() => void Promise.resolve().then(rearm)), 5),
        (rearm) => setTimeout(rearm, 5),
      ];
      for (const [i, place] of places.entries()) {
        // Nothing keeps the loop turning: a change that does not go down by itself never does.
        await untilIdly(() => batches.length === i + 1);
        await idle(2);
        place(() => poller.modify(fd, i + 2, R));
      }
      await untilIdly(() => batches.length === 7);
      assert.deepEqual(
        keys(),
        [1, 2, 3, 4, 5, 6, 7].map((key) => [key]),
      );
    });

    it("delivers more than one batch has room for", async () => {
      for (let key = 0; key < 1200; key++) poller.add(open(1), key, R);
      poller.attach(note);
      await until(() => batches.flat().length === 1200);
      await idle(5);
      assert.equal(new Set(keys().flat()).size, 1200);
      assert.ok(batches.every((batch) => batch.length <= 1024));
    });

    describe("with timers", () => {
      it("is woken for each when it is due, and never before", async () => {
        poller.attach((events) => {
          const now = poller.now();
          for (const { key, timer } of events) {
            assert.ok(timer);
            assert.ok(now >= due.get(Number(key))!, `timer ${key} is early`);
            due.delete(Number(key));
          }
        });
        const due = new Map<number, number>();
        for (const delay of [0, 0.2, 1, 1.5, 3, 10, 25, 25.5]) {
          const key = Math.round(delay * 10);
          due.set(key, poller.now() + delay);
          poller.addTimer(key, delay);
        }
        await until(() => due.size === 0);
      });

      it("is woken for one that is moved forward, and not for one that is moved back or deleted", async () => {
        const began = poller.now();
        poller.attach(note);
        poller.addTimer(1, 60_000);
        poller.addTimer(2, 5);
        poller.addTimer(3, 5);
        poller.modifyTimer(1, 10);
        poller.modifyTimer(2, 60_000);
        poller.deleteTimer(3);
        await until(() => batches.length > 0);
        assert.deepEqual(keys(), [[1]]);
        assert.ok(poller.now() - began >= 10);
      });

      it("is woken again and again for a periodic one, also if that was armed in the callback", async () => {
        let expired = 0;
        poller.attach((events) => {
          for (const { key, expirations } of events) {
            if (key === 1) poller.addTimer(2, 1, { repeat: 1 });
            else expired += expirations;
          }
        });
        poller.addTimer(1, 1);
        await until(() => expired >= 10);
        poller.deleteTimer(2);
      });
    });

    it("calls back without events when it is notified, from here or from another thread", async () => {
      let calls = 0;
      poller.attach(({ length }) => {
        assert.equal(length, 0);
        calls++;
      });
      poller.notify();
      await until(() => calls === 1);
      const notifier = poller.notifier();
      const program = new URL("./programs/notifying-worker.js", import.meta.url);
      const worker = new Worker(program, { workerData: { notifier, times: 1, pause: 0 } });
      await once(worker, "message");
      worker.postMessage("go");
      await until(() => calls === 2);
      notify(notifier);
      await until(() => calls === 3);
      await worker.terminate();
    });

    it("refuses to wait, and to be attached twice; and does both again when it is detached", async () => {
      const fd = open(1);
      const events = new Events(4);
      const refusal = { name: "PollerError", code: "ERR_POLLER_ATTACHED", errno: undefined };
      poller.attach(note);
      poller.add(fd, 1, R);
      assert.throws(() => poller.wait(events), refusal);
      assert.throws(() => poller.wait(events, { timeout: 0 }), refusal);
      assert.throws(() => poller.attach(note), refusal);
      poller.detach();
      poller.detach();
      await idle(5);
      assert.deepEqual(batches, []);
      assert.equal(poller.wait(events), 1);
      poller.modify(fd, 2, R);
      poller.attach(note);
      await until(() => batches.length === 1);
      assert.deepEqual(keys(), [[2]]);
    });

    it("sends changes that were put off down with the wait after it is detached", async () => {
      const fd = open(1);
      poller.add(fd, 1, R);
      poller.attach(note);
      await until(() => batches.length === 1);
      await idle(5);
      poller.modify(fd, 2, R);
      poller.detach();
      const events = new Events(1);
      assert.equal(poller.wait(events), 1);
      assert.equal(events.toArray()[0]?.key, 2);
    });

    it("follows its kernel object when that is replaced, in the same asynchronous context", async () => {
      const storage = new AsyncLocalStorage<string>();
      const [fd, live] = [open(1), open()];
      const duplicate = dup(fd);
      const contexts: unknown[] = [];
      poller.add(fd, 1, R, { mode: "level" });
      poller.add(live, 2, R);
      storage.run("attached", () =>
        poller.attach((events) => {
          note(events);
          contexts.push(storage.getStore());
        }),
      );
      await until(() => batches.length > 0);
      // While a duplicate of it lives, the old kernel object goes on reporting it, and no call can reach it.
      close(fds.shift() as number);
      poller.delete(fd);
      await until(() => poller.stats().rebuilds > 0);
      await idle(5);
      const { kernelWaits, rebuilds } = poller.stats();
      assert.equal(rebuilds, 1);
      await idle(20);
      assert.ok(poller.stats().kernelWaits - kernelWaits <= 1, "it spins");
      const before = batches.length;
      write(live, ONE);
      await until(() => batches.length > before);
      assert.deepEqual(keys().at(-1), [2]);
      assert.deepEqual(new Set(contexts), new Set(["attached"]));
      close(duplicate);
    });

    it("is told 128 times at most of what was closed while a duplicate of it lives, and goes on with the others", async () => {
      const [fd, live] = [open(1), open()];
      const duplicate = dup(fd);
      poller.add(fd, 1, R, { mode: "level" });
      poller.add(live, 2, R);
      poller.attach(note);
      await until(() => batches.length > 0);
      close(fds.shift() as number);
      const before = keys().flat().length;
      // Until nothing comes for a while.
      for (let quiet = 0, last = before; quiet < 5; last = batches.length) {
        await idle(10);
        quiet = batches.length === last ? quiet + 1 : 0;
      }
      const { kernelWaits } = poller.stats();
      await idle(20);
      assert.ok(poller.stats().kernelWaits - kernelWaits <= 10, "it spins");
      write(live, ONE);
      await until(() => keys().flat().includes(2));
      const ghosts = keys()
        .flat()
        .slice(before)
        .filter((key) => key === 1).length;
      assert.ok(ghosts <= 128, `${ghosts} events`);
      close(duplicate);
    });

    it("keeps the asynchronous context in which it was attached, for events, timers, and late changes", async () => {
      const storage = new AsyncLocalStorage<number>();
      const fd = open(1);
      const contexts: unknown[] = [];
      storage.run(42, () => poller.attach(() => void contexts.push(storage.getStore())));
      storage.run(1, () => poller.add(fd, 1, R));
      await until(() => contexts.length === 1);
      storage.run(2, () => poller.addTimer(1, 1));
      await until(() => contexts.length === 2);
      await idle(2);
      storage.run(3, () => poller.modify(fd, 1, R));
      await until(() => contexts.length === 3);
      assert.deepEqual(contexts, [42, 42, 42]);
    });

    describe("from inside its callback", () => {
      it("can be detached, and attached anew", async () => {
        const fd = open(1);
        poller.add(fd, 1, R, { mode: "level" });
        let first = 0;
        poller.attach(() => {
          first++;
          poller.detach();
          poller.attach(note);
        });
        await until(() => batches.length > 2);
        assert.equal(first, 1);
      });

      it("can be closed", async () => {
        let calls = 0;
        for (let key = 0; key < 4; key++) poller.add(open(1), key, R, { mode: "level" });
        poller.attach(() => {
          calls++;
          poller.close();
        });
        await until(() => calls > 0);
        await idle(5);
        assert.equal(calls, 1);
        assert.throws(() => poller.attach(note), { code: "ERR_POLLER_CLOSED" });
      });

      it("reports no more of what was deleted there, and all of what was added", async () => {
        const all = Array.from({ length: 10 }, () => open(1));
        for (const [key, fd] of all.entries()) poller.add(fd, key, R, { mode: "level" });
        const added = open(1);
        poller.attach((events) => {
          if (batches.length === 0) {
            for (const fd of all) poller.delete(fd);
            poller.add(added, 100, R);
          }
          note(events);
        });
        await until(() => batches.length === 2);
        await idle(5);
        assert.deepEqual(keys().slice(1), [[100]]);
      });

      it("cannot wait", async () => {
        let thrown: unknown;
        poller.add(open(1), 1, R);
        poller.attach(() => {
          try {
            poller.wait(new Events(1));
          } catch (error) {
            thrown = error;
          }
        });
        await until(() => thrown !== undefined);
        assert.equal((thrown as { code?: string }).code, "ERR_POLLER_ATTACHED");
      });
    });

    it("tells the errors of changes as before", () => {
      poller.attach(note);
      const [fd, closed] = [open(1), closedNumber()];
      poller.add(fd, 1, R);
      poller.addTimer(1, 60_000);
      assert.throws(() => poller.add(fd, 1, R), { code: "EEXIST", syscall: "add" });
      assert.throws(() => poller.modify(closed, 1, R), { code: "ENOENT", syscall: "modify" });
      assert.throws(() => poller.delete(closed), { code: "ENOENT", syscall: "delete" });
      assert.throws(() => poller.addTimer(1, 1), { code: "EEXIST", syscall: "addTimer" });
      assert.throws(() => poller.deleteTimer(2), { code: "ENOENT", syscall: "deleteTimer" });
      const verdicts = poller.apply([
        { op: "add", fd, key: 1, interest: R },
        { op: "add", fd: closed, key: 1, interest: R },
      ]);
      assert.deepEqual(
        verdicts.map((error) => error?.code),
        ["EEXIST", "EBADF"],
      );
    });

    it("holds nothing once it is detached or closed", async () => {
      const fd = open();
      poller.attach(note);
      poller.detach();
      const leaks = watchLeaks(2);
      for (let i = 0; i < 50; i++) {
        using another = new Poller({ kernel });
        another.add(fd, 1, R);
        another.attach(note);
        if (i % 2) await idle(0);
        if (i % 3) another.detach();
        poller.attach(note);
        poller.detach();
      }
      // libuv forgets its handle in the loop's next turn.
      await idle(5);
      assert.deepEqual(leaks(), []);
    });

    it("works beside others, each with its own callback", async () => {
      const pollers = Array.from({ length: 20 }, () => new Poller({ kernel }));
      const seen = new Set<number>();
      for (const [i, each] of pollers.entries()) {
        each.attach((events) => {
          for (const { key } of events) assert.equal(key, i);
          seen.add(i);
        });
        each.add(open(1), i, R);
      }
      await until(() => seen.size === 20);
      for (const each of pollers) each.close();
    });

    it("can be one on a kernel that was restricted", async () => {
      const fd = open(1);
      using restricted = new Poller({ kernel: restrict(kernel, { fds: [fd] }) });
      assert.throws(() => restricted.add(open(), 1, R), { code: "EPERM" });
      restricted.add(fd, 1, R);
      restricted.attach(note);
      assert.equal(restricted.delivery, way);
      await until(() => batches.length === 1);
    });

    it("lets the process end, or not, as it should", () => {
      const scenarios: readonly [name: string, printed: string][] = [
        ["nothing registered", "attached\n"],
        ["deleted", "attached\nevent\n"],
        ["timer", "attached\nevent\n"],
        ["unreferenced", "attached\n"],
        ["referenced again", "attached\nevent\n"],
        ["detached", "attached\n"],
        ["closed", "attached\n"],
        ["fired timer", "attached\nevent\n"],
      ];
      for (const [name, printed] of scenarios) {
        assert.deepEqual(run("attached", [way, name]), { status: 0, signal: null, stdout: printed, stderr: "" }, name);
      }
    });

    it("knows before it is attached whether it keeps the event loop running, and after it was detached", () => {
      for (const name of ["unreferenced before", "unreferenced and attached anew"]) {
        assert.deepEqual(
          run("attached", [way, name]),
          { status: 0, signal: null, stdout: "attached\n", stderr: "" },
          name,
        );
      }
      const printed = { status: 0, signal: null, stdout: "attached\nevent\n", stderr: "" };
      assert.deepEqual(run("attached", [way, "referenced before"]), printed);
    });

    // kqueue and AFD forget a descriptor that is closed, so that their objects are never replaced.
    for (const telling of ["onError", "an onError that attaches anew", "uncaughtException"]) {
      it(`tells its own error once by ${telling} while no descriptor is left, and serves the others`, () =>
        assertPasses("own-error", "ulimit -n 256", way, telling));
    }

    it("tells of a trap that another poller's call has met, at once", async () => {
      const fragile = new ReplaceableKernel(kernel);
      const told: unknown[] = [];
      using attached = new Poller({ kernel: fragile });
      using other = new Poller({ kernel: fragile });
      attached.add(open(), 1, R);
      attached.attach(note, { onError: ({ code }) => told.push(code) });
      fragile.replace("control", () => {
        throw new Error("the kernel is broken");
      });
      assert.throws(() => other.add(open(), 1, R), { code: "ERR_POLLER_TRAPPED" });
      await untilIdly(() => told.length > 0);
      assert.deepEqual(told, ["ERR_POLLER_TRAPPED"]);
      assert.equal(attached.delivery, undefined);
    });

    const failures: Readonly<Record<string, (fragile: ReplaceableKernel, fd: number) => void>> = {
      "the callback has caught": (fragile, fd) => {
        fragile.replace("control", () => {
          throw new Error("the kernel is broken");
        });
        using other = new Poller({ kernel: fragile });
        assert.throws(() => other.add(fd, 1, R), { code: "ERR_POLLER_TRAPPED" });
      },
      // As a time limit of `node:vm` leaves it: nobody has asked since.
      "the callback knows nothing of, because a call was ended": (fragile) => {
        instanceFor(fragile).state = BUSY;
      },
    };
    for (const [which, fail] of Object.entries(failures)) {
      it(`tells of a trap that ${which}`, async () => {
        const fragile = new ReplaceableKernel(kernel);
        const told: unknown[] = [];
        using attached = new Poller({ kernel: fragile });
        const fd = open(1);
        attached.add(fd, 1, R);
        attached.attach(() => fail(fragile, fd), { onError: ({ code }) => told.push(code) });
        await untilIdly(() => attached.delivery === undefined);
        assert.deepEqual(told, ["ERR_POLLER_TRAPPED"]);
        assert.equal(fragile.closed, 1);
      });
    }

    it("lets go of the event loop when its component fails, which is an uncaught exception", () => {
      const stdout = "attached\ncaught ERR_POLLER_TRAPPED\n";
      assert.deepEqual(run("attached", [way, "trapped"]), { status: 0, signal: null, stdout, stderr: "" });
    });

    it("has what its callback throws treated as any uncaught exception, and loses no event", () => {
      const caught = run("attached", [way, "caught"]);
      assert.deepEqual([caught.status, caught.stderr], [0, ""]);
      // Other events may come before a runtime gets round to it.
      const told = (what: string): string[] => caught.stdout.match(new RegExp(`^${what} .*$`, "gm")) ?? [];
      assert.deepEqual(told("caught").slice(0, 3), ["caught 1", "caught 2", "caught 3"]);
      assert.equal(told("caught").length, told("throwing").length);
      const { status, stdout, stderr } = run("attached", [way, "uncaught"]);
      assert.equal(status, 1);
      assert.match(stdout, /^attached\nthrowing 1\n/);
      assert.match(stderr, /thrown in the callback/);
    });
  });
}

describe("attaching", () => {
  it("checks the callback before anything happens", () => {
    using poller = new Poller();
    for (const wrong of [undefined, null, 1, {}, "f"]) {
      assert.throws(() => poller.attach(wrong as never), { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" });
    }
    for (const wrong of [null, 1, "o", () => {}]) {
      assert.throws(() => poller.attach(() => {}, wrong as never), { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" });
    }
    for (const onError of [null, 1, {}, "f"]) {
      const options = { onError } as never;
      assert.throws(() => poller.attach(() => {}, options), { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" });
    }
    assert.equal(poller.delivery, undefined);
  });

  it("is refused by a kernel that no loop can wait for", () => {
    using poller = new Poller({ kernel: new SimulatedEpoll() });
    assert.throws(() => poller.attach(() => {}), { name: "PollerError", code: "ENOTSUP", syscall: "attach" });
    assert.equal(poller.wait(new Events(1), { timeout: 0 }), 0);
  });

  it("can be ended once the poller is closed", () => {
    const poller = new Poller();
    poller.close();
    poller.detach();
    assert.equal(poller.delivery, undefined);
  });

  it("leaves nothing behind when it fails", () => {
    const leaks = watchLeaks();
    const wake = (): void => {};
    const kernel = new native.kernels[platformKernel(undefined).name]!();
    const refusal = (...values: unknown[]): string =>
      getSystemErrorName((kernel.deliver as (...values: unknown[]) => number)(...values));
    for (const inLoop of [true, false]) {
      for (const unknown of [-1, 0, 1 << 20]) assert.equal(refusal(unknown, wake, inLoop), "EBADF");
      for (const wrong of [[], ["0", wake], [0], [0, {}]]) assert.equal(refusal(...wrong, inLoop), "EINVAL");
    }
    assert.deepEqual(leaks(), []);
  });
});
