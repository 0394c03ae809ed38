/**
 * What is no argument is refused, by Node's codes and under the argument's name, before anything happens. Here is what
 * the table of `hostile.test.ts`, which has every function and every kind of value, does not reach.
 */
import assert from "node:assert/strict";
import { Events, Interest, Poller, type Change } from "lio-poller";
import { close, eventfd } from "lio-poller/io";
import { Random } from "./support/random.js";

type Code = "ERR_INVALID_ARG_TYPE" | "ERR_OUT_OF_RANGE" | "ERR_INVALID_ARG_VALUE";

const room = new Events(4);
const R = Interest.READABLE;
const NOBODY = 0;

const CLASSES: Readonly<Record<Code, typeof TypeError | typeof RangeError>> = {
  ERR_INVALID_ARG_TYPE: TypeError,
  ERR_INVALID_ARG_VALUE: TypeError,
  ERR_OUT_OF_RANGE: RangeError,
};

function describeValue(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value !== "object" || value === null) return String(value);
  return Object.prototype.toString.call(value);
}

describe("a wrong argument", () => {
  let poller: Poller;
  let watched: number;

  beforeEach(() => {
    poller = new Poller();
    watched = eventfd(1);
    poller.add(watched, 7, Interest.NONE);
  });

  afterEach(() => {
    poller.close();
    close(watched);
  });

  function assertRefused(call: () => unknown, code: Code, name: string, what: string): void {
    const before = poller.stats();
    assert.throws(
      call,
      (error) => {
        assert.ok(error instanceof CLASSES[code], `${what}: ${error}`);
        assert.equal((error as { code?: unknown }).code, code, `${what}: ${error}`);
        assert.equal(error.constructor, CLASSES[code], what);
        assert.ok(error.message.includes(`"${name}"`), `${what}: ${error.message}`);
        return true;
      },
      what,
    );
    assert.deepEqual(poller.stats(), before, `${what}: nothing happened`);
  }

  it("as a descriptor is told which numbers can be one", () => {
    const message = /an integer >= -2147483648 and <= 2147483647\. Received 2147483648/;
    if (process.platform !== "win32") assert.throws(() => poller.delete(2 ** 31), { message });
  });

  it("as the name of a kernel is refused as one that this platform lacks", () => {
    for (const kernel of ["", "Epoll", "poll", "constructor", "__proto__"]) {
      const expected = { name: "PollerError", code: "ERR_POLLER_UNSUPPORTED" };
      assert.throws(() => new Poller({ kernel: kernel as never }), expected, kernel);
    }
  });

  it("as a kernel without a function `open` is refused", () => {
    for (const kernel of [{ name: "epoll" }, { name: "epoll", open: 1 }, { name: "epoll", open: {} }]) {
      assertRefused(() => new Poller({ kernel: kernel as never }), "ERR_INVALID_ARG_TYPE", "options.kernel", "no open");
    }
  });

  it("as a kernel that no component speaks to is refused with a code, before it is opened", () => {
    for (const name of ["poll", "constructor", undefined, 1]) {
      const open = (): never => assert.fail("opened");
      const code = /^ERR_/;
      assert.throws(() => new Poller({ kernel: { name, open } as never }), { code }, String(name));
    }
  });

  it("as a missing argument is refused", () => {
    // As plain JavaScript calls it.
    const bare = poller as unknown as Record<"add" | "modify" | "delete" | "apply" | "wait", (fd?: number) => void>;
    const missing: readonly [what: string, call: () => void, name: string][] = [
      ["add()", () => bare.add(), "fd"],
      ["add(fd)", () => bare.add(watched), "interest"],
      ["modify()", () => bare.modify(), "fd"],
      ["modify(fd)", () => bare.modify(watched), "interest"],
      ["delete()", () => bare.delete(), "fd"],
      ["apply()", () => bare.apply(), "changes"],
      ["wait()", () => bare.wait(), "events"],
    ];
    for (const [what, call, name] of missing) {
      assertRefused(call, "ERR_INVALID_ARG_TYPE", name, what);
    }
  });

  it("that only pretends to be Events is refused", () => {
    const pretender = Object.create(Events.prototype) as Events;
    assertRefused(() => poller.wait(pretender, { timeout: 0 }), "ERR_INVALID_ARG_TYPE", "events", "a pretender");
  });

  it("leaves what the last wait brought", () => {
    const events = new Events(4);
    poller.modify(watched, 7, R);
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    assert.throws(() => poller.wait(events, { timeout: -1 }), { code: "ERR_OUT_OF_RANGE" });
    assert.deepEqual(
      events.toArray().map(({ key }) => key),
      [7],
    );
  });

  it("does not keep the next call from being made", () => {
    assert.throws(() => poller.modify(watched, 1.5, R), { code: "ERR_OUT_OF_RANGE" });
    poller.modify(watched, 8, R);
    assert.equal(poller.wait(room, { timeout: 0 }), 1);
    assert.equal(room.toArray()[0]?.key, 8);
  });

  it("is refused whatever number it is: keys below 0, beyond 2^53 or with fractions", () => {
    const random = new Random(1);
    for (let i = 0; i < 20_000; i++) {
      const magnitude = random.word() * 2 ** random.below(60) + 1;
      const key = random.pick([-magnitude, random.word() + 0.5, -(random.below(10_000) + 1), 2 ** 53 + magnitude * 2]);
      assert.throws(() => poller.modify(watched, key, R), { code: "ERR_OUT_OF_RANGE" }, String(key));
    }
  });

  it("is refused whatever number it is: descriptors that are not 32-bit integers", () => {
    const random = new Random(2);
    for (let i = 0; i < 5_000; i++) {
      const fd = random.pick([random.word() - 2 ** 31 + 0.25, 2 ** 31 + random.word(), -(2 ** 31) - 1 - random.word()]);
      assert.throws(() => poller.delete(fd), { code: "ERR_OUT_OF_RANGE" }, String(fd));
    }
  });
});

describe("a batch with a wrong change", () => {
  let poller: Poller;
  let fds: number[];

  beforeEach(() => {
    poller = new Poller();
    fds = [eventfd(1), eventfd(1), eventfd(1)];
  });

  afterEach(() => {
    poller.close();
    fds.forEach(close);
  });

  function addAll(): Change[] {
    return fds.map((fd, key) => ({ op: "add", fd, key, interest: R }));
  }

  const wrong: Readonly<Record<string, [change: unknown, code: Code]>> = {
    "no object": [null, "ERR_INVALID_ARG_TYPE"],
    "an unknown operation": [{ op: "remove", fd: 0 }, "ERR_INVALID_ARG_VALUE"],
    "no descriptor": [{ op: "delete" }, "ERR_INVALID_ARG_TYPE"],
    "a descriptor out of range": [{ op: "delete", fd: 2 ** 31 }, "ERR_OUT_OF_RANGE"],
    "a key out of range": [{ op: "add", fd: 0, key: -5, interest: 1 }, "ERR_OUT_OF_RANGE"],
    "no interest": [{ op: "add", fd: 0, key: 1 }, "ERR_INVALID_ARG_TYPE"],
    "an unknown mode": [{ op: "modify", fd: 0, key: 1, interest: 1, mode: "Edge" }, "ERR_INVALID_ARG_VALUE"],
  };
  for (const [what, [change, code]] of Object.entries(wrong)) {
    it(`(${what}) changes nothing, wherever it stands`, () => {
      for (let place = 0; place <= fds.length; place++) {
        const changes: unknown[] = addAll();
        changes.splice(place, 0, change);
        assert.throws(() => poller.apply(changes as Change[]), { code });
        assert.deepEqual([poller.stats().registrations, poller.stats().changes], [0, 0]);
      }
      assert.deepEqual(poller.apply(addAll()), [undefined, undefined, undefined]);
    });
  }

  it("changes nothing if it comes after the first thousand", () => {
    const [fd = -1] = fds;
    const changes: Change[] = Array.from({ length: 3000 }, (_, key) => ({ op: "modify", fd, key, interest: R }));
    const mixed = [...addAll(), ...changes, { op: "add" } as never];
    assert.throws(() => poller.apply(mixed), { code: "ERR_INVALID_ARG_TYPE" });
    assert.deepEqual([poller.stats().registrations, poller.stats().changes], [0, 0]);
  });

  it("changes nothing if the iteration throws, and lets that through", () => {
    const failure = new Error("no more");
    function* failing(): Generator<Change> {
      yield* addAll();
      throw failure;
    }
    assert.throws(
      () => poller.apply(failing()),
      (error) => error === failure,
    );
    assert.deepEqual([poller.stats().registrations, poller.stats().changes], [0, 0]);
  });

  it("is not one if it is empty, or any iterable", () => {
    assert.deepEqual(poller.apply([]), []);
    assert.deepEqual(poller.apply(new Set(addAll())), [undefined, undefined, undefined]);
    assert.equal(poller.stats().registrations, 3);
  });
});

describe("an argument whose properties are read by code of the user's", () => {
  it("may throw, and nothing has happened then", () => {
    using poller = new Poller();
    const failure = new Error("not now");
    const options = {
      get mode(): never {
        throw failure;
      },
    };
    const before = poller.stats();
    assert.throws(
      () => poller.add(NOBODY, 1, R, options),
      (error) => error === failure,
    );
    assert.deepEqual(poller.stats(), before);
  });

  const closing: Readonly<Record<string, (poller: Poller, fd: number) => unknown>> = {
    add: (poller, fd) =>
      poller.add(
        fd,
        1,
        R,
        modeThat(() => poller.close()),
      ),
    modify: (poller, fd) =>
      poller.modify(
        fd,
        1,
        R,
        modeThat(() => poller.close()),
      ),
    wait: (poller) =>
      poller.wait(
        room,
        timeoutThat(() => poller.close()),
      ),
    apply: (poller, fd) => poller.apply(changesThat(() => poller.close(), fd)),
  };
  for (const [name, call] of Object.entries(closing)) {
    it(`may close the poller, and ${name} finds it closed`, () => {
      const fd = eventfd(1);
      const poller = new Poller();
      assert.throws(() => call(poller, fd), { code: "ERR_POLLER_CLOSED" });
      close(fd);
    });
  }

  function modeThat(act: () => void): { readonly mode: "level" } {
    return {
      get mode() {
        act();
        return "level" as const;
      },
    };
  }

  function timeoutThat(act: () => void): { readonly timeout: number } {
    return {
      get timeout() {
        act();
        return 0;
      },
    };
  }

  function* changesThat(act: () => void, fd: number): Generator<Change> {
    yield { op: "add", fd, key: 1, interest: R };
    act();
  }
});

describe("every argument in range", () => {
  let poller: Poller;
  let fd: number;

  beforeEach(() => {
    poller = new Poller();
    fd = eventfd(1);
  });

  afterEach(() => {
    poller.close();
    close(fd);
  });

  it("is taken: keys from 0 to 2^64 - 1", () => {
    poller.add(fd, 0, R);
    for (const key of [0, -0, 1, 4095, 4096, 2 ** 32, 2 ** 53 - 1, 0n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      poller.modify(fd, key, R);
      assert.equal(poller.wait(room, { timeout: 0 }), 1, describeValue(key));
      assert.equal(BigInt(room.toArray()[0]?.key ?? -1), BigInt(key));
    }
  });

  it("is taken: descriptors that cannot be open, which the kernel refuses", () => {
    for (const number of [-1, -(2 ** 31), 2 ** 31 - 1]) {
      assert.throws(() => poller.add(number, 1, R), { name: "PollerError", code: "EBADF" }, String(number));
    }
  });

  it("is taken: all interests", () => {
    poller.add(fd, 1, Interest.NONE);
    for (let interest = 0; interest < 8; interest++) poller.modify(fd, 1, interest);
  });

  it("is taken: all modes, and no mode", () => {
    poller.add(fd, 1, R, {});
    for (const mode of ["oneshot", "level", "edge", "edge-oneshot", undefined] as const) {
      poller.modify(fd, 1, R, { mode } as never);
      assert.equal(poller.wait(room, { timeout: 0 }), 1, mode);
    }
  });

  const timeouts = [0, -0, Number.MIN_VALUE, 0.5, 2 ** 53, 1e15, 1e300, Number.MAX_VALUE, Infinity, undefined];
  for (const timeout of timeouts) {
    it(`is taken: the timeout ${Object.is(timeout, -0) ? "-0" : timeout}`, () => {
      poller.add(fd, 1, R);
      assert.equal(poller.wait(room, { timeout } as never), 1);
    });
  }

  it("is taken: capacities from 0 to 2^26", () => {
    for (const capacity of [0, -0, 1, 2 ** 26]) assert.equal(new Events(capacity).capacity, capacity);
    assert.equal(new Events().capacity, 1024);
  });
});
