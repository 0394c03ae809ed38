/**
 * Calls that are ended from outside: by a time limit of `node:vm`, by Ctrl-C in a REPL, or by the end of the stack. Neither
 * `catch` nor `finally` is certain to run then. What was cut off counts as a trap, and is never taken for a call that runs.
 */
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { createContext, runInContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { Events, Interest, type Kernel, Poller } from "lio-poller";
import { SimulatedEpoll } from "lio-poller/sim";
import { deliveries, idle, untilIdly } from "./support/deliveries.js";
import { kernelObjects } from "./support/descriptors.js";
import { close, eventfd } from "./support/files.js";
import { collectUntil } from "./support/garbage.js";
import { platformKernel, root } from "./support/internals.js";
import { PlainKernel } from "./support/plain-kernel.js";
import { ReplaceableKernel } from "./support/replaceable-kernel.js";
import { sampledSeeds } from "./support/sample.js";

const R = Interest.READABLE;

/** What calls are made of, on one kernel. */
interface Stage {
  readonly kernel: Kernel;
  readonly fd: number;
  readonly poller: Poller;
  readonly events: Events;
}

const calls: Readonly<Record<string, (stage: Stage) => unknown>> = {
  "new Poller": ({ kernel }) => new Poller({ kernel }).close(),
  "add and delete": ({ poller, fd }) => (poller.add(fd, 1, R), poller.delete(fd)),
  modify: ({ poller, fd }) => (poller.add(fd, 1, R), poller.modify(fd, 2, R, { mode: "level" }), poller.delete(fd)),
  apply: ({ poller, fd }) => (poller.apply([{ op: "add", fd, key: 1, interest: R }]), poller.delete(fd)),
  "addTimer and deleteTimer": ({ poller }) => (poller.addTimer(1, 1000), poller.deleteTimer(1)),
  wait: ({ poller, events }) => poller.wait(events, { timeout: 1 }),
  "wait with new events": ({ poller }) => poller.wait(new Events(4), { timeout: 0 }),
  notify: ({ poller, events }) => (poller.notify(), poller.wait(events)),
  stats: ({ poller }) => poller.stats(),
  "notifier, or fd where there are none": ({ poller, kernel }) =>
    kernel instanceof PlainKernel ? poller.fd : poller.notifier(),
};

/** The code that a call is refused with, if it is. */
function refusalOf(use: () => unknown): unknown {
  try {
    use();
    return undefined;
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

/** Kernels, those of the platform with a descriptor to watch, simulated ones with one of their own. */
const kernels: Readonly<Record<string, () => { kernel: Kernel; fd: number; done: () => void }>> = {
  "the platform's kernel": () => withDescriptor(platformKernel(undefined)),
  "a kernel in JavaScript": () => withDescriptor(new ReplaceableKernel()),
  "a kernel without core functions": () => {
    const simulated = new SimulatedEpoll();
    return { kernel: new PlainKernel(simulated), fd: simulated.io.eventfd(0), done: () => {} };
  },
};

function withDescriptor(kernel: Kernel): { kernel: Kernel; fd: number; done: () => void } {
  const fd = eventfd(0);
  return { kernel, fd, done: () => close(fd) };
}

for (const [what, make] of Object.entries(kernels)) {
  describe(`on ${what}, a call that is ended from outside`, () => {
    let stage: Stage;
    let done: () => void;
    let before: ReturnType<typeof kernelObjects>;

    beforeEach(() => {
      new Poller().close();
      before = kernelObjects();
      const { kernel, fd, done: finish } = make();
      stage = { kernel, fd, poller: new Poller({ kernel }), events: new Events(4) };
      done = finish;
    });

    afterEach(async () => {
      stage.poller.close();
      done();
      assert.ok(await collectUntil(() => kernelObjects().epolls <= before.epolls), "descriptors stay open");
    });

    /** The poller works, or has trapped and a new one works. */
    function assertRecovered(): void {
      const { kernel, fd, poller, events } = stage;
      const refusal = refusalOf(() => poller.stats());
      if (refusal !== undefined) {
        const { "new Poller": _, ...others } = calls;
        for (const use of Object.values(others))
          assert.equal(
            refusalOf(() => use(stage)),
            "ERR_POLLER_TRAPPED",
          );
        poller.close();
        stage = { ...stage, poller: new Poller({ kernel }) };
      } else {
        // What was begun may have been done.
        refusalOf(() => poller.delete(fd));
        refusalOf(() => poller.deleteTimer(1));
        poller.notify();
        poller.wait(events);
      }
      stage.poller.add(fd, 1, R);
      assert.equal(stage.poller.wait(events, { timeout: 0 }), 0);
      stage.poller.delete(fd);
    }

    for (const [name, use] of Object.entries(calls)) {
      it(`by a time limit, in ${name}, is a trap or has no effect`, async () => {
        const context = createContext({ use: () => use(stage) });
        const rounds = sampledSeeds(`time limits, in ${name}, on ${what}`, 0, 10, 3).length;
        for (let round = 0; round < rounds; round++) {
          assert.throws(() => runInContext("for (;;) use()", context, { timeout: 3 }), {
            code: "ERR_SCRIPT_EXECUTION_TIMEOUT",
          });
          // Within the turn a kernel in JavaScript may be inside the call, as far as can be known.
          if (what !== "the platform's kernel") await turn();
          assertRecovered();
        }
      });

      it(`by the end of the stack, in ${name}, is a trap or has no effect, however near that is`, () => {
        const deep = (depth: number): void => {
          if (depth === 0) use(stage);
          else deep(depth - 1);
          // Some engines make no frame for a call that is the last thing.
          assert.ok(depth >= 0);
        };
        const overflows = (depth: number): boolean => {
          try {
            deep(depth);
            return false;
          } catch (error) {
            assert.ok(
              error instanceof RangeError || (error as { code?: unknown }).code === "ERR_POLLER_TRAPPED",
              String(error),
            );
            return true;
          }
        };
        let least = 0;
        let most = 1;
        while (!overflows(most)) most *= 2;
        assertRecovered();
        while (most - least > 1) {
          const middle = (least + most) >> 1;
          if (overflows(middle)) most = middle;
          else least = middle;
          assertRecovered();
        }
        // From where the call has all the room that it needs to where it cannot even begin.
        for (const less of sampledSeeds(`depths of the stack, for ${name}, on ${what}`, -10, 110, 12)) {
          overflows(most + less);
          assertRecovered();
        }
      });
    }
  });
}

describe("a call that never comes to its end inside a kernel in JavaScript", () => {
  it("is taken for one that runs until the turn is over, and for a trap in the next", async () => {
    const before = kernelObjects();
    const kernel = new ReplaceableKernel();
    const poller = new Poller({ kernel });
    const sibling = new Poller({ kernel });
    const inside = { count: 0 };
    kernel.replace("wait", () => {
      inside.count++;
      for (;;);
    });
    const context = createContext({ wait: () => poller.wait(new Events(1), { timeout: 0 }) });
    while (inside.count === 0) {
      assert.throws(() => runInContext("wait()", context, { timeout: 50 }), { code: "ERR_SCRIPT_EXECUTION_TIMEOUT" });
    }
    assert.equal(
      refusalOf(() => poller.stats()),
      "ERR_POLLER_BUSY",
    );
    await turn();
    // Nobody has asked meanwhile.
    assert.deepEqual(kernelObjects(), before);
    for (const dead of [poller, sibling])
      assert.equal(
        refusalOf(() => dead.stats()),
        "ERR_POLLER_TRAPPED",
      );
    kernel.restore();
    new Poller({ kernel }).close();
    poller.close();
    sibling.close();
    assert.deepEqual([kernel.opened, kernel.closed], [2, 1]);
  });
});

describe("an attached poller whose callback the inspector of Node ends", () => {
  /** Ends what the main thread runs, as soon as it says that it runs it. */
  const ending = `
    const { Session } = require("node:inspector");
    const session = new Session();
    session.connectToMainThread();
    require("node:worker_threads").parentPort.postMessage("ready");
    Atomics.wait(require("node:worker_threads").workerData, 0, 0);
    session.post("Runtime.terminateExecution", () => session.disconnect());
  `;

  it("goes on, and what the callback had changed has been done", async () => {
    const { kernel } = deliveries[0]!;
    const runs = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(ending, { eval: true, workerData: runs });
    const exited = once(worker, "exit");
    await once(worker, "message");
    using poller = new Poller({ kernel });
    const fd = eventfd(1);
    let turns = 0;
    poller.attach(() => {
      poller.modify(fd, 1, R);
      turns++;
      if (turns > 1) return;
      Atomics.store(runs, 0, 1);
      Atomics.notify(runs, 0);
      for (;;);
    });
    poller.add(fd, 1, R);
    await untilIdly(() => turns > 2);
    await exited;
    close(fd);
  });
});

describe("Ctrl-C in Node's REPL", () => {
  let repl: ChildProcessWithoutNullStreams;
  let output: string;

  beforeEach(() => {
    output = "";
    repl = spawn(process.execPath, ["--interactive"], { cwd: root, env: { ...process.env, NODE_REPL_HISTORY: "" } });
    for (const stream of [repl.stdout, repl.stderr]) stream.on("data", (text) => (output += text));
  });

  afterEach(() => void repl.kill("SIGKILL"));

  /** Has a line evaluated, and waits for what it prints. */
  async function type(line: string, expected: RegExp, meanwhile = (): void => {}): Promise<void> {
    output = "";
    repl.stdin.write(`${line}\n`);
    meanwhile();
    while (!expected.test(output)) {
      assert.deepEqual([repl.exitCode, repl.signalCode], [null, null], output);
      await idle(5);
    }
  }

  it("ends a wait, after which a new poller works", async () => {
    await type('var { Events, Poller } = await import("lio-poller"), poller = new Poller(); "ready"', /'ready'/);
    await type("var events = new Events(4), waiting = 'waiting'; waiting", /'waiting'/);
    // Nearly all of the time it is inside the call.
    const line = "for (;;) poller.wait(events, { timeout: 20 })";
    await type(line, /ERR_SCRIPT_EXECUTION_INTERRUPTED/, () => setTimeout(() => repl.kill("SIGINT"), 300));
    await type("try { poller.stats(), 'works' } catch (error) { error.code }", /'ERR_POLLER_TRAPPED'|'works'/);
    await type(
      "try { new Poller().wait(events, { timeout: 1 }) + ' events' } catch (error) { error.code }",
      /'0 events'/,
    );
  });
});
