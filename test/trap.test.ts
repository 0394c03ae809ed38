/** Kernels that call back or misbehave: what they do harms their own pollers, and no others. */
import assert from "node:assert/strict";
import { Events, Interest, Poller, type Kernel } from "lio-poller";
import { close, eventfd } from "lio-poller/io";
import { SimulatedEpoll } from "lio-poller/sim";
import { assertPasses } from "./support/child.js";
import { kernelObjects } from "./support/descriptors.js";
import { PlainKernel } from "./support/plain-kernel.js";
import { ReplaceableKernel, type Instead } from "./support/replaceable-kernel.js";

const R = Interest.READABLE;

/** Every way to use a poller, and which of the kernel's functions it calls. */
const uses: Readonly<Record<string, (poller: Poller, fd: number) => unknown>> = {
  add: (poller, fd) => poller.add(fd, 1, R),
  modify: (poller, fd) => poller.modify(fd, 1, R),
  delete: (poller, fd) => poller.delete(fd),
  apply: (poller, fd) => poller.apply([{ op: "add", fd, key: 1, interest: R }]),
  wait: (poller) => poller.wait(new Events(1), { timeout: 0 }),
  notify: (poller) => poller.notify(),
  stats: (poller) => poller.stats(),
  fd: (poller) => poller.fd,
};

let fd: number;

before(() => {
  new Poller().close();
});

beforeEach(() => {
  fd = eventfd(1);
});

afterEach(() => close(fd));

describe("a kernel that calls pollers while one of them calls it", () => {
  const reaching: Readonly<Record<string, (poller: Poller) => unknown>> = {
    control: (poller) => poller.add(fd, 1, R),
    wait: (poller) => poller.wait(new Events(4)),
    createNotifier: (poller) => poller.notify(),
    descriptor: (poller) => poller.fd,
    close: (poller) => poller.close(),
  };

  for (const [name, reach] of Object.entries(reaching)) {
    it(`is refused with ERR_POLLER_BUSY inside ${name}, and the call that runs goes on`, () => {
      const kernel = new ReplaceableKernel();
      using poller = new Poller({ kernel });
      using sibling = new Poller({ kernel });
      using stranger = new Poller();
      if (name === "wait") poller.add(fd, 1, R);
      const codes: Record<string, unknown> = {};
      const attempt = (what: string, use: () => unknown): void => {
        try {
          use();
          codes[what] = "done";
        } catch (error) {
          codes[what] = (error as { code?: unknown }).code;
        }
      };
      kernel.replace(name, (call, flat) => {
        kernel.restore();
        for (const [what, use] of Object.entries(uses)) {
          attempt(`sibling ${what}`, () => use(sibling, fd));
          if (name !== "close") attempt(`itself ${what}`, () => use(poller, fd));
        }
        attempt("sibling close", () => sibling.close());
        attempt("a new one", () => new Poller({ kernel }));
        // Another kernel's pollers are free.
        stranger.add(fd, 1, R);
        stranger.delete(fd);
        return call(...flat);
      });
      reach(poller);

      assert.ok(Object.keys(codes).length >= Object.keys(uses).length + 2);
      for (const [what, code] of Object.entries(codes)) assert.equal(code, "ERR_POLLER_BUSY", what);
      sibling.add(fd, 1, R);
      assert.equal(sibling.wait(new Events(1), { timeout: 0 }), 1, "nobody is busy any more");
      if (name === "control") assert.equal(poller.stats().registrations, 1);
    });
  }

  it("does not hear that from closing a poller that is closed", () => {
    const kernel = new ReplaceableKernel();
    using poller = new Poller({ kernel });
    const closed = new Poller({ kernel });
    closed.close();
    let called = 0;
    kernel.replace("wait", (call, flat) => {
      called++;
      closed.close();
      assert.throws(() => closed.stats(), { code: "ERR_POLLER_CLOSED" });
      return call(...flat);
    });
    poller.wait(new Events(1), { timeout: 0 });
    assert.ok(called > 0);
  });
});

describe("a kernel that fails", () => {
  const failure = new Error("the kernel is broken");
  const throws: Instead = () => {
    throw failure;
  };
  const beyond = 0xfffffff0;

  /** Writes words where the function's result goes, which is what its last argument points to. */
  const answers =
    (...words: number[]): Instead =>
    (_call, flat, { memory }) => {
      const area = flat.at(-1) as unknown as number;
      new Uint32Array((memory ?? assert.fail()).buffer).set(words, (area >>> 0) >> 2);
    };

  const faults: readonly [
    what: string,
    name: string,
    instead: Instead,
    use: (poller: Poller, fd: number) => unknown,
  ][] = [
    ["throws from control in add", "control", throws, (poller) => poller.add(fd, 1, R)],
    [
      "throws from control in modify",
      "control",
      throws,
      (poller) => (poller.modify(fd, 1, R, { mode: "edge" }), poller.add(fd, 1, R)),
    ],
    ["throws from control in delete", "control", throws, (poller) => (poller.delete(fd), poller.add(fd, 1, R))],
    [
      "throws from control in apply",
      "control",
      throws,
      (poller) => poller.apply([{ op: "add", fd, key: 1, interest: R }]),
    ],
    ["throws from wait", "wait", throws, (poller) => poller.wait(new Events(1))],
    ["throws from createNotifier", "createNotifier", throws, (poller) => poller.notify()],
    ["throws from attachNotifier", "attachNotifier", throws, (poller) => poller.notify()],
    ["throws from notify", "notify", throws, (poller) => poller.notify()],
    ["throws from now", "now", throws, (poller) => (poller.addTimer(1, 1), poller.wait(new Events(1)))],
    ["throws from descriptor", "descriptor", throws, (poller) => poller.fd],
    // result<waited, …>: ok, a gap, where, how many.
    ["answers events beyond the memory", "wait", answers(0, 0, beyond, 1), (poller) => poller.wait(new Events(1))],
    // result<…, wait-error>: error, a gap, changes, where, how many.
    ["answers refusals beyond the memory", "wait", answers(1, 0, 0, beyond, 1), (poller) => poller.wait(new Events(1))],
    // list<failure>: where, how many.
    ["answers failures beyond the memory", "control", answers(beyond, 1), (poller) => poller.add(fd, 1, R)],
  ];

  for (const [what, name, instead, use] of faults) {
    it(`and ${what} ends its pollers, and nothing else`, () => {
      const before = kernelObjects();
      const kernel = new ReplaceableKernel();
      const bystander = new Poller();
      bystander.add(fd, 8, R, { mode: "level" });
      const events = new Events(4);
      const poller = new Poller({ kernel });
      const sibling = new Poller({ kernel });
      sibling.notify();
      const watched = eventfd(1);
      sibling.add(watched, 9, R, { mode: "level" });
      if (what.includes("delete") || what.includes("modify")) poller.add(fd, 1, R);
      assert.equal(sibling.wait(events, { timeout: 0 }), 1);
      const brought = events.toArray();

      kernel.replace(name, instead);
      assert.throws(
        () => use(poller, fd),
        (error: { code?: unknown; name?: unknown; cause?: unknown }) => {
          assert.deepEqual([error.name, error.code], ["PollerError", "ERR_POLLER_TRAPPED"]);
          if (instead === throws) assert.equal(error.cause, failure);
          else assert.ok(error.cause instanceof WebAssembly.RuntimeError, String(error.cause));
          return true;
        },
      );

      // All that the component held is closed at once: the bystander and the test's own descriptor are left.
      assert.deepEqual(kernelObjects(), { epolls: before.epolls + 1, eventfds: before.eventfds + 1 });
      assert.equal(kernel.closed, 1);
      for (const dead of [poller, sibling]) {
        for (const [also, call] of Object.entries(uses)) {
          assert.throws(() => call(dead, fd), { name: "PollerError", code: "ERR_POLLER_TRAPPED" }, also);
        }
      }
      assert.deepEqual(events.toArray(), brought, "what a wait brought stands");
      assert.equal(bystander.wait(new Events(1), { timeout: 0 }), 1);

      // Closing is as always.
      poller.close();
      poller.close();
      sibling[Symbol.dispose]();
      for (const dead of [poller, sibling]) assert.throws(() => dead.stats(), { code: "ERR_POLLER_CLOSED" });

      // A new poller gets a new instance, and Events that the old one knew follow it.
      kernel.restore();
      const heir = new Poller({ kernel });
      assert.equal(kernel.opened, 2);
      heir.add(fd, 10, R);
      assert.equal(heir.wait(events, { timeout: 0 }), 1);
      assert.equal(events.toArray()[0]?.key, 10);
      heir.notify();
      heir.close();
      bystander.close();
      close(watched);
      assert.deepEqual(kernelObjects(), before);
    });
  }

  it("and answers more events than there is room is believed no more than was asked for (fault 36)", () => {
    const simulated = new SimulatedEpoll();
    const kernel = new PlainKernel(simulated);
    const watched = simulated.io.eventfd(1);
    using poller = new Poller({ kernel });
    poller.add(watched, 42, R, { mode: "level" });
    const events = new Events(4);
    const event = { mask: 1, token: { slot: watched, generation: 1 } };
    kernel.replace("wait", () => ({ events: Array.from({ length: 1000 }, () => event), moment: 0n }));
    assert.equal(poller.wait(events, { timeout: 0 }), 4);
    assert.deepEqual(
      events.toArray().map(({ key, readable }) => [key, readable]),
      Array.from({ length: 4 }, () => [42, true]),
    );
    kernel.restore();
    assert.equal(poller.wait(events, { timeout: 0 }), 1);
    assert.equal(events.toArray()[0]?.key, 42);
  });

  for (const length of [1025, 30_000]) {
    it(`and answers more events than any wait may (${length}) is not believed at all`, () => {
      const simulated = new SimulatedEpoll();
      const kernel = new PlainKernel(simulated);
      const watched = simulated.io.eventfd(1);
      using poller = new Poller({ kernel });
      poller.add(watched, 42, R, { mode: "level" });
      const event = { mask: 1, token: { slot: watched, generation: 1 } };
      kernel.replace("wait", () => ({ events: Array.from({ length }, () => event), moment: 0n }));
      assert.throws(() => poller.wait(new Events(4), { timeout: 0 }), { code: "ERR_POLLER_TRAPPED" });
    });
  }

  it("and answers bits that nobody knows tells the user nothing by them (fault 33)", () => {
    const simulated = new SimulatedEpoll();
    const kernel = new PlainKernel(simulated);
    const watched = simulated.io.eventfd(1);
    using poller = new Poller({ kernel });
    const events = new Events(4);
    const known = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x2000;
    let looked = 0;
    poller.add(watched, 42, Interest.READABLE | Interest.WRITABLE | Interest.PRIORITY, { mode: "level" });
    for (let bit = 0; bit < 32; bit++) {
      const mask = (1 << bit) >>> 0;
      if ((mask & known) !== 0) continue;
      const event = { mask, token: { slot: watched, generation: 1 } };
      kernel.replace("wait", () => ({ events: [event], moment: 0n }));
      poller.wait(events, { timeout: 0 });
      for (const { key, timer, ...told } of events.toArray()) {
        looked++;
        assert.deepEqual([key, timer], [42, false]);
        const { readable, writable, priority, readClosed, hangUp, error, refused } = told;
        const bits = [readable, writable, priority, readClosed, hangUp, error, refused];
        assert.deepEqual(bits, Array(7).fill(false), `${bit}`);
      }
    }
    assert.ok(looked > 0, "the events are taken for those of the registration");
  });

  it("and throws when a poller is made makes none, and may do better the next time", () => {
    const before = kernelObjects();
    const kernel = new ReplaceableKernel();
    kernel.replace("create", throws);
    const trapped = { name: "PollerError", code: "ERR_POLLER_TRAPPED", cause: failure };
    assert.throws(() => new Poller({ kernel }), trapped);
    assert.throws(() => new Poller({ kernel }), trapped);
    kernel.restore();
    new Poller({ kernel }).close();
    assert.deepEqual([kernel.opened, kernel.closed], [3, 2]);
    assert.deepEqual(kernelObjects(), before);
  });

  it("and throws when a poller is closed has its descriptors closed nevertheless", () => {
    for (const name of ["close", "closeNotifier"]) {
      const before = kernelObjects();
      const kernel = new ReplaceableKernel();
      const poller = new Poller({ kernel });
      const sibling = new Poller({ kernel });
      poller.notify();
      kernel.replace(name, throws);
      assert.throws(() => poller.close(), { code: "ERR_POLLER_TRAPPED" });
      assert.throws(() => poller.stats(), { code: "ERR_POLLER_CLOSED" });
      assert.throws(() => sibling.stats(), { code: "ERR_POLLER_TRAPPED" });
      poller.close();
      sibling.close();
      assert.deepEqual(kernelObjects(), before);
    }
  });

  it("and lacks what its kind must have is refused, and closed", () => {
    let closed = 0;
    const kernel: Kernel = { name: "epoll", open: () => ({ imports: {}, close: () => void closed++ }) };
    assert.throws(() => new Poller({ kernel }), { name: "PollerError", code: "ERR_POLLER_UNSUPPORTED" });
    assert.equal(closed, 1);
  });

  it("and throws when it is opened is opened again by the next poller", () => {
    const kernel = new ReplaceableKernel();
    const open = kernel.open.bind(kernel);
    kernel.open = () => {
      throw failure;
    };
    assert.throws(
      () => new Poller({ kernel }),
      (error) => error === failure,
    );
    kernel.open = open;
    new Poller({ kernel }).close();
  });

  // Alone, for the memory of a process that has run everything else is not collected as one would like it to be.
  it("is not called again when what trapped is collected", () => assertPasses("collected-trap"));
});
