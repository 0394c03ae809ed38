/** An error that is pending on a descriptor is readiness like any other: the operation is tried, and tells. */
import assert from "node:assert/strict";
import { Interest, type Ready, readable, watch, writable } from "lio-poller";
import * as io from "lio-poller/io";
import { until } from "./support/deliveries.js";

const { READABLE, WRITABLE } = Interest;
const TEN = new TextEncoder().encode("0123456789");
const isWindows = process.platform === "win32";

describe("a pending error", () => {
  let fds: number[] = [];

  afterEach(() => {
    for (const fd of fds) io.close(fd);
    fds = [];
  });

  function opened(fd: number): number {
    fds.push(fd);
    return fd;
  }

  /** A socket whose connect is refused, now or soon. */
  function refused(): number {
    const listener = io.listen({ host: "127.0.0.1", port: 0 });
    const address = io.localAddress(listener);
    io.close(listener);
    return opened(io.connect(address));
  }

  /** A connection that its peer has reset, with ten bytes that were not read. */
  async function reset(): Promise<number> {
    const listener = opened(io.listen({ host: "127.0.0.1", port: 0 }));
    const peer = io.connect(io.localAddress(listener));
    await readable(listener);
    const fd = opened(io.accept(listener));
    io.write(peer, TEN);
    await readable(fd);
    // What nobody has read when a socket is closed makes its end a reset.
    io.write(fd, TEN);
    await readable(peer);
    io.close(peer);
    return fd;
  }

  function assertPending(ready: Ready): void {
    assert.deepEqual([ready.error, ready.refused], [true, false]);
  }

  /** Reads what had arrived before the reset, and then the reset. */
  function assertDrained(fd: number): void {
    const buffer = new Uint8Array(64);
    let count = 0;
    let end: unknown;
    try {
      for (end = io.read(fd, buffer); Number(end) > 0; end = io.read(fd, buffer)) count += Number(end);
    } catch (error) {
      end = (error as NodeJS.ErrnoException).code;
    }
    // Windows throws away what had arrived. Wine, which asks Linux, does not, and takes the error to know of it.
    assert.ok(count === TEN.length || (isWindows && count === 0), `${count} bytes`);
    assert.ok(end === "ECONNRESET" || (isWindows && end === 0), `${String(end)} at the end`);
  }

  it("of a refused connect fulfills who waits to write, and is there to be read", async () => {
    const fd = refused();
    const ready = await writable(fd);
    assert.equal(ready.writable, true);
    assertPending(ready);
    assert.equal(io.pendingError(fd)?.code, "ECONNREFUSED");
  });

  it("of a refused connect is told to a callback, which goes on", async () => {
    const seen: Ready[] = [];
    const watching = watch(refused(), WRITABLE, (ready) => seen.push(ready));
    await until(() => seen.length >= 3);
    watching[Symbol.dispose]();
    for (const ready of seen) {
      assert.equal(ready.writable, true);
      assertPending(ready);
    }
  });

  it("of a refused connect is a step of an iteration, which goes on", async () => {
    const fd = refused();
    let steps = 0;
    for await (const ready of watch(fd, WRITABLE)) {
      assertPending(ready);
      if (++steps === 3) break;
    }
    assert.equal(io.pendingError(fd)?.code, "ECONNREFUSED");
  });

  it("of a reset fulfills who waits to read, and the bytes that had arrived come first", async () => {
    const fd = await reset();
    let ready = await readable(fd);
    while (!ready.error) ready = await readable(fd);
    assert.equal(ready.readable, true);
    assertPending(ready);
    // It is told until it is read.
    assertPending(await readable(fd));
    assertDrained(fd);
  });

  it("of a reset lets an iteration read all that had arrived", async () => {
    const fd = await reset();
    for await (const ready of watch(fd, READABLE)) {
      assert.equal(ready.refused, false);
      if (!ready.error) continue;
      assertDrained(fd);
      break;
    }
  });
});
