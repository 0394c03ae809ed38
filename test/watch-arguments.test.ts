/**
 * Options that are objects of the program's: getters that throw, that act, or that say something else each time; in every
 * public function that takes options, by a table (issue 13, 3). All are read once, before anything happens.
 */
import assert from "node:assert/strict";
import {
  type Change,
  Events,
  Interest,
  notify,
  Poller,
  readable,
  restrict,
  watch,
  type WatchOptions,
  writable,
} from "lio-poller";
import * as io from "lio-poller/io";
import { randomFaults, SimulatedEpoll, SimulatedKqueue } from "lio-poller/sim";
import { openFiles } from "./support/descriptors.js";
import { idle, until } from "./support/deliveries.js";
import { close, eventfd } from "./support/files.js";
import { VALUES } from "./hostile/values.js";
import { registered } from "./support/registrations.js";

const { READABLE } = Interest;
const never = (): void => assert.fail("called");

/** A call with an object of the program's: which properties are read, and right values for them. */
interface Reading {
  readonly properties: Readonly<Record<string, unknown>>;
  /** May return a promise, whose rejection counts as what is thrown. */
  readonly call: (given: never) => unknown;
}

describe("an object of options", () => {
  let poller: Poller;
  let fd: number;
  let simulated: SimulatedEpoll;
  const undo: (() => unknown)[] = [];

  beforeEach(async () => {
    await assert.rejects(readable(-1));
    simulated = new SimulatedEpoll();
    poller = new Poller();
    fd = eventfd(0);
  });
  afterEach(() => {
    for (const each of undo.splice(0)) each();
    poller.close();
    close(fd);
  });

  const signal = new AbortController().signal;
  const events = new Events(4);
  const watching = (it: Disposable): void => void undo.push(() => it[Symbol.dispose]());
  const iterating = (it: AsyncDisposable): void => void undo.push(() => it[Symbol.asyncDispose]());
  const table: Readonly<Record<string, Reading>> = {
    readable: { properties: { signal, timeout: 0 }, call: (given) => timedOut(readable(fd, given)) },
    writable: { properties: { signal, timeout: 0 }, call: (given) => writable(fd, given).catch(timeOutOnly) },
    "watch with a callback": {
      properties: { signal },
      call: (given) => watching(watch(fd, READABLE, () => {}, given)),
    },
    "watch without a callback": {
      properties: { signal },
      call: (given) => iterating(watch(fd, READABLE, given as WatchOptions)),
    },
    "new Poller": { properties: { kernel: undefined }, call: (given) => new Poller(given).close() },
    add: {
      properties: { mode: "edge" },
      call: (given) => {
        poller.add(fd, 1, READABLE, given);
        poller.delete(fd);
      },
    },
    modify: {
      properties: { mode: "edge" },
      call: (given) => assert.throws(() => poller.modify(fd, 1, READABLE, given), codeOr("ENOENT")),
    },
    "apply, a change": {
      properties: { op: "modify", fd: 2 ** 31 - 1, key: 1, interest: READABLE, mode: "edge" },
      call: (given) => poller.apply([given as Change]),
    },
    "apply, a delete": {
      properties: { op: "delete", fd: 2 ** 31 - 1 },
      call: (given) => poller.apply([given as Change]),
    },
    "wait for a time": { properties: { timeout: 0 }, call: (given) => poller.wait(events, given) },
    "wait until a moment": { properties: { deadline: 0 }, call: (given) => poller.wait(events, given) },
    addTimer: {
      properties: { repeat: 1 },
      call: (given) => {
        poller.addTimer(1, 1000, given);
        poller.deleteTimer(1);
      },
    },
    "addTimer, when": {
      properties: { deadline: 1000 },
      call: (given) => {
        poller.addTimer(1, given);
        poller.deleteTimer(1);
      },
    },
    modifyTimer: {
      properties: { repeat: 1 },
      call: (given) => assert.throws(() => poller.modifyTimer(1, 1, given), codeOr("ENOENT")),
    },
    notify: { properties: { process: "another", id: 1 }, call: (given) => notify(given) },
    restrict: {
      properties: { fds: [1], maxRegistrations: 1, maxPollers: 1 },
      call: (given) => restrict(simulated, given),
    },
    "io.listen, the address": {
      properties: { host: "127.0.0.1", port: 0, path: undefined },
      call: (given) => io.close(io.listen(given)),
    },
    "io.listen": {
      properties: { backlog: 1 },
      call: (given) => io.close(io.listen({ host: "127.0.0.1", port: 0 }, given)),
    },
    "io.connect": {
      properties: { host: "127.0.0.1", port: 0, path: undefined },
      // Whether it fails at once is the system's affair.
      call: (given) => {
        try {
          io.close(io.connect(given));
        } catch (error) {
          assert.ok(codeOr("ECONNREFUSED", "EADDRNOTAVAIL")(error));
        }
      },
    },
    "new SimulatedKqueue": { properties: { flavour: "freebsd" }, call: (given) => new SimulatedKqueue(given) },
    randomFaults: { properties: { seed: 1, rate: 0 }, call: (given) => randomFaults(given) },
  };

  /** Lets an error of one of these codes pass, and throws any other as it is. */
  function codeOr(...codes: readonly string[]): (error: unknown) => boolean {
    return (error) => {
      if (codes.includes((error as { code: string }).code)) return true;
      throw error;
    };
  }

  function timeOutOnly(error: unknown): void {
    codeOr("ETIMEDOUT")(error);
  }

  async function timedOut(promise: Promise<unknown>): Promise<void> {
    await promise.then(never, timeOutOnly);
  }

  /** An object whose properties are getters, and how often each was read. */
  function getters(
    values: Readonly<Record<string, unknown>>,
    onRead: (name: string) => void,
  ): { given: never; reads: Record<string, number> } {
    const reads: Record<string, number> = {};
    const given = {};
    for (const [name, value] of Object.entries(values)) {
      reads[name] = 0;
      const get = (): unknown => {
        reads[name]!++;
        onRead(name);
        return value;
      };
      Object.defineProperty(given, name, { get, enumerable: true });
    }
    return { given: given as never, reads };
  }

  const stateOf = (): unknown => [registered().includes(fd), poller.stats().registrations, poller.stats().timers];

  for (const [name, { properties, call }] of Object.entries(table)) {
    it(`is read once by ${name}, each of its properties`, async () => {
      const { given, reads } = getters(properties, () => {});
      await call(given);
      assert.deepEqual(reads, Object.fromEntries(Object.keys(properties).map((property) => [property, 1])));
    });

    for (const property of Object.keys(properties)) {
      it(`may throw when ${name} reads its property ${property}, and nothing has happened then`, async () => {
        const failure = new Error("not now");
        const before = stateOf();
        const open = openFiles().size;
        const { given } = getters(properties, (read) => {
          if (read === property) throw failure;
        });
        await assert.rejects(
          async () => call(given),
          (error) => error === failure,
        );
        assert.deepEqual(stateOf(), before);
        assert.equal(openFiles().size, open);
      });
    }
  }

  describe("of readable, writable and watch", () => {
    const asks: Readonly<Record<string, (options: never) => unknown>> = {
      readable: (options) => readable(fd, options),
      writable: (options) => writable(fd, options),
      "watch with a callback": (options) => watch(fd, READABLE, never, options),
      "watch without a callback": (options) => watch(fd, READABLE, options),
    };
    const controller = new AbortController();
    const listens = { addEventListener: never, removeEventListener: never };
    const noSignals: readonly unknown[] = [
      ...VALUES.filter((value) => value !== undefined),
      controller,
      { aborted: false },
      { aborted: true },
      { aborted: "false", ...listens },
      { aborted: false, addEventListener: never },
      { aborted: false, ...listens, removeEventListener: 1 },
      new EventTarget(),
    ];
    const wrong = (error: unknown): boolean => {
      assert.ok(error instanceof TypeError, String(error));
      // A revoked proxy throws the engine's own error.
      return true;
    };
    for (const [name, ask] of Object.entries(asks)) {
      it(`is refused by ${name} if it has no signal where one belongs, before anything is registered`, async () => {
        for (const value of noSignals) await assert.rejects(async () => ask({ signal: value } as never), wrong);
        await idle(2);
        assert.ok(!registered().includes(fd));
      });

      it(`with a controller for a signal is refused by ${name} in words`, async () => {
        await assert.rejects(async () => ask({ signal: controller } as never), {
          code: "ERR_INVALID_ARG_TYPE",
          message: /options\.signal.*AbortSignal.*controller/,
        });
      });

      it(`may have a signal of another realm, to ${name}`, async () => {
        const real = new AbortController();
        // One that does not inherit from this realm's AbortSignal, as those of jsdom or of a vm context.
        const bridge = {
          get aborted() {
            return real.signal.aborted;
          },
          get reason() {
            return real.signal.reason as unknown;
          },
          addEventListener: real.signal.addEventListener.bind(real.signal),
          removeEventListener: real.signal.removeEventListener.bind(real.signal),
        };
        const outcome = ask({ signal: bridge } as never);
        const step = Symbol.asyncIterator in Object(outcome) ? (outcome as AsyncIterator<never>).next() : outcome;
        real.abort();
        if (name.includes("with a callback")) await idle(2);
        else if (name !== "writable") await assert.rejects(step as Promise<never>, { name: "AbortError" });
        else await Promise.allSettled([step]);
        assert.ok(!registered().includes(fd));
      });

      it(`whose signal throws as it is listened to leaves nothing behind in ${name}`, async () => {
        const failure = new Error("deaf");
        const deaf = {
          aborted: false,
          addEventListener: () => {
            throw failure;
          },
          removeEventListener: () => {},
        };
        for (let attempt = 0; attempt < 2; attempt++) {
          await assert.rejects(
            async () => {
              const it = ask({ signal: deaf } as never);
              if (Symbol.asyncIterator in Object(it)) await (it as AsyncIterator<never>).next();
              else await it;
            },
            (error) => error === failure,
          );
          assert.ok(!registered().includes(fd));
        }
      });

      it(`whose signal is aborted as it is listened to ends ${name} at once`, async () => {
        const hasty = {
          aborted: false,
          reason: "hasty",
          addEventListener: (_type: string, listener: EventListenerObject) => listener.handleEvent(new Event("abort")),
          removeEventListener: () => {},
        };
        const it = ask({ signal: hasty } as never);
        const step = Symbol.asyncIterator in Object(it) ? (it as AsyncIterator<never>).next() : it;
        if (!name.includes("with a callback")) {
          await assert.rejects(step as Promise<never>, { name: "AbortError", cause: "hasty" });
        }
        await idle(2);
        assert.ok(!registered().includes(fd));
      });

      it(`whose getter closes the descriptor has ${name} find it closed`, async () => {
        const doomed = eventfd(1);
        const options = {
          get signal() {
            close(doomed);
            return undefined;
          },
        } as never;
        const it = async (): Promise<unknown> => {
          if (name === "readable") return readable(doomed, options);
          if (name === "writable") return writable(doomed, options);
          if (name === "watch with a callback") return watch(doomed, READABLE, never, options);
          return watch(doomed, READABLE, options as WatchOptions).next();
        };
        await assert.rejects(it, { code: "EBADF" });
      });
    }

    it("is refused where the callback belongs, if it comes before it", () => {
      const type = { name: "TypeError", code: "ERR_INVALID_ARG_TYPE", message: /"callback"/ };
      for (const given of [{ signal }, {}, undefined, null, 1]) {
        assert.throws(() => watch(fd, READABLE, given as never, never as never), type);
        assert.throws(() => watch(fd, READABLE, given as never, { signal } as never), type);
      }
      assert.ok(!registered().includes(fd));
    });

    it("does not matter for a wrong descriptor, which is refused in the call, without a callback too", async () => {
      for (const value of VALUES) {
        if (typeof value === "number" && Number.isInteger(value)) continue;
        assert.throws(
          () => watch(value as never, READABLE),
          (error: { code?: string; message: string }) =>
            ["ERR_INVALID_ARG_TYPE", "ERR_OUT_OF_RANGE"].includes(error.code!) && error.message.includes("fd"),
        );
        assert.throws(() => watch(value as never, READABLE, never), { code: /^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/ });
        await assert.rejects(readable(value as never), { code: /^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/ });
      }
      let read = 0;
      const options = {
        get signal() {
          read++;
          return undefined;
        },
      };
      await assert.rejects(readable("1" as never, options as never));
      assert.throws(() => watch(fd, 0, never, options as never));
      assert.equal(read, 0, "options are read last");
    });

    it("may have a signal that throws as it is listened to no more: that is an uncaught exception, and ends nothing", async () => {
      const failure = new Error("clingy");
      const clingy = {
        aborted: false,
        addEventListener: () => {},
        removeEventListener: () => {
          throw failure;
        },
      };
      const listeners = process.listeners("uncaughtException");
      process.removeAllListeners("uncaughtException");
      const caught: unknown[] = [];
      process.on("uncaughtException", (error) => caught.push(error));
      const ready = eventfd(1);
      const others = [readable(ready), readable(ready, { signal: clingy as never }), readable(ready)];
      for (const promise of others) assert.ok((await promise).readable);
      await until(() => caught.length > 0);
      process.removeAllListeners("uncaughtException");
      for (const listener of listeners) process.on("uncaughtException", listener);
      assert.deepEqual(caught, [failure]);
      close(ready);
    });

    it("may have a signal that throws as its reason is asked for: that is what those who wait are told", async () => {
      const failure = new Error("no reason");
      const target = new EventTarget();
      const own = {
        aborted: false,
        get reason(): never {
          throw failure;
        },
        addEventListener: target.addEventListener.bind(target),
        removeEventListener: target.removeEventListener.bind(target),
      };
      const options = { signal: own as never };
      const waiting = [readable(fd, options), writable(fd, options), watch(fd, READABLE, options).next()];
      const outcomes = Promise.allSettled([waiting[0], waiting[2]]);
      await waiting[1];
      target.dispatchEvent(new Event("abort"));
      for (const outcome of await outcomes) assert.equal((outcome as PromiseRejectedResult).reason, failure);
    });

    it("may have a signal that ends a callback as it is listened to no more, which is not called then", async () => {
      const closing = io.dup(fd);
      const own = {
        aborted: false,
        addEventListener: () => {},
        removeEventListener: () => other[Symbol.dispose](),
      };
      const waiting = readable(closing, { signal: own as never });
      const other = watch(closing, READABLE, never);
      io.close(closing);
      await assert.rejects(waiting, { code: "EBADF" });
      await idle(5);
    });
  });
});
