/** Threads that have pollers, and what is left of them when the thread is gone. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Events, Interest, Poller } from "lio-poller";
import { close, eventfd, write } from "lio-poller/io";
import type { Ending, Orders } from "./programs/poller-thread.js";
import { kernelObjects, openFiles, openedSince } from "./support/descriptors.js";

const program = new URL("./programs/poller-thread.js", import.meta.url);

/** Starts a thread that has so many open pollers, each with a notifier. */
async function start(orders: Orders): Promise<Worker> {
  const worker = new Worker(program, { workerData: orders });
  const [message] = (await once(worker, "message")) as [unknown];
  assert.equal(message, "ready");
  return worker;
}

/** The thread's exit code; unlike `once`, whether or not it throws before. */
function exitOf(worker: Worker): Promise<number> {
  return new Promise((resolve) => worker.once("exit", resolve));
}

describe("a thread with open pollers", () => {
  before(async () => {
    // Threads open some things once for all that come after.
    new Poller().close();
    const worker = await start({ pollers: 0, ending: "return" });
    const exited = exitOf(worker);
    worker.postMessage("go");
    await exited;
  });

  const endings: readonly [what: string, ending: Ending, code: number][] = [
    ["returns", "return", 0],
    ["exits", "exit", 3],
    ["throws", "throw", 1],
    ["is terminated", "terminate", 1],
  ];
  for (const [what, ending, code] of endings) {
    it(`gives their descriptors back when it ${what}`, async () => {
      const before = openFiles();
      const { epolls, eventfds } = kernelObjects();
      const worker = await start({ pollers: 8, ending });
      const during = kernelObjects();
      assert.ok(during.epolls >= epolls + 8 && during.eventfds >= eventfds + 8, JSON.stringify(during));
      worker.on("error", ({ message }) => assert.equal(message, "the thread throws"));
      const exited = exitOf(worker);
      if (ending === "terminate") await worker.terminate();
      else worker.postMessage("go");
      assert.equal(await exited, code);
      assert.deepEqual(openedSince(before), []);
    });
  }

  it("can be terminated while it blocks in a wait without an end, and gives them back", async () => {
    const before = openFiles();
    const worker = await start({ pollers: 2, ending: "block" });
    const blocking = once(worker, "message");
    worker.postMessage("go");
    await blocking;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(await worker.terminate(), 1);
    assert.deepEqual(openedSince(before), []);
  });

  it("can be terminated while they are attached to its event loop, and gives them back", async () => {
    const before = openFiles();
    const worker = await start({ pollers: 8, ending: "attach" });
    const attached = once(worker, "message");
    worker.postMessage("go");
    await attached;
    assert.equal(await worker.terminate(), 1);
    assert.deepEqual(openedSince(before), []);
  });

  it("blocks in a wait of its own, and leaves this thread's pollers alone", async () => {
    const fd = eventfd(0);
    using poller = new Poller();
    poller.add(fd, 1, Interest.READABLE);
    const worker = await start({ pollers: 2, ending: "wait", fd });
    const exited = exitOf(worker);
    worker.postMessage("go");
    assert.equal(poller.wait(new Events(1), { timeout: 0 }), 0);
    assert.equal(write(fd, new Uint8Array(new BigUint64Array([1n]).buffer)), 8);
    assert.equal(await exited, 7);
    assert.equal(poller.wait(new Events(1)), 1);
    close(fd);
  });
});
