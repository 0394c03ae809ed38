/** The echo example's server, in one thread with its clients: whatever they do, it answers the others. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { connect as connectStream, type Socket } from "node:net";
import { setImmediate as eventLoopTurn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { close, connect, read, shutdown, WOULD_BLOCK, write } from "lio-poller/io";
import { EchoServer, type ServerOptions } from "../examples/echo/server.js";
import { command } from "./support/child.js";

let server: EchoServer;
let clients: number[];

function start(options?: ServerOptions): void {
  server = new EchoServer(options);
  clients = [];
}

afterEach(() => {
  clients?.forEach(close);
  server?.close();
  clients = [];
});

function client(): number {
  const fd = connect({ host: "127.0.0.1", port: server.port });
  clients.push(fd);
  return fd;
}

function hangUp(fd: number): void {
  clients = clients.filter((other) => other !== fd);
  close(fd);
}

/** Turns until the condition holds. Each turn ends as soon as there is an event. */
function turnUntil(condition: () => boolean, what: string): void {
  for (let i = 0; i < 500; i++) {
    if (condition()) return;
    server.turn(10);
  }
  assert.fail(`the server never got so far: ${what}`);
}

function send(fd: number, bytes: Uint8Array): void {
  assert.equal(write(fd, bytes), bytes.length);
}

/** Takes what comes, so many bytes, or fewer if the connection ends; turns the server meanwhile. */
function receive(fd: number, length: number): Buffer {
  const bytes = Buffer.alloc(length + 1);
  let at = 0;
  let ended = false;
  turnUntil(() => {
    while (!ended) {
      const count = read(fd, bytes, at);
      if (count === WOULD_BLOCK) break;
      ended = count === 0;
      at += count;
    }
    return ended || at === length;
  }, `${length} bytes answered, not ${at}`);
  return bytes.subarray(0, at);
}

function pattern(length: number, step: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * step + (i >>> 8)) & 0xff;
  return bytes;
}

describe("the echo server", () => {
  it("answers each client what that client said", () => {
    start();
    const fds = [client(), client(), client()];
    for (let round = 1; round <= 3; round++) {
      fds.forEach((fd, i) => send(fd, pattern(1000, round * 10 + i)));
      fds.forEach((fd, i) => assert.deepEqual(receive(fd, 1000), pattern(1000, round * 10 + i)));
    }
    assert.equal(server.counts.bytesRead, 9000);
    assert.equal(server.counts.bytesWritten, 9000);
  });

  it("takes every connection that waits in one turn", () => {
    start();
    for (let i = 0; i < 20; i++) client();
    assert.equal(server.turn(1000), 1);
    assert.equal(server.connections, 20);
  });

  it("takes connections again after that", () => {
    start();
    client();
    turnUntil(() => server.connections === 1, "the first");
    client();
    turnUntil(() => server.connections === 2, "the second");
  });

  it("keeps what does not fit, and reads no more until it does", () => {
    start();
    const fd = client();
    const sent = overfill(fd);
    const reading = server.counts.bytesRead;
    assert.ok(server.counts.partialWrites > 0, "nothing had to wait");
    assert.equal(server.turn(20), 0, "there is nothing to do until the client reads");
    assert.equal(server.counts.bytesRead, reading);
    assert.deepEqual(receive(fd, sent.length), sent);
  });

  it("answers the others while one does not read", () => {
    start();
    const slow = client();
    const sent = overfill(slow);
    const other = client();
    send(other, pattern(5000, 3));
    assert.deepEqual(receive(other, 5000), pattern(5000, 3));
    assert.deepEqual(receive(slow, sent.length), sent);
  });

  it("keeps apart what it owes to clients that do not read", () => {
    start();
    const owed = [3, 5, 7].map((step) => {
      const fd = client();
      return { fd, sent: overfill(fd, step) };
    });
    for (const { fd, sent } of owed) assert.deepEqual(receive(fd, sent.length), sent);
  });

  it("answers everything to a client that has stopped sending, then ends the connection", () => {
    start();
    const fd = client();
    const sent = overfill(fd);
    shutdown(fd, "write");
    assert.deepEqual(receive(fd, sent.length), sent);
    turnUntil(() => server.connections === 0, "the connection closed");
    assert.equal(read(fd, Buffer.alloc(1)), 0);
    assert.equal(server.counts.failed, 0);
  });

  it("outlives a client that resets the connection", async () => {
    start();
    const reset = await resettable();
    const other = client();
    turnUntil(() => server.connections === 2, "both connected");
    reset.resetAndDestroy();
    await eventLoopTurn();
    turnUntil(() => server.connections === 1, "the connection closed");
    assert.equal(server.counts.failed, 1);
    send(other, pattern(10, 1));
    assert.deepEqual(receive(other, 10), pattern(10, 1));
  });

  it("outlives a client that goes away without reading", () => {
    start();
    const fd = client();
    overfill(fd);
    hangUp(fd);
    turnUntil(() => server.connections === 0, "the connection closed");
    assert.equal(server.counts.failed, 1);
  });

  it("serves a connection whose descriptor has been used before", () => {
    start();
    for (let round = 1; round <= 5; round++) {
      const fd = client();
      send(fd, pattern(100, round));
      assert.deepEqual(receive(fd, 100), pattern(100, round));
      hangUp(fd);
      turnUntil(() => server.connections === 0, "the connection closed");
    }
    assert.equal(server.counts.accepted, 5);
    assert.equal(server.stats.registrations, 1, "of the listening socket alone");
  });

  it("answers what it is told to", () => {
    start({ answer: (received) => Buffer.from(received.map((byte) => byte ^ 0xff)) });
    const fd = client();
    send(fd, Buffer.from([0, 1, 255]));
    assert.deepEqual(receive(fd, 3), Buffer.from([255, 254, 0]));
  });

  it("arms again without a system call", () => {
    start();
    const fd = client();
    for (let i = 0; i < 50; i++) {
      send(fd, pattern(10, i));
      receive(fd, 10);
    }
    const { rearmsMade, rearmsLeftOut } = server.stats;
    assert.equal(rearmsMade, 0);
    assert.ok(rearmsLeftOut >= 50, `left out: ${rearmsLeftOut}`);
  });

  it("closes its connections with itself, and may be closed twice", () => {
    start();
    const fd = client();
    turnUntil(() => server.connections === 1, "connected");
    server.close();
    server.close();
    assert.equal(read(fd, Buffer.alloc(1)), 0);
    assert.throws(() => send(client(), Buffer.alloc(1)), { code: "ECONNREFUSED" });
  });
});

describe("the echo server without descriptors", () => {
  function crowded(what: string): Record<string, unknown> {
    const [program, args] = command(fileURLToPath(new URL("./echo/crowded.js", import.meta.url)), [what]);
    const { stdout, stderr } = spawnSync("sh", ["-c", 'ulimit -n 128; exec "$0" "$@"', program, ...args], {
      encoding: "utf8",
    });
    assert.equal(stderr, "");
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  it("lets connections wait, does not spin meanwhile, and takes them when others end", () => {
    assert.deepEqual(crowded("some"), {
      roomForOne: { accepted: 1, open: 1, shortage: "EMFILE", idleEvents: 0 },
      roomForAll: { accepted: 3, open: 2, shortage: "EMFILE", idleEvents: 0 },
    });
  });

  it("fails if it has no connection whose end could help", () => {
    assert.deepEqual(crowded("none"), { roomForNone: "EMFILE" });
  });
});

/** Sends without reading, until neither the client nor the server gets any further. */
function overfill(fd: number, step = 1): Buffer {
  const bytes = pattern(64 * 1024, step);
  const sent: Buffer[] = [];
  for (let stuck = 0; stuck < 5;) {
    // So much is in no buffer of the system's.
    assert.ok(sent.length < 10_000, "the server takes all there is");
    const count = write(fd, bytes);
    if (count > 0) sent.push(bytes.subarray(0, count));
    stuck = server.turn(count > 0 ? 0 : 10) > 0 || count > 0 ? 0 : stuck + 1;
  }
  return Buffer.concat(sent);
}

/** A client of Node's, which can reset its connection. The kernel connects it before the server accepts. */
async function resettable(): Promise<Socket> {
  const socket = connectStream({ host: "127.0.0.1", port: server.port });
  await once(socket, "connect");
  return socket;
}
