/** Notifiers: ending a wait from another thread, or not at all. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
import { Events, Interest, type Notifier, notify, Poller, type PollerError } from "lio-poller";
import { close, dup, eventfd, read } from "lio-poller/io";
import { SimulatedEpoll } from "lio-poller/sim";
import { kernelObjects } from "./support/descriptors.js";

const root = dirname(createRequire(import.meta.url).resolve("lio-poller/package.json"));

function program(name: string): URL {
  return new URL(`file://${join(root, "out/test/programs", name)}`);
}

/** A worker that is ready to notify, and does when it gets a message. */
async function notifyingWorker(notifier: Notifier, times: number, pause: number): Promise<Worker> {
  const worker = new Worker(program("notifying-worker.js"), { workerData: { notifier, times, pause } });
  await once(worker, "message");
  return worker;
}

describe("a notifier", () => {
  let poller: Poller;
  const events = new Events(4);

  beforeEach(() => {
    poller = new Poller();
  });

  afterEach(() => poller.close());

  /** Whether a wait runs into its timeout. */
  function isQuiet(): boolean {
    const before = process.hrtime.bigint();
    assert.equal(poller.wait(events, { timeout: 5 }), 0);
    return process.hrtime.bigint() - before >= 5_000_000n;
  }

  it("ends a wait that blocks its thread, from another one (fault 28)", async () => {
    const worker = await notifyingWorker(poller.notifier(), 1, 20);
    const done = once(worker, "message");
    worker.postMessage("go");
    // This thread is blocked now; only the other one can end it.
    assert.equal(poller.wait(events), 0);
    assert.ok(isQuiet());
    await done;
    await worker.terminate();
  });

  it("ends the waits of a worker, each once, from here (fault 30)", async () => {
    const worker = new Worker(program("waiting-worker.js"));
    const exited = once(worker, "exit");
    const [notifier] = (await once(worker, "message")) as [Notifier];
    for (let i = 0; i < 3; i++) {
      const ended = once(worker, "message");
      notify(notifier);
      assert.deepEqual(await ended, [{ count: 0 }]);
    }
    assert.deepEqual(await exited, [0]);
    // Its poller is closed, and its thread has gone.
    notify(notifier);
  });

  it("is plain data, the same every time, and its own for every poller", () => {
    using other = new Poller();
    const notifier = poller.notifier();
    assert.deepEqual(structuredClone(notifier), notifier);
    assert.deepEqual(JSON.parse(JSON.stringify(notifier)), notifier);
    assert.deepEqual(poller.notifier(), notifier);
    assert.notDeepEqual(other.notifier(), notifier);
  });

  it("makes one wait of any number of notifications", async () => {
    const worker = await notifyingWorker(poller.notifier(), 10_000, 0);
    const done = once(worker, "message");
    worker.postMessage("go");
    await done;
    const before = poller.stats().kernelWaits;
    assert.equal(poller.wait(events), 0);
    assert.equal(poller.stats().kernelWaits, before + 1);
    assert.ok(isQuiet());
    await worker.terminate();
  });

  it("loses no notification in a storm from four threads: after the last one a wait ends (fault 31)", async () => {
    const notifier = poller.notifier();
    const workers = await Promise.all(Array.from({ length: 4 }, () => notifyingWorker(notifier, 20_000, 0)));
    const running = new Set(workers);
    for (const worker of workers) {
      worker.once("message", () => running.delete(worker));
      worker.postMessage("go");
    }
    let woken = 0;
    while (running.size > 0) {
      poller.wait(events, { timeout: 1 });
      woken++;
      await new Promise(setImmediate);
    }
    assert.ok(woken > 0);
    notify(notifier);
    assert.equal(poller.wait(events), 0);
    await Promise.all(workers.map((worker) => worker.terminate()));
  });

  it("does nothing once the poller is closed, also if its descriptor's number is used again", () => {
    const before = kernelObjects();
    const notifier = poller.notifier();
    poller.close();
    assert.deepEqual(kernelObjects(), { epolls: before.epolls - 1, eventfds: before.eventfds });
    const successors = Array.from({ length: 8 }, () => eventfd(0));
    notify(notifier);
    for (const fd of successors) {
      assert.equal(read(fd, new Uint8Array(8)), -1);
      close(fd);
    }
  });

  it("does nothing if it is unknown, or another process's", () => {
    const { process, id } = poller.notifier();
    notify({ process, id: 0 });
    notify({ process, id: id + 1_000_000 });
    notify({ process, id: Number.MAX_SAFE_INTEGER });
    notify({ process: `${process}0`, id });
    assert.ok(isQuiet());
    notify({ process, id });
    assert.equal(poller.wait(events), 0);
  });

  it("goes on working when the poller has replaced its kernel object", () => {
    const notifier = poller.notifier();
    const fd = eventfd(1);
    const duplicate = dup(fd);
    poller.add(fd, 1, Interest.READABLE);
    assert.equal(poller.wait(events), 1);
    close(fd);
    assert.equal(poller.wait(events, { timeout: 5 }), 0);
    assert.equal(poller.stats().rebuilds, 1);
    // The new kernel object may tell once more what the old one has told.
    poller.wait(events, { timeout: 0 });
    assert.ok(isQuiet());
    notify(notifier);
    assert.equal(poller.wait(events), 0);
    close(duplicate);
  });

  it("takes no event's room", () => {
    const fd = eventfd(1);
    poller.add(fd, 1, Interest.READABLE);
    notify(poller.notifier());
    const room = new Events(1);
    assert.equal(poller.wait(room), 1);
    poller.delete(fd);
    close(fd);
  });

  it("cannot be had of a kernel that belongs to one thread", () => {
    using simulated = new Poller({ kernel: new SimulatedEpoll() });
    assert.throws(
      () => simulated.notifier(),
      (error: PollerError) => error.code === "ENOTSUP",
    );
  });

  it("is checked before anything happens", () => {
    const { process, id } = poller.notifier();
    const type = { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" };
    const range = { name: "RangeError", code: "ERR_OUT_OF_RANGE" };
    for (const wrong of [undefined, null, 1, "1", () => 1]) assert.throws(() => notify(wrong as never), type);
    for (const wrong of [undefined, null, 1, {}]) assert.throws(() => notify({ process: wrong as never, id }), type);
    for (const wrong of [undefined, null, "1", 1n]) assert.throws(() => notify({ process, id: wrong as never }), type);
    for (const wrong of [-1, 1.5, Number.NaN, Infinity, 2 ** 53])
      assert.throws(() => notify({ process, id: wrong }), range);
    assert.ok(isQuiet());
  });
});
