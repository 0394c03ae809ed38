/** Attached pollers on Windows's own kernel: what a thread that dequeues for another thread must not lose, nor leave. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { getSystemErrorName } from "node:util";
import { Worker } from "node:worker_threads";
import { type Events, Interest, Poller, type ReadyEvent, readable, watch, writable } from "lio-poller";
import { accept, close, connect, listen, localAddress, read, socketpair, write } from "lio-poller/io";
import { run } from "../support/child.js";
import { idle, until, untilIdly } from "../support/deliveries.js";
import { collectUntil } from "../support/garbage.js";
import { native } from "../support/internals.js";
import { Random } from "../support/random.js";
import type { Ending, Orders } from "./ending.js";

const { READABLE, WRITABLE } = Interest;
const byte = Uint8Array.of(1);
const buffer = new Uint8Array(65_536);
/** Above zero: what Windows and Node keep for themselves now and then, as threads of their pools. */
const TOLERANCE = 20;

/** How many handles and threads the process has. */
const handles = native.io.openHandles as () => number;
const threads = native.io.openThreads as () => number;

/** Does something often, after once for what is opened once, and asserts that nothing is left of it. */
async function assertLeavesNothing(times: number, act: (i: number) => unknown): Promise<void> {
  await act(0);
  await idle(5);
  const before = [handles(), threads()] as const;
  assert.ok(before[0] > 0 && before[1] > 0, "they are counted");
  for (let i = 0; i < times; i++) await act(i);
  const left = (): [number, number] => [handles() - before[0], threads() - before[1]];
  const isLittle = (): boolean => Math.max(...left()) < Math.min(TOLERANCE, times);
  // What a thread that has ended held may go a moment later.
  await collectUntil(isLittle);
  assert.ok(isLittle(), `${left().join(" handles and ")} threads are left`);
}

describe("an attached poller on AFD", () => {
  let poller: Poller;
  let batches: ReadyEvent[][];
  const note = (events: Events): void => void batches.push(events.toArray());
  const opened = new Set<number>();

  function pair(): [number, number] {
    const both = socketpair() as [number, number];
    for (const fd of both) opened.add(fd);
    return both;
  }

  function shut(fd: number): void {
    opened.delete(fd);
    close(fd);
  }

  beforeEach(() => {
    poller = new Poller();
    batches = [];
  });

  afterEach(() => {
    poller.close();
    for (const fd of opened) close(fd);
    opened.clear();
  });

  it("is told by a thread", () => {
    poller.attach(note);
    assert.equal(poller.delivery, "thread");
  });

  it("gets what is readable, what is writable, and ends of both kinds", async () => {
    const [[fd, peer], [other, otherPeer]] = [pair(), pair()];
    poller.add(fd, 1, READABLE);
    poller.attach(note);
    write(peer, byte);
    await until(() => batches.length === 1);
    poller.modify(fd, 2, READABLE | WRITABLE, { mode: "level" });
    await until(() => batches.length === 2);
    assert.equal(read(fd, buffer), 1);
    poller.modify(fd, 3, READABLE, { mode: "oneshot" });
    shut(peer);
    await until(() => batches.flat().some(({ key }) => key === 3));
    poller.delete(fd);
    // What is left unread makes a reset of the close.
    write(other, byte);
    assert.ok((await readable(otherPeer, { timeout: 30_000 })).readable);
    poller.add(other, 4, READABLE);
    shut(otherPeer);
    await until(() => batches.flat().some(({ key }) => key === 4));
    const told = new Map(batches.flat().map((event) => [event.key, event]));
    assert.deepEqual(
      [1, 2, 3, 4].map((key) => {
        const { readable: isReadable, writable: isWritable, readClosed, hangUp, error } = told.get(key)!;
        return { isReadable, isWritable, readClosed, hangUp, error };
      }),
      [
        { isReadable: true, isWritable: false, readClosed: false, hangUp: false, error: false },
        { isReadable: true, isWritable: true, readClosed: false, hangUp: false, error: false },
        { isReadable: true, isWritable: false, readClosed: true, hangUp: false, error: false },
        { isReadable: true, isWritable: false, readClosed: true, hangUp: true, error: true },
      ],
    );
  });

  it("gets what its thread has dequeued together as one batch", async () => {
    const pairs = Array.from({ length: 100 }, () => pair());
    for (const [key, [fd, peer]] of pairs.entries()) {
      write(peer, byte);
      poller.add(fd, key, READABLE);
    }
    // All have completed by then, or nearly.
    await idle(50);
    poller.attach(note);
    await until(() => batches.flat().length === 100);
    assert.ok(batches.length <= 10, `${batches.length} batches`);
  });

  it("loses nothing that an add has dequeued while its thread was waiting", async () => {
    const pairs = Array.from({ length: 20 }, () => pair());
    let arrived = 0;
    poller.attach((events) => {
      for (const { key } of events) {
        const [fd] = pairs[Number(key)]!;
        assert.equal(read(fd, buffer), 1);
        poller.modify(fd, key, READABLE);
        arrived++;
      }
    });
    for (const [key, [fd]] of pairs.entries()) poller.add(fd, key, READABLE);
    for (let round = 1; round <= 100; round++) {
      await idle(1);
      const before = arrived;
      for (const [, peer] of pairs) write(peer, byte);
      // It asks whether the socket was closed, and takes along what there is.
      assert.throws(() => poller.add(pairs[0]![0], 0, READABLE), { code: "EEXIST" });
      await untilIdly(() => arrived === before + 20);
    }
    assert.equal(arrived, 2000);
  });

  it("can be told in one way at a time", async () => {
    const kernel = new native.kernels["iocp"]!();
    const memory = { buffer: new ArrayBuffer(64) };
    const create = kernel.bind("create", memory, undefined) as (area: number) => void;
    const shutPort = kernel.bind("close", memory, undefined) as (handle: number) => void;
    const deliver = (handle: number) => kernel.deliver(handle, () => {}, false);
    const refusal = (handle: number): string => getSystemErrorName(deliver(handle) as number);
    create(0);
    create(16);
    const [first, second] = [4, 20].map((at) => new DataView(memory.buffer).getUint32(at, true)) as [number, number];
    const delivery = deliver(first);
    const other = deliver(second);
    assert.ok(typeof delivery === "object" && typeof other === "object");
    assert.equal(refusal(first), "EEXIST");
    delivery.close();
    delivery.close();
    const again = deliver(first);
    assert.ok(typeof again === "object");
    // Closed under the threads, which wait on.
    shutPort(first);
    kernel.close();
    assert.equal(refusal(first), "EBADF");
    await idle(5);
    again.close();
    other.close();
  });

  it("can be closed and detached at any moment, also while its thread holds what it has dequeued", async () => {
    const random = new Random(5);
    const pairs = Array.from({ length: 40 }, () => pair());
    await assertLeavesNothing(100, async (i) => {
      using busy = new Poller();
      busy.attach(note);
      for (const [key, [fd]] of pairs.entries()) busy.add(fd, key, key % 4 === i % 4 ? WRITABLE : READABLE);
      if (random.below(2) === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, random.below(3));
      if (random.below(2) === 0) await idle(random.below(2));
      if (random.below(2) === 0) busy.detach();
    });
  });

  it("holds nothing more after it was attached and detached a thousand times", async () => {
    const [fd, peer] = pair();
    poller.add(fd, 1, READABLE);
    let attached = 0;
    await assertLeavesNothing(1000, async (i) => {
      poller.attach(note);
      attached++;
      if (i % 100 === 0) {
        const before = batches.length;
        write(peer, byte);
        await until(() => batches.length > before);
        read(fd, buffer);
        poller.modify(fd, 1, READABLE);
      }
      poller.detach();
    });
    assert.equal(attached, 1001);
  });

  it("serves promises and an iteration over a connection", async () => {
    const listener = listen({ host: "127.0.0.1", port: 0 });
    opened.add(listener);
    const client = connect(localAddress(listener) as { host: string; port: number });
    opened.add(client);
    await Promise.all([readable(listener), writable(client)]);
    const server = accept(listener);
    opened.add(server);
    const sent = 200_000;
    const sending = (async () => {
      for (let left = sent; left > 0;) {
        const count = write(client, buffer.subarray(0, Math.min(left, buffer.length)));
        if (count < 0) await writable(client);
        else left -= count;
      }
      shut(client);
    })();
    let received = 0;
    for await (const { readable: isReadable } of watch(server, READABLE)) {
      assert.ok(isReadable);
      const count = read(server, buffer);
      if (count === 0) break;
      received += Math.max(count, 0);
    }
    await sending;
    assert.equal(received, sent);
  });

  it("is told of a connection that is refused as of an error that is pending, with its reason", async () => {
    const listener = listen({ host: "127.0.0.1", port: 0 });
    const address = localAddress(listener) as { host: string; port: number };
    close(listener);
    const client = connect(address);
    opened.add(client);
    const { error, refused, errorCode } = await writable(client, { timeout: 30_000 });
    assert.deepEqual({ error, refused, errorCode }, { error: true, refused: false, errorCode: "ECONNREFUSED" });
  });
});

describe("a thread that ends with attached pollers on AFD", () => {
  const program = fileURLToPath(new URL("./ending.js", import.meta.url));
  const pairs = Array.from({ length: 40 }, () => socketpair());
  const fds = pairs.map(([fd]) => fd);
  after(() => pairs.flat().forEach((fd) => close(fd)));

  /** Resolves with its exit code. */
  async function end(ending: Ending, terminateAfter?: number): Promise<number> {
    const orders: Orders = { ending, fds };
    const worker = new Worker(program, { workerData: orders });
    const exited = new Promise<number>((resolve) => worker.once("exit", resolve));
    worker.on("error", ({ message }) => assert.match(message, /^thrown/));
    if (terminateAfter === undefined) return exited;
    await once(worker, "message");
    await idle(terminateAfter);
    return worker.terminate();
  }

  const endings: readonly [what: string, ending: Ending, code: number][] = [
    ["returns", "return", 0],
    ["exits", "exit", 7],
    ["throws", "throw", 1],
    ["exits in its callback", "exit in the callback", 7],
    ["throws in its callback", "throw in the callback", 1],
  ];
  for (const [what, ending, code] of endings) {
    it(`gives everything back when it ${what}`, async () => {
      await assertLeavesNothing(2, async () => assert.equal(await end(ending), code));
    });
  }

  for (const [what, ending] of [
    ["its threads wait", "stay"],
    ["its callbacks never rest", "fire"],
  ] as const) {
    it(`gives everything back when it is terminated while ${what}`, async () => {
      await assertLeavesNothing(2, async (i) => assert.equal(await end(ending, i), 1));
    });
  }
});

describe("a process that ends with attached pollers on AFD", () => {
  const endings: readonly [what: string, ending: Ending, status: number, printed: string][] = [
    ["has let go of them", "return", 0, "attached\n"],
    ["exits", "exit", 7, "attached\n"],
    ["throws", "throw", 1, "attached\n"],
    ["exits in a callback", "exit in the callback", 7, "attached\ncalled\n"],
    ["throws in a callback", "throw in the callback", 1, "attached\ncalled\n"],
  ];
  for (const [what, ending, status, printed] of endings) {
    it(`ends as it should when it ${what}`, () => {
      const { stderr, ...rest } = run("../windows/ending", [ending]);
      assert.deepEqual(rest, { status, signal: null, stdout: printed });
      assert.equal(/thrown/.test(stderr), ending.startsWith("throw"));
    });
  }
});
