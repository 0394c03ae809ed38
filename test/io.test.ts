// The descriptor helpers: that bytes really travel, that every error arrives by its name, that nothing leaks.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { constants, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import {
  accept,
  close,
  connect,
  dup,
  eventfd,
  listen,
  localAddress,
  pendingError,
  pipe,
  read,
  receiveUrgent,
  sendUrgent,
  setNonBlocking,
  shutdown,
  socketpair,
  WOULD_BLOCK,
  write,
  type Address,
} from "lio-poller/io";
import { evaluation } from "./support/child.js";
import { openedSince, openFiles } from "./support/descriptors.js";
import { collectUntil } from "./support/garbage.js";

const require = createRequire(import.meta.url);
const root = dirname(require.resolve("lio-poller/package.json"));
const loopback: Address = { host: "127.0.0.1", port: 0 };
const NEVER_OPEN = 2 ** 31 - 1;

// O_NONBLOCK and O_CLOEXEC as /proc tells them.
const NON_BLOCKING = 0o4000;
const CLOSE_ON_EXEC = 0o2000000;

function flags(fd: number): number {
  const [, octal = ""] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1")) ?? [];
  return Number.parseInt(octal, 8);
}

function isNonBlocking(fd: number): boolean {
  return (flags(fd) & NON_BLOCKING) !== 0;
}

function isCloseOnExec(fd: number): boolean {
  return (flags(fd) & CLOSE_ON_EXEC) !== 0;
}

function assertBornWell(fd: number): void {
  assert.equal(isNonBlocking(fd), true, "non-blocking");
  assert.equal(isCloseOnExec(fd), true, "close-on-exec");
}

/** What a thrown error of the kernel must look like. */
function kernelError(code: keyof typeof constants.errno, syscall: string): object {
  return { name: "PollerError", code, errno: -constants.errno[code], syscall };
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** What `read` finds now. */
function received(fd: number): string {
  const buffer = new Uint8Array(64);
  const count = read(fd, buffer);
  assert.notEqual(count, WOULD_BLOCK);
  return new TextDecoder().decode(buffer.subarray(0, count));
}

/** Writes until nothing more fits, and returns the count. */
function fill(fd: number): number {
  const chunk = new Uint8Array(65_536);
  for (let total = 0; ;) {
    const count = write(fd, chunk);
    if (count === WOULD_BLOCK) return total;
    total += count;
  }
}

/** Repeats a call until it has a result; the runner's time limit ends what never does. */
async function eventually<Result>(action: () => Result): Promise<Exclude<Result, undefined>> {
  for (;;) {
    const result = action();
    if (result !== WOULD_BLOCK && result !== undefined) return result as Exclude<Result, undefined>;
    await turn();
  }
}

describe("the descriptor helpers", () => {
  let directory: string;
  let openBefore: ReadonlyMap<number, string>;
  const mine = new Set<number>();

  /** Closes the descriptor after the test. */
  function own(fd: number): number {
    assert.ok(fd >= 0);
    mine.add(fd);
    return fd;
  }

  function ownBoth([first, second]: [number, number]): [number, number] {
    return [own(first), own(second)];
  }

  /** Closes the descriptor now. */
  function end(fd: number): void {
    mine.delete(fd);
    close(fd);
  }

  before(() => {
    directory = mkdtempSync(join(tmpdir(), "lio-poller-"));
    // What starts processes may open something once.
    spawnSync("true");
  });

  after(() => {
    rmSync(directory, { recursive: true });
  });

  beforeEach(() => {
    openBefore = openFiles();
  });

  afterEach(async () => {
    for (const fd of mine) close(fd);
    mine.clear();
    // A runtime may close what it has opened for a process only when that is collected.
    await collectUntil(() => openedSince(openBefore).length === 0);
    assert.deepEqual(openedSince(openBefore), [], "open descriptors");
  });

  describe("pipe", () => {
    it("carries bytes from the write end to the read end", () => {
      const [readEnd, writeEnd] = ownBoth(pipe());
      assert.equal(write(writeEnd, bytes("hello")), 5);
      assert.equal(received(readEnd), "hello");
    });

    it("has two ends that are non-blocking and close-on-exec", () => {
      ownBoth(pipe()).forEach(assertBornWell);
    });

    it("reaches its end of file when the write end is closed", () => {
      const [readEnd, writeEnd] = ownBoth(pipe());
      write(writeEnd, bytes("last"));
      end(writeEnd);
      assert.equal(received(readEnd), "last");
      assert.equal(read(readEnd, new Uint8Array(1)), 0);
    });
  });

  describe("socketpair", () => {
    it("carries bytes both ways", () => {
      const [left, right] = ownBoth(socketpair());
      write(left, bytes("there"));
      write(right, bytes("back"));
      assert.equal(received(right), "there");
      assert.equal(received(left), "back");
    });

    it("has two ends that are non-blocking and close-on-exec", () => {
      ownBoth(socketpair("stream")).forEach(assertBornWell);
      ownBoth(socketpair("datagram")).forEach(assertBornWell);
    });

    it("joins what a stream was given, and keeps datagrams apart", () => {
      const stream = ownBoth(socketpair("stream"));
      const datagram = ownBoth(socketpair("datagram"));
      for (const [from] of [stream, datagram]) {
        write(from, bytes("one"));
        write(from, bytes("two"));
      }
      assert.equal(received(stream[1]), "onetwo");
      assert.equal(received(datagram[1]), "one");
      assert.equal(received(datagram[1]), "two");
    });
  });

  describe("eventfd", () => {
    function counter(fd: number): bigint {
      const value = new BigUint64Array(1);
      assert.equal(read(fd, new Uint8Array(value.buffer)), 8);
      return value[0]!;
    }

    it("begins at zero unless told", () => {
      const fd = own(eventfd());
      assert.equal(read(fd, new Uint8Array(8)), WOULD_BLOCK);
      assert.equal(counter(own(eventfd(7))), 7n);
      assert.equal(counter(own(eventfd(2 ** 32 - 1))), 2n ** 32n - 1n);
    });

    it("adds up what is written", () => {
      const fd = own(eventfd(1));
      write(fd, new Uint8Array(new BigUint64Array([2n]).buffer));
      write(fd, new Uint8Array(new BigUint64Array([4n]).buffer));
      assert.equal(counter(fd), 7n);
    });

    it("is non-blocking and close-on-exec", () => {
      assertBornWell(own(eventfd()));
    });
  });

  describe("listen, connect and accept", () => {
    const places: [string, () => Address][] = [
      ["IPv4", () => loopback],
      ["IPv6", () => ({ host: "::1", port: 0 })],
      ["a path", () => ({ path: join(directory, "connect.sock") })],
    ];

    for (const [name, place] of places) {
      it(`carry bytes both ways over ${name}`, async () => {
        const listener = own(listen(place()));
        const client = own(connect(localAddress(listener)));
        const server = own(await eventually(() => accept(listener)));
        assert.equal(pendingError(client), undefined);
        assert.equal(write(client, bytes("question")), 8);
        assert.equal(new TextDecoder().decode(await receivedWithin(server, 8)), "question");
        assert.equal(write(server, bytes("answer")), 6);
        assert.equal(new TextDecoder().decode(await receivedWithin(client, 6)), "answer");
        rmSync(join(directory, "connect.sock"), { force: true });
      });
    }

    async function receivedWithin(fd: number, size: number): Promise<Uint8Array> {
      const buffer = new Uint8Array(size);
      for (let have = 0; have < size;) have += await eventually(() => read(fd, buffer, have));
      return buffer;
    }

    it("give descriptors that are non-blocking and close-on-exec", async () => {
      const listener = own(listen(loopback));
      const client = own(connect(localAddress(listener)));
      const server = own(await eventually(() => accept(listener)));
      [listener, client, server].forEach(assertBornWell);
    });

    it("say that accepting would block while no connection waits", () => {
      assert.equal(accept(own(listen(loopback))), WOULD_BLOCK);
    });

    it("take a port again whose last connection this end has closed", async () => {
      const listener = own(listen(loopback));
      const address = localAddress(listener);
      const client = own(connect(address));
      end(own(await eventually(() => accept(listener))));
      assert.equal(await eventually(() => read(client, new Uint8Array(1))), 0);
      end(client);
      end(listener);
      assert.deepEqual(localAddress(own(listen(address))), address);
    });

    it("leave the file of a path behind", () => {
      const path = join(directory, "left.sock");
      end(own(listen({ path })));
      assert.throws(() => listen({ path }), kernelError("EADDRINUSE", "listen"));
      assert.throws(() => connect({ path }), kernelError("ECONNREFUSED", "connect"));
      rmSync(path);
      own(listen({ path }));
      rmSync(path);
    });

    it("pass on the backlog", () => {
      const path = join(directory, "backlog.sock");
      own(listen({ path }, { backlog: 1 }));
      // Linux lets one more wait than it was told.
      own(connect({ path }));
      own(connect({ path }));
      assert.throws(() => connect({ path }), kernelError("EAGAIN", "connect"));
      rmSync(path);
    });

    it("take a path of 107 bytes, and say ENAMETOOLONG to one more", () => {
      const prefix = `${directory}/`;
      const longest = prefix + "é".repeat(10) + "x".repeat(107 - 20 - prefix.length);
      assert.deepEqual(localAddress(own(listen({ path: longest }))), { path: longest });
      own(connect({ path: longest }));
      rmSync(longest);
      assert.throws(() => listen({ path: `${longest}x` }), kernelError("ENAMETOOLONG", "listen"));
      assert.throws(() => connect({ path: `${longest}x` }), kernelError("ENAMETOOLONG", "connect"));
    });

    it("name the address in the message", () => {
      const address = localAddress(own(listen({ host: "::1", port: 0 })));
      assert.ok("port" in address);
      assert.throws(() => listen(address), { message: `listen: EADDRINUSE, [::1]:${address.port}` });
      assert.throws(() => connect({ path: "/nowhere/at/all" }), { message: "connect: ENOENT, /nowhere/at/all" });
    });

    it("give the kernel's errors", () => {
      const taken = localAddress(own(listen(loopback)));
      assert.throws(() => listen(taken), kernelError("EADDRINUSE", "listen"));
      // An address of the range that is kept for documentation: no machine has it.
      assert.throws(() => listen({ host: "192.0.2.1", port: 0 }), kernelError("EADDRNOTAVAIL", "listen"));
      assert.throws(() => listen({ host: "fe80::1%nowhere", port: 0 }), kernelError("EINVAL", "listen"));
      assert.throws(() => listen({ path: join(directory, "no", "x") }), kernelError("ENOENT", "listen"));
      assert.throws(() => listen({ path: "/dev/null/x" }), kernelError("ENOTDIR", "listen"));
      assert.throws(() => connect({ host: "255.255.255.255", port: 9 }), kernelError("ENETUNREACH", "connect"));
      assert.throws(() => connect({ host: "fe80::1%nowhere", port: 9 }), kernelError("EINVAL", "connect"));
      assert.throws(() => connect({ path: join(directory, "no") }), kernelError("ENOENT", "connect"));
      assert.throws(() => accept(ownBoth(socketpair())[0]), kernelError("EINVAL", "accept"));
    });
  });

  describe("localAddress", () => {
    it("tells the port that was chosen", () => {
      for (const host of ["127.0.0.1", "::1"]) {
        const address = localAddress(own(listen({ host, port: 0 })));
        assert.ok("port" in address);
        assert.equal(address.host, host);
        assert.ok(address.port > 0);
      }
    });

    it("tells the path, which is empty for a socket without one", () => {
      const path = join(directory, "address.sock");
      assert.deepEqual(localAddress(own(listen({ path }))), { path });
      assert.deepEqual(localAddress(ownBoth(socketpair())[0]), { path: "" });
      rmSync(path);
    });
  });

  describe("pendingError", () => {
    it("tells how a connect has failed, once", async () => {
      const listener = own(listen(loopback));
      const address = localAddress(listener);
      end(listener);
      const client = own(connect(address));
      const error = await eventually(() => pendingError(client));
      assert.ok(error instanceof Error);
      const { name, code, errno, syscall } = error;
      assert.deepEqual({ name, code, errno, syscall }, kernelError("ECONNREFUSED", "pendingError"));
      assert.equal(pendingError(client), undefined);
    });

    it("tells what has happened to a connection, once", () => {
      const [left, right] = ownBoth(socketpair());
      write(left, bytes("unread"));
      end(right);
      assert.equal(pendingError(left)?.code, "ECONNRESET");
      assert.equal(pendingError(left), undefined);
    });
  });

  describe("read and write", () => {
    it("say that they would block, and do not throw", () => {
      const [readEnd, writeEnd] = ownBoth(pipe());
      const [left, right] = ownBoth(socketpair());
      assert.equal(read(readEnd, new Uint8Array(1)), WOULD_BLOCK);
      assert.equal(read(left, new Uint8Array(1)), WOULD_BLOCK);
      assert.ok(fill(writeEnd) > 0);
      assert.ok(fill(left) > 0);
      assert.equal(read(right, new Uint8Array(1)), 1);
    });

    it("take what fits, and say how much", () => {
      const [readEnd, writeEnd] = ownBoth(pipe());
      const capacity = fill(writeEnd);
      assert.equal(read(readEnd, new Uint8Array(capacity)), capacity);
      assert.equal(write(writeEnd, new Uint8Array(capacity + 1)), capacity);
    });

    it("move only the part of the buffer that is named", () => {
      const [readEnd, writeEnd] = ownBoth(pipe());
      assert.equal(write(writeEnd, bytes("abcdef"), 1, 3), 3);
      assert.equal(write(writeEnd, bytes("uvwxyz"), 4), 2);
      assert.equal(write(writeEnd, bytes("12345"), undefined, 1), 1);
      const buffer = bytes("..........");
      assert.equal(read(readEnd, buffer, 2, 4), 4);
      assert.equal(new TextDecoder().decode(buffer), "..bcdy....");
      assert.equal(read(readEnd, buffer, 7), 2);
      assert.equal(new TextDecoder().decode(buffer), "..bcdy.z1.");
    });

    it("take every kind of Uint8Array", () => {
      const [readEnd, writeEnd] = ownBoth(pipe());
      const whole = bytes("0123456789");
      const shared = new Uint8Array(new SharedArrayBuffer(2));
      shared.set(bytes("sh"));
      const elsewhere = runInNewContext("Uint8Array.of(0x72, 0x65)") as Uint8Array;
      for (const view of [whole.subarray(3, 5), Buffer.from("bu"), shared, elsewhere]) {
        assert.equal(write(writeEnd, view), 2);
      }
      assert.equal(received(readEnd), "34bushre");
      write(writeEnd, bytes("xy"));
      assert.equal(read(readEnd, whole.subarray(3, 5)), 2);
      assert.equal(new TextDecoder().decode(whole), "012xy56789");
    });

    it("move nothing when there is no room", () => {
      const [readEnd, writeEnd] = ownBoth(pipe());
      const detached = new Uint8Array(8);
      structuredClone(detached, { transfer: [detached.buffer] });
      assert.equal(write(writeEnd, bytes("abc"), 3), 0);
      assert.equal(write(writeEnd, bytes("abc"), 0, 0), 0);
      assert.equal(write(writeEnd, detached), 0);
      assert.equal(read(readEnd, new Uint8Array(0)), 0);
      assert.equal(read(readEnd, new Uint8Array(1)), WOULD_BLOCK);
    });

    it("give the kernel's errors", () => {
      const byte = new Uint8Array(1);
      const [readEnd, writeEnd] = ownBoth(pipe());
      assert.throws(() => read(writeEnd, byte), kernelError("EBADF", "read"));
      assert.throws(() => write(readEnd, byte), kernelError("EBADF", "write"));
      assert.throws(() => read(own(eventfd(1)), byte), kernelError("EINVAL", "read"));
      assert.throws(() => write(own(eventfd(1)), byte), kernelError("EINVAL", "write"));

      const path = join(directory, "unconnected.sock");
      assert.throws(() => read(own(listen(loopback)), byte), kernelError("ENOTCONN", "read"));
      assert.throws(() => write(own(listen({ path })), byte), kernelError("ENOTCONN", "write"));
      rmSync(path);

      const [from] = ownBoth(socketpair("datagram"));
      assert.throws(() => write(from, new Uint8Array(2 ** 24)), kernelError("EMSGSIZE", "write"));
    });

    it("say EPIPE to who writes when nobody will read", () => {
      const [readEnd, writeEnd] = ownBoth(pipe());
      const [left, right] = ownBoth(socketpair());
      end(readEnd);
      end(right);
      assert.throws(() => write(writeEnd, bytes("x")), kernelError("EPIPE", "write"));
      assert.throws(() => write(left, bytes("x")), kernelError("EPIPE", "write"));
    });

    it("say ECONNRESET when the peer has closed on unread bytes", () => {
      const [left, right] = ownBoth(socketpair());
      write(left, bytes("unread"));
      end(right);
      assert.throws(() => read(left, new Uint8Array(1)), kernelError("ECONNRESET", "read"));
    });

    it("give the errors of files and devices", () => {
      const cases: [string, string, (fd: number) => void, object][] = [
        [directory, "r", (fd) => read(fd, new Uint8Array(1)), kernelError("EISDIR", "read")],
        ["/proc/self/mem", "r", (fd) => read(fd, new Uint8Array(1)), kernelError("EIO", "read")],
        ["/dev/full", "w", (fd) => write(fd, new Uint8Array(1)), kernelError("ENOSPC", "write")],
      ];
      for (const [path, mode, action, expected] of cases) {
        const fd = openSync(path, mode);
        try {
          assert.throws(() => action(fd), expected);
        } finally {
          closeSync(fd);
        }
      }
    });
  });

  describe("sendUrgent and receiveUrgent", () => {
    async function tcpPair(): Promise<[number, number]> {
      const listener = own(listen(loopback));
      const client = own(connect(localAddress(listener)));
      return [own(await eventually(() => accept(listener))), client];
    }

    /** Takes the urgent byte once it has come. */
    function urgent(fd: number): Promise<number> {
      return eventually(() => {
        try {
          return receiveUrgent(fd);
        } catch (error) {
          if ((error as { code?: string }).code === "EINVAL") return WOULD_BLOCK;
          throw error;
        }
      });
    }

    it("carry a byte past those that were sent before it", async () => {
      const [server, client] = await tcpPair();
      for (const byte of [0, 33, 255]) {
        write(client, bytes("ordinary"));
        assert.equal(sendUrgent(client, byte), 1);
        assert.equal(await urgent(server), byte);
        assert.equal(received(server), "ordinary");
      }
    });

    it("say EINVAL when there is no urgent byte, or it was taken", async () => {
      const [server, client] = await tcpPair();
      assert.throws(() => receiveUrgent(server), kernelError("EINVAL", "receiveUrgent"));
      sendUrgent(client, 1);
      await urgent(server);
      assert.throws(() => receiveUrgent(server), kernelError("EINVAL", "receiveUrgent"));
    });

    it("say that sending would block while the connection is full", async () => {
      const [, client] = await tcpPair();
      // What the receiver's side takes meanwhile makes room again.
      do fill(client);
      while (sendUrgent(client, 1) !== WOULD_BLOCK);
    });

    it("say EPIPE to who sends after the end of sending", async () => {
      const [, client] = await tcpPair();
      shutdown(client, "write");
      assert.throws(() => sendUrgent(client, 1), kernelError("EPIPE", "sendUrgent"));
    });

    it("say ENOTSUP for sockets without urgent data", () => {
      const [left, right] = ownBoth(socketpair("datagram"));
      assert.throws(() => sendUrgent(left, 1), kernelError("ENOTSUP", "sendUrgent"));
      assert.throws(() => receiveUrgent(right), kernelError("ENOTSUP", "receiveUrgent"));
    });
  });

  describe("shutdown", () => {
    it("ends writing: the peer reads the end of file, and may go on writing", () => {
      const [left, right] = ownBoth(socketpair());
      write(left, bytes("last"));
      shutdown(left, "write");
      assert.equal(received(right), "last");
      assert.equal(read(right, new Uint8Array(1)), 0);
      assert.throws(() => write(left, bytes("x")), kernelError("EPIPE", "write"));
      write(right, bytes("still"));
      assert.equal(received(left), "still");
    });

    it("ends reading: this end reads the end of file, and may go on writing", () => {
      const [left, right] = ownBoth(socketpair());
      shutdown(left, "read");
      assert.equal(read(left, new Uint8Array(1)), 0);
      write(left, bytes("still"));
      assert.equal(received(right), "still");
    });

    it("ends both", () => {
      const [left] = ownBoth(socketpair());
      shutdown(left, "both");
      assert.equal(read(left, new Uint8Array(1)), 0);
      assert.throws(() => write(left, bytes("x")), kernelError("EPIPE", "write"));
    });

    it("says ENOTCONN for a socket that is not connected", async () => {
      const listener = own(listen(loopback));
      const address = localAddress(listener);
      end(listener);
      const client = own(connect(address));
      await eventually(() => pendingError(client));
      assert.throws(() => shutdown(client, "write"), kernelError("ENOTCONN", "shutdown"));
    });
  });

  describe("setNonBlocking", () => {
    it("switches the flag, which duplicates share", () => {
      const [readEnd] = ownBoth(pipe());
      const duplicate = own(dup(readEnd));
      for (const enabled of [false, false, true, true]) {
        setNonBlocking(readEnd, enabled);
        assert.equal(isNonBlocking(readEnd), enabled);
        assert.equal(isNonBlocking(duplicate), enabled);
        assert.equal(isCloseOnExec(readEnd), true);
      }
    });
  });

  describe("dup", () => {
    it("gives another number for the same open file, close-on-exec", () => {
      const [readEnd, writeEnd] = ownBoth(pipe());
      const duplicate = own(dup(writeEnd));
      assert.notEqual(duplicate, writeEnd);
      assert.equal(isCloseOnExec(duplicate), true);
      end(writeEnd);
      write(duplicate, bytes("still"));
      assert.equal(received(readEnd), "still");
    });

    it("takes the number it is given, and closes what was there", () => {
      const [readEnd, writeEnd] = ownBoth(pipe());
      const [left, right] = ownBoth(socketpair());
      assert.equal(dup(writeEnd, right), right);
      assert.equal(isCloseOnExec(right), true);
      assert.equal(read(left, new Uint8Array(1)), 0);
      write(right, bytes("onto"));
      assert.equal(received(readEnd), "onto");
    });

    it("takes a number that is free", () => {
      const [readEnd] = ownBoth(pipe());
      const free = dup(readEnd);
      close(free);
      assert.equal(own(dup(readEnd, free)), free);
    });

    it("gives the kernel's errors", () => {
      const [readEnd] = ownBoth(pipe());
      assert.throws(() => dup(readEnd, readEnd), kernelError("EINVAL", "dup"));
      assert.throws(() => dup(readEnd, -1), kernelError("EBADF", "dup"));
      assert.throws(() => dup(readEnd, NEVER_OPEN), kernelError("EBADF", "dup"));
    });
  });

  describe("close", () => {
    it("frees the number, so that closing again is EBADF", () => {
      const [readEnd] = ownBoth(pipe());
      end(readEnd);
      assert.throws(() => close(readEnd), kernelError("EBADF", "close"));
    });
  });

  describe("each function that takes a descriptor", () => {
    const functions: [string, (fd: number) => void][] = [
      ["localAddress", localAddress],
      ["accept", accept],
      ["pendingError", pendingError],
      ["read", (fd) => read(fd, new Uint8Array(1))],
      ["write", (fd) => write(fd, new Uint8Array(1))],
      ["sendUrgent", (fd) => sendUrgent(fd, 0)],
      ["receiveUrgent", receiveUrgent],
      ["shutdown", (fd) => shutdown(fd, "both")],
      ["setNonBlocking", (fd) => setNonBlocking(fd, true)],
      ["dup", (fd) => dup(fd)],
      ["dup", (fd) => dup(fd, NEVER_OPEN - 1)],
      ["dup", (fd) => dup(own(eventfd()), fd)],
      ["close", close],
    ];
    const onlySockets = new Set(["localAddress", "accept", "pendingError", "sendUrgent", "receiveUrgent", "shutdown"]);

    it("says EBADF to an integer below zero and to a descriptor that is not open", () => {
      for (const [name, action] of functions) {
        for (const fd of [-1, -(2 ** 31), -(2 ** 31) - 1, NEVER_OPEN]) {
          assert.throws(() => action(fd), kernelError("EBADF", name), `${name}(${fd})`);
        }
      }
    });

    it("refuses what is no descriptor at all", () => {
      for (const [name, action] of functions) {
        for (const fd of ["1", null, {}, true, 1n, Symbol("fd")]) {
          assert.throws(() => action(fd as never), { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" }, name);
        }
        for (const fd of [0.5, -0.5, NaN, Infinity, -Infinity, 2 ** 31]) {
          assert.throws(() => action(fd), { name: "RangeError", code: "ERR_OUT_OF_RANGE" }, `${name}(${fd})`);
        }
      }
    });

    it("says ENOTSOCK to a pipe if it needs a socket", () => {
      const [readEnd] = ownBoth(pipe());
      const refused = functions.filter(([name]) => onlySockets.has(name));
      assert.equal(refused.length, onlySockets.size);
      for (const [name, action] of refused) assert.throws(() => action(readEnd), kernelError("ENOTSOCK", name), name);
    });
  });

  describe("every other argument", () => {
    const wrongType = { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" };
    const wrongValue = { name: "TypeError", code: "ERR_INVALID_ARG_VALUE" };
    const wrongRange = { name: "RangeError", code: "ERR_OUT_OF_RANGE" };
    const eight = new Uint8Array(8);

    // What is refused, the values, how, and the name that the message must give.
    const table: [string, readonly unknown[], (value: never) => unknown, object][] = [
      ["type", [1, null, {}], (value) => socketpair(value), wrongType],
      ["type", ["", "Stream", "dgram"], (value) => socketpair(value), wrongValue],
      ["initial", ["1", null, 1n], (value) => eventfd(value), wrongType],
      ["initial", [-1, 0.5, NaN, 2 ** 32], (value) => eventfd(value), wrongRange],
      ["address", [undefined, null, "/x", 80], (value) => listen(value), wrongType],
      ["address", [undefined, null, "/x", 80], (value) => connect(value), wrongType],
      [
        "address",
        [
          { path: "/x", host: "::1", port: 1 },
          { path: "/x", port: 1 },
        ],
        (value) => listen(value),
        wrongValue,
      ],
      [
        "address",
        [
          { path: "/x", host: "::1", port: 1 },
          { path: "/x", port: 1 },
        ],
        (value) => connect(value),
        wrongValue,
      ],
      ["address.host", [undefined, null, 1], (host) => listen({ host, port: 0 }), wrongType],
      ["address.host", ["", "localhost", "127.1", "::1\0", "::g"], (host) => listen({ host, port: 0 }), wrongValue],
      ["address.host", ["localhost"], (host) => connect({ host, port: 1 }), wrongValue],
      ["address.port", [undefined, null, "80"], (port) => listen({ host: "::1", port }), wrongType],
      ["address.port", [-1, 0.5, NaN, 65_536], (port) => listen({ host: "::1", port }), wrongRange],
      ["address.port", [-1, 65_536], (port) => connect({ host: "::1", port }), wrongRange],
      ["address.path", [null, 1, {}], (path) => listen({ path }), wrongType],
      ["address.path", ["", "\0abstract", "/x\0y"], (path) => listen({ path }), wrongValue],
      ["address.path", ["", "\0abstract", "/x\0y"], (path) => connect({ path }), wrongValue],
      ["options", [null, 5, "5"], (options) => listen(loopback, options), wrongType],
      ["options.backlog", [null, "5", 5n], (backlog) => listen(loopback, { backlog }), wrongType],
      ["options.backlog", [-1, 0.5, 2 ** 31], (backlog) => listen(loopback, { backlog }), wrongRange],
      ["buffer", [undefined, null, "x", [1], new ArrayBuffer(8)], (buffer) => read(0, buffer), wrongType],
      ["buffer", [new Int8Array(8), new Uint16Array(8), new DataView(eight.buffer)], (b) => read(0, b), wrongType],
      ["buffer", [undefined, null, "x", [1], new ArrayBuffer(8)], (buffer) => write(1, buffer), wrongType],
      ["buffer", [new Int8Array(8), new Uint16Array(8), new DataView(eight.buffer)], (b) => write(1, b), wrongType],
      ["offset", ["1", null, 1n], (offset) => read(0, eight, offset), wrongType],
      ["offset", ["1", null, 1n], (offset) => write(1, eight, offset), wrongType],
      ["offset", [-1, 9, 0.5, NaN, Infinity], (offset) => read(0, eight, offset), wrongRange],
      ["offset", [-1, 9, 0.5, NaN, Infinity], (offset) => write(1, eight, offset), wrongRange],
      ["length", ["1", null, 1n], (length) => read(0, eight, 4, length), wrongType],
      ["length", ["1", null, 1n], (length) => write(1, eight, 4, length), wrongType],
      ["length", [-1, 5, 0.5, NaN, Infinity], (length) => read(0, eight, 4, length), wrongRange],
      ["length", [-1, 5, 0.5, NaN, Infinity], (length) => write(1, eight, 4, length), wrongRange],
      ["byte", [undefined, null, "1", 1n], (value) => sendUrgent(0, value), wrongType],
      ["byte", [-1, 256, 0.5, NaN, Infinity], (value) => sendUrgent(0, value), wrongRange],
      ["how", [undefined, 0, null], (how) => shutdown(0, how), wrongType],
      ["how", ["", "rdwr", "Read"], (how) => shutdown(0, how), wrongValue],
      ["enabled", [undefined, 0, "true", null], (enabled) => setNonBlocking(0, enabled), wrongType],
    ];

    it("is refused by its name before anything happens", () => {
      for (const [name, values, action, expected] of table) {
        for (const value of values) {
          const attempt = `${action.toString()} with ${String(value)}`;
          assert.throws(() => action(value as never), { ...expected, message: new RegExp(`"${name}"`) }, attempt);
        }
      }
      // Nothing was opened either: see afterEach.
    });
  });

  describe("the addon's functions, called past the checks", () => {
    type Unchecked = Record<string, (...values: unknown[]) => number>;
    const { io } = (require("node-gyp-build") as (directory: string) => { io: Unchecked })(root);
    const refused = -constants.errno.EINVAL;

    it("refuse arguments of wrong types and do no harm", () => {
      const names = Object.keys(io);
      assert.equal(names.length, 17);
      for (const name of names) {
        for (const values of [[], ["1", "2", "3", "4"], [{}, {}, {}, {}], [null, null], [1n, 1n], [undefined]]) {
          assert.equal(io[name]!(...values), refused, name);
        }
      }
    });

    it("never go beyond the array they were given", () => {
      const [left, right] = ownBoth(socketpair());
      const eight = new Uint8Array(8);
      const detached = new Uint8Array(8);
      structuredClone(detached, { transfer: [detached.buffer] });
      write(right, bytes("never to be read"));
      for (const name of ["read", "write"]) {
        for (const [offset, length] of [
          [0, 9],
          [9, 0],
          [8, 1],
          [-1, 1],
          [0, -1],
          [1, 2 ** 63],
          [2 ** 63, 2 ** 63],
        ]) {
          assert.equal(io[name]!(left, eight, offset, length), refused, `${name} ${offset} ${length}`);
        }
        assert.equal(io[name]!(left, detached, 0, 1), refused);
        assert.equal(io[name]!(left, new Uint16Array(8), 0, 8), refused);
      }
      assert.equal(read(right, eight), WOULD_BLOCK);
      assert.equal(io["pipe"]!(new Int32Array(1)), refused);
      assert.equal(io["pipe"]!(new Uint8Array(8)), refused);
      assert.equal(io["socketpair"]!(true, new Int32Array(1)), refused);
    });

    it("refuse addresses and choices that cannot be", () => {
      assert.equal(io["listen"]!("127.0.0.1", 65_536, 1), refused);
      assert.equal(io["listen"]!("127.0.0.1", -2, 1), refused);
      assert.equal(io["listen"]!("127.0.0.1\0", 0, 1), refused);
      assert.equal(io["listen"]!("localhost", 0, 1), refused);
      assert.equal(io["connect"]!("", -1), refused);
      assert.equal(io["connect"]!("\0abstract", -1), refused);
      assert.equal(io["sendUrgent"]!(0, 256), refused);
      assert.equal(io["sendUrgent"]!(0, -1), refused);
      assert.equal(io["shutdown"]!(0, 3), refused);
      assert.equal(io["shutdown"]!(0, -1), refused);
    });
  });

  describe("in a process of their own", () => {
    /** Runs a program, which fails by throwing or by dying of a signal. */
    function run(command: string, values: string[]): void {
      const { status, signal, stderr } = spawnSync(command, values, { cwd: root, encoding: "utf8" });
      assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: "" });
    }

    const imports = `import assert from "node:assert/strict"; import * as io from "lio-poller/io";`;

    it("never raise SIGPIPE, even in a program that is back at the default of dying", () => {
      run(
        ...evaluation(`${imports}
        const ignore = () => {};
        process.on("SIGPIPE", ignore).off("SIGPIPE", ignore);
        for (const [peer, fd] of [io.pipe(), io.socketpair(), io.socketpair("datagram")]) {
          io.close(peer);
          for (const attempt of [1, 2]) assert.throws(() => io.write(fd, new Uint8Array(1)), { name: "PollerError" });
        }
        const client = io.connect(io.localAddress(io.listen({ host: "127.0.0.1", port: 0 })));
        io.shutdown(client, "write");
        assert.throws(() => io.sendUrgent(client, 1), { code: "EPIPE" });
        const [readEnd, writeEnd] = io.pipe();
        assert.equal(io.write(writeEnd, new Uint8Array(3)), 3);
        assert.equal(io.read(readEnd, new Uint8Array(8)), 3);`),
      );
    }).timeout(10_000);

    it("keep SIGPIPE from a program that listens to it", () => {
      run(
        ...evaluation(`${imports}
        import { readFileSync } from "node:fs";
        import { setTimeout } from "node:timers/promises";
        const blocked = () => /^SigBlk:.*$/m.exec(readFileSync("/proc/thread-self/status", "latin1"))[0];
        const blockedBefore = blocked();
        let raised = 0;
        process.on("SIGPIPE", () => raised++);
        const [readEnd, writeEnd] = io.pipe();
        io.close(readEnd);
        assert.throws(() => io.write(writeEnd, new Uint8Array(1)), { code: "EPIPE" });
        assert.equal(blocked(), blockedBefore);
        // A signal of one's own comes after all that were raised before it.
        process.kill(process.pid, "SIGPIPE");
        while (raised === 0) await setTimeout(1);
        assert.equal(raised, 1);`),
      );
    }).timeout(10_000);

    it("say EMFILE when the process may not open more", () => {
      const [program, values] = evaluation(
        `${imports}
        const listener = io.listen({ host: "127.0.0.1", port: 0 });
        const address = io.localAddress(listener);
        io.connect(address);
        const creators = {
          eventfd: () => io.eventfd(),
          pipe: () => io.pipe(),
          socketpair: () => io.socketpair(),
          listen: () => io.listen({ host: "127.0.0.1", port: 0 }),
          connect: () => io.connect(address),
          accept: () => io.accept(listener),
          dup: () => io.dup(listener),
        };
        const full = { name: "PollerError", code: "EMFILE", errno: -24 };
        assert.throws(() => { for (;;) io.eventfd(); }, full);
        for (const [syscall, create] of Object.entries(creators)) assert.throws(create, { ...full, syscall });`,
      );
      run("sh", ["-c", 'ulimit -n 64 && exec "$0" "$@"', program, ...values]);
    }).timeout(10_000);
  });
});
