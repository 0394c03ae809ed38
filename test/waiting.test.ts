/** Waits that much happens to: signals in storms, and far more ready than there is room for. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Events, Interest, Poller } from "lio-poller";
import { close, dup, eventfd } from "lio-poller/io";
import { SimulatedAfd, SimulatedEpoll, SimulatedKqueue } from "lio-poller/sim";
import { evaluation } from "./support/child.js";
import { platformKernel } from "./support/internals.js";
import { WrappedKernel } from "./support/wrapped-kernel.js";

const R = Interest.READABLE;

describe("a wait in a storm of signals", () => {
  const ignore = (): void => {};

  before(() => process.on("SIGUSR2", ignore));
  after(() => process.off("SIGUSR2", ignore));

  it("fault 16: keeps its deadline, and is ended by none of them", async () => {
    using poller = new Poller();
    const events = new Events(1);
    const storm = `setInterval(() => { for (let i = 0; i < 100; i++) process.kill(${process.pid}, "SIGUSR2"); }, 1);`;
    const sender = spawn(...evaluation(`process.stdout.write("ready"); ${storm}`));
    const exited = once(sender, "exit");
    await once(sender.stdout, "data");
    try {
      // That one was interrupted at all, or this shows nothing: the sender may not have had a processor meanwhile.
      let waits = 0;
      while (poller.stats().kernelWaits <= waits) {
        assert.ok(waits++ < 50, "no signal has arrived");
        const before = poller.now();
        assert.equal(poller.wait(events, { timeout: 150 }), 0);
        assert.ok(poller.now() - before >= 150);
      }
    } finally {
      sender.kill("SIGKILL");
    }
    assert.deepEqual(await exited, [null, "SIGKILL"]);
  });
});

describe("ten thousand ready with room for three", () => {
  const COUNT = 10_000;

  function toldOnce(poller: Poller, fds: readonly number[]): void {
    for (const [key, fd] of fds.entries()) poller.add(fd, key, R);
    const events = new Events(3);
    const told = new Set<number | bigint>();
    let waits = 0;
    while (told.size < fds.length && waits++ < fds.length) {
      poller.wait(events, { timeout: 0 });
      for (const { key } of events) {
        assert.ok(!told.has(key), `${key} again`);
        told.add(key);
      }
    }
    assert.equal(told.size, fds.length);
    assert.equal(poller.wait(events, { timeout: 0 }), 0);
  }

  it("are all told, each once, by a simulated kernel", () => {
    const simulated = new SimulatedEpoll();
    using poller = new Poller({ kernel: simulated });
    toldOnce(
      poller,
      Array.from({ length: COUNT }, () => simulated.io.eventfd(1)),
    );
  });

  it("are all told, each once, by the real one", () => {
    using poller = new Poller();
    const source = eventfd(1);
    const fds = Array.from({ length: COUNT }, () => dup(source));
    try {
      toldOnce(poller, fds);
    } finally {
      for (const fd of [source, ...fds]) close(fd);
    }
  });
});

describe("the clock", () => {
  const kernels = {
    "the platform's kernel": () => ({ kernel: platformKernel(undefined), ready: () => eventfd(1), shut: close }),
    "a simulated epoll": () => simulated(new SimulatedEpoll()),
    "a simulated kqueue": () => simulated(new SimulatedKqueue({ flavour: "freebsd" })),
    "a simulated AFD": () => simulated(new SimulatedAfd()),
  };

  function simulated(kernel: SimulatedEpoll | SimulatedKqueue | SimulatedAfd) {
    const ready = (): number => {
      const [one, other] = kernel.io.socketpair();
      kernel.io.write(other, new Uint8Array(1));
      return one;
    };
    return { kernel, ready, shut: (fd: number) => kernel.io.close(fd) };
  }

  for (const [name, open] of Object.entries(kernels)) {
    it(`is read once in a wait that has something to time, and else not at all, on ${name}`, () => {
      const { kernel, ready, shut } = open();
      let reads = 0;
      const counting = new WrappedKernel(kernel, (what, call) => {
        if (what !== "now") return call;
        return (...flat) => {
          reads++;
          return call(...flat);
        };
      });
      using poller = new Poller({ kernel: counting });
      const events = new Events(8);
      const assertReads = (expected: number, timeout: number | undefined, count: number): void => {
        reads = 0;
        assert.equal(poller.wait(events, timeout === undefined ? {} : { timeout }), count);
        assert.equal(reads, expected, `timeout ${timeout}`);
      };
      const fd = ready();
      poller.add(fd, 1, R);
      assertReads(0, undefined, 1);
      assertReads(0, 0, 0);
      // It was not armed again: the first of this wait's waits of the kernel ends at once, or disarms it.
      assertReads(1, 5, 0);
      poller.modify(fd, 1, R);
      assertReads(1, 5, 1);
      poller.delete(fd);
      poller.addTimer(1, 2, { repeat: 2 });
      assertReads(1, undefined, 1);
      assertReads(1, 60_000, 1);
      assertReads(1, 0, 0);
      shut(fd);
    });
  }
});
