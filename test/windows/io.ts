/** The descriptor helpers on Windows, where descriptors are SOCKETs. Run by `npm run test:wine`, or by mocha on Windows. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectNode, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { getSystemErrorMap } from "node:util";
import { Worker } from "node:worker_threads";
import * as io from "lio-poller/io";
import { native, root } from "../support/internals.js";

const { accept, close, connect, dup, eventfd, listen, localAddress, pendingError, pipe } = io;
const { read, receiveUrgent, sendUrgent, setNonBlocking, shutdown, socketpair, WOULD_BLOCK, write } = io;

const NUMBERS = new Map([...getSystemErrorMap()].map(([number, [name]]) => [name, number]));

/** What a failed call throws: the same code as elsewhere, with the number that Node's own errors have here. */
function kernelError(code: string, syscall: string): object {
  return { name: "PollerError", code, errno: NUMBERS.get(code), syscall };
}

/** Asks again until the answer is another one: loopback delivers soon, not at once. */
async function until<Answer>(ask: () => Answer, not: Answer): Promise<Answer> {
  for (;;) {
    const answer = ask();
    if (answer !== not) return answer;
    await after(1);
  }
}

async function text(fd: number): Promise<string> {
  const buffer = new Uint8Array(64);
  const count = await until(() => read(fd, buffer), WOULD_BLOCK);
  return Buffer.from(buffer.subarray(0, count)).toString();
}

/** A TCP connection through a listener: both ends, and no more. */
async function connection(host: string): Promise<[number, number]> {
  const listener = listen({ host, port: 0 });
  const client = connect(localAddress(listener) as { host: string; port: number });
  const server = await until(() => accept(listener), WOULD_BLOCK);
  close(listener);
  return [client, server];
}

describe("io on Windows", () => {
  const opened = new Set<number>();

  /** Has what a test opens closed after it. */
  function own<Fds extends readonly number[]>(...fds: Fds): Fds {
    for (const fd of fds) opened.add(fd);
    return fds;
  }

  function closeOwn(fd: number): void {
    opened.delete(fd);
    close(fd);
  }

  afterEach(() => {
    for (const fd of opened) close(fd);
    opened.clear();
  });

  it("moves bytes through a socketpair, both ways", async () => {
    const [one, two] = own(...socketpair());
    assert.equal(read(one, new Uint8Array(1)), WOULD_BLOCK);
    assert.equal(write(one, Buffer.from("there")), 5);
    assert.equal(await text(two), "there");
    assert.equal(write(two, Buffer.from("back")), 4);
    assert.equal(await text(one), "back");
  });

  it("tells the end of a socketpair whose other end is closed", async () => {
    const [one, two] = own(...socketpair());
    closeOwn(one);
    assert.equal(await until(() => read(two, new Uint8Array(1)), WOULD_BLOCK), 0);
  });

  it("keeps the boundaries of datagrams, and loses what there is no room for", () => {
    const [one, two] = own(...socketpair("datagram"));
    const buffer = new Uint8Array(16);
    assert.equal(write(one, Buffer.from("first one")), 9);
    assert.equal(write(one, Buffer.from("second")), 6);
    assert.equal(read(two, buffer, 0, 5), 5);
    assert.equal(Buffer.from(buffer.subarray(0, 5)).toString(), "first");
    assert.equal(read(two, buffer), 6);
    assert.equal(read(two, buffer), WOULD_BLOCK);
  });

  it("makes datagram pairs that hear no stranger", async () => {
    const [one, two] = own(...socketpair("datagram"));
    const { port } = localAddress(two) as { port: number };
    const stranger = createSocket("udp4");
    await once(stranger.bind(0, "127.0.0.1"), "listening");
    await new Promise<void>((resolve, reject) => {
      stranger.send("stranger", port, "127.0.0.1", (error) => (error === null ? resolve() : reject(error)));
    });
    stranger.close();
    await after(20);
    write(one, Buffer.from("friend"));
    assert.equal(await text(two), "friend");
    assert.equal(read(two, new Uint8Array(16)), WOULD_BLOCK);
  });

  it("leaves no socket to a child process", async () => {
    const listener = listen({ host: "127.0.0.1", port: 0 });
    const { port } = localAddress(listener) as { port: number };
    const client = connect({ host: "127.0.0.1", port });
    const accepted = await until(() => accept(listener), WOULD_BLOCK);
    const [one, two] = socketpair();
    own(listener, client, accepted, one, two);
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
    try {
      await once(child, "spawn");
      closeOwn(one);
      assert.equal(await until(() => read(two, new Uint8Array(1)), WOULD_BLOCK), 0);
      closeOwn(accepted);
      assert.equal(await until(() => read(client, new Uint8Array(1)), WOULD_BLOCK), 0);
      closeOwn(listener);
      // The port is free as soon as nobody listens.
      own(listen({ host: "127.0.0.1", port }));
    } finally {
      child.kill();
      await once(child, "exit");
    }
  });

  for (const host of ["127.0.0.1", "::1"]) {
    it(`listens, connects and accepts on ${host}`, async () => {
      const [client, server] = own(...(await connection(host)));
      const near = localAddress(client) as { host: string; port: number };
      assert.equal(near.host, host);
      assert.ok(near.port > 0);
      write(client, Buffer.from("hello"));
      assert.equal(await text(server), "hello");
      assert.equal(pendingError(client), undefined);
    });
  }

  it("speaks with Node's own sockets", async () => {
    const server = createServer((socket) => socket.pipe(socket));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const [client] = own(connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port }));
    // Until it is connected there is nowhere to write to.
    await until(() => {
      try {
        return write(client, Buffer.from("echo"));
      } catch (error) {
        assert.equal((error as { code: string }).code, "ENOTCONN");
        return WOULD_BLOCK;
      }
    }, WOULD_BLOCK);
    assert.equal(await text(client), "echo");
    closeOwn(client);
    server.close();
    await once(server, "close");

    const [listener] = own(listen({ host: "127.0.0.1", port: 0 }));
    const socket = connectNode((localAddress(listener) as { port: number }).port, "127.0.0.1");
    await once(socket, "connect");
    const [accepted] = own(await until(() => accept(listener), WOULD_BLOCK));
    socket.end("bye");
    assert.equal(await text(accepted), "bye");
    socket.destroy();
  });

  it("tells that a connect was refused", async () => {
    const [listener] = own(listen({ host: "127.0.0.1", port: 0 }));
    const { port } = localAddress(listener) as { port: number };
    closeOwn(listener);
    let refused: unknown;
    try {
      const [client] = own(connect({ host: "127.0.0.1", port }));
      refused = await until(() => pendingError(client), undefined);
    } catch (error) {
      refused = error;
    }
    const { code, errno } = refused as { code: string; errno: number };
    assert.deepEqual({ code, errno }, { code: "ECONNREFUSED", errno: NUMBERS.get("ECONNREFUSED") });
  });

  it("refuses an address that is in use, with the address in the message", () => {
    const [listener] = own(listen({ host: "127.0.0.1", port: 0 }));
    const { port } = localAddress(listener) as { port: number };
    assert.throws(() => listen({ host: "127.0.0.1", port }), {
      ...kernelError("EADDRINUSE", "listen"),
      message: `listen: EADDRINUSE, 127.0.0.1:${port}`,
    });
  });

  it("accepts nothing while nobody connects, and from nothing that does not listen", () => {
    const [listener] = own(listen({ host: "127.0.0.1", port: 0 }));
    assert.equal(accept(listener), WOULD_BLOCK);
    const [one] = own(...socketpair());
    assert.throws(() => accept(one), kernelError("EINVAL", "accept"));
  });

  it("ends one direction at a time", async () => {
    const [one, two] = own(...socketpair());
    shutdown(one, "write");
    assert.equal(await until(() => read(two, new Uint8Array(1)), WOULD_BLOCK), 0);
    assert.throws(() => write(one, new Uint8Array(1)), kernelError("EPIPE", "write"));
    assert.equal(write(two, Buffer.from("still")), 5);
    assert.equal(await text(one), "still");
    shutdown(one, "both");
    assert.equal(read(one, new Uint8Array(1)), 0);
  });

  it("reads nothing into no room", () => {
    const [one, two] = own(...socketpair());
    assert.equal(read(two, new Uint8Array(0)), 0);
    write(one, new Uint8Array(4));
    assert.equal(read(two, new Uint8Array(4), 2, 0), 0);
  });

  it("writes until it would block, and all of it arrives", async () => {
    const [one, two] = own(...socketpair());
    const block = new Uint8Array(65_536).fill(7);
    let sent = 0;
    for (let count = 0; count !== WOULD_BLOCK && sent < 2 ** 26; sent += Math.max(count, 0)) count = write(one, block);
    assert.ok(sent > 0 && sent < 2 ** 26, `${sent} bytes`);
    const room = new Uint8Array(65_536);
    let received = 0;
    while (received < sent) received += await until(() => read(two, room), WOULD_BLOCK);
    assert.equal(received, sent);
  });

  it("sends one byte past the others", async () => {
    const [one, two] = own(...socketpair());
    const code = (() => {
      try {
        return receiveUrgent(two);
      } catch (error) {
        return (error as { code: string }).code;
      }
    })();
    // Windows has no word for "none yet" beside "none".
    assert.equal(code, WOULD_BLOCK);
    write(one, Buffer.from("data"));
    assert.equal(sendUrgent(one, 200), 1);
    assert.equal(await until(() => receiveUrgent(two), WOULD_BLOCK), 200);
    assert.equal(await text(two), "data");
    const [datagrams] = own(...socketpair("datagram"));
    assert.throws(() => sendUrgent(datagrams, 1), kernelError("ENOTSUP", "sendUrgent"));
  });

  it("blocks if it is told to", async () => {
    const [one, two] = own(...socketpair());
    setNonBlocking(two, false);
    const module = pathToFileURL(join(root, "dist/io.js")).href;
    const writer = new Worker(
      `import(${JSON.stringify(module)}).then((io) => setTimeout(() => io.write(${one}, Buffer.from("late")), 50));`,
      { eval: true },
    );
    const buffer = new Uint8Array(16);
    assert.equal(read(two, buffer), 4);
    await once(writer, "exit");
    setNonBlocking(two, true);
    assert.equal(read(two, buffer), WOULD_BLOCK);
  });

  it("duplicates a socket, whose connection lasts until both are closed", async () => {
    const [one, two] = own(...socketpair());
    const [copy] = own(dup(one));
    assert.notEqual(copy, one);
    closeOwn(one);
    assert.equal(read(two, new Uint8Array(1)), WOULD_BLOCK);
    write(copy, Buffer.from("copy"));
    assert.equal(await text(two), "copy");
    closeOwn(copy);
    assert.equal(await until(() => read(two, new Uint8Array(1)), WOULD_BLOCK), 0);
  });

  it("says that it has none of what Windows cannot poll", () => {
    const [one, two] = own(...socketpair());
    const path = { path: "C:\\socket" };
    assert.throws(() => pipe(), kernelError("ENOTSUP", "pipe"));
    assert.throws(() => eventfd(), kernelError("ENOTSUP", "eventfd"));
    assert.throws(() => listen(path), kernelError("ENOTSUP", "listen"));
    assert.throws(() => connect(path), kernelError("ENOTSUP", "connect"));
    assert.throws(() => dup(one, two), kernelError("ENOTSUP", "dup"));
  });

  it("tells a handle that is no socket from one that is not open", () => {
    const seen = new Map<string, number>();
    // Handles are multiples of 4, and Node has opened many that are no sockets.
    for (let handle = 4; handle <= 1024; handle += 4) {
      try {
        localAddress(handle);
      } catch (error) {
        const { code } = error as { code: string };
        seen.set(code, (seen.get(code) ?? 0) + 1);
      }
    }
    assert.ok((seen.get("ENOTSOCK") ?? 0) > 0, JSON.stringify([...seen]));
    assert.ok((seen.get("EBADF") ?? 0) > 0, JSON.stringify([...seen]));
  });

  it("closes no handle that is not a socket", () => {
    const handle = Array.from({ length: 256 }, (_, index) => 4 * (index + 1)).find((candidate) => {
      try {
        return localAddress(candidate) === undefined;
      } catch (error) {
        return (error as { code: string }).code === "ENOTSOCK";
      }
    });
    assert.ok(handle !== undefined);
    assert.throws(() => close(handle), kernelError("ENOTSOCK", "close"));
    assert.throws(() => localAddress(handle), kernelError("ENOTSOCK", "localAddress"));
  });

  const calls: Record<string, (fd: number) => unknown> = {
    localAddress: (fd) => localAddress(fd),
    accept: (fd) => accept(fd),
    pendingError: (fd) => pendingError(fd),
    read: (fd) => read(fd, new Uint8Array(1)),
    write: (fd) => write(fd, new Uint8Array(1)),
    shutdown: (fd) => shutdown(fd, "both"),
    setNonBlocking: (fd) => setNonBlocking(fd, true),
    dup: (fd) => dup(fd),
    sendUrgent: (fd) => sendUrgent(fd, 0),
    receiveUrgent: (fd) => receiveUrgent(fd),
    close: (fd) => close(fd),
  };

  for (const [name, call] of Object.entries(calls)) {
    it(`${name} answers EBADF for what is not open, however large the number`, () => {
      const [one, two] = socketpair();
      close(one);
      close(two);
      for (const fd of [one, -1, -(2 ** 31), -(2 ** 40), 2 ** 31, 2 ** 32 + 4, Number.MAX_SAFE_INTEGER]) {
        assert.throws(() => call(fd), kernelError("EBADF", name), `${fd}`);
      }
    });

    it(`${name} refuses what is no descriptor`, () => {
      for (const fd of ["4", null, undefined, 4n]) {
        assert.throws(() => call(fd as never), { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" });
      }
      for (const fd of [1.5, Number.NaN, Infinity, 2 ** 53]) {
        assert.throws(() => call(fd), { name: "RangeError", code: "ERR_OUT_OF_RANGE" });
      }
    });
  }

  it("answers -EINVAL to arguments that slipped through", () => {
    const refused = NUMBERS.get("EINVAL");
    const addon = native.io as unknown as Record<string, (...args: unknown[]) => unknown>;
    const bytes = new Uint8Array(4);
    const wrong: readonly [string, ...unknown[]][] = [
      ["socketpair", false, new Float64Array(1)],
      ["socketpair", false, new Int32Array(2)],
      ["socketpair", 1, new Float64Array(2)],
      ["listen", "127.0.0.1", 0, "many"],
      ["listen", "127.0.0.1", 65_536, 1],
      ["listen", "localhost", 0, 1],
      ["connect", "127.0.0.1\0", 1],
      ["localAddress", 4],
      ["accept", "4"],
      ["shutdown", 4, 3],
      ["setNonBlocking", 4, 1],
      ["dup"],
      ["close", 4n],
      ["read", 4, new Uint16Array(4), 0, 4],
      ["read", 4, bytes, 2, 3],
      ["write", 4, bytes, -1, 1],
      ["write", 4, bytes, 0, -1],
      ["write", 4, bytes, 0],
      ["sendUrgent", 4, 256],
      ["receiveUrgent"],
    ];
    for (const [name, ...args] of wrong) assert.equal(addon[name]!(...args), refused, `${name} ${String(args)}`);
  });

  it("leaks no handle, whatever fails", async () => {
    const count = native.io.openHandles!;
    const turn = async (): Promise<void> => {
      for (const fd of [...socketpair(), ...socketpair("datagram"), ...(await connection("127.0.0.1"))]) close(fd);
      const listener = listen({ host: "127.0.0.1", port: 0 });
      assert.throws(() => listen(localAddress(listener)));
      assert.throws(() => dup(listener, listener));
      close(dup(listener));
      close(listener);
    };
    // What the system opens for itself at the first time.
    for (let warm = 0; warm < 3; warm++) await turn();
    const before = count();
    for (let more = 0; more < 50; more++) await turn();
    assert.ok(count() <= before, `${count() - before} handles more`);
  });
});
