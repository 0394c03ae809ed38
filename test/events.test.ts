/** What a wait brought, as it is read: keys, the cursor, arrays, and how long they stand. */
import assert from "node:assert/strict";
import { Events, Interest, Poller, type Key, type ReadyEvent } from "lio-poller";
import { SimulatedEpoll } from "lio-poller/sim";
import { Random } from "./support/random.js";
import { MeasuredKernel } from "./support/wrapped-kernel.js";

const R = Interest.READABLE;

function ready(simulated: SimulatedEpoll): number {
  return simulated.io.eventfd(1);
}

function keysOf(events: Iterable<ReadyEvent>): Key[] {
  return Array.from(events, ({ key }) => key);
}

/** A poller on a simulated kernel, with as many ready descriptors as there are keys. */
function pollerWith(keys: readonly Key[], simulated = new SimulatedEpoll()): Poller {
  const poller = new Poller({ kernel: simulated });
  for (const key of keys) poller.add(ready(simulated), key, R);
  return poller;
}

/** What makes the component's memory grow; not every way has the facade look at the memory anew at once. */
const growths: Readonly<Record<string, (poller: Poller, simulated: SimulatedEpoll, kernel: MeasuredKernel) => void>> = {
  "registrations far apart, each of which needs memory of its own": (poller, simulated, kernel) => {
    const before = kernel.bytes;
    const fd = ready(simulated);
    let number = 10_000 + 256 * poller.stats().registrations;
    while (kernel.bytes === before) {
      simulated.io.dup(fd, number);
      poller.add(number, 0, Interest.NONE);
      number += 256;
    }
  },
  "new pollers": (_poller, _simulated, kernel) => {
    const before = kernel.bytes;
    while (kernel.bytes === before) others.push(new Poller({ kernel }));
  },
};

/** Pollers that must not be collected, because that gives their memory back. */
const others: Poller[] = [];

describe("a key", () => {
  const keys: readonly [given: Key, told: Key][] = [
    [0, 0],
    [-0, 0],
    [0n, 0],
    [1, 1],
    [2 ** 31, 2 ** 31],
    [2 ** 32 - 1, 2 ** 32 - 1],
    [2 ** 32, 2 ** 32],
    [2n ** 32n + 1n, 2 ** 32 + 1],
    [2 ** 53 - 1, 2 ** 53 - 1],
    [2n ** 53n - 1n, 2 ** 53 - 1],
    [2n ** 53n, 2n ** 53n],
    [2n ** 53n + 1n, 2n ** 53n + 1n],
    [2n ** 63n - 1n, 2n ** 63n - 1n],
    [2n ** 63n, 2n ** 63n],
    [2n ** 64n - 2n, 2n ** 64n - 2n],
    [2n ** 64n - 1n, 2n ** 64n - 1n],
  ];

  const ways: Readonly<Record<string, (poller: Poller, fd: number, key: Key) => void>> = {
    add: (poller, fd, key) => poller.add(fd, key, R),
    modify: (poller, fd, key) => {
      poller.add(fd, 99, R);
      poller.modify(fd, key, R);
    },
    apply: (poller, fd, key) => assert.deepEqual(poller.apply([{ op: "add", fd, key, interest: R }]), [undefined]),
    "a modify in apply": (poller, fd, key) => {
      poller.add(fd, 99, R);
      assert.deepEqual(poller.apply([{ op: "modify", fd, key, interest: R, mode: "edge" }]), [undefined]);
    },
  };

  for (const [way, give] of Object.entries(ways)) {
    it(`comes back as it was given to ${way}, a number if it is a safe integer`, () => {
      const simulated = new SimulatedEpoll();
      const events = new Events(1);
      for (const [given, told] of keys) {
        using poller = new Poller({ kernel: simulated });
        give(poller, ready(simulated), given);
        assert.equal(poller.wait(events, { timeout: 0 }), 1);
        assert.deepEqual(keysOf(events), [told]);
        assert.equal(events.toArray()[0]?.key, told);
      }
    });
  }

  it("comes back whatever its 64 bits are", () => {
    const simulated = new SimulatedEpoll();
    using poller = new Poller({ kernel: simulated });
    const fd = ready(simulated);
    poller.add(fd, 0, R);
    const events = new Events(1);
    const random = new Random(3);
    for (let i = 0; i < 2000; i++) {
      const key = ((BigInt(random.word()) << 32n) | BigInt(random.word())) >> BigInt(random.below(64));
      const number = Number(key);
      poller.modify(fd, i % 2 === 0 && Number.isSafeInteger(number) ? number : key, R);
      poller.wait(events, { timeout: 0 });
      assert.deepEqual(keysOf(events), [Number.isSafeInteger(number) ? number : key]);
    }
  });

  it("is that of its own registration, also where keys are alike in their lower bits", () => {
    // Numbers that are alike in their lowest bits.
    const alike = [5, 5 + 4096, 5 + 2 * 4096, 5 + 2 ** 32, 5, 5 + 4096];
    using poller = pollerWith(alike);
    const events = new Events(8);
    assert.equal(poller.wait(events, { timeout: 0 }), alike.length);
    assert.deepEqual(keysOf(events).map(Number).toSorted(), alike.toSorted());
  });
});

describe("Events", () => {
  afterEach(() => {
    for (const poller of others.splice(0)) poller.close();
  });

  it("are empty when new", () => {
    const events = new Events(4);
    assert.equal(events.length, 0);
    assert.deepEqual([...events], []);
    assert.deepEqual(events.toArray(), []);
  });

  it("are empty after a wait that brought nothing, whatever they held", () => {
    using poller = pollerWith([1, 2]);
    const events = new Events(4);
    assert.equal(poller.wait(events, { timeout: 0 }), 2);
    assert.equal(poller.wait(events, { timeout: 0 }), 0);
    assert.equal(events.length, 0);
    assert.deepEqual(keysOf(events), []);
  });

  it("hold no more than their capacity, and their length is how many there are", () => {
    using poller = pollerWith([1, 2, 3, 4, 5]);
    const events = new Events(3);
    const seen: Key[] = [];
    for (const expected of [3, 2, 0]) {
      assert.equal(poller.wait(events, { timeout: 0 }), expected);
      assert.equal(events.length, expected);
      assert.equal(keysOf(events).length, expected);
      seen.push(...keysOf(events));
    }
    assert.deepEqual(seen.map(Number).toSorted(), [1, 2, 3, 4, 5]);
    assert.equal(events.capacity, 3);
  });

  it("are told by one object that stands for one event after the other", () => {
    using poller = pollerWith([1, 2, 3]);
    const events = new Events(4);
    poller.wait(events, { timeout: 0 });
    const yielded = [...events];
    assert.equal(yielded.length, 3);
    assert.equal(new Set(yielded).size, 1);
  });

  it("can be gone through however many they are (fault 35)", () => {
    const simulated = new SimulatedEpoll();
    using poller = new Poller({ kernel: simulated });
    const count = 200_000;
    const events = new Events(count);
    for (let key = 0; key < count; key++) poller.addTimer(key, 0);
    assert.equal(poller.wait(events, { timeout: 0 }), count);
    let sum = 0;
    for (const { key } of events) sum += key as number;
    assert.equal(sum, (count * (count - 1)) / 2);
    assert.equal(events.toArray().length, count);
  });

  it("can be gone through again, also after a break", () => {
    using poller = pollerWith([1, 2, 3]);
    const events = new Events(4);
    poller.wait(events, { timeout: 0 });
    const first = keysOf(events);
    assert.equal(first.length, 3);
    for (const { key } of events) {
      assert.equal(key, first[0]);
      break;
    }
    assert.deepEqual(keysOf(events), first);
    const iterator = events[Symbol.iterator]();
    assert.deepEqual(keysOf(iterator), first);
    assert.equal(iterator.next().done, true);
    assert.equal(iterator.next().done, true);
  });

  it("become plain objects that later waits leave alone", () => {
    const simulated = new SimulatedEpoll();
    const [readEnd, writeEnd] = simulated.io.pipe();
    simulated.io.write(writeEnd, new Uint8Array(1));
    simulated.io.close(writeEnd);
    using poller = new Poller({ kernel: simulated });
    poller.add(readEnd, 2n ** 60n, R);
    const events = new Events(4);
    poller.wait(events, { timeout: 0 });
    const kept = events.toArray();
    poller.modify(readEnd, 5, R | Interest.PRIORITY);
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    assert.deepEqual(keysOf(events), [5]);
    assert.deepEqual(kept, [
      {
        key: 2n ** 60n,
        readable: true,
        writable: false,
        priority: false,
        readClosed: true,
        hangUp: true,
        error: false,
        refused: false,
        errorCode: undefined,
        bytes: 0,
        timer: false,
        expirations: 0,
      },
    ]);
  });

  it("tell by array and by cursor the same", () => {
    const simulated = new SimulatedEpoll();
    const [left, right] = simulated.io.socketpair();
    simulated.io.write(right, new Uint8Array(3));
    simulated.io.shutdown(right, "write");
    using poller = pollerWith([9], simulated);
    poller.add(left, 10, R | Interest.WRITABLE, { mode: "level" });
    const events = new Events(4);
    assert.equal(poller.wait(events, { timeout: 0 }), 2);
    const fromArray = events.toArray();
    let place = 0;
    for (const event of events) {
      for (const [name, value] of Object.entries(fromArray[place] ?? assert.fail())) {
        assert.equal(event[name as keyof ReadyEvent], value, name);
      }
      place++;
    }
    const { readable, writable, readClosed, hangUp } = fromArray.find(({ key }) => key === 10) ?? assert.fail();
    assert.deepEqual(
      { readable, writable, readClosed, hangUp },
      { readable: true, writable: true, readClosed: true, hangUp: false },
    );
  });

  it("stand after the poller is closed", () => {
    const poller = pollerWith([1, 2]);
    const events = new Events(4);
    poller.wait(events, { timeout: 0 });
    const before = events.toArray();
    poller.close();
    assert.equal(events.length, 2);
    assert.deepEqual(events.toArray(), before);
    assert.throws(() => poller.wait(events), { code: "ERR_POLLER_CLOSED" });
    assert.deepEqual(events.toArray(), before);
  });

  it("stand whatever other pollers of the kernel bring to other Events", () => {
    const simulated = new SimulatedEpoll();
    using poller = pollerWith([1, 2], simulated);
    const events = new Events(4);
    poller.wait(events, { timeout: 0 });
    const before = events.toArray();
    for (let i = 0; i < 100; i++) {
      using other = pollerWith([100 + i, 200 + i, 300 + i], simulated);
      const room = new Events(8);
      other.wait(room, { timeout: 0 });
      assert.deepEqual(keysOf(room).map(Number).toSorted(), [100 + i, 200 + i, 300 + i]);
    }
    assert.deepEqual(events.toArray(), before);
  });

  for (const [what, grow] of Object.entries(growths)) {
    it(`stay true when the loop's body makes memory grow by ${what}`, () => {
      const simulated = new SimulatedEpoll();
      const kernel = new MeasuredKernel(simulated);
      using poller = new Poller({ kernel });
      const keys = [2 ** 40 + 1, 2n ** 60n + 7n, 3];
      for (const key of keys) poller.add(ready(simulated), key, R, { mode: "edge" });
      const events = new Events(4);
      assert.equal(poller.wait(events, { timeout: 0 }), 3);
      const expected = events.toArray();

      const seen: unknown[] = [];
      for (const event of events) {
        const { key, readable } = event;
        grow(poller, simulated, kernel);
        // The cursor itself, read after memory has moved.
        assert.deepEqual([event.key, event.readable], [key, readable]);
        seen.push({ ...expected[seen.length], key: event.key, bytes: event.bytes, errorCode: event.errorCode });
      }
      assert.deepEqual(seen, expected);

      // A body that reads nothing after the growth: the next step meets the new memory.
      const told: Key[] = [];
      for (const { key } of events) {
        told.push(key);
        grow(poller, simulated, kernel);
      }
      assert.deepEqual(
        told,
        expected.map(({ key }) => key),
      );
      assert.deepEqual(events.toArray(), expected);
    });
  }

  for (const [what, grow] of Object.entries(growths)) {
    it(`tell an event's error after memory has grown by ${what}, too`, () => {
      const simulated = new SimulatedEpoll();
      const kernel = new MeasuredKernel(simulated);
      using poller = new Poller({ kernel });
      const fd = ready(simulated);
      poller.add(fd, 1, R);
      const events = new Events(4);
      assert.equal(poller.wait(events, { timeout: 0 }), 1);
      // Disarmed by this wait, so that the modify after it goes down with the next one, when the descriptor is gone.
      assert.equal(poller.wait(events, { timeout: 0 }), 0);
      poller.modify(fd, 2, R);
      simulated.io.close(fd);
      assert.equal(poller.wait(events, { timeout: 0 }), 1);
      for (const event of events) {
        grow(poller, simulated, kernel);
        assert.deepEqual([event.key, event.refused, event.errorCode, event.bytes], [2, true, "EBADF", 0]);
      }
      const [kept] = events.toArray();
      assert.deepEqual([kept?.key, kept?.refused, kept?.errorCode, kept?.bytes], [2, true, "EBADF", 0]);
    });
  }
});
