/**
 * The simulated epoll against the kernel's manual pages. Where a page leaves the answer open, the expected masks and
 * orders are what Linux 6.18 gave for the same calls; `sim-kernel.test.ts` compares with the machine it runs on.
 */
import assert from "node:assert/strict";
import { SimulatedEpoll, WOULD_BLOCK, type SimulatedIo } from "lio-poller/sim";
import { ERR, ET, HUP, IN, lifted, ONESHOT, outcome, OUT, PRI, RDHUP } from "./simulated.js";

const EVERYTHING = IN | PRI | OUT | RDHUP;
const byte = new Uint8Array(1);
const page = new Uint8Array(4096);

/** A simulated kernel with one epoll instance, and short words for what tests do with it. */
function start() {
  const simulated = new SimulatedEpoll();
  const kernel = simulated.open();
  const epoll = lifted(kernel);
  const instance = epoll.create();
  const change = (operation: "add" | "modify" | "delete", fd: number, mask: number, slot: number) =>
    epoll.control(instance, [{ operation, fd, mask, token: { slot, generation: 0 } }])[0]?.error.tag;
  return {
    simulated,
    kernel,
    epoll,
    instance,
    io: simulated.io,
    clock: simulated.clock,
    add: (fd: number, mask: number, slot = fd) => change("add", fd, mask, slot),
    modify: (fd: number, mask: number, slot = fd) => change("modify", fd, mask, slot),
    remove: (fd: number) => change("delete", fd, 0, 0),
    /** The events that are there, by slot, as `[slot, mask]`. */
    poll: (capacity = 64) =>
      epoll.wait(instance, [], capacity, 0n).map(({ mask, token }) => [token.slot, mask] as const),
  };
}

function fill(io: SimulatedIo, fd: number, chunk: Uint8Array): void {
  while (io.write(fd, chunk) !== WOULD_BLOCK);
}

function word(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer);
}

describe("the readiness of simulated files", () => {
  const cases: readonly [what: string, page: string, mask: number, make: (io: SimulatedIo) => number][] = [
    ["an empty pipe's read end", "pipe(7)", 0, (io) => io.pipe()[0]],
    ["an empty pipe's write end", "pipe(7)", OUT, (io) => io.pipe()[1]],
    ["a read end with data", "pipe(7)", IN, (io) => withPipe(io, (_, writer) => io.write(writer, byte))[0]],
    ["a read end without a writer", "poll(2)", HUP, (io) => withPipe(io, (_, writer) => io.close(writer))[0]],
    [
      "a read end with data and without a writer",
      "poll(2)",
      IN | HUP,
      (io) => withPipe(io, (_, writer) => [io.write(writer, byte), io.close(writer)])[0],
    ],
    ["a write end without a reader", "poll(2)", OUT | ERR, (io) => withPipe(io, (reader) => io.close(reader))[1]],
    ["a full write end", "pipe(7)", 0, (io) => withPipe(io, (_, writer) => fill(io, writer, page))[1]],
    [
      "a full write end without a reader",
      "poll(2)",
      ERR,
      (io) => withPipe(io, (reader, writer) => [fill(io, writer, page), io.close(reader)])[1],
    ],
    [
      "a full pipe of which less than a page was read",
      "pipe(7)",
      0,
      (io) => withPipe(io, (reader, writer) => [fill(io, writer, page), io.read(reader, new Uint8Array(4095))])[1],
    ],
    [
      "a full pipe of which a page was read",
      "pipe(7)",
      OUT,
      (io) => withPipe(io, (reader, writer) => [fill(io, writer, page), io.read(reader, page)])[1],
    ],
    ["a socket", "unix(7)", OUT, (io) => io.socketpair()[0]],
    ["a socket with data", "unix(7)", IN | OUT, (io) => withPair(io, (peer) => io.write(peer, byte))],
    [
      "a socket whose peer is closed",
      "unix(7)",
      IN | OUT | RDHUP | HUP,
      (io) => withPair(io, (peer) => io.close(peer)),
    ],
    [
      "a socket whose peer is closed without having read",
      "unix(7)",
      IN | OUT | RDHUP | HUP | ERR,
      (io) => withPair(io, (peer, own) => [io.write(own, byte), io.close(peer)]),
    ],
    [
      "a socket whose peer writes no more",
      "shutdown(2)",
      IN | OUT | RDHUP,
      (io) => withPair(io, (peer) => io.shutdown(peer, "write")),
    ],
    [
      "a socket whose peer reads no more",
      "shutdown(2)",
      OUT,
      (io) => withPair(io, (peer) => io.shutdown(peer, "read")),
    ],
    [
      "a socket whose peer does neither",
      "shutdown(2)",
      IN | OUT | RDHUP | HUP,
      (io) => withPair(io, (peer) => io.shutdown(peer, "both")),
    ],
    ["a socket that writes no more", "shutdown(2)", OUT, (io) => withPair(io, (_, own) => io.shutdown(own, "write"))],
    [
      "a socket of which both ends write no more",
      "shutdown(2)",
      IN | OUT | RDHUP | HUP,
      (io) => withPair(io, (peer, own) => [io.shutdown(own, "write"), io.shutdown(peer, "write")]),
    ],
    ["a full socket", "unix(7)", 0, (io) => withPair(io, (_, own) => fill(io, own, page))],
    [
      "a full socket of which one packet was read",
      "unix(7)",
      0,
      (io) => withPair(io, (peer, own) => [fill(io, own, page), io.read(peer, page)]),
    ],
    [
      "a full socket of which all was read",
      "unix(7)",
      OUT,
      (io) => withPair(io, (peer, own) => [fill(io, own, page), io.read(peer, new Uint8Array(1 << 20))]),
    ],
    ["an eventfd of 0", "eventfd(2)", OUT, (io) => io.eventfd()],
    ["an eventfd of 1", "eventfd(2)", IN | OUT, (io) => io.eventfd(1)],
    [
      "an eventfd at its maximum",
      "eventfd(2)",
      IN,
      (io) => {
        const fd = io.eventfd();
        io.write(fd, word(2n ** 64n - 2n));
        return fd;
      },
    ],
  ];

  function withPipe(io: SimulatedIo, use: (reader: number, writer: number) => unknown): [number, number] {
    const pipe = io.pipe();
    use(...pipe);
    return pipe;
  }

  function withPair(io: SimulatedIo, use: (peer: number, own: number) => unknown): number {
    const [own, peer] = io.socketpair();
    use(peer, own);
    return own;
  }

  for (const [what, manual, mask, make] of cases) {
    it(`of ${what} is ${name(mask)}, as ${manual} says`, () => {
      const { io, add, poll } = start();
      const fd = make(io);
      assert.equal(add(fd, EVERYTHING), undefined);
      assert.deepEqual(poll(), mask === 0 ? [] : [[fd, mask]]);
    });
  }

  function name(mask: number): string {
    const bits = Object.entries({ IN, PRI, OUT, RDHUP, ERR, HUP }).filter(([, bit]) => mask & bit);
    return bits.map(([bit]) => bit).join("|") || "none";
  }
});

describe("simulated TCP", () => {
  type Step = readonly [call: string, result: number | string, own: number];
  const W = OUT;
  const FINISHED = IN | OUT | RDHUP;
  const ENDED = FINISHED | HUP;

  // What Linux 6.18 gave over the loopback interface, call by call: its result, and what the own end showed after it. In
  // capitals what the peer does: S sends, U sends urgently, F finishes sending, C closes. In small letters what the own end
  // does: r reads, u takes the urgent byte, s sends, f finishes sending, n reads no more.
  const cases: readonly [what: string, steps: readonly Step[]][] = [
    [
      "an urgent byte alone, which a read leaves out",
      [
        ["U!", 1, W | PRI],
        ["r", -1, W],
        ["u", "EINVAL", W],
      ],
    ],
    [
      "an urgent byte before data",
      [
        ["U!", 1, W | PRI],
        ["Sab", 2, W | IN | PRI],
        ["r", "ab", W],
        ["u", "EINVAL", W],
      ],
    ],
    [
      "an urgent byte behind data, at which a read stops",
      [
        ["Sab", 2, W | IN],
        ["U!", 1, W | IN | PRI],
        ["r", "ab", W | PRI],
        ["r", -1, W],
        ["u", "EINVAL", W],
      ],
    ],
    [
      "an urgent byte within data",
      [
        ["Sab", 2, W | IN],
        ["U!", 1, W | IN | PRI],
        ["Sde", 2, W | IN | PRI],
        ["r", "ab", W | IN | PRI],
        ["r", "de", W],
      ],
    ],
    [
      "an urgent byte within data, taken first",
      [
        ["Sab", 2, W | IN],
        ["U!", 1, W | IN | PRI],
        ["Sde", 2, W | IN | PRI],
        ["u", "!", W | IN],
        ["r", "ab", W | IN],
        ["r", "de", W],
      ],
    ],
    [
      "two urgent bytes, of which the later stays",
      [
        ["Ux", 1, W | PRI],
        ["Uy", 1, W | PRI],
        ["u", "y", W],
        ["r", -1, W],
      ],
    ],
    [
      "an urgent byte that another one made ordinary",
      [
        ["Sa", 1, W | IN],
        ["Ux", 1, W | IN | PRI],
        ["Sb", 1, W | IN | PRI],
        ["Uy", 1, W | IN | PRI],
        ["r", "axb", W | PRI],
      ],
    ],
    [
      "an urgent byte that was taken and then made ordinary",
      [
        ["Sa", 1, W | IN],
        ["Ux", 1, W | IN | PRI],
        ["u", "x", W | IN],
        ["Sb", 1, W | IN],
        ["Uy", 1, W | IN | PRI],
        ["r", "axb", W | PRI],
      ],
    ],
    [
      "an urgent byte before the end",
      [
        ["U!", 1, W | PRI],
        ["F", 0, FINISHED | PRI],
        ["r", "", FINISHED],
        ["u", "EINVAL", FINISHED],
      ],
    ],
    [
      "a peer that has finished",
      [
        ["F", 0, FINISHED],
        ["r", "", FINISHED],
        ["s", 1, FINISHED],
      ],
    ],
    [
      "both ends that have finished",
      [
        ["f", 0, W],
        ["F", 0, ENDED],
        ["r", "", ENDED],
        ["s", "EPIPE", ENDED],
      ],
    ],
    [
      "a closed peer, which answers what is sent with a reset",
      [
        ["C", 0, FINISHED],
        ["r", "", FINISHED],
        ["s", 1, ENDED | ERR],
        ["r", "", ENDED | ERR],
        ["s", "EPIPE", ENDED],
        ["s", "EPIPE", ENDED],
      ],
    ],
    [
      "a peer that closed before it had read all",
      [
        ["Shi", 2, W | IN],
        ["s", 1, W | IN],
        ["C", 0, ENDED | ERR],
        ["r", "hi", ENDED | ERR],
        ["r", "ECONNRESET", ENDED],
        ["r", "", ENDED],
      ],
    ],
    [
      "a reset that is told to who sends",
      [
        ["s", 1, W],
        ["C", 0, ENDED | ERR],
        ["f", "ENOTCONN", ENDED | ERR],
        ["s", "ECONNRESET", ENDED],
        ["r", "", ENDED],
        ["s", "EPIPE", ENDED],
      ],
    ],
    [
      "an urgent byte and a reset",
      [
        ["U!", 1, W | PRI],
        ["s", 1, W | PRI],
        ["C", 0, ENDED | ERR | PRI],
        ["u", "ENOTCONN", ENDED | ERR | PRI],
        ["r", "ECONNRESET", ENDED],
      ],
    ],
    [
      "an end that reads no more, which takes what comes all the same",
      [
        ["n", 0, FINISHED],
        ["Sx", 1, FINISHED],
        ["r", "x", FINISHED],
      ],
    ],
    [
      "an end that neither reads nor sends, which answers with a reset",
      [
        ["n", 0, FINISHED],
        ["f", 0, ENDED],
        ["Sx", 1, ENDED | ERR],
        ["r", "ECONNRESET", ENDED],
      ],
    ],
  ];

  for (const [what, steps] of cases) {
    it(`shows ${what}`, () => {
      const { io, epoll, instance, add } = start();
      const [own, peer] = io.tcpPair();
      add(own, EVERYTHING);
      const calls: Readonly<Record<string, (text: string) => unknown>> = {
        S: (text) => io.write(peer, new TextEncoder().encode(text)),
        U: (text) => io.sendUrgent(peer, text.charCodeAt(0)),
        F: () => io.shutdown(peer, "write"),
        C: () => io.close(peer),
        r: () => {
          const buffer = new Uint8Array(10);
          const count = io.read(own, buffer);
          return count === WOULD_BLOCK ? count : new TextDecoder().decode(buffer.subarray(0, count));
        },
        u: () => String.fromCharCode(io.receiveUrgent(own)),
        s: () => io.write(own, byte),
        f: () => io.shutdown(own, "write"),
        n: () => io.shutdown(own, "read"),
      };
      for (const [call, result, bits] of steps) {
        let got: unknown;
        try {
          got = calls[call[0] ?? ""]?.(call.slice(1)) ?? 0;
        } catch (error) {
          got = (error as { code?: string }).code;
        }
        assert.equal(got, result, call);
        assert.equal(epoll.wait(instance, [], 1, 0n)[0]?.mask ?? 0, bits, `the bits after ${call}`);
      }
    });
  }

  it("is writable until it is full, and again when most has been read", () => {
    const { io, add, poll } = start();
    const [own, peer] = io.tcpPair();
    add(own, OUT);
    fill(io, own, new Uint8Array(65_536));
    assert.deepEqual(poll(), []);
    assert.equal(io.sendUrgent(own, 1), WOULD_BLOCK);
    const buffer = new Uint8Array(65_536);
    io.read(peer, buffer);
    assert.deepEqual(poll(), []);
    while (io.read(peer, buffer) > 0);
    assert.deepEqual(poll(), [[own, OUT]]);
  });

  it("lets time pass in a blocking send of an urgent byte until there is room", () => {
    const { io, clock } = start();
    const [own, peer] = io.tcpPair();
    fill(io, own, new Uint8Array(65_536));
    io.setNonBlocking(own, false);
    const buffer = new Uint8Array(65_536);
    const before = clock.now();
    clock.after(5, () => {
      while (io.read(peer, buffer) > 0);
    });
    assert.equal(io.sendUrgent(own, 7), 1);
    assert.equal(clock.now() - before, 5_000_000n);
    assert.equal(io.receiveUrgent(peer), 7);
  });
});

describe("the simulated interest list", () => {
  it("reports only what was asked for", () => {
    const { io, add, modify, poll } = start();
    const fd = io.eventfd(1);
    add(fd, IN);
    assert.deepEqual(poll(), [[fd, IN]]);
    modify(fd, OUT);
    assert.deepEqual(poll(), [[fd, OUT]]);
    modify(fd, 0);
    assert.deepEqual(poll(), []);
  });

  it("reports hang-ups and errors that nobody asked for", () => {
    const { io, add, poll } = start();
    const [own, peer] = io.socketpair();
    const [reader, writer] = io.pipe();
    add(own, 0);
    add(writer, 0);
    io.close(peer);
    io.close(reader);
    assert.deepEqual(poll(), [
      [own, HUP],
      [writer, ERR],
    ]);
  });

  it("refuses a descriptor that is not open, is registered, is not registered, or is a regular file", () => {
    const { io, add, modify, remove } = start();
    const fd = io.eventfd();
    const file = io.regular();
    assert.deepEqual([add(99, IN), modify(99, IN), remove(99), add(-1, IN)], Array(4).fill("bad-descriptor"));
    assert.deepEqual([modify(fd, IN), remove(fd)], ["not-found", "not-found"]);
    assert.deepEqual([add(fd, IN), add(fd, IN)], [undefined, "already-exists"]);
    assert.deepEqual([add(file, IN), modify(file, IN), remove(file)], Array(3).fill("not-permitted"));
    assert.deepEqual([remove(fd), remove(fd)], [undefined, "not-found"]);
  });

  it("forgets a description with its last descriptor", () => {
    const { io, add, poll } = start();
    const fd = io.eventfd(1);
    const copy = io.dup(fd);
    add(fd, IN);
    add(copy, IN);
    io.close(fd);
    assert.equal(poll().length, 2);
    io.close(copy);
    assert.deepEqual(poll(), []);
    assert.equal(io.eventfd(), fd);
    assert.equal(add(fd, IN), undefined);
  });

  it("goes on reporting a closed descriptor while a duplicate is open, and cannot be told to stop", () => {
    const { io, add, modify, remove, poll } = start();
    const fd = io.eventfd(1);
    const copy = io.dup(fd);
    add(fd, IN, 7);
    io.close(fd);
    assert.deepEqual(poll(), [[7, IN]]);
    assert.deepEqual([modify(fd, 0), remove(fd)], ["bad-descriptor", "bad-descriptor"]);
    assert.deepEqual([modify(copy, 0), remove(copy)], ["not-found", "not-found"]);

    assert.equal(io.eventfd(1), fd);
    assert.deepEqual([modify(fd, 0), remove(fd)], ["not-found", "not-found"]);
    assert.equal(add(fd, IN, 8), undefined);
    assert.deepEqual(poll(), [
      [7, IN],
      [8, IN],
    ]);
    remove(fd);
    assert.deepEqual(poll(), [[7, IN]]);
  });

  it("knows a description that comes back to its number", () => {
    const { io, add, poll } = start();
    const fd = io.eventfd(1);
    const copy = io.dup(fd);
    add(fd, IN, 7);
    io.close(fd);
    assert.equal(io.dup(copy, fd), fd);
    assert.equal(add(fd, IN, 8), "already-exists");
    assert.deepEqual(poll(), [[7, IN]]);
  });

  it("keeps instances apart", () => {
    const { io, epoll, add, poll } = start();
    const other = epoll.create();
    const fd = io.eventfd(1);
    add(fd, IN | ONESHOT, 1);
    epoll.control(other, [{ operation: "add", fd, mask: IN, token: { slot: 2, generation: 3 } }]);
    assert.deepEqual(poll(), [[1, IN]]);
    assert.deepEqual(epoll.wait(other, [], 1, 0n), [{ mask: IN, token: { slot: 2, generation: 3 } }]);
    assert.deepEqual(poll(), []);
  });
});

describe("the simulated ready list", () => {
  it("gives every ready descriptor its turn, however little room there is", () => {
    const { io, add, poll } = start();
    const fds = Array.from({ length: 10 }, () => io.eventfd(1));
    for (const fd of fds) add(fd, IN);
    const turns = Array.from({ length: 20 }, () => poll(1).map(([slot]) => slot)).flat();
    assert.deepEqual(turns, [...fds, ...fds]);
    assert.deepEqual(
      [poll(3), poll(3)].map((events) => events.map(([slot]) => slot)),
      [fds.slice(0, 3), fds.slice(3, 6)],
    );
  });

  it("reports a level-triggered descriptor until it is no longer ready", () => {
    const { io, add, poll } = start();
    const [reader, writer] = io.pipe();
    add(reader, IN);
    io.write(writer, new Uint8Array(2));
    assert.deepEqual([poll(), poll()], [[[reader, IN]], [[reader, IN]]]);
    io.read(reader, byte);
    assert.deepEqual(poll(), [[reader, IN]]);
    io.read(reader, byte);
    assert.deepEqual(poll(), []);
  });

  it("reports a one-shot descriptor once, and then not even its hang-up, until it is modified", () => {
    const { io, add, modify, poll } = start();
    const [own, peer] = io.socketpair();
    add(own, OUT | ONESHOT);
    assert.deepEqual([poll(), poll()], [[[own, OUT]], []]);
    io.close(peer);
    assert.deepEqual(poll(), []);
    modify(own, ONESHOT);
    assert.deepEqual([poll(), poll()], [[[own, HUP]], []]);
  });

  it("reports an edge-triggered descriptor once per edge, and after each modify", () => {
    const { io, add, modify, poll } = start();
    const [reader, writer] = io.pipe();
    add(reader, IN | ET);
    io.write(writer, byte);
    assert.deepEqual([poll(), poll()], [[[reader, IN]], []]);
    io.write(writer, byte);
    assert.deepEqual([poll(), poll()], [[[reader, IN]], []]);
    io.read(reader, byte);
    assert.deepEqual(poll(), []);
    modify(reader, IN | ET);
    assert.deepEqual([poll(), poll()], [[[reader, IN]], []]);
  });

  it("takes a packet that the peer has read for an edge of writability, as Linux does", () => {
    const { io, add, poll } = start();
    const [own, peer] = io.socketpair();
    add(own, OUT | ET);
    assert.deepEqual([poll(), poll()], [[[own, OUT]], []]);
    io.write(own, new Uint8Array(2));
    io.read(peer, byte);
    assert.deepEqual(poll(), []);
    io.read(peer, byte);
    assert.deepEqual(poll(), [[own, OUT]]);
  });

  it("does not take arriving data for an edge of writability", () => {
    const { io, add, poll } = start();
    const [own, peer] = io.socketpair();
    add(own, OUT | ET);
    poll();
    io.write(peer, byte);
    assert.deepEqual(poll(), []);
  });

  it("gives one that waits for priority data its place when ordinary data arrives, as Linux does", () => {
    const { io, add, modify, poll } = start();
    const [own, peer] = io.socketpair();
    const fd = io.eventfd();
    add(own, PRI);
    add(fd, IN);
    io.write(peer, byte);
    io.write(fd, word(1n));
    modify(own, IN);
    assert.deepEqual(poll(), [
      [own, IN],
      [fd, IN],
    ]);
  });

  it("keeps no place for a one-shot descriptor that has fired", () => {
    const { io, add, modify, poll } = start();
    const [own, peer] = io.socketpair();
    const fd = io.eventfd();
    add(own, OUT | ONESHOT);
    add(fd, IN);
    poll();
    io.close(peer);
    io.write(fd, word(1n));
    modify(own, OUT | ONESHOT);
    assert.deepEqual(poll(), [
      [fd, IN],
      [own, OUT | HUP],
    ]);
  });

  it("takes a write to a pipe for an edge even if it found no room", () => {
    const { io, add, poll } = start();
    const [reader, writer] = io.pipe();
    fill(io, writer, page);
    add(reader, IN | ET);
    poll();
    assert.equal(io.write(writer, byte), WOULD_BLOCK);
    assert.deepEqual(poll(), [[reader, IN]]);
  });

  it("tells the registrations of one description that happened to be woken together, the latest first", () => {
    const { io, add, poll } = start();
    const fd = io.eventfd();
    const copy = io.dup(fd);
    add(fd, IN, 1);
    add(copy, IN, 2);
    io.write(fd, word(1n));
    assert.deepEqual(poll(), [
      [2, IN],
      [1, IN],
    ]);
  });

  it("serves at most 1,024 events", () => {
    const { io, add, poll } = start();
    for (let count = 0; count < 1030; count++) add(io.eventfd(1), IN);
    assert.equal(poll(2000).length, 1024);
  });
});

describe("a simulated wait", () => {
  const MILLISECOND = 1_000_000n;

  it("moves the clock by its timeout, to the nanosecond, when nothing happens", () => {
    const { epoll, instance } = start();
    const before = epoll.now();
    assert.deepEqual(epoll.wait(instance, [], 1, 123_456_789n), []);
    assert.equal(epoll.now() - before, 123_456_789n);
  });

  it("does not move the clock when something is ready, or when the timeout is zero", () => {
    const { epoll, instance, io, add, poll } = start();
    const before = epoll.now();
    assert.deepEqual(poll(), []);
    const fd = io.eventfd(1);
    add(fd, IN);
    assert.equal(epoll.wait(instance, [], 1, MILLISECOND).length, 1);
    assert.equal(epoll.wait(instance, [], 1, undefined).length, 1);
    assert.equal(epoll.now(), before);
  });

  it("ends when something scheduled makes a descriptor ready", () => {
    const { epoll, instance, io, clock, add } = start();
    const [reader, writer] = io.pipe();
    const before = epoll.now();
    add(reader, IN);
    clock.after(7, () => io.write(writer, byte));
    clock.after(2.5, () => io.setNonBlocking(writer, true));
    clock.after(8, () => assert.fail("later than the event"));
    assert.equal(epoll.wait(instance, [], 1, undefined).length, 1);
    assert.equal(epoll.now() - before, 7n * MILLISECOND);
    assert.equal(clock.pending, 1);
  });

  it("lets what falls due at the very timeout happen first", () => {
    const { epoll, instance, io, clock, add } = start();
    const fd = io.eventfd();
    add(fd, IN);
    clock.after(5, () => io.write(fd, word(1n)));
    assert.equal(epoll.wait(instance, [], 1, 5n * MILLISECOND - 1n).length, 0);
    assert.equal(epoll.wait(instance, [], 1, 1n).length, 1);
  });

  it("throws rather than block for ever, and says so", () => {
    const { epoll, instance, clock } = start();
    const done: number[] = [];
    clock.after(1, () => done.push(1));
    assert.throws(() => epoll.wait(instance, [], 1, undefined), /the simulated wait would block for ever/);
    assert.deepEqual(done, [1]);
  });

  it("stops at the end of time instead of going back", () => {
    const { epoll, instance } = start();
    epoll.wait(instance, [], 1, 2n ** 64n - 1n);
    assert.equal(epoll.now(), 2n ** 64n - 1n);
  });

  it("is refused without room, after its changes were made", () => {
    const { epoll, instance, io, poll } = start();
    const fd = io.eventfd(1);
    const changes = [{ operation: "add", fd, mask: IN, token: { slot: 1, generation: 2 } }] as const;
    assert.deepEqual(
      outcome(() => epoll.wait(instance, changes, 0, 0n)),
      { refused: { tag: "kernel", val: { tag: "invalid-argument" } } },
    );
    assert.deepEqual(poll(), [[1, IN]]);
  });

  it("tells refused changes, makes the others, and does not wait", () => {
    const { epoll, instance, io, clock, simulated, poll } = start();
    const fd = io.eventfd(1);
    clock.after(0, () => assert.fail("waited"));
    const token = { slot: 1, generation: 2 };
    const changes = [
      { operation: "modify", fd, mask: IN, token },
      { operation: "add", fd, mask: IN, token },
      { operation: "delete", fd: 99, mask: 0, token },
    ] as const;
    assert.deepEqual(
      outcome(() => epoll.wait(instance, changes, 1, undefined)),
      {
        refused: {
          tag: "changes",
          val: [
            { index: 0, error: { tag: "not-found" } },
            { index: 2, error: { tag: "bad-descriptor" } },
          ],
        },
      },
    );
    assert.equal(simulated.calls.wait, 0);
    assert.throws(poll, /waited/);
  });

  it("is ended by a notification, also by one that came before", () => {
    const { epoll, instance, clock } = start();
    const notifier = epoll.createNotifier();
    epoll.attachNotifier(notifier, instance, { slot: 5, generation: 6 });
    const event = [{ mask: IN, token: { slot: 5, generation: 6 } }];
    clock.after(3, () => epoll.notify(notifier));
    assert.deepEqual(epoll.wait(instance, [], 1, undefined), event);
    assert.deepEqual(epoll.wait(instance, [], 1, 0n), []);
    epoll.notify(notifier);
    epoll.notify(notifier);
    assert.deepEqual(epoll.wait(instance, [], 1, undefined), event);
    epoll.notify(notifier);
    epoll.closeNotifier(notifier);
    epoll.notify(notifier);
    assert.deepEqual(epoll.wait(instance, [], 1, 0n), []);
  });
});

describe("the virtual clock", () => {
  it("runs what is scheduled in order of time, then of scheduling", () => {
    const { clock } = new SimulatedEpoll();
    const done: string[] = [];
    clock.after(2, () => done.push("late"));
    clock.after(1, () => {
      done.push("first");
      clock.after(0.5, () => done.push("between"));
    });
    clock.after(1, () => done.push("second"));
    clock.advance(1.4);
    assert.deepEqual(done, ["first", "second"]);
    clock.advance(1);
    assert.deepEqual(done, ["first", "second", "between", "late"]);
  });

  it("shows an action the moment that it was scheduled for", () => {
    const { clock } = new SimulatedEpoll();
    const before = clock.now();
    let seen = 0n;
    clock.after(1.25, () => (seen = clock.now() - before));
    clock.advance(10);
    assert.deepEqual([seen, clock.now() - before], [1_250_000n, 10_000_000n]);
  });

  it("does not go back after an action that moved it further", () => {
    const { clock } = new SimulatedEpoll();
    const before = clock.now();
    clock.after(1, () => clock.advance(10));
    clock.after(2, () => assert.equal(clock.now() - before, 2_000_000n));
    clock.advance(5);
    assert.equal(clock.now() - before, 11_000_000n);
  });

  it("refuses times that cannot be", () => {
    const { clock } = new SimulatedEpoll();
    for (const time of [-1, NaN, Infinity]) {
      assert.throws(() => clock.advance(time), { code: "ERR_OUT_OF_RANGE" });
      assert.throws(() => clock.after(time, () => {}), { code: "ERR_OUT_OF_RANGE" });
    }
    assert.throws(() => clock.advance("1" as never), { code: "ERR_INVALID_ARG_TYPE" });
    assert.throws(() => clock.after(1, undefined as never), { code: "ERR_INVALID_ARG_TYPE" });
    assert.equal(clock.pending, 0);
  });
});

describe("the simulated kernel's accounts", () => {
  it("count the system calls that are made, and no others", () => {
    const { simulated, epoll, instance, io, add } = start();
    add(io.eventfd(), IN);
    add(99, IN);
    epoll.wait(instance, [], 1, 0n);
    const unknown = instance + 1;
    epoll.control(unknown, [{ operation: "delete", fd: 3, mask: 0, token: { slot: 0, generation: 0 } }]);
    outcome(() => epoll.wait(unknown, [], 1, 0n));
    epoll.close(unknown);
    assert.deepEqual(simulated.calls, { create: 1, control: 2, wait: 1, close: 0 });
    epoll.close(instance);
    assert.deepEqual(simulated.calls, { create: 1, control: 2, wait: 1, close: 1 });
  });

  it("tell what is still open", () => {
    const { simulated, kernel, epoll, instance, io, add } = start();
    const fd = io.eventfd(1);
    add(fd, IN);
    epoll.create();
    lifted(simulated.open()).create();
    assert.deepEqual([simulated.instances, simulated.descriptors], [3, 1]);
    epoll.close(instance);
    epoll.close(instance);
    assert.equal(simulated.calls.close, 1);
    assert.equal(add(fd, IN), "bad-descriptor");
    io.close(fd);
    assert.deepEqual([simulated.instances, simulated.descriptors], [2, 0]);
    kernel.close();
    kernel.close();
    assert.equal(simulated.instances, 1);
  });

  it("give component instances no way to one another's handles", () => {
    const { simulated, epoll, instance } = start();
    const other = lifted(simulated.open());
    assert.deepEqual(
      outcome(() => other.descriptor(instance)),
      { refused: { tag: "bad-descriptor" } },
    );
    other.close(instance);
    assert.equal(typeof epoll.descriptor(instance), "number");
  });
});

describe("simulated descriptors", () => {
  it("are numbered from 3, the lowest free first, in each kernel anew", () => {
    const { io } = new SimulatedEpoll();
    assert.deepEqual([io.pipe(), io.socketpair(), io.eventfd(), io.regular()], [[3, 4], [5, 6], 7, 8]);
    io.close(6);
    io.close(4);
    assert.deepEqual([io.dup(3), io.dup(3), io.dup(3)], [4, 6, 9]);
    assert.equal(new SimulatedEpoll().io.eventfd(), 3);
  });

  it("carry bytes through pipes and sockets in order, whatever the sizes", () => {
    const { io } = new SimulatedEpoll();
    const sent = Buffer.from(Array.from({ length: 30_000 }, (_, index) => (index * 7 + (index >> 8)) & 0xff));
    for (const [reader, writer] of [io.pipe(), io.socketpair()]) {
      const got: number[] = [];
      const buffer = Buffer.alloc(5001);
      for (let at = 0, size = 1; at < sent.length; size = (size * 3) % 4801) {
        const length = Math.min(size, sent.length - at);
        at += Math.max(0, io.write(writer, sent, at, length));
        const count = io.read(reader, buffer, 1, Math.min(size, 5000));
        if (count > 0) got.push(...buffer.subarray(1, 1 + count));
      }
      for (let count = 1; count > 0;) {
        count = io.read(reader, buffer);
        if (count > 0) got.push(...buffer.subarray(0, count));
      }
      assert.ok(Buffer.from(got).equals(sent));
    }
  });

  it("keep what was written, though the buffer is used again", () => {
    const { io } = new SimulatedEpoll();
    for (const [reader, writer] of [io.pipe(), io.socketpair()]) {
      const buffer = Buffer.from("a");
      io.write(writer, buffer);
      buffer.write("b");
      const got = Buffer.alloc(1);
      io.read(reader, got);
      assert.equal(got.toString(), "a");
    }
  });

  it("hold as much as Linux lets them: 16 pages in a pipe, 212,992 bytes of memory in a socket", () => {
    const { io } = new SimulatedEpoll();
    const [, writer] = io.pipe();
    assert.equal(io.write(writer, new Uint8Array(100_000)), 65_536);
    const [own] = io.socketpair();
    assert.equal(io.write(own, new Uint8Array(300_000)), 219_264);
    const [small] = io.socketpair();
    let count = 0;
    while (io.write(small, byte) === 1) count++;
    assert.equal(count, 278);
  });

  it("write up to a page to a pipe entirely or not at all: PIPE_BUF in pipe(7)", () => {
    const { io } = new SimulatedEpoll();
    const [reader, writer] = io.pipe();
    io.write(writer, new Uint8Array(15 * 4096 + 100));
    assert.equal(io.write(writer, new Uint8Array(3997)), WOULD_BLOCK);
    assert.equal(io.write(writer, new Uint8Array(3996)), 3996);
    io.read(reader, page);
    assert.equal(io.write(writer, new Uint8Array(5000)), 4096);
  });

  it("read the end of a file as 0, and nothing yet as WOULD_BLOCK", () => {
    const { io } = new SimulatedEpoll();
    const [reader, writer] = io.pipe();
    const [own, peer] = io.socketpair();
    assert.deepEqual([io.read(reader, byte), io.read(own, byte)], [WOULD_BLOCK, WOULD_BLOCK]);
    io.close(writer);
    io.shutdown(peer, "write");
    assert.deepEqual([io.read(reader, byte), io.read(own, byte), io.read(io.regular(), byte)], [0, 0, 0]);
  });

  it("tell a reset connection once: data that the peer did not read was lost", () => {
    const { io } = new SimulatedEpoll();
    const [own, peer] = io.socketpair();
    io.write(own, byte);
    io.close(peer);
    assert.throws(() => io.read(own, byte), { code: "ECONNRESET", syscall: "read" });
    assert.equal(io.read(own, byte), 0);
  });

  it("count in eventfds: reads take all, writes add, and neither goes too far", () => {
    const { io } = new SimulatedEpoll();
    const fd = io.eventfd(3);
    const value = () => {
      const buffer = word(0n);
      return io.read(fd, buffer) === 8 ? new BigUint64Array(buffer.buffer)[0] : WOULD_BLOCK;
    };
    assert.equal(io.write(fd, word(4n)), 8);
    assert.deepEqual([value(), value()], [7n, WOULD_BLOCK]);
    io.write(fd, word(2n ** 64n - 2n));
    assert.equal(io.write(fd, word(1n)), WOULD_BLOCK);
    assert.throws(() => io.write(fd, word(2n ** 64n - 1n)), { code: "EINVAL" });
    assert.throws(() => io.write(fd, new Uint8Array(7)), { code: "EINVAL" });
    assert.throws(() => io.read(fd, new Uint8Array(7)), { code: "EINVAL" });
  });

  it("share one file with their duplicates, and one O_NONBLOCK", () => {
    const { io } = new SimulatedEpoll();
    const [reader, writer] = io.pipe();
    const copy = io.dup(writer);
    io.close(writer);
    assert.equal(io.write(copy, byte), 1);
    assert.equal(io.read(reader, byte), 1);
    assert.equal(io.read(reader, byte), WOULD_BLOCK);
    io.setNonBlocking(io.dup(reader), false);
    assert.throws(() => io.read(reader, byte), /the simulated read would block for ever/);
  });

  it("replace what was open at a chosen number", () => {
    const { io } = new SimulatedEpoll();
    const [reader, writer] = io.pipe();
    const fd = io.eventfd(1);
    assert.equal(io.dup(fd, writer), writer);
    assert.equal(io.read(reader, byte), 0);
    assert.equal(io.read(writer, word(0n)), 8);
    assert.equal(io.dup(fd, 100), 100);
  });

  it("let time pass in a blocking call until it can go on", () => {
    const { io, clock } = new SimulatedEpoll();
    const [reader, writer] = io.pipe();
    const before = clock.now();
    io.setNonBlocking(reader, false);
    io.setNonBlocking(writer, false);
    clock.after(2, () => io.write(writer, byte));
    assert.equal(io.read(reader, byte), 1);
    clock.after(3, () => io.read(reader, new Uint8Array(65_536)));
    assert.equal(io.write(writer, new Uint8Array(70_000)), 70_000);
    assert.equal(clock.now() - before, 5_000_000n);
  });

  const closed = 50;
  const failures: readonly [what: string, code: string, syscall: string, call: (io: SimulatedIo) => unknown][] = [
    ["reading a closed descriptor", "EBADF", "read", (io) => io.read(closed, byte)],
    ["reading a negative descriptor", "EBADF", "read", (io) => io.read(-1, byte)],
    ["writing a closed descriptor", "EBADF", "write", (io) => io.write(closed, byte)],
    ["closing a closed descriptor", "EBADF", "close", (io) => io.close(closed)],
    ["duplicating a closed descriptor", "EBADF", "dup", (io) => io.dup(closed)],
    ["duplicating a closed descriptor to a number", "EBADF", "dup", (io) => io.dup(closed, 60)],
    ["duplicating to a negative number", "EBADF", "dup", (io) => io.dup(io.eventfd(), -1)],
    ["duplicating to a number beyond the limit", "EBADF", "dup", (io) => io.dup(io.eventfd(), 1_048_576)],
    ["duplicating to the same number", "EINVAL", "dup", (io) => io.dup(3, 3)],
    ["shutting a closed descriptor down", "EBADF", "shutdown", (io) => io.shutdown(closed, "both")],
    ["shutting a pipe down", "ENOTSOCK", "shutdown", (io) => io.shutdown(io.pipe()[0], "both")],
    ["changing a closed descriptor", "EBADF", "setNonBlocking", (io) => io.setNonBlocking(closed, true)],
    ["reading the write end", "EBADF", "read", (io) => io.read(io.pipe()[1], byte)],
    ["writing the read end", "EBADF", "write", (io) => io.write(io.pipe()[0], byte)],
    [
      "writing a pipe without a reader",
      "EPIPE",
      "write",
      (io) => {
        const [reader, writer] = io.pipe();
        io.close(reader);
        io.write(writer, byte);
      },
    ],
    [
      "writing to a socket whose peer is closed",
      "EPIPE",
      "write",
      (io) => {
        const [own, peer] = io.socketpair();
        io.close(peer);
        io.write(own, byte);
      },
    ],
    ["sending urgent data to a closed descriptor", "EBADF", "sendUrgent", (io) => io.sendUrgent(closed, 1)],
    ["sending urgent data to a pipe", "ENOTSOCK", "sendUrgent", (io) => io.sendUrgent(io.pipe()[1], 1)],
    ["sending urgent data to a Unix socket", "ENOTSUP", "sendUrgent", (io) => io.sendUrgent(io.socketpair()[0], 1)],
    ["taking urgent data of a closed descriptor", "EBADF", "receiveUrgent", (io) => io.receiveUrgent(closed)],
    ["taking urgent data of a pipe", "ENOTSOCK", "receiveUrgent", (io) => io.receiveUrgent(io.pipe()[0])],
    ["taking urgent data of a Unix socket", "ENOTSUP", "receiveUrgent", (io) => io.receiveUrgent(io.socketpair()[0])],
    ["taking urgent data where there is none", "EINVAL", "receiveUrgent", (io) => io.receiveUrgent(io.tcpPair()[0])],
    ["making a pair of datagram sockets", "ENOTSUP", "socketpair", (io) => io.socketpair("datagram")],
  ];
  for (const [what, code, syscall, call] of failures) {
    it(`answer ${code} to ${what}`, () => {
      assert.throws(() => call(new SimulatedEpoll().io), { name: "PollerError", code, syscall });
    });
  }

  const mistakes: readonly [what: string, code: string, call: (io: SimulatedIo) => unknown][] = [
    ["a descriptor that is no number", "ERR_INVALID_ARG_TYPE", (io) => io.close("3" as never)],
    ["a descriptor with a fraction", "ERR_OUT_OF_RANGE", (io) => io.close(3.5)],
    ["a descriptor of more than 31 bits", "ERR_OUT_OF_RANGE", (io) => io.close(2 ** 31)],
    ["a number to duplicate to that is none", "ERR_INVALID_ARG_TYPE", (io) => io.dup(3, "4" as never)],
    ["a buffer that is none", "ERR_INVALID_ARG_TYPE", (io) => io.read(3, [] as never)],
    ["an offset beyond the buffer", "ERR_OUT_OF_RANGE", (io) => io.read(3, byte, 2)],
    ["a length beyond the buffer", "ERR_OUT_OF_RANGE", (io) => io.write(3, byte, 1, 1)],
    ["a length that is no number", "ERR_INVALID_ARG_TYPE", (io) => io.write(3, byte, 0, "1" as never)],
    ["a counter that is negative", "ERR_OUT_OF_RANGE", (io) => io.eventfd(-1)],
    ["a counter of more than 32 bits", "ERR_OUT_OF_RANGE", (io) => io.eventfd(2 ** 32)],
    ["an unknown direction", "ERR_INVALID_ARG_VALUE", (io) => io.shutdown(3, "up" as never)],
    ["an unknown type of socket", "ERR_INVALID_ARG_VALUE", (io) => io.socketpair("raw" as never)],
    ["an urgent byte that is no number", "ERR_INVALID_ARG_TYPE", (io) => io.sendUrgent(3, "!" as never)],
    ["an urgent byte of more than 8 bits", "ERR_OUT_OF_RANGE", (io) => io.sendUrgent(3, 256)],
    ["a flag that is none", "ERR_INVALID_ARG_TYPE", (io) => io.setNonBlocking(3, 1 as never)],
  ];
  for (const [what, code, call] of mistakes) {
    it(`refuse ${what}`, () => {
      const simulated = new SimulatedEpoll();
      simulated.io.eventfd(1);
      assert.throws(() => call(simulated.io), { code });
      assert.equal(simulated.descriptors, 1);
    });
  }
});
