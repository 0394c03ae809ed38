/**
 * Callbacks are called in turns of the loop's own, never inside another call and never after the end; and what closes a
 * descriptor is noticed (issue 13, 5 and 9).
 */
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Interest, PollerError, type Ready, readable, watch, writable } from "lio-poller";
import * as io from "lio-poller/io";
import { run } from "./support/child.js";
import { deliveries, idle, ONE, until } from "./support/deliveries.js";
import { close, dup, eventfd, socketpair, successorOf, write } from "./support/files.js";
import { native } from "./support/internals.js";
import { renewShared } from "./support/shared-poller.js";

const { READABLE, WRITABLE } = Interest;
/** Codes that the documentation of `readable` and `watch` names. */
const DOCUMENTED = [
  "EBADF",
  "EPERM",
  "ETIMEDOUT",
  "ENOSPC",
  "ENOMEM",
  "ELOOP",
  "EMFILE",
  "ENFILE",
  "ERR_POLLER_TRAPPED",
];

function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The folder's own descriptor, which is closed by now.
    return undefined;
  }
}

for (const { way } of deliveries) {
  describe(`who is called, by ${way}`, () => {
    let fds: Set<number>;
    const kept = (fd: number): number => {
      fds.add(fd);
      return fd;
    };
    const open = (initial = 0): number => kept(eventfd(initial));
    const closed = (fd: number): void => {
      fds.delete(fd);
      close(fd);
    };
    /** Closes it as code that knows nothing of this package does. The number is another file's then. */
    const closedBehindOurBack = (fd: number, initial = 0): void => {
      assert.ok(native.io.close(fd) >= 0);
      successorOf(fd, initial);
    };

    before(() => renewShared(way));
    after(() => renewShared());
    beforeEach(() => (fds = new Set()));
    afterEach(() => {
      for (const fd of fds) close(fd);
    });

    if (process.platform === "linux") {
      it("what waits is told EBADF when the number is a file's that cannot be waited for (issue 13, 10)", async () => {
        const fd = open();
        const waits = readable(fd);
        const told: unknown[] = [];
        watch(fd, READABLE, ({ errorCode }) => told.push(errorCode));
        const file = openSync(fileURLToPath(import.meta.url), "r");
        assert.equal(native.io.dupOnto(file, fd), fd);
        closeSync(file);
        await assert.rejects(readable(fd), { code: "EPERM" });
        await assert.rejects(waits, { code: "EBADF" });
        await until(() => told.length > 0);
        assert.deepEqual(told, ["EBADF"]);
      });
    }

    type Beginning = () => { options?: { signal: AbortSignal }; end(it: Disposable): void };
    /** What ends a watching. */
    const endings: Readonly<Record<string, Beginning>> = {
      dispose: () => ({ end: (it) => it[Symbol.dispose]() }),
      abort: () => {
        const controller = new AbortController();
        return { options: { signal: controller.signal }, end: () => controller.abort() };
      },
    };
    async function endsOthers(begin: Beginning, closeIt: (fd: number) => void): Promise<void> {
      const fd = open();
      const called: number[] = [];
      const watchings: Disposable[] = [];
      const each = [0, 1, 2].map(() => begin());
      each.forEach(({ options }, i) => {
        const callback = (): void => {
          called.push(i);
          each.forEach(({ end }, other) => other !== i && end(watchings[other]!));
        };
        watchings.push(watch(fd, READABLE, callback, options));
      });
      closeIt(fd);
      await until(() => called.length > 0);
      await idle(5);
      assert.deepEqual(called, [0]);
    }

    for (const [what, begin] of Object.entries(endings)) {
      it(`a callback for a closed descriptor that ends another by ${what} keeps it from being called`, async () => {
        await endsOthers(begin, closed);
      });

      it(`and so does one whose number was found to be another file's, by ${what}`, async () => {
        await endsOthers(begin, (fd) => {
          closedBehindOurBack(fd);
          void readable(fd, { timeout: 1 }).catch(() => {});
        });
      });

      it(`one that was ended by ${what} after its descriptor was closed is not called`, async () => {
        const fd = open();
        const { options, end } = begin();
        const watching = watch(fd, READABLE, () => assert.fail("called"), options);
        closed(fd);
        end(watching);
        await idle(5);
      });

      it(`one that was ended by ${what} in a turn in which it is ready is not called`, async () => {
        const [first, second] = [open(1), open(1)];
        const called: string[] = [];
        const others = [begin(), begin()];
        const watchings: Disposable[] = [];
        const endOther = (mine: number): void => {
          called.push(String(mine));
          others[1 - mine]!.end(watchings[1 - mine]!);
        };
        [first, second].forEach((fd, i) => watchings.push(watch(fd, READABLE, () => endOther(i), others[i]!.options)));
        await until(() => called.length > 0);
        await idle(5);
        assert.equal(new Set(called).size, 1);
        for (const watching of watchings) watching[Symbol.dispose]();
      });

      it(`one that ends itself by ${what} is not called again`, async () => {
        let calls = 0;
        const { options, end } = begin();
        const watching = watch(
          open(1),
          READABLE,
          () => {
            calls++;
            end(watching);
          },
          options,
        );
        await until(() => calls > 0);
        await idle(5);
        assert.equal(calls, 1);
      });
    }

    // epoll says EPERM of a number that is a regular file's. What waited for the number before stayed pending, and it was
    // told EPERM if it was the loop that found out.
    const onLinux = process.platform === "linux" ? it : () => {};
    onLinux("all who wait hear EBADF when the number is a file's by now that cannot be waited for", async () => {
      const folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
      const name = join(folder, "regular");
      const file = openSync(name, "w");
      // Deno numbers what it opens by itself.
      const regular = readdirSync("/proc/self/fd").find((fd) => linkOf(fd) === name);
      const calls: Readonly<Record<string, (fd: number) => Promise<unknown>>> = {
        readable,
        writable,
        "next()": (fd) => watch(fd, READABLE).next(),
        watch: async (fd) => watch(fd, READABLE, () => assert.fail("called")),
      };
      for (const [what, call] of Object.entries(calls)) {
        const fd = open();
        const heard: (string | undefined)[] = [];
        watch(fd, READABLE, ({ errorCode }) => heard.push(errorCode));
        const waiting = [readable(fd), watch(fd, READABLE).next()].map((each) =>
          each.catch(({ code }: PollerError) => heard.push(code)),
        );
        assert.ok(native.io.close(fd) >= 0);
        assert.equal(dup(Number(regular)), fd);
        await assert.rejects(call(fd), { code: "EPERM" }, what);
        await Promise.all(waiting);
        await until(() => heard.length === 3);
        assert.deepEqual(heard, ["EBADF", "EBADF", "EBADF"], what);
      }
      closeSync(file);
      rmSync(folder, { recursive: true });
    });

    it("no callback runs inside a call that finds out that a descriptor was closed", async () => {
      const calls: Readonly<Record<string, (fd: number) => unknown>> = {
        readable: (fd) => readable(fd).catch(() => {}),
        writable: (fd) => writable(fd).catch(() => {}),
        watch: (fd) => watch(fd, READABLE, () => {})[Symbol.dispose](),
        "next()": (fd) =>
          watch(fd, READABLE)
            .next()
            .catch(() => {}),
      };
      for (const [name, call] of Object.entries(calls)) {
        const fd = open();
        let isInside = false;
        const seen: (string | undefined)[] = [];
        const callback = ({ errorCode }: Ready): void => {
          assert.ok(!isInside, name);
          seen.push(errorCode);
        };
        const watching = watch(fd, READABLE, callback);
        const own = watch(fd, WRITABLE, callback);
        own[Symbol.dispose]();
        isInside = true;
        closedBehindOurBack(fd, 1);
        call(fd);
        isInside = false;
        await until(() => seen.length === 1);
        assert.deepEqual(seen, ["EBADF"], name);
        watching[Symbol.dispose]();
      }
    });

    it("a callback that opens and watches the same number takes it from nobody", async () => {
      const fd = open();
      const called: string[] = [];
      const inner: Disposable[] = [];
      watch(fd, READABLE, ({ errorCode }) => {
        called.push(`outer ${errorCode}`);
        inner.push(watch(fd, READABLE, ({ readable: isReadable }) => called.push(`inner ${isReadable}`)));
      });
      closedBehindOurBack(fd);
      const promise = readable(fd);
      await until(() => called.length > 0);
      write(fd, ONE);
      assert.ok((await promise).readable);
      await until(() => called.length > 1);
      assert.deepEqual(called.slice(0, 2), ["outer EBADF", "inner true"]);
      for (const watching of inner) watching[Symbol.dispose]();
    });

    it("what is told is a documented code, whatever callbacks do to the descriptor meanwhile", async () => {
      const fd = open();
      const codes: string[] = [];
      const note = (error: unknown): void => {
        assert.ok(error instanceof PollerError, String(error));
        codes.push(error.code);
      };
      for (let round = 0; round < 10; round++) {
        const all: Disposable[] = [];
        for (let i = 0; i < 3; i++) {
          const callback = ({ errorCode }: Ready): void => {
            if (errorCode !== undefined) codes.push(errorCode);
            try {
              all.push(watch(fd, READABLE, () => {}));
            } catch (error) {
              note(error);
            }
            readable(fd, { timeout: 1 }).catch(note);
          };
          all.push(watch(fd, READABLE, callback));
        }
        closedBehindOurBack(fd);
        readable(fd, { timeout: 1 }).catch(note);
        await idle(4);
        for (const watching of all) watching[Symbol.dispose]();
      }
      assert.ok(codes.length >= 30);
      for (const code of codes) assert.ok(DOCUMENTED.includes(code), code);
    });

    it("those who wait for one descriptor are served in the order in which they came", async () => {
      const [left, right] = socketpair();
      kept(left);
      kept(right);
      const order: number[] = [];
      const watchings: Disposable[] = [];
      for (let i = 0; i < 30; i++) {
        const interest = [READABLE, WRITABLE, READABLE | WRITABLE][i % 3]!;
        const watching = watch(left, interest, () => {
          order.push(i);
          watching[Symbol.dispose]();
        });
        watchings.push(watching);
      }
      write(right, ONE);
      await until(() => order.length === 30);
      // Those who wait to read may come a turn later.
      for (const kind of [0, 1]) {
        const those = order.filter((i) => i % 3 === kind);
        assert.deepEqual(
          those,
          those.toSorted((a, b) => a - b),
        );
      }
    });

    it("a signal that is aborted in a callback ends what is ready in the same turn", async () => {
      const controller = new AbortController();
      const { signal } = controller;
      const outcomes: string[] = [];
      const fd = open(1);
      const watching = watch(fd, READABLE, () => {
        controller.abort();
        watching[Symbol.dispose]();
      });
      const note = (promise: Promise<Ready>): void =>
        void promise.then(
          () => outcomes.push("ready"),
          ({ name }: Error) => outcomes.push(name),
        );
      // The same descriptor, and another one that may be behind it.
      note(readable(fd, { signal }));
      note(readable(open(), { signal }));
      await until(() => outcomes.length === 2);
      assert.deepEqual(outcomes, ["AbortError", "AbortError"]);
    });

    describe("close of lio-poller/io", () => {
      it("rejects at once all that wait for the descriptor", async () => {
        const fd = open();
        const outcomes: Record<string, unknown> = {};
        const note = (name: string, promise: Promise<unknown>): void =>
          void promise.then(
            (value) => (outcomes[name] = value),
            ({ code, syscall }: PollerError) => (outcomes[name] = `${syscall} ${code}`),
          );
        note("readable", readable(fd));
        note("with a timeout", readable(fd, { timeout: 60_000 }));
        note("with a signal", readable(fd, { signal: new AbortController().signal }));
        note("iteration", watch(fd, READABLE).next());
        closed(fd);
        await Promise.resolve();
        await Promise.resolve();
        await Promise.resolve();
        assert.deepEqual(outcomes, {
          readable: "readable EBADF",
          "with a timeout": "readable EBADF",
          "with a signal": "readable EBADF",
          iteration: "watch EBADF",
        });
      });

      it("has callbacks told in a later turn, once, and in order", async () => {
        const fd = open();
        const told: string[] = [];
        for (const i of [1, 2, 3])
          watch(fd, READABLE, ({ error, errorCode }) => told.push(`${i} ${error} ${errorCode}`));
        closed(fd);
        assert.deepEqual(told, []);
        await until(() => told.length > 0);
        await idle(5);
        assert.deepEqual(told, ["1 true EBADF", "2 true EBADF", "3 true EBADF"]);
      });

      it("inside a callback does the same for those who are ready in this turn", async () => {
        const fd = open(1);
        const told: string[] = [];
        const first = watch(fd, READABLE, ({ errorCode }) => {
          told.push(`first ${errorCode}`);
          if (fds.has(fd)) closed(fd);
        });
        const second = watch(fd, READABLE, ({ errorCode }) => told.push(`second ${errorCode}`));
        await until(() => told.length >= 3);
        await idle(5);
        assert.deepEqual(told, ["first undefined", "first EBADF", "second EBADF"]);
        for (const watching of [first, second]) watching[Symbol.dispose]();
      });

      it("concerns nobody who waits for another descriptor, or for the next file of its number", async () => {
        const [fd, other] = [open(), open()];
        const rejected = assert.rejects(readable(fd), { code: "EBADF" });
        const promise = readable(other);
        closed(fd);
        const successor = kept(successorOf(fd));
        const next = readable(successor);
        await rejected;
        write(other, ONE);
        write(successor, ONE);
        assert.ok((await promise).readable);
        assert.ok((await next).readable);
      });

      it("tells nobody anything if it fails", async () => {
        for (const wrong of [-1, 2 ** 31 - 1]) assert.throws(() => io.close(wrong), { code: "EBADF" });
        assert.throws(() => io.close(1.5), { code: "ERR_OUT_OF_RANGE" });
        const fd = open();
        const promise = readable(fd);
        write(fd, ONE);
        assert.ok((await promise).readable);
      });

      it("leaves nothing in the kernel though the file has another descriptor", async () => {
        const fd = open();
        const copy = kept(dup(fd));
        let calls = 0;
        watch(fd, READABLE, () => calls++);
        closed(fd);
        await until(() => calls === 1);
        write(copy, ONE);
        await idle(5);
        assert.equal(calls, 1);
        assert.ok((await readable(copy)).readable);
      });
    });

    if (process.platform !== "win32") {
      describe("dup of lio-poller/io onto a number", () => {
        it("rejects at once all that wait for what had the number", async () => {
          const [fd, other] = [open(), open(1)];
          let told: string | undefined;
          watch(fd, READABLE, ({ errorCode }) => (told = errorCode));
          const rejected = assert.rejects(readable(fd), { code: "EBADF" });
          io.dup(other, fd);
          assert.equal(told, undefined);
          await rejected;
          await until(() => told === "EBADF");
          assert.ok((await readable(fd)).readable);
        });

        it("tells nobody anything if it fails", async () => {
          const fd = open();
          const promise = readable(fd);
          assert.throws(() => io.dup(2 ** 31 - 1, fd), { code: "EBADF" });
          assert.throws(() => io.dup(fd, fd), { code: "EINVAL" });
          write(fd, ONE);
          assert.ok((await promise).readable);
        });
      });
    }
  });
}

describe("a process that closes what is waited for", () => {
  it("hears of it, and ends", () => {
    for (const scenario of ["closed promise", "closed callback", "closed and disposed"]) {
      const { status, signal, stdout, stderr } = run("watching", [scenario]);
      const expected = scenario === "closed and disposed" ? "" : "EBADF\n";
      assert.deepEqual({ status, signal, stdout, stderr }, { status: 0, signal: null, stdout: expected, stderr: "" });
    }
  });

  it("does not load the poller for it, if it only uses lio-poller/io", () => {
    const { stdout } = run("only-io", []);
    assert.deepEqual(stdout.trim().split("\n"), ["closed", "passed"]);
  });
});
