/** Readiness as promises, callbacks and iterations, on the thread's shared poller. */
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Interest, type PollerError, type Ready, readable, watch, writable } from "lio-poller";
import { run } from "./support/child.js";
import { idle, ONE, until } from "./support/deliveries.js";
import { close, closedNumber, dup, eventfd, pipe, read, socketpair, successorOf, write } from "./support/files.js";
import { native } from "./support/internals.js";
import { watchLeaks } from "./support/leaks.js";
import { registered } from "./support/registrations.js";

const { READABLE, WRITABLE } = Interest;
const room = new Uint8Array(4096);
/** Node's number. */
const EBADF = process.platform === "win32" ? -4083 : -9;
const tooLarge = (native.io.largestDescriptor ?? 2 ** 31 - 1) + 1;

/** What a promise has come to by now. */
interface Outcome<T> {
  value?: T;
  error?: PollerError;
}

function outcomeOf<T>(promise: Promise<T>): Outcome<T> {
  const outcome: Outcome<T> = {};
  promise.then(
    (value) => (outcome.value = value),
    (error: PollerError) => (outcome.error = error),
  );
  return outcome;
}

describe("without a poller of one's own", () => {
  let fds: number[];
  const kept = <Fds extends number | number[]>(opened: Fds): Fds => {
    fds.push(...[opened].flat());
    return opened;
  };
  /** Closes one that was `kept`. */
  const closed = (fd: number): void => {
    fds.splice(fds.indexOf(fd), 1);
    close(fd);
  };
  const isRegistered = (fd: number): boolean => registered().includes(fd);

  before(async () => {
    // What is made once and stays.
    const [readEnd, writeEnd] = pipe();
    await writable(writeEnd);
    close(readEnd);
    close(writeEnd);
  });

  beforeEach(() => (fds = []));
  afterEach(() => fds.forEach((fd) => close(fd)));

  describe("a promise of readiness", () => {
    it("is kept when there is something to read, in a later turn, and says what there is", async () => {
      const [readEnd, writeEnd] = kept(pipe());
      const outcome = outcomeOf(readable(readEnd));
      await idle(5);
      assert.deepEqual(outcome, {});
      write(writeEnd, ONE);
      await until(() => outcome.value !== undefined);
      assert.deepEqual(outcome.value, {
        readable: true,
        writable: false,
        priority: false,
        readClosed: false,
        hangUp: false,
        error: false,
        refused: false,
        errorCode: undefined,
        bytes: 0,
      } satisfies Ready);
    });

    it("is kept when there is room to write", async () => {
      const [readEnd, writeEnd] = kept(pipe());
      assert.equal((await writable(writeEnd)).writable, true);
      while (write(writeEnd, room) !== -1);
      const outcome = outcomeOf(writable(writeEnd));
      await idle(5);
      assert.deepEqual(outcome, {});
      while (read(readEnd, room) !== -1);
      await until(() => outcome.value !== undefined);
    });

    it("is kept at an end and at a hang-up, which the operation then tells", async () => {
      const [readEnd, writeEnd] = kept(pipe());
      const waiting = readable(readEnd);
      closed(writeEnd);
      const { readable: isReadable, readClosed } = await waiting;
      assert.deepEqual([isReadable, readClosed], [true, true]);
      assert.equal(read(readEnd, room), 0);

      const [left, right] = kept(socketpair());
      const both = [readable(left), writable(left)];
      closed(right);
      const told = await Promise.all(both);
      assert.deepEqual([told[0]!.readable, told[1]!.writable, told.some(({ hangUp }) => hangUp)], [true, true, true]);
    });

    it("can be asked for again and again, and each time for what is not read yet", async () => {
      const [readEnd, writeEnd] = kept(pipe());
      write(writeEnd, new Uint8Array(100));
      for (let i = 0; i < 100; i++) {
        await readable(readEnd);
        assert.equal(read(readEnd, room, 0, 1), 1);
      }
      const outcome = outcomeOf(readable(readEnd));
      await idle(5);
      assert.deepEqual(outcome, {});
      write(writeEnd, ONE);
      await until(() => outcome.value !== undefined);
    });

    it("is kept for any number who wait for one descriptor, in both directions (fault 38)", async () => {
      const [left, right] = kept(socketpair());
      while (write(left, room) !== -1);
      const readers = Array.from({ length: 10 }, () => outcomeOf(readable(left)));
      const writers = Array.from({ length: 10 }, () => outcomeOf(writable(left)));
      await idle(5);
      assert.ok([...readers, ...writers].every(({ value }) => value === undefined));
      while (read(right, room) !== -1);
      await until(() => writers.every(({ value }) => value !== undefined));
      assert.ok(readers.every(({ value }) => value === undefined));
      write(right, ONE);
      await until(() => readers.every(({ value }) => value !== undefined));
    });

    it("is kept for thousands at once", async () => {
      const pairs = Array.from({ length: 3000 }, () => kept(pipe()));
      const promises = pairs.map(([readEnd]) => readable(readEnd));
      for (const [, writeEnd] of pairs) write(writeEnd, ONE);
      assert.ok((await Promise.all(promises)).every((ready) => ready.readable));
    });

    it("works for a number that has become another file's since it was kept", async () => {
      const [readEnd, writeEnd] = kept(pipe());
      write(writeEnd, ONE);
      await readable(readEnd);
      closed(readEnd);
      const successor = kept(successorOf(readEnd));
      const outcome = outcomeOf(readable(successor));
      await idle(5);
      assert.deepEqual(outcome, {});
      write(successor, ONE);
      await until(() => outcome.value !== undefined);
    });

    it("is broken with EBADF when the descriptor was closed and its number is waited for again", async () => {
      const [readEnd] = kept(pipe());
      const first = outcomeOf(readable(readEnd));
      await idle(1);
      closed(readEnd);
      await assert.rejects(readable(readEnd), {
        name: "PollerError",
        code: "EBADF",
        errno: EBADF,
        syscall: "readable",
      });
      assert.equal(first.error?.code, "EBADF");

      const another = kept(eventfd(0));
      const second = outcomeOf(readable(another));
      closed(another);
      const successor = kept(successorOf(another, 1));
      assert.equal((await readable(successor)).readable, true);
      assert.deepEqual([second.error?.code, second.error?.syscall], ["EBADF", "readable"]);
    });

    it("is broken at once for what cannot be waited for", async () => {
      const folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
      const file = openSync(join(folder, "regular"), "w");
      const cases: readonly [fd: number, code: string][] = [
        [closedNumber(), "EBADF"],
        [-1, "EBADF"],
        [2 ** 31 - 2, "EBADF"],
        // Deno and Windows's C library tell numbers of their own, which are no descriptors.
        ...("Deno" in globalThis || process.platform === "win32" ? [] : [[file, "EPERM"] as [number, string]]),
      ];
      for (const [wrong, code] of cases) {
        await assert.rejects(readable(wrong), { name: "PollerError", code, syscall: "readable" });
        await assert.rejects(writable(wrong), { name: "PollerError", code, syscall: "writable" });
      }
      closeSync(file);
      rmSync(folder, { recursive: true });
    });

    it("is broken for wrong arguments, and nothing is thrown nor registered", async () => {
      const fd = kept(eventfd(0));
      const type = { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" };
      const range = { name: "RangeError", code: "ERR_OUT_OF_RANGE" };
      for (const wrong of [undefined, null, "1", {}, 1n]) await assert.rejects(readable(wrong as never), type);
      for (const wrong of [1.5, Number.NaN, tooLarge]) await assert.rejects(writable(wrong), range);
      for (const wrong of [null, 1, "options"]) await assert.rejects(readable(fd, wrong as never), type);
      for (const wrong of [null, 1, {}]) await assert.rejects(readable(fd, { signal: wrong as never }), type);
      for (const wrong of [null, "1", 1n]) await assert.rejects(readable(fd, { timeout: wrong as never }), type);
      for (const wrong of [-1, Number.NaN]) await assert.rejects(readable(fd, { timeout: wrong }), range);
      assert.ok(!isRegistered(fd));
    });

    describe("with a signal", () => {
      /** A signal that counts who listens. */
      function counted(): { controller: AbortController; listeners: () => number } {
        const controller = new AbortController();
        const { signal } = controller;
        let listeners = 0;
        const { addEventListener, removeEventListener } = signal;
        signal.addEventListener = (...values: Parameters<typeof addEventListener>) => {
          listeners++;
          addEventListener.apply(signal, values);
        };
        signal.removeEventListener = (...values: Parameters<typeof removeEventListener>) => {
          listeners--;
          removeEventListener.apply(signal, values);
        };
        return { controller, listeners: () => listeners };
      }

      it("is broken by its abortion, with its reason as the cause, and ends the registration", async () => {
        const fd = kept(eventfd(0));
        const { controller, listeners } = counted();
        const reason = new Error("changed our mind");
        const promise = readable(fd, { signal: controller.signal });
        assert.ok(isRegistered(fd));
        assert.equal(listeners(), 1);
        controller.abort(reason);
        assert.ok(!isRegistered(fd));
        await assert.rejects(promise, { name: "AbortError", code: "ABORT_ERR", cause: reason });
        assert.equal(listeners(), 0);
      });

      it("is broken at once if that was aborted before", async () => {
        const fd = kept(eventfd(1));
        await assert.rejects(readable(fd, { signal: AbortSignal.abort() }), { name: "AbortError", code: "ABORT_ERR" });
        assert.ok(!isRegistered(fd));
      });

      it("is kept if it is ready first, and then listens no more", async () => {
        const { controller, listeners } = counted();
        await readable(kept(eventfd(1)), { signal: controller.signal });
        assert.equal(listeners(), 0);
        controller.abort();
      });

      it("is broken alone: others who wait for the descriptor go on", async () => {
        const fd = kept(eventfd(0));
        const controller = new AbortController();
        const other = outcomeOf(readable(fd));
        const promise = readable(fd, { signal: controller.signal });
        controller.abort();
        await assert.rejects(promise, { name: "AbortError" });
        write(fd, ONE);
        await until(() => other.value !== undefined);
      });
    });

    describe("with a timeout", () => {
      it("is broken with ETIMEDOUT when that is over, and not before", async () => {
        const fd = kept(eventfd(0));
        for (const timeout of [0, 0.5, 3, 20.5]) {
          const before = process.hrtime.bigint();
          const expected = { name: "PollerError", code: "ETIMEDOUT", syscall: "readable" };
          await assert.rejects(readable(fd, { timeout }), expected);
          assert.ok(Number(process.hrtime.bigint() - before) >= timeout * 1e6);
        }
        assert.ok(!isRegistered(fd));
      });

      it("is kept if it is ready by then, also for no time at all", async () => {
        const fd = kept(eventfd(1));
        for (const timeout of [0, 1000, Infinity]) assert.ok((await readable(fd, { timeout })).readable);
      });
    });
  });

  describe("a watching callback", () => {
    it("is called whenever the descriptor is ready, once a turn, until it is disposed of", async () => {
      const [readEnd, writeEnd] = kept(pipe());
      const seen: Ready[] = [];
      const watching = watch(readEnd, READABLE, (ready) => seen.push(ready));
      await idle(5);
      assert.equal(seen.length, 0);
      write(writeEnd, ONE);
      await until(() => seen.length >= 10);
      read(readEnd, room);
      await idle(2);
      const silent = seen.length;
      await idle(5);
      assert.equal(seen.length, silent);
      write(writeEnd, ONE);
      await until(() => seen.length > silent);
      watching[Symbol.dispose]();
      watching[Symbol.dispose]();
      assert.ok(!isRegistered(readEnd));
      const last = seen.length;
      await idle(5);
      assert.equal(seen.length, last);
      assert.ok(seen.every((ready) => ready.readable && !ready.writable));
    });

    it("shares a descriptor with others, and with promises", async () => {
      const [left, right] = kept(socketpair());
      let reads = 0;
      let writes = 0;
      using reading = watch(left, READABLE, () => {
        reads++;
        read(left, room);
      });
      const writing = watch(left, WRITABLE, () => writes++);
      await until(() => writes >= 3);
      assert.equal(reads, 0);
      const promise = readable(left);
      write(right, ONE);
      await promise;
      await until(() => reads === 1);
      writing[Symbol.dispose]();
      const before = writes;
      write(right, ONE);
      await until(() => reads === 2);
      assert.equal(writes, before);
      assert.ok(reading);
    });

    it("ends with its signal, in silence, or does not begin", async () => {
      const fd = kept(eventfd(1));
      const controller = new AbortController();
      let calls = 0;
      watch(fd, READABLE, () => calls++, { signal: controller.signal });
      await until(() => calls > 0);
      controller.abort();
      assert.ok(!isRegistered(fd));
      const before = calls;
      const watching = watch(fd, READABLE, () => calls++, { signal: controller.signal });
      await idle(5);
      assert.equal(calls, before);
      watching[Symbol.dispose]();
    });

    it("is not called for an event of the same batch when another callback has ended it", async () => {
      const all = Array.from({ length: 10 }, () => kept(eventfd(1)));
      const watchings: Disposable[] = [];
      let calls = 0;
      for (const fd of all) {
        watchings.push(
          watch(fd, READABLE, () => {
            calls++;
            for (const watching of watchings) watching[Symbol.dispose]();
          }),
        );
      }
      await until(() => calls > 0);
      await idle(5);
      assert.equal(calls, 1);
    });

    it("is not called for an event of its descriptor when another callback for it has ended it", async () => {
      const fd = kept(eventfd(1));
      const watchings: Disposable[] = [];
      let calls = 0;
      const endAll = (): void => {
        calls++;
        for (const watching of watchings) watching[Symbol.dispose]();
      };
      for (let i = 0; i < 3; i++) watchings.push(watch(fd, READABLE, endAll));
      await until(() => calls > 0);
      await idle(5);
      assert.equal(calls, 1);
    });

    it("is not called for an event of a file that had its descriptor's number before, in the same batch", async () => {
      const [first, second] = [kept(eventfd(1)), kept(eventfd(1))];
      const calls: string[] = [];
      const successors: Disposable[] = [];
      const watchings = new Map<number, Disposable>();
      const onEvent = (fd: number, other: number) => (): void => {
        calls.push("first to come");
        watchings.get(fd)?.[Symbol.dispose]();
        watchings.get(other)?.[Symbol.dispose]();
        // The event of this one is behind ours in the batch.
        closed(other);
        const successor = kept(successorOf(other));
        successors.push(watch(successor, READABLE, () => calls.push("successor")));
      };
      watchings.set(
        first,
        watch(first, READABLE, () => onEvent(first, second)()),
      );
      watchings.set(
        second,
        watch(second, READABLE, () => onEvent(second, first)()),
      );
      await until(() => calls.length > 0);
      await idle(5);
      assert.deepEqual(calls, ["first to come"]);
      for (const watching of successors) watching[Symbol.dispose]();
    });

    it("may watch, wait for and end anything", async () => {
      const [left, right] = kept(socketpair());
      const calls: string[] = [];
      const inner = watch(left, READABLE, () => {
        calls.push("outer");
        read(left, room);
        inner[Symbol.dispose]();
        const again = watch(left, READABLE, () => {
          calls.push("inner");
          again[Symbol.dispose]();
        });
        void writable(left).then(() => calls.push("promise"));
      });
      write(right, ONE);
      await until(() => calls.length === 2);
      assert.deepEqual(calls, ["outer", "promise"]);
      write(right, ONE);
      await until(() => calls.length === 3);
      assert.deepEqual(calls, ["outer", "promise", "inner"]);
    });

    it("is told when its descriptor turns out to have been closed, and called no more", async () => {
      const fd = kept(eventfd(0));
      const seen: Ready[] = [];
      const watching = watch(fd, READABLE, (ready) => seen.push(ready));
      closed(fd);
      const successor = kept(successorOf(fd, 1));
      await readable(successor);
      assert.equal(seen.length, 1);
      assert.deepEqual([seen[0]?.refused, seen[0]?.errorCode, seen[0]?.readable], [true, "EBADF", false]);
      // That it is over does not concern the file that has the number now.
      const another = outcomeOf(readable(successor));
      watching[Symbol.dispose]();
      await until(() => another.value !== undefined);
    });

    it("goes on when what it throws is caught as an uncaught exception, and so do the others of its batch", () => {
      const { status, stdout, stderr } = run("watching", ["throwing"]);
      assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
      const lines = stdout.trim().split("\n");
      assert.ok(lines.filter((line) => line === "caught Error: thrown by 1").length >= 3);
      assert.ok(lines.filter((line) => line === "called 2").length >= 3);
    });

    it("runs in the asynchronous context of its watching", async () => {
      const storage = new AsyncLocalStorage<string>();
      const contexts: unknown[] = [];
      const ready = [kept(eventfd(1)), kept(eventfd(1))] as const;
      using first = storage.run("first", () => watch(ready[0], READABLE, () => contexts.push(storage.getStore())));
      await until(() => contexts.length >= 2);
      first[Symbol.dispose]();
      assert.deepEqual(new Set(contexts), new Set(["first"]));
      using second = storage.run("second", () => watch(ready[1], READABLE, () => contexts.push(storage.getStore())));
      await until(() => contexts.includes("second"));
      assert.deepEqual(new Set(contexts), new Set(["first", "second"]));
      second[Symbol.dispose]();
      const continued = await storage.run("promise", async () => {
        await readable(ready[0]);
        return storage.getStore();
      });
      assert.equal(continued, "promise");
    });

    it("checks its arguments, and the descriptor, before anything happens", () => {
      const fd = kept(eventfd(1));
      const never = (): void => assert.fail("called");
      const type = { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" };
      const range = { name: "RangeError", code: "ERR_OUT_OF_RANGE" };
      for (const wrong of [undefined, null, "1"]) assert.throws(() => watch(wrong as never, READABLE, never), type);
      for (const wrong of [undefined, null, "1"]) assert.throws(() => watch(fd, wrong as never, never), type);
      for (const wrong of [0, 8, -1, 1.5]) assert.throws(() => watch(fd, wrong, never), range);
      for (const wrong of [null, 1, "f"]) assert.throws(() => watch(fd, READABLE, wrong as never), type);
      for (const wrong of [null, 1]) assert.throws(() => watch(fd, READABLE, never, wrong as never), type);
      assert.throws(() => watch(fd, READABLE, never, { signal: 1 as never }), type);
      assert.throws(() => watch(-1, READABLE, never), { name: "PollerError", code: "EBADF", syscall: "watch" });
      assert.ok(!isRegistered(fd));
    });
  });

  describe("an iteration", () => {
    it("steps whenever the descriptor is ready, and is not watched in between", async () => {
      const [readEnd, writeEnd] = kept(pipe());
      write(writeEnd, new Uint8Array(5));
      let steps = 0;
      for await (const ready of watch(readEnd, READABLE)) {
        assert.ok(ready.readable);
        steps++;
        await idle(2);
        assert.equal(read(readEnd, room, 0, 1), 1);
        if (steps === 5) break;
      }
      assert.equal(steps, 5);
      assert.ok(!isRegistered(readEnd));
    });

    it("begins with its first step, and ends its registration with return()", async () => {
      const fd = kept(eventfd(0));
      const iteration = watch(fd, READABLE);
      assert.ok(!isRegistered(fd));
      const step = iteration.next();
      assert.ok(isRegistered(fd));
      assert.deepEqual(await iteration.return(), { done: true, value: undefined });
      assert.ok(!isRegistered(fd));
      assert.deepEqual(await step, { done: true, value: undefined });
      assert.deepEqual(await iteration.next(), { done: true, value: undefined });
      assert.deepEqual(await iteration.return(), { done: true, value: undefined });
      assert.deepEqual(await watch(fd, READABLE).return(), { done: true, value: undefined });
    });

    it("can be disposed of", async () => {
      const fd = kept(eventfd(1));
      const iteration = watch(fd, READABLE);
      await iteration.next();
      await iteration[Symbol.asyncDispose]();
      assert.ok(!isRegistered(fd));
      assert.deepEqual(await iteration.next(), { done: true, value: undefined });
    });

    it("takes steps that are asked for at once one after the other", async () => {
      const fd = kept(eventfd(1));
      const iteration = watch(fd, READABLE);
      const order: number[] = [];
      const steps = [1, 2, 3].map((i) => iteration.next().then(() => order.push(i)));
      await Promise.all(steps);
      assert.deepEqual(order, [1, 2, 3]);
      const last = iteration.next();
      const after = iteration.next();
      await iteration.return();
      await last;
      assert.deepEqual(await after, { done: true, value: undefined });
    });

    it("is thrown an AbortError by its signal, whether it waits or not", async () => {
      const fd = kept(eventfd(0));
      const waiting = new AbortController();
      const reason = new Error("enough");
      setTimeout(() => waiting.abort(reason), 2);
      await assert.rejects(
        async () => {
          for await (const ready of watch(fd, READABLE, { signal: waiting.signal })) assert.fail(JSON.stringify(ready));
        },
        { name: "AbortError", code: "ABORT_ERR", cause: reason },
      );
      assert.ok(!isRegistered(fd));

      write(fd, ONE);
      const busy = new AbortController();
      let steps = 0;
      await assert.rejects(
        async () => {
          for await (const ready of watch(fd, READABLE, { signal: busy.signal })) {
            assert.ok(ready);
            steps++;
            busy.abort();
          }
        },
        { name: "AbortError" },
      );
      assert.equal(steps, 1);
      assert.ok(!isRegistered(fd));
    });

    it("is thrown an error at its first step, and is done then", async () => {
      const iteration = watch(-1, READABLE);
      await assert.rejects(iteration.next(), { name: "PollerError", code: "EBADF", syscall: "watch" });
      assert.deepEqual(await iteration.next(), { done: true, value: undefined });
    });

    it("is thrown EBADF if the descriptor was closed while its consumer was busy", async () => {
      const fd = kept(eventfd(1));
      const iteration = watch(fd, READABLE);
      await iteration.next();
      closed(fd);
      await assert.rejects(iteration.next(), { code: "EBADF" });
    });

    it("checks its arguments before anything happens", () => {
      const type = { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" };
      for (const wrong of [null, 1, "f"]) assert.throws(() => watch(1, READABLE, wrong as never), type);
      for (const wrong of [0, 8]) assert.throws(() => watch(1, wrong), { code: "ERR_OUT_OF_RANGE" });
    });
  });

  it("nothing is left open", async () => {
    const leaks = watchLeaks(2);
    const [readEnd, writeEnd] = pipe();
    const copy = dup(readEnd);
    await writable(writeEnd);
    await assert.rejects(readable(copy, { timeout: 1 }));
    watch(readEnd, READABLE, () => {})[Symbol.dispose]();
    for (const fd of [readEnd, writeEnd, copy]) close(fd);
    assert.deepEqual(leaks(), []);
  });

  it("the process goes on while somebody waits, and ends when nobody does", () => {
    const scenarios: readonly [name: string, printed: string][] = [
      ["promise", "kept\n"],
      ["timeout", "ETIMEDOUT\n"],
      ["kept before", "kept\n"],
      ["aborted", "AbortError\n"],
      ["callback", "called\n"],
      ["disposed", ""],
      ["iteration", "step\n"],
      ["busy iteration", "step\n"],
    ];
    for (const [name, stdout] of scenarios) {
      assert.deepEqual(run("watching", [name]), { status: 0, signal: null, stdout, stderr: "" }, name);
    }
  });
});
