/**
 * What is left of a level-triggered registration whose descriptor was closed, and not deleted, while a duplicate of it
 * lives. Linux goes on reporting it, and the poller has to find out; other kernels end it with its number.
 */
import assert from "node:assert/strict";
import { Events, Interest, type Kernel, Poller } from "lio-poller";
import * as realIo from "lio-poller/io";
import { FaultyKernel, type Fault, SimulatedAfd, SimulatedEpoll, SimulatedKqueue } from "lio-poller/sim";
import { flavours } from "./contract/worlds.js";
import { platformKernel } from "./support/internals.js";

const { READABLE, WRITABLE } = Interest;

/** As many events as a poller has the kernel asked after. */
const UNASKED = 64;

type Io = Pick<typeof realIo, "socketpair" | "dup" | "close" | "read" | "write">;

interface World {
  readonly kernel: Kernel;
  readonly io: Io;
}

const simulated = (kernel: SimulatedEpoll | SimulatedKqueue | SimulatedAfd): World => ({ kernel, io: kernel.io });
const real = platformKernel(undefined);
const worlds: readonly (readonly [name: string, open: () => World])[] = [
  [`the real ${real.name}`, () => ({ kernel: real, io: realIo })],
  ["the simulated epoll", () => simulated(new SimulatedEpoll())],
  ...flavours.map(
    (flavour) => [`the simulated kqueue of ${flavour}`, () => simulated(new SimulatedKqueue({ flavour }))] as const,
  ),
  ["the simulated AFD", () => simulated(new SimulatedAfd())],
];

/** How often one may be told that was closed. kqueue ends it with its number; AFD is asked about the number each time. */
const MOST = { epoll: UNASKED, kqueue: 0, iocp: 1 } as const;

for (const [name, open] of worlds) {
  describe(`a level-triggered registration on ${name}`, () => {
    let world: World;
    let poller: Poller;
    let opened: number[];
    const events = new Map<number, Events>();

    beforeEach(() => {
      world = open();
      poller = new Poller({ kernel: world.kernel });
      opened = [];
      events.clear();
    });

    afterEach(() => {
      poller.close();
      for (const fd of opened) world.io.close(fd);
    });

    function pair(): [number, number] {
      const fds = world.io.socketpair();
      opened.push(...fds);
      return fds;
    }

    function close(fd: number): void {
      opened.splice(opened.indexOf(fd), 1);
      world.io.close(fd);
    }

    /** Adds descriptors that are writable all the time, and closes them while duplicates live. */
    function haunt(...keys: readonly number[]): number[] {
      const fds = keys.map((key) => {
        const [fd] = pair();
        poller.add(fd, key, WRITABLE, { mode: "level" });
        opened.push(world.io.dup(fd));
        return fd;
      });
      fds.forEach(close);
      return fds;
    }

    function wait(room = 16, timeout = 0): number[] {
      const known = events.get(room) ?? new Events(room);
      events.set(room, known);
      poller.wait(known, { timeout });
      return known.toArray().map(({ key }) => Number(key));
    }

    it("is told so many times at most when its descriptor was closed, and then costs nothing", () => {
      haunt(1);
      let told = 0;
      for (let i = 0; i < 200; i++) told += wait().length;
      assert.ok(told <= MOST[world.kernel.name], `${told} events`);
      const { kernelWaits, changes } = poller.stats();
      assert.deepEqual(wait(16, 5), []);
      assert.ok(poller.stats().kernelWaits - kernelWaits <= 2, "it spins");
      assert.equal(poller.stats().changes, changes);
    });

    it("can be deleted once when that was found out, and fails to be modified", () => {
      const [fd = -1] = haunt(1);
      // Takes the number, which else the kernel object gets that is made then.
      pair();
      for (let i = 0; i < 200; i++) wait();
      assert.throws(
        () => poller.modify(fd, 1, READABLE),
        ({ code }: NodeJS.ErrnoException) => code === "EBADF" || code === "ENOENT",
      );
      poller.delete(fd);
      assert.throws(() => poller.delete(fd), { code: "ENOENT" });
    });

    it("goes on when others turn out to have been closed, however many, in however little room", () => {
      const [live] = pair();
      const [quiet, peer] = pair();
      poller.add(live, 1, WRITABLE, { mode: "level" });
      poller.add(quiet, 2, READABLE);
      const ghosts = Array.from({ length: 20 }, (_, index) => 10 + index);
      haunt(...ghosts);
      const counts = new Map<number, number>();
      for (let i = 0; i < 2 * UNASKED * (ghosts.length + 1); i++) {
        for (const key of wait(1)) counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      for (const key of ghosts) {
        assert.ok((counts.get(key) ?? 0) <= 2 * MOST[world.kernel.name], `key ${key}: ${counts.get(key)} events`);
      }
      assert.ok((counts.get(1) ?? 0) >= UNASKED);
      for (let i = 0; i < 10; i++) assert.deepEqual(wait(1, 1000), [1]);
      world.io.write(peer, Uint8Array.of(1));
      assert.deepEqual(wait(16, 1000).toSorted(), [1, 2]);
    });

    it("loses nothing while it is told a thousand times, and has the kernel asked once in 64", () => {
      const [fd, peer] = pair();
      poller.add(fd, 1, READABLE, { mode: "level" });
      world.io.write(peer, Uint8Array.of(1));
      const before = poller.stats();
      for (let i = 0; i < 1000; i++) {
        assert.deepEqual(wait(16, 1000), [1], `wait ${i}`);
        // What comes and goes around the moment at which the kernel is asked is told, too.
        world.io.read(fd, new Uint8Array(8));
        assert.deepEqual(wait(), []);
        world.io.write(peer, Uint8Array.of(1));
      }
      const { changes, rebuilds } = poller.stats();
      const armings = world.kernel.name === "iocp" ? 2000 : 0;
      assert.ok(changes - before.changes <= Math.ceil(1000 / UNASKED) + armings, `${changes - before.changes} changes`);
      assert.equal(rebuilds, 0);
    });
  });
}

describe("a level-triggered registration on the simulated epoll, of which the kernel is asked", () => {
  const kernel = new SimulatedEpoll();
  const { io } = kernel;
  let events: Events;
  let coming: Fault[] = [];
  let poller: Poller;
  let fd: number;

  beforeEach(() => {
    coming = [];
    events = new Events(16);
    poller = new Poller({
      kernel: new FaultyKernel(kernel, ({ changes }) => (changes?.length ? coming.splice(0) : [])),
    });
    fd = io.eventfd(1);
    poller.add(fd, 1, READABLE, { mode: "level" });
  });

  afterEach(() => {
    poller.close();
    io.close(fd);
  });

  function told(): (string | number)[] {
    poller.wait(events, { timeout: 0 });
    return events.toArray().map(({ key, refused, errorCode }) => (refused ? `${key} ${errorCode}` : Number(key)));
  }

  function tell(times: number): void {
    for (let i = 0; i < times; i++) assert.deepEqual(told(), [1], `wait ${i}`);
  }

  it("stays as it is if the kernel refuses for another reason", () => {
    for (const error of ["ENOMEM", "ENOSPC"] as const) {
      tell(UNASKED);
      coming.push({ kind: "change", index: 0, error } as Fault);
      tell(2 * UNASKED);
      assert.equal(coming.length, 0, "the kernel was asked");
    }
    assert.equal(poller.stats().rebuilds, 0);
  });

  for (const error of ["EBADF", "ENOENT", "EINVAL"] as const) {
    it(`ends in silence if the kernel says ${error}`, () => {
      tell(UNASKED);
      coming.push({ kind: "change", index: 0, error });
      assert.deepEqual(told(), []);
      assert.equal(poller.stats().rebuilds, 1);
    });
  }

  it("ends with a refusal if the number is that of a file that cannot be polled, or may not be", () => {
    tell(UNASKED);
    coming.push({ kind: "change", index: 0, error: "EPERM" });
    assert.deepEqual(told(), ["1 EPERM"]);
    assert.equal(poller.stats().rebuilds, 1);
    assert.deepEqual(told(), []);
  });

  it("is asked about also by who modifies it each time, which costs no call by itself", () => {
    const closed = fd;
    fd = io.dup(closed);
    io.close(closed);
    let count = 0;
    for (let i = 0; i < 200; i++) {
      count += told().length;
      if (poller.stats().rebuilds > 0) break;
      poller.modify(closed, 1, READABLE);
    }
    assert.equal(count, UNASKED);
  });

  it("is not asked about again when the kernel has just changed it", () => {
    for (let i = 0; i < 5; i++) {
      tell(UNASKED - 1);
      poller.modify(fd, 1, i % 2 === 0 ? READABLE | Interest.PRIORITY : READABLE);
    }
    assert.equal(poller.stats().rearmsMade, 0);
  });

  it("predicts nothing of the one-shot registration that it becomes", () => {
    tell(40);
    poller.modify(fd, 1, READABLE, { mode: "oneshot" });
    // Late once, which is no habit yet: being in time costs nothing from then on.
    tell(1);
    assert.deepEqual(told(), []);
    poller.modify(fd, 1, READABLE);
    tell(1);
    const { changes } = poller.stats();
    for (let i = 0; i < 10; i++) {
      poller.modify(fd, 1, READABLE);
      tell(1);
    }
    assert.equal(poller.stats().changes, changes);
  });
});
