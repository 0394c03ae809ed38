/** The poller on Windows's own kernel: sockets that fail, are closed and used again, and many of them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { Events, Interest, notify, type Notifier, platformKernels, Poller, type ReadyEvent } from "lio-poller";
import { accept, close, connect, listen, localAddress, read, socketpair, WOULD_BLOCK, write } from "lio-poller/io";
import { native } from "../support/internals.js";
import { Random } from "../support/random.js";

const { READABLE, WRITABLE, PRIORITY, NONE } = Interest;
const byte = Uint8Array.of(1);
const buffer = new Uint8Array(65_536);

/** How many handles the process has. */
const handles = native.io.openHandles as () => number;

describe("a poller on AFD", () => {
  let poller: Poller;
  const events = new Events(256);
  const opened = new Set<number>();

  /** Has what a test opens closed after it. */
  function own<Fds extends readonly number[]>(...fds: Fds): Fds {
    for (const fd of fds) opened.add(fd);
    return fds;
  }

  function pair(): [number, number] {
    return own(...socketpair()) as [number, number];
  }

  function shut(fd: number): void {
    opened.delete(fd);
    close(fd);
  }

  function wait(timeout?: number): ReadyEvent[] {
    poller.wait(events, timeout === undefined ? {} : { timeout });
    return events.toArray();
  }

  function fails(code: string, call: () => unknown): void {
    assert.throws(call, (error: { code?: string; errno?: number }) => error.code === code && (error.errno ?? 0) < 0);
  }

  beforeEach(() => {
    poller = new Poller();
  });

  afterEach(() => {
    poller.close();
    for (const fd of opened) close(fd);
    opened.clear();
  });

  it("is the platform's, and has no descriptor of its own", () => {
    assert.deepEqual(platformKernels, ["iocp"]);
    fails("ENOTSUP", () => poller.fd);
  });

  it("refuses edges before anything happens", () => {
    const [fd] = pair();
    for (const mode of ["edge", "edge-oneshot"] as const) {
      fails("ENOTSUP", () => poller.add(fd, 1, WRITABLE, { mode }));
      assert.equal(poller.stats().registrations, 0);
      const [verdict] = poller.apply([{ op: "add", fd, key: 1, interest: WRITABLE, mode }]);
      assert.equal(verdict?.code, "ENOTSUP");
      assert.equal(poller.stats().registrations, 0);
    }
    assert.equal(poller.stats().changes, 0);

    poller.add(fd, 1, WRITABLE);
    fails("ENOTSUP", () => poller.modify(fd, 2, WRITABLE, { mode: "edge" }));
    const change = { op: "modify", fd, key: 2, interest: READABLE } as const;
    const verdicts = poller.apply([
      { ...change, mode: "edge" },
      { ...change, key: 3, interest: WRITABLE },
    ]);
    assert.deepEqual(
      verdicts.map((verdict) => verdict?.code),
      ["ENOTSUP", undefined],
    );
    assert.deepEqual(
      wait().map(({ key, writable }) => [key, writable]),
      [[3, true]],
    );
  });

  it("refuses what is no socket", () => {
    const folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
    const file = openSync(join(folder, "file"), "w+");
    try {
      // Handles that every process has, and one that none has.
      let others = 0;
      for (let handle = 4; handle < 400; handle += 4) {
        try {
          poller.add(handle, 1, READABLE);
          poller.delete(handle);
        } catch (error) {
          const { code } = error as { code: string };
          assert.match(code, /^(ENOTSOCK|EBADF)$/);
          if (code === "ENOTSOCK") others++;
        }
      }
      assert.ok(others > 0, "something that is open is no socket");
      fails("EBADF", () => poller.add(2 ** 40, 1, READABLE));
      fails("EBADF", () => poller.add(2 ** 53 - 1, 1, READABLE));
      fails("EBADF", () => poller.add(-1, 1, READABLE));
      fails("EBADF", () => poller.add(0, 1, READABLE));
      assert.equal(poller.stats().registrations, 0);
    } finally {
      closeSync(file);
      rmSync(folder, { recursive: true });
    }
  });

  for (const host of ["127.0.0.1", "::1"]) {
    it(`tells a refused connection in time, with its reason (${host})`, () => {
      const listener = listen({ host, port: 0 });
      const address = localAddress(listener) as { host: string; port: number };
      close(listener);
      for (const interest of [WRITABLE, READABLE | WRITABLE]) {
        const [client] = own(connect(address));
        poller.add(client, 7, interest);
        const [event] = wait(30_000);
        assert.ok(event, "told within the timeout");
        assert.deepEqual([event.key, event.writable, event.error, event.errorCode], [7, true, true, "ECONNREFUSED"]);
        // One event disarms, and modify arms again: the failure is still there.
        assert.deepEqual(wait(0), []);
        poller.modify(client, 8, interest);
        assert.equal(wait(30_000)[0]?.errorCode, "ECONNREFUSED");
        poller.delete(client);
        shut(client);
      }
    });

    it(`tells connections, and that they are there to accept (${host})`, () => {
      const [listener] = own(listen({ host, port: 0 }));
      poller.add(listener, 1, READABLE, { mode: "level" });
      assert.deepEqual(wait(10), []);
      const [client] = own(connect(localAddress(listener) as { host: string; port: number }));
      poller.add(client, 2, WRITABLE);
      const told = new Set<number | bigint>();
      while (told.size < 2) for (const { key } of wait()) told.add(key);
      // Level-triggered: for as long as nobody accepts.
      assert.deepEqual(
        wait().map(({ key, readable }) => [key, readable]),
        [[1, true]],
      );
      const [server] = own(accept(listener));
      assert.notEqual(server, WOULD_BLOCK);
      assert.deepEqual(wait(10), []);
      poller.add(server, 3, READABLE);
      write(client, byte);
      assert.deepEqual(
        wait().map(({ key, readable }) => [key, readable]),
        [[3, true]],
      );
    });
  }

  it("tells a reset as an error and a hang-up", () => {
    const [fd, peer] = pair();
    const other = new Poller();
    poller.add(fd, 1, READABLE);
    // What is left unread makes a reset of the close.
    write(fd, byte);
    other.add(peer, 2, READABLE);
    assert.equal(other.wait(events), 1);
    other.close();
    shut(peer);
    const [event] = wait();
    assert.ok(event);
    assert.deepEqual(
      [event.key, event.readable, event.readClosed, event.hangUp, event.error],
      [1, true, true, true, true],
    );
  });

  it("tells datagrams", () => {
    const [fd, peer] = own(...socketpair("datagram"));
    poller.add(fd, 1, READABLE | WRITABLE, { mode: "level" });
    assert.deepEqual(
      wait().map(({ readable, writable }) => [readable, writable]),
      [[false, true]],
    );
    poller.modify(fd, 1, READABLE);
    assert.deepEqual(wait(10), []);
    write(peer, byte);
    assert.equal(wait()[0]?.readable, true);
    read(fd, buffer);
    assert.deepEqual(wait(10), []);
  });

  it("takes 200 sockets, ready in any order", () => {
    const random = new Random(11);
    const pairs = Array.from({ length: 200 }, () => pair());
    pairs.forEach(([fd], key) => poller.add(fd, key, READABLE));
    assert.deepEqual(wait(10), []);
    for (let round = 0; round < 3; round++) {
      const order = pairs.map((_, key) => key).toSorted(() => random.below(3) - 1);
      const missing = new Set(order);
      for (const key of order) write((pairs[key] as [number, number])[1], byte);
      while (missing.size > 0) {
        for (const { key, readable } of wait()) {
          assert.ok(readable);
          assert.ok(missing.delete(key as number), `${key} is told once`);
          const [fd] = pairs[key as number] as [number, number];
          assert.equal(read(fd, buffer), 1);
          poller.modify(fd, key, READABLE);
        }
      }
      assert.deepEqual(wait(0), []);
    }
  });

  it("lets a closed socket leave the set, whatever it was doing", () => {
    const before = poller.stats().registrations;
    for (const [interest, mode] of [
      [READABLE, "oneshot"],
      [READABLE | PRIORITY, "level"],
      [NONE, "level"],
    ] as const) {
      const [fd, peer] = pair();
      poller.add(fd, 1, interest, { mode });
      assert.deepEqual(wait(0), []);
      shut(fd);
      assert.deepEqual(wait(10), []);
      shut(peer);
      assert.deepEqual(wait(10), []);
      // Once, as everywhere.
      poller.delete(fd);
      fails("ENOENT", () => poller.delete(fd));
    }
    assert.equal(poller.stats().registrations, before);
  });

  it("lets a closed socket leave the set after it has fired", () => {
    const [fd] = pair();
    poller.add(fd, 1, WRITABLE);
    assert.equal(wait().length, 1);
    assert.deepEqual(wait(0), []);
    shut(fd);
    assert.deepEqual(wait(10), []);
    fails("EBADF", () => poller.add(fd, 2, WRITABLE));
    poller.delete(fd);
    fails("ENOENT", () => poller.delete(fd));
  });

  it("takes a number that was closed and used again, without a delete", () => {
    for (let round = 0; round < 50; round++) {
      const [fd, peer] = pair();
      poller.add(fd, round, READABLE);
      // Sometimes seen by a wait, sometimes not.
      if (round % 2) wait(0);
      close(fd);
      close(peer);
      opened.clear();
      const [next, other] = pair();
      for (const socket of [next, other]) poller.add(socket, 1000 + socket, READABLE);
      write(other, byte);
      assert.deepEqual(
        wait().map(({ key }) => key),
        [1000 + next],
      );
      for (const socket of [next, other]) {
        poller.delete(socket);
        shut(socket);
      }
    }
  });

  it("is woken by a worker, once for all notifications before a wait", async () => {
    const notifier: Notifier = poller.notifier();
    const worker = new Worker(
      `const { workerData } = require("node:worker_threads");
       import(workerData.module).then(({ notify }) => setTimeout(() => {
         for (let i = 0; i < 1000; i++) notify(workerData.notifier);
       }, 100));`,
      { eval: true, workerData: { notifier, module: import.meta.resolve("lio-poller") } },
    );
    const ended = once(worker, "exit");
    const began = performance.now();
    assert.deepEqual(wait(60_000), []);
    assert.ok(performance.now() - began < 60_000);
    await ended;
    wait(0);
    assert.deepEqual(wait(5), []);
    poller.close();
    // Whoever has it can go on using it.
    notify(notifier);
  });

  it("gives every handle back, closed while busy or not", () => {
    const sockets = Array.from({ length: 40 }, () => pair());
    const use = (): void => {
      const busy = new Poller();
      busy.notifier();
      sockets.forEach(([fd], key) => busy.add(fd, key, key % 2 ? READABLE : READABLE | WRITABLE));
      busy.wait(events, { timeout: 0 });
      busy.close();
    };
    use();
    const before = handles();
    for (let round = 0; round < 20; round++) use();
    assert.equal(handles(), before);
  });
});
