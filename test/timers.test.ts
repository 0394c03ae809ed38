/** Timers at the face: milliseconds, keys, errors, and the real clock. */
import assert from "node:assert/strict";
import { Events, Interest, Poller, type PollerError } from "lio-poller";
import { close, eventfd } from "lio-poller/io";
import { SimulatedEpoll } from "lio-poller/sim";
import { Random } from "./support/random.js";

const DAY = 86_400_000;

function hasCode(code: string): (error: PollerError) => boolean {
  return (error) => error.code === code;
}

/** Milliseconds of the clock that the platform's pollers go by. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

describe("timers on a virtual clock", () => {
  let simulated: SimulatedEpoll;
  let poller: Poller;
  const events = new Map<SimulatedEpoll, Events>();

  beforeEach(() => {
    simulated = new SimulatedEpoll();
    poller = new Poller({ kernel: simulated });
    events.set(simulated, new Events(16));
  });

  afterEach(() => {
    poller.close();
    events.clear();
  });

  function wait(timeout?: number): { key: number | bigint; expirations: number }[] {
    const room = events.get(simulated) ?? assert.fail();
    poller.wait(room, timeout === undefined ? {} : { timeout });
    return room.toArray().map(({ key, expirations, timer, readable, bytes }) => {
      assert.deepEqual([timer, readable, bytes], [true, false, 0]);
      return { key, expirations };
    });
  }

  /** Milliseconds that a call takes on the virtual clock. */
  function taking(call: () => void): number {
    const before = simulated.clock.now();
    call();
    return Number(simulated.clock.now() - before) / 1e6;
  }

  it("expire in the order in which they are due, each when it is", () => {
    poller.addTimer(1, 30);
    poller.addTimer(2, 10);
    poller.addTimer(3, 20.5);
    for (const [key, after] of [
      [2, 10],
      [3, 10.5],
      [1, 9.5],
    ]) {
      assert.equal(
        taking(() => assert.deepEqual(wait(), [{ key, expirations: 1 }])),
        after,
      );
    }
  });

  it("fault 12: last longer than 24.8 days, and less than a millisecond", () => {
    poller.addTimer(1, 60 * DAY);
    poller.addTimer(2, 0.25);
    assert.equal(
      taking(() => wait()),
      0.25,
    );
    assert.equal(
      taking(() => wait()),
      60 * DAY - 0.25,
    );
  });

  it("may never be due", () => {
    poller.addTimer(1, Infinity);
    poller.addTimer(2, Number.MAX_VALUE);
    assert.deepEqual(wait(400 * DAY), []);
    assert.equal(poller.stats().timers, 2);
  });

  it("fault 11: are idle, armed or fired, and each call says which", () => {
    assert.throws(() => poller.modifyTimer(1, 5), hasCode("ENOENT"));
    assert.throws(() => poller.deleteTimer(1), hasCode("ENOENT"));
    poller.addTimer(1, 5);
    assert.throws(() => poller.addTimer(1, 5), hasCode("EEXIST"));
    assert.equal(wait().length, 1);
    assert.equal(poller.stats().timers, 1);
    poller.addTimer(1, 5);
    assert.equal(wait().length, 1);
    poller.modifyTimer(1, 5);
    assert.equal(wait().length, 1);
    poller.deleteTimer(1);
    assert.throws(() => poller.deleteTimer(1), hasCode("ENOENT"));
    assert.equal(poller.stats().timers, 0);
  });

  it("repeat, count what was missed, keep the beat, and stop when told", () => {
    poller.addTimer(1, 10, { repeat: 10 });
    simulated.clock.advance(35);
    assert.deepEqual(wait(0), [{ key: 1, expirations: 3 }]);
    assert.deepEqual(wait(0), []);
    assert.equal(
      taking(() => assert.deepEqual(wait(), [{ key: 1, expirations: 1 }])),
      5,
    );
    // Without repeat, modify keeps the period.
    poller.modifyTimer(1, 3);
    assert.equal(
      taking(() => wait()),
      3,
    );
    assert.equal(
      taking(() => wait()),
      10,
    );
    poller.modifyTimer(1, 3, { repeat: 0 });
    assert.equal(wait().length, 1);
    assert.deepEqual(wait(1000), []);
  });

  it("have keys of their own: any u64, and a descriptor's too", () => {
    const fd = simulated.io.eventfd(1);
    const keys = [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER, 2n ** 63n, 2n ** 64n - 1n];
    for (const key of keys) poller.addTimer(key, 1);
    poller.add(fd, 1, Interest.READABLE);
    const room = new Events(16);
    assert.equal(poller.wait(room), 1);
    assert.deepEqual(
      room.toArray().map(({ key, timer, readable, expirations }) => [key, timer, readable, expirations]),
      [[1, false, true, 0]],
    );
    poller.delete(fd);
    const told = new Set(wait().map(({ key }) => key));
    assert.deepEqual(told, new Set(keys));
  });

  it("share the room with descriptors in turn", () => {
    const fd = simulated.io.eventfd(1);
    poller.add(fd, 1, Interest.READABLE, { mode: "level" });
    poller.addTimer(2, 0, { repeat: 0.001 });
    const room = new Events(1);
    const told = new Set<number | bigint>();
    for (let i = 0; i < 4; i++) {
      simulated.clock.advance(1);
      poller.wait(room);
      for (const { key } of room) told.add(key);
    }
    assert.deepEqual([...told].toSorted(), [1, 2]);
  });

  it("are due at a deadline of the poller's clock, at once if it has passed", () => {
    const start = poller.now();
    simulated.clock.advance(100);
    assert.equal(poller.now(), start + 100);
    poller.addTimer(1, { deadline: start + 130.5 });
    poller.addTimer(2, { deadline: start + 50 });
    assert.deepEqual(
      wait(0).map(({ key }) => key),
      [2],
    );
    wait();
    assert.equal(poller.now(), start + 130.5);
    poller.modifyTimer(1, { deadline: start + 140 });
    wait();
    assert.equal(poller.now(), start + 140);
    for (const wrong of ["1", null, undefined, 1n]) {
      assert.throws(() => poller.addTimer(3, { deadline: wrong as never }), { code: "ERR_INVALID_ARG_TYPE" });
    }
    assert.throws(() => poller.addTimer(3, { deadline: Number.NaN }), { code: "ERR_OUT_OF_RANGE" });
  });

  it("are checked before anything happens", () => {
    const type = { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" };
    const range = { name: "RangeError", code: "ERR_OUT_OF_RANGE" };
    for (const call of ["addTimer", "modifyTimer"] as const) {
      for (const wrong of ["1", null, undefined, {}, 1n, Symbol("1"), []]) {
        assert.throws(() => poller[call](1, wrong as never), type);
      }
      for (const wrong of [-1, -0.001, Number.NaN, -Infinity]) assert.throws(() => poller[call](1, wrong), range);
      for (const wrong of ["1", null, {}, 1n])
        assert.throws(() => poller[call](1, 1, { repeat: wrong as never }), type);
      for (const wrong of [-1, Number.NaN]) assert.throws(() => poller[call](1, 1, { repeat: wrong }), range);
      for (const wrong of [null, 1, "repeat"]) assert.throws(() => poller[call](1, 1, wrong as never), type);
      for (const wrong of ["1", null, undefined]) assert.throws(() => poller[call](wrong as never, 1), type);
      for (const wrong of [-1, 1.5, 2 ** 53, -1n, 2n ** 64n]) assert.throws(() => poller[call](wrong, 1), range);
    }
    for (const wrong of [-1, 1.5, 2n ** 64n]) assert.throws(() => poller.deleteTimer(wrong), range);
    assert.equal(poller.stats().timers, 0);
    poller.close();
    assert.throws(() => poller.addTimer(1, 1), hasCode("ERR_POLLER_CLOSED"));
    assert.throws(() => poller.modifyTimer(1, 1), hasCode("ERR_POLLER_CLOSED"));
    assert.throws(() => poller.deleteTimer(1), hasCode("ERR_POLLER_CLOSED"));
  });
});

describe("timers on the real clock", () => {
  it("never expire early and never twice, ten thousand at random moments", () => {
    using poller = new Poller();
    const draw = new Random(7);
    const dues = new Map<number, number>();
    for (let key = 0; key < 10_000; key++) {
      const delay = draw.below(300_000) / 1000;
      dues.set(key, now() + delay);
      poller.addTimer(key, delay);
    }
    const events = new Events(64);
    while (dues.size > 0) {
      poller.wait(events);
      const time = now();
      for (const { key, timer, expirations } of events) {
        const due = dues.get(key as number);
        assert.ok(due !== undefined && timer && expirations === 1, `timer ${key} again`);
        // What a double can tell of a day's nanoseconds.
        assert.ok(time >= due - 1e-3, `timer ${key} came ${due - time} ms early`);
        dues.delete(key as number);
      }
    }
    assert.equal(poller.wait(events, { timeout: 0 }), 0);
  });

  it("end a wait that has no timeout, also beside descriptors that are not ready", () => {
    using poller = new Poller();
    const fd = eventfd(0);
    poller.add(fd, 1, Interest.READABLE);
    for (const delay of [0.1, 3.1, 0]) {
      const before = now();
      poller.addTimer(2, delay);
      const events = new Events(1);
      assert.equal(poller.wait(events), 1);
      assert.ok(now() - before >= delay);
      assert.ok(events.toArray()[0]?.timer);
    }
    close(fd);
  });
});

describe("a wait with a deadline", () => {
  it("ends then, in milliseconds of the poller's clock, and at once if it has passed", () => {
    const simulated = new SimulatedEpoll();
    using poller = new Poller({ kernel: simulated });
    const events = new Events(1);
    const start = poller.now();
    simulated.clock.advance(7);
    assert.equal(poller.wait(events, { deadline: start + 12.5 }), 0);
    assert.equal(poller.now(), start + 12.5);
    assert.equal(poller.wait(events, { deadline: start + 3 }), 0);
    assert.equal(poller.wait(events, { deadline: -Infinity }), 0);
    assert.equal(poller.now(), start + 12.5);
  });

  it("is not earlier than that on the real clock, over two waits in a row", () => {
    using poller = new Poller();
    const events = new Events(1);
    for (const pause of [3.1, 0.1]) {
      const deadline = poller.now() + pause;
      poller.wait(events, { deadline });
      poller.wait(events, { deadline });
      assert.ok(poller.now() >= deadline);
    }
  });

  it("is checked before anything happens", () => {
    using poller = new Poller();
    const events = new Events(1);
    for (const wrong of ["1", null, 1n, {}]) {
      assert.throws(() => poller.wait(events, { deadline: wrong as never }), { code: "ERR_INVALID_ARG_TYPE" });
    }
    assert.throws(() => poller.wait(events, { deadline: Number.NaN }), { code: "ERR_OUT_OF_RANGE" });
    assert.throws(() => poller.wait(events, { deadline: 1, timeout: 1 }), { code: "ERR_INVALID_ARG_VALUE" });
    assert.equal(poller.stats().waits, 0);
  });
});
