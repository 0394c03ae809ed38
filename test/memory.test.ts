/** The component's memory: what is taken is given back, waits take none, and running out of it is an error. */
import assert from "node:assert/strict";
import { Events, Interest, Poller, type Change } from "lio-poller";
import { SimulatedEpoll } from "lio-poller/sim";
import { assertPasses } from "./support/child.js";
import { collectUntil, whenCollected } from "./support/garbage.js";
import { instanceFor } from "./support/internals.js";
import { MeasuredKernel, type Around } from "./support/wrapped-kernel.js";

const R = Interest.READABLE;
/** One byte lost a round is noticed: a lost block has 64 bytes or more, a page of memory 65,536. */
const ROUNDS = 3000;

describe("the component's memory", () => {
  let simulated: SimulatedEpoll;
  let kernel: MeasuredKernel;

  beforeEach(() => {
    simulated = new SimulatedEpoll();
    kernel = new MeasuredKernel(simulated);
  });

  /** Does something over and over: after a few rounds, memory must be as large as it ever gets. */
  function assertFlat(round: (number: number) => void, rounds = ROUNDS): void {
    for (let number = 0; number < 20; number++) round(number);
    const warm = kernel.bytes;
    for (let number = 0; number < rounds; number++) round(number);
    assert.equal(kernel.bytes, warm);
  }

  function readyDescriptors(count: number): number[] {
    return Array.from({ length: count }, () => simulated.io.eventfd(1));
  }

  it("does not grow with pollers that come and go", () => {
    const near = simulated.io.eventfd(1);
    const far = simulated.io.dup(near, 50_000);
    assertFlat(() => {
      using poller = new Poller({ kernel });
      poller.add(near, 1, R);
      poller.add(far, 2, R);
      poller.notify();
    });
    assert.equal(simulated.instances, 0);
  });

  it("does not grow with pollers that the kernel refuses to make", () => {
    // result<handle, error-code>: error, too-many-descriptors.
    const refuses: Around = (name, call, { memory }) => {
      if (name !== "create") return call;
      return (area: never) => new Uint32Array((memory ?? assert.fail()).buffer).set([1, 8], (area >>> 0) >> 2);
    };
    kernel = new MeasuredKernel(simulated, refuses);
    assertFlat(() => assert.throws(() => new Poller({ kernel }), { code: "EMFILE" }));
  });

  it("does not grow with registrations that the kernel refuses (fault 41)", () => {
    using poller = new Poller({ kernel });
    const regular = simulated.io.regular();
    assertFlat((number) => {
      const [fd, code] = number % 2 === 0 ? [regular, "EPERM"] : [40_000 + number, "EBADF"];
      assert.throws(() => poller.add(fd, 1, R), { code });
    });
  });

  it("does not grow with registrations that come and go, of any numbers", () => {
    using poller = new Poller({ kernel });
    const events = new Events(16);
    const source = simulated.io.eventfd(1);
    const fds = Array.from({ length: 60 }, (_, place) => simulated.io.dup(source, 100 + place * 300));
    assertFlat((number) => {
      const fd = fds[number % fds.length] ?? assert.fail();
      poller.add(fd, number, R, { mode: number % 2 === 0 ? "oneshot" : "level" });
      poller.wait(events, { timeout: 0 });
      poller.delete(fd);
      if (number < fds.length)
        for (const each of fds) {
          poller.add(each, 1, R);
          poller.delete(each);
        }
    });
  });

  it("does not grow with batches, of any length, whether or not their changes succeed", () => {
    using poller = new Poller({ kernel });
    const fds = readyDescriptors(1500);
    const adds = fds.map((fd, key): Change => ({ op: "add", fd, key, interest: R }));
    const deletes = fds.map((fd): Change => ({ op: "delete", fd }));
    const wrong = fds.map((fd): Change => ({ op: "modify", fd: fd + 10_000, key: 1, interest: R }));
    assertFlat((number) => {
      const length = [1, 2, 33, 1024, 1025, 1500][number % 6] ?? 0;
      assert.equal(poller.apply(adds.slice(0, length)).filter(Boolean).length, 0);
      assert.equal(
        poller.apply([...adds.slice(0, 100), ...wrong]).filter(Boolean).length,
        wrong.length + Math.min(length, 100),
      );
      poller.apply(deletes);
    }, 60);
  });

  it("does not grow with waits, whatever they bring (fault 42)", () => {
    using poller = new Poller({ kernel });
    const few = new Events(5);
    const many = new Events(2000);
    const fds = readyDescriptors(40);
    fds.forEach((fd, key) => poller.add(fd, key, R, { mode: key % 4 === 0 ? "level" : "oneshot" }));
    const levels = fds.length / 4;
    assertFlat((number) => {
      poller.wait(few, { timeout: 0 });
      assert.ok(poller.wait(many, { timeout: 0 }) >= levels);
      for (const event of many) assert.ok(event.readable);
      const fd = fds[number % fds.length] ?? assert.fail();
      poller.modify(fd, number, R);
      if (number % 3 === 0) poller.notify();
    }, 10_000);
  });

  it("is as large after ten thousand waits, and JavaScript holds no more views of it", () => {
    using poller = new Poller({ kernel });
    readyDescriptors(40).forEach((fd, key) => poller.add(fd, key, R, { mode: "level" }));
    const events = new Events(2000);
    poller.wait(events, { timeout: 0 });
    const before = kernel.bytes;
    const { arrayBuffers } = process.memoryUsage();
    for (let i = 0; i < 10_000; i++) assert.equal(poller.wait(events, { timeout: 0 }), 40);
    assert.equal(kernel.bytes, before);
    assert.ok(process.memoryUsage().arrayBuffers - arrayBuffers < 2 ** 20);
  });

  it("is given back by Events that are dropped", async () => {
    using poller = new Poller({ kernel });
    poller.add(simulated.io.eventfd(1), 1, R, { mode: "level" });
    let collected = 0;
    const count = (): void => void collected++;
    // The last ones may be kept for a while: by a compiler that is at work on code that has seen them, or because a collector
    // has found what looks like their address.
    const kept = 5;
    // 2 MiB each.
    const drop = (): void => {
      for (let i = 0; i < 5; i++) {
        const events = new Events(2 ** 16);
        assert.equal(poller.wait(events, { timeout: 0 }), 1);
        whenCollected(events, count);
      }
    };
    for (let round = 1; round <= 20; round++) {
      drop();
      assert.ok(await collectUntil(() => collected >= round * 5 - kept));
    }
    // A hundred of them would be 200 MiB. What is collected may be freed a turn later, so a few may be there twice.
    assert.ok(kernel.bytes < 2 ** 26, `${kernel.bytes} bytes`);
  });

  it("is given back by pollers that are dropped", async () => {
    const fd = simulated.io.eventfd(1);
    const far = Array.from({ length: 20 }, (_, place) => simulated.io.dup(fd, 1000 + place * 256));
    const drop = (): void => {
      for (let i = 0; i < 10; i++) {
        const poller = new Poller({ kernel });
        for (const number of far) poller.add(number, 1, R);
      }
    };
    for (let round = 0; round < 30; round++) {
      drop();
      // As above.
      assert.ok(await collectUntil(() => simulated.instances <= 10));
    }
    // 160 KiB each, ten at a time; three hundred would be 48 MiB.
    assert.ok(kernel.bytes < 2 ** 23, `${kernel.bytes} bytes`);
  });

  it("that runs out is an error, ENOMEM, which leaves everything as it was", () => assertPasses("exhausted-memory"));

  it("has a place for a batch of 1,024 changes, and takes some for one that is longer, as long as that lasts", () => {
    const instance = instanceFor(simulated);
    const { lifted, representation } = instance.createPoller();
    const bytes = instance.bytesInUse();
    for (const length of [1025, 2000]) {
      const list = instance.allocate(length * 32);
      assert.ok(instance.bytesInUse() >= bytes + length * 32, `${length} changes`);
      instance.refresh();
      // Deletes of a descriptor that is not registered. What lies between the fields is anything.
      instance.bytes.fill(0xff, list, list + length * 32);
      for (let i = 0; i < length; i++) {
        instance.bytes[list + i * 32] = 2;
        instance.bytes.set([9, 0, 0, 0, 0, 0, 0, 0], list + i * 32 + 8);
      }
      const area = instance.apply(representation, list, length);
      assert.equal(new Uint32Array(instance.bytes.buffer, area, 2)[1], length, "failures");
      instance.applied(area);
      assert.equal(instance.bytesInUse(), bytes);
    }
    assert.ok(instance.allocate(1024 * 32) > 0);
    assert.equal(instance.bytesInUse(), bytes);
    (lifted as unknown as Disposable)[Symbol.dispose]();
  });

  it("that the engine refuses, long before the last address, is ENOMEM too", () => assertPasses("limited-memory"));

  it("that runs out fails only the changes of a batch that need some", () => assertPasses("exhausted-batch"));
});
