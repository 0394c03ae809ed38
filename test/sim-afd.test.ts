/** The component for AFD on the simulated kernel: what the contract cannot say, because it is of this kernel alone. */
import assert from "node:assert/strict";
import { Events, type ImportedFunction, Interest, type Kernel, type OpenKernel, Poller } from "lio-poller";
import { FaultyKernel, SimulatedAfd } from "lio-poller/sim";
import { instanceFor } from "./support/internals.js";
import { Random } from "./support/random.js";

const { NONE, READABLE, WRITABLE } = Interest;
const byte = Uint8Array.of(1);
const buffer = new Uint8Array(64);

function fails(code: string, call: () => unknown): void {
  assert.throws(call, { name: "PollerError", code });
}

describe("the component for AFD", () => {
  let simulated: SimulatedAfd;
  let poller: Poller;
  let events: Events;

  beforeEach(() => {
    simulated = new SimulatedAfd();
    poller = new Poller({ kernel: simulated });
    events = new Events(512);
  });

  afterEach(() => {
    poller.close();
    assert.equal(simulated.instances, 0);
    assert.equal(simulated.requests, 0);
  });

  function wait(timeout?: number): (number | bigint)[] {
    poller.wait(events, timeout === undefined ? {} : { timeout });
    return events.toArray().map(({ key }) => key);
  }

  it("refuses edges before anything happens, alone and in a batch", () => {
    const [fd] = simulated.io.tcpPair();
    const before = { ...simulated.calls };
    const edge = { key: 1, interest: WRITABLE, mode: "edge" } as const;
    for (const mode of ["edge", "edge-oneshot"] as const) {
      fails("ENOTSUP", () => poller.add(fd, 1, WRITABLE, { mode }));
      assert.equal(poller.apply([{ op: "add", fd, ...edge, mode }])[0]?.code, "ENOTSUP");
      assert.equal(poller.apply([{ op: "modify", fd, ...edge, mode }])[0]?.code, "ENOENT");
    }
    assert.deepEqual({ ...simulated.calls }, before);
    assert.equal(poller.stats().registrations, 0);

    poller.add(fd, 1, WRITABLE);
    fails("ENOTSUP", () => poller.modify(fd, 2, READABLE, { mode: "edge" }));
    const [first, second] = poller.apply([
      { op: "modify", fd, ...edge },
      { op: "modify", fd, key: 3, interest: WRITABLE },
    ]);
    assert.deepEqual([first?.code, second], ["ENOTSUP", undefined]);
    assert.deepEqual(wait(), [3]);
  });

  it("refuses an edge for what a batch has just added, which stays as it was added", () => {
    const [fd] = simulated.io.tcpPair();
    const verdicts = poller.apply([
      { op: "add", fd, key: 1, interest: WRITABLE },
      { op: "modify", fd, key: 2, interest: READABLE, mode: "edge" },
    ]);
    assert.deepEqual(
      verdicts.map((verdict) => verdict?.code),
      [undefined, "ENOTSUP"],
    );
    assert.deepEqual(wait(), [1]);
  });

  it("has neither pipes nor eventfds, as Windows has none that could be polled", () => {
    fails("ENOTSUP", () => simulated.io.pipe());
    fails("ENOTSUP", () => simulated.io.eventfd(0));
  });

  it("closes what a component leaves open that traps", () => {
    const [fd] = simulated.io.socketpair();
    const faulty = new FaultyKernel(simulated, ({ name }) => {
      if (name === "control") throw new Error("the host fails");
    });
    const before = simulated.instances;
    const trapping = new Poller({ kernel: faulty });
    trapping.notify();
    assert.equal(simulated.instances, before + 1);
    assert.throws(() => trapping.add(fd, 1, READABLE), { code: "ERR_POLLER_TRAPPED" });
    assert.equal(simulated.instances, before);
  });

  it("refuses what is no socket", () => {
    fails("ENOTSOCK", () => poller.add(simulated.io.regular(), 1, READABLE));
    fails("ENOTSUP", () => poller.fd);
    assert.equal(poller.stats().registrations, 0);
  });

  it("has one request a registration at most, and none for long after its end", () => {
    const [fd, peer] = simulated.io.tcpPair();
    poller.add(fd, 1, READABLE);
    for (let i = 0; i < 20; i++) {
      poller.modify(fd, i, i % 2 ? READABLE : WRITABLE | READABLE);
      assert.equal(simulated.requests, 1);
      poller.delete(fd);
      poller.add(fd, i, READABLE);
      assert.equal(simulated.requests, 1);
    }
    simulated.io.write(peer, byte);
    assert.deepEqual(wait(), [19]);
    poller.delete(fd);
    wait(0);
    assert.equal(simulated.requests, 0);
  });

  it("notices a close while a registration is silent", () => {
    for (const interest of [NONE, WRITABLE]) {
      const [fd, peer] = simulated.io.tcpPair();
      poller.add(fd, 1, interest);
      // It fires, or has nothing to; after the next wait it is watched for its end alone.
      wait(1);
      wait(1);
      assert.equal(simulated.requests, 1);
      simulated.io.close(fd);
      assert.deepEqual(wait(1), []);
      assert.equal(simulated.requests, 0);
      const [again] = simulated.io.tcpPair();
      assert.equal(again, fd);
      fails("ENOENT", () => poller.modify(fd, 1, READABLE));
      poller.add(again, 2, WRITABLE);
      assert.deepEqual(wait(), [2]);
      for (const socket of [again, peer]) simulated.io.close(socket);
      poller.delete(again);
    }
  });

  it("tells a number that was used again from the registration that has fired and was not armed since", () => {
    for (const mode of ["oneshot", "level"] as const) {
      const [fd, peer] = simulated.io.tcpPair();
      poller.add(fd, 1, WRITABLE, { mode });
      assert.deepEqual(wait(), [1]);
      fails("EEXIST", () => poller.add(fd, 9, WRITABLE));
      simulated.io.close(fd);
      const [again] = simulated.io.tcpPair();
      assert.equal(again, fd);
      // Whether or not a wait comes in between, nothing of the former registration is told.
      if (mode === "level") assert.deepEqual(wait(1), []);
      poller.add(again, 2, WRITABLE);
      assert.deepEqual(wait(), [2]);
      poller.delete(again);
      for (const socket of [again, peer]) simulated.io.close(socket);
    }
  });

  it("lets 32 sockets share a handle of AFD, and no more", () => {
    const random = new Random(5);
    const open: number[] = [];
    // The simulated kernel throws if a group has more.
    for (let i = 0; i < 2000; i++) {
      if (open.length > 0 && random.below(3) === 0) {
        const [fd] = open.splice(random.below(open.length), 1) as [number];
        poller.delete(fd);
        if (random.below(2) === 0) wait(0);
        simulated.io.close(fd);
      } else {
        const [fd] = simulated.io.tcpPair();
        poller.add(fd, fd, READABLE);
        open.push(fd);
      }
    }
    assert.equal(poller.stats().registrations, open.length);
  });

  it("finds sockets of any number, however many come and go", () => {
    const random = new Random(9);
    const shifted = new Shifted(simulated);
    const own = new Poller({ kernel: shifted });
    const ownEvents = new Events(512);
    const pairs = Array.from({ length: 300 }, () => simulated.io.tcpPair());
    const added = new Set<number>();
    for (let turn = 0; turn < 3000; turn++) {
      const [fd] = random.pick(pairs);
      const number = shifted.numberOf(fd);
      if (added.delete(fd)) {
        own.delete(number);
        fails("ENOENT", () => own.delete(number));
      } else {
        fails("ENOENT", () => own.modify(number, 1, READABLE));
        own.add(number, fd, READABLE);
        fails("EEXIST", () => own.add(number, fd, READABLE));
        added.add(fd);
      }
      if (random.below(20) === 0) own.wait(ownEvents, { timeout: 0 });
    }
    assert.equal(own.stats().registrations, added.size);
    for (const [, peer] of pairs) simulated.io.write(peer, byte);
    const told = new Set<number | bigint>();
    while (told.size < added.size) {
      assert.ok(own.wait(ownEvents, { timeout: 0 }) > 0, "all are told");
      for (const { key } of ownEvents) told.add(key);
    }
    assert.deepEqual(told, added);
    own.close();
  });

  it("takes the numbers that sockets can have, and says so of others", () => {
    for (const fd of [2 ** 31, 2 ** 32 + 4, 2 ** 53 - 1, 0, -1, -(2 ** 53)]) {
      fails("EBADF", () => poller.add(fd, 1, READABLE));
      fails(fd < 0 ? "EBADF" : "ENOENT", () => poller.delete(fd));
      fails(fd < 0 ? "EBADF" : "ENOENT", () => poller.modify(fd, 1, READABLE));
      const [verdict] = poller.apply([{ op: "delete", fd }]);
      assert.equal(verdict?.code, fd < 0 ? "EBADF" : "ENOENT");
    }
    for (const fd of [2 ** 53, -(2 ** 53) - 2, 1.5, Number.NaN]) {
      assert.throws(() => poller.add(fd, 1, READABLE), { code: "ERR_OUT_OF_RANGE" });
      assert.throws(() => poller.apply([{ op: "delete", fd }]), { code: "ERR_OUT_OF_RANGE" });
    }
    assert.equal(poller.stats().changes, 4);
  });

  it("tells at once, without blocking, what a request had to be replaced for", () => {
    const [fd] = simulated.io.tcpPair();
    poller.add(fd, 1, READABLE);
    assert.deepEqual(wait(0), []);
    poller.modify(fd, 2, WRITABLE);
    assert.deepEqual(wait(0), [2]);
  });

  it("gives the place of a socket to another when its last request has ended", () => {
    const shifted = new Shifted(simulated);
    const own = new Poller({ kernel: shifted });
    const ownEvents = new Events(8);
    const [fd] = simulated.io.tcpPair();
    const use = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const number = shifted.numberOf(fd);
        own.add(number, 1, READABLE);
        own.delete(number);
        own.wait(ownEvents, { timeout: 0 });
        // The same socket to the kernel, and never yet seen by the component.
        shifted.turn++;
      }
    };
    use(10);
    const bytes = instanceFor(shifted).bytesInUse();
    use(1000);
    assert.equal(instanceFor(shifted).bytesInUse(), bytes);
    own.close();
  });

  it("does not lose what happens while a request is being replaced", () => {
    const random = new Random(21);
    const [fd, peer] = simulated.io.tcpPair();
    poller.add(fd, 0, READABLE);
    for (let turn = 1; turn < 2000; turn++) {
      const isThere = random.below(2) === 0;
      for (let i = random.below(3); i > 0; i--)
        poller.modify(fd, turn, random.pick([READABLE, NONE, READABLE | WRITABLE]));
      if (isThere) simulated.io.write(peer, byte);
      if (random.below(3) === 0) wait(0);
      poller.modify(fd, turn, READABLE);
      assert.deepEqual(wait(1), isThere ? [turn] : []);
      if (isThere) assert.equal(simulated.io.read(fd, buffer), 1);
    }
  });
});

/** The same kernel, on which sockets have numbers beyond 32 bits, in no order. */
class Shifted implements Kernel {
  readonly name = "iocp";
  /** Every turn gives the sockets other numbers. */
  turn = 0;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  numberOf(fd: number): number {
    return fd * 2 ** 36 + (((fd + this.turn) * 2_654_435_761) % 2 ** 32);
  }

  open(): OpenKernel {
    const inner = this.#kernel.open();
    type Functions = Record<string, (...lifted: unknown[]) => unknown>;
    const functions = inner.imports["iocp"] as unknown as Functions;
    const shifted = (changes: unknown): unknown =>
      (changes as { socket: bigint }[]).map((change) => ({ ...change, socket: change.socket >> 36n }));
    const plain = Object.entries(functions).map(([name, call]) => {
      const changes = name === "control" || name === "wait";
      return [
        name,
        (...lifted: unknown[]) =>
          call(...lifted.map((value, place) => (changes && place === 1 ? shifted(value) : value))),
      ] as const;
    });
    const iocp = Object.fromEntries(plain) as unknown as Record<string, ImportedFunction>;
    return { imports: { ...inner.imports, iocp }, close: () => inner.close() };
  }
}
