/** Restricted kernels, as a program uses them: what was granted works as ever, everything else is refused. */
import assert from "node:assert/strict";
import { openSync } from "node:fs";
import {
  Events,
  Interest,
  Poller,
  PollerError,
  restrict,
  type Change as PollerChange,
  type Kernel,
  type RestrictPolicy,
} from "lio-poller";
import { close, dup, eventfd, pipe } from "lio-poller/io";
import { SimulatedEpoll } from "lio-poller/sim";
import { run } from "./contract/runner.js";
import { load, loadAll, stepsOn } from "./contract/scenarios.js";
import { startWatchdog } from "./contract/watchdog.js";
import type { Lacks } from "./contract/format.js";
import type { World } from "./contract/world.js";
import { columns, openSimulated, simulatedLacks } from "./contract/worlds.js";
import { registeredWith } from "./malicious/registered.js";
import { type Change, type Epoll, IN, lifted, lowered, ONESHOT, outcome, random } from "./simulated.js";
import { kernelObjects } from "./support/descriptors.js";
import { platformKernel } from "./support/internals.js";
import { PlainKernel } from "./support/plain-kernel.js";

const R = Interest.READABLE;

describe("a poller on a restricted kernel", () => {
  const opened: number[] = [];
  const pollers: Poller[] = [];
  let granted: number;
  let other: number;

  beforeEach(() => {
    granted = ready();
    other = ready();
  });

  afterEach(() => {
    for (const poller of pollers.splice(0)) poller.close();
    for (const fd of opened.splice(0)) close(fd);
  });

  function ready(): number {
    const fd = eventfd(1);
    opened.push(fd);
    return fd;
  }

  function pollerOn(kernel: Kernel): Poller {
    const poller = new Poller({ kernel });
    pollers.push(poller);
    return poller;
  }

  const restricted = (policy: RestrictPolicy): Poller => pollerOn(restrict("epoll", policy));
  const codes = (poller: Poller, changes: readonly PollerChange[]) => poller.apply(changes).map((error) => error?.code);

  function keys(poller: Poller): unknown[] {
    const events = new Events(16);
    poller.wait(events, { timeout: 0 });
    return Array.from(events, ({ key }) => key).toSorted();
  }

  for (const [how, policy] of [
    ["by numbers", () => ({ fds: [granted] })],
    ["by a function", () => ({ fds: (fd: number) => fd === granted })],
  ] as const) {
    it(`polls what it was granted ${how}, and nothing else`, () => {
      const poller = restricted(policy());
      poller.add(granted, 1, R);
      assert.deepEqual(keys(poller), [1]);
      poller.modify(granted, 2, R, { mode: "level" });
      assert.deepEqual([keys(poller), keys(poller)], [[2], [2]]);
      assert.throws(() => poller.add(other, 3, R), { code: "EPERM" });
      assert.deepEqual(registeredWith(poller.fd), [granted]);
      assert.deepEqual(keys(poller), [2]);
      poller.delete(granted);
      assert.deepEqual(registeredWith(poller.fd), []);
    });
  }

  it("is refused with the very error of a file that cannot be polled", () => {
    const regular = openSync("/proc/self/exe", "r");
    opened.push(regular);
    const poller = restricted({ fds: [regular] });
    const refusal = (fd: number): PollerError => {
      try {
        poller.add(fd, 1, R);
      } catch (error) {
        if (error instanceof PollerError) return error;
      }
      return assert.fail("not refused");
    };
    const told = (fd: number) => {
      const { name, message, code, errno, syscall } = refusal(fd);
      return { name, message: message.replace(`fd ${fd}`, "fd"), code, errno, syscall };
    };
    assert.deepEqual(told(other), told(regular));
    assert.equal(poller.stats().registrations, 0);
  });

  it("gets a verdict for each change of a batch", () => {
    const second = ready();
    const poller = restricted({ fds: [granted, second] });
    const add = (fd: number, key: number): PollerChange => ({ op: "add", fd, key, interest: R });
    const closed = dup(other);
    close(closed);
    assert.deepEqual(codes(poller, [add(other, 1), add(granted, 2), add(closed, 3), add(granted, 4), add(second, 5)]), [
      "EPERM",
      undefined,
      "EPERM",
      "EEXIST",
      undefined,
    ]);
    assert.deepEqual(
      registeredWith(poller.fd),
      [granted, second].toSorted((a, b) => a - b),
    );
    assert.deepEqual(keys(poller), [2, 5]);
  });

  it("can be notified without a grant", () => {
    const poller = restricted({ fds: [] });
    poller.notify();
    assert.equal(poller.wait(new Events(1)), 0);
  });

  it("asks the function anew at each add and modify, and lets what stands be deleted", () => {
    let grant = false;
    const poller = restricted({ fds: () => grant });
    assert.throws(() => poller.add(granted, 1, R), { code: "EPERM" });
    grant = true;
    poller.add(granted, 1, R);
    grant = false;
    assert.throws(() => poller.modify(granted, 1, R | Interest.WRITABLE), { code: "EPERM" });
    poller.delete(granted);
    assert.deepEqual(registeredWith(poller.fd), []);
  });

  it("is told by an event if the change that a wait carries is refused", () => {
    let grant = true;
    const poller = restricted({ fds: () => grant });
    poller.add(granted, 1, R);
    assert.deepEqual(keys(poller), [1]);
    // Not armed again: the next wait meets it and disarms it, so that the arming after that must reach the kernel.
    assert.deepEqual(keys(poller), []);
    poller.modify(granted, 1, R);
    grant = false;
    const events = new Events(1);
    assert.equal(poller.wait(events), 1);
    assert.deepEqual(
      Array.from(events, ({ refused, errorCode }) => [refused, errorCode]),
      [[true, "EPERM"]],
    );
  });

  for (const answer of [1, "yes", {}, Promise.resolve(true), undefined]) {
    it(`is granted nothing by a function that answers ${typeof answer} ${String(answer)}`, () => {
      const poller = restricted({ fds: () => answer as never });
      assert.throws(() => poller.add(granted, 1, R), { code: "EPERM" });
      assert.deepEqual(registeredWith(poller.fd), []);
    });
  }

  it("fails as if it had trapped when the function throws", () => {
    const cause = new Error("no policy");
    const poller = restricted({
      fds: () => {
        throw cause;
      },
    });
    assert.throws(() => poller.add(granted, 1, R), { code: "ERR_POLLER_TRAPPED", cause });
  });

  it("reads the numbers once", () => {
    const fds = [granted];
    const poller = restricted({ fds });
    fds.push(other);
    assert.throws(() => poller.add(other, 1, R), { code: "EPERM" });
  });

  it("registers no more than it may, with all pollers together", () => {
    const kernel = restrict("epoll", { maxRegistrations: 2 });
    const [one, two] = [pollerOn(kernel), pollerOn(kernel)];
    const third = ready();
    one.add(granted, 1, R);
    two.add(granted, 1, R);
    assert.throws(() => one.add(other, 2, R), { code: "ENOSPC" });
    assert.throws(() => two.add(other, 2, R), { code: "ENOSPC" });
    assert.throws(() => two.add(granted, 2, R), { code: "EEXIST" });
    two.delete(granted);
    one.add(other, 2, R);
    assert.throws(() => one.add(third, 3, R), { code: "ENOSPC" });
    one.close();
    two.add(third, 3, R);
    assert.deepEqual(registeredWith(two.fd), [third]);
  });

  it("counts what the kernel has registered, not what was tried", () => {
    const poller = restricted({ maxRegistrations: 1 });
    const closed = dup(granted);
    close(closed);
    const add = (fd: number): PollerChange => ({ op: "add", fd, key: 1, interest: R });
    assert.deepEqual(
      codes(poller, [add(closed), add(granted), add(other), { op: "delete", fd: granted }, add(other)]),
      ["EBADF", undefined, "ENOSPC", undefined, undefined],
    );
    assert.deepEqual(registeredWith(poller.fd), [other]);
  });

  it("gives the place of a closed descriptor back when that is deleted", () => {
    const poller = restricted({ maxRegistrations: 1 });
    const closed = eventfd(1);
    poller.add(closed, 1, R);
    close(closed);
    assert.throws(() => poller.add(granted, 1, R), { code: "ENOSPC" });
    poller.delete(closed);
    poller.add(granted, 1, R);
    assert.deepEqual(registeredWith(poller.fd), [granted]);
  });

  it("is one of no more than there may be", () => {
    const kernel = restrict("epoll", { maxPollers: 2 });
    const first = pollerOn(kernel);
    pollerOn(kernel);
    const objects = kernelObjects();
    assert.throws(() => new Poller({ kernel }), { code: "EMFILE" });
    assert.deepEqual(kernelObjects(), objects);
    first.close();
    pollerOn(kernel);
    assert.throws(() => new Poller({ kernel }), { code: "EMFILE" });
  });

  it("needs room for one more to replace a kernel object that cannot be silenced", () => {
    for (const [maxPollers, expected] of [
      [1, "EMFILE"],
      [2, undefined],
    ] as const) {
      const poller = restricted({ maxPollers, maxRegistrations: 1 });
      const fd = eventfd(1);
      const duplicate = dup(fd);
      poller.add(fd, 1, R);
      close(fd);
      const code = outcome(() => {
        for (let i = 0; i < 20; i++) keys(poller);
      });
      close(duplicate);
      assert.equal(code, expected);
      assert.equal(poller.stats().rebuilds, expected === undefined ? 1 : 0);
    }
  });

  it("has grants and limits of its own with each restricted kernel, and again after a trap", () => {
    const inner = platformKernel("epoll");
    const policy = { maxPollers: 1, maxRegistrations: 1 };
    const [one, two] = [restrict(inner, policy), restrict(inner, policy)];
    assert.deepEqual([one.name, two.name], ["epoll", "epoll"]);
    assert.notEqual(one, two);
    for (const kernel of [one, two]) pollerOn(kernel).add(granted, 1, R);

    let failing = true;
    const trapping = restrict("epoll", {
      ...policy,
      fds: () => {
        if (failing) throw new Error("trap");
        return true;
      },
    });
    const poller = pollerOn(trapping);
    assert.throws(() => poller.add(granted, 1, R), { code: "ERR_POLLER_TRAPPED" });
    failing = false;
    pollerOn(trapping).add(granted, 1, R);
  });

  it("is restricted by all of the kernels that were put around one another", () => {
    const third = ready();
    const poller = pollerOn(restrict(restrict("epoll", { fds: [granted, third] }), { fds: [other, third] }));
    assert.throws(() => poller.add(granted, 1, R), { code: "EPERM" });
    assert.throws(() => poller.add(other, 1, R), { code: "EPERM" });
    poller.add(third, 3, R);
    assert.deepEqual([registeredWith(poller.fd), keys(poller)], [[third], [3]]);
  });

  it("reports more events than cross at once, one wait after the other", () => {
    const [readEnd, writeEnd] = pipe();
    opened.push(readEnd, writeEnd);
    const fds = Array.from({ length: 1100 }, () => dup(writeEnd));
    opened.push(...fds);
    const poller = restricted({ fds });
    assert.deepEqual(
      poller.apply(fds.map((fd) => ({ op: "add", fd, key: fd, interest: Interest.WRITABLE }))).filter(Boolean),
      [],
    );
    const events = new Events(2000);
    const found = new Set<unknown>();
    while (found.size < fds.length) {
      assert.ok(poller.wait(events) > 0);
      for (const { key } of events) found.add(key);
    }
    assert.deepEqual([...found].map(Number).toSorted(), fds.toSorted());
  });
});

describe("restrict", () => {
  const kernel = new SimulatedEpoll();
  const anything = restrict as (kernel: unknown, policy: unknown) => Kernel;

  for (const wrong of [undefined, null, 1, {}, { name: "epoll" }]) {
    it(`takes no ${JSON.stringify(wrong) ?? "undefined"} for a kernel`, () => {
      assert.throws(() => anything(wrong, {}), { code: "ERR_INVALID_ARG_TYPE" });
    });
  }

  it("takes no kernel that it does not know", () => {
    assert.throws(() => anything("no such", {}), { code: "ERR_POLLER_UNSUPPORTED" });
    assert.throws(() => anything({ name: "kqueue", open: () => kernel.open() }, {}), { code: "ERR_INVALID_ARG_VALUE" });
  });

  const wrongPolicies: readonly [what: string, policy: unknown, code: string][] = [
    ["no policy", undefined, "ERR_INVALID_ARG_TYPE"],
    ["null", null, "ERR_INVALID_ARG_TYPE"],
    ["a list", [3], "ERR_INVALID_ARG_VALUE"],
    ["a misspelt property", { fd: [3] }, "ERR_INVALID_ARG_VALUE"],
    ["descriptors that are undefined", { fds: undefined }, "ERR_INVALID_ARG_TYPE"],
    ["descriptors that are null", { fds: null }, "ERR_INVALID_ARG_TYPE"],
    ["one descriptor", { fds: 3 }, "ERR_INVALID_ARG_TYPE"],
    ["descriptors in a string", { fds: "3" }, "ERR_INVALID_ARG_TYPE"],
    ["strings for descriptors", { fds: ["3"] }, "ERR_INVALID_ARG_TYPE"],
    ["a fraction for a descriptor", { fds: [3.5] }, "ERR_OUT_OF_RANGE"],
    ["a negative descriptor", { fds: [-1] }, "ERR_OUT_OF_RANGE"],
    ["a descriptor that no kernel has", { fds: [2 ** 31] }, "ERR_OUT_OF_RANGE"],
    ["a limit that is undefined", { maxPollers: undefined }, "ERR_INVALID_ARG_TYPE"],
    ["a string for a limit", { maxRegistrations: "1" }, "ERR_INVALID_ARG_TYPE"],
    ["a negative limit", { maxRegistrations: -1 }, "ERR_OUT_OF_RANGE"],
    ["a limit that is no number", { maxPollers: Number.NaN }, "ERR_OUT_OF_RANGE"],
    ["a fraction for a limit", { maxPollers: 0.5 }, "ERR_OUT_OF_RANGE"],
  ];
  for (const [what, policy, code] of wrongPolicies) {
    it(`takes no ${what.replace(/^no /, "missing ")} in a policy`, () => {
      assert.throws(() => anything(kernel, policy), { code });
    });
  }

  it("passes on what it knows to add nothing, and nothing else", () => {
    const inner = kernel.open();
    const imports = {
      ...inner.imports,
      epoll: { ...inner.imports["epoll"], grantAll: () => 0 },
      files: { open: () => 0 },
    };
    const opened = restrict({ name: "epoll", open: () => ({ ...inner, imports }) }, {}).open();
    assert.deepEqual(Object.keys(opened.imports).toSorted(), ["clock", "epoll"]);
    assert.deepEqual(
      Object.keys(opened.imports["epoll"] ?? {}).toSorted(),
      Object.keys(inner.imports["epoll"] ?? {}).toSorted(),
    );
  });

  it("closes a kernel that lacks what must be restricted", () => {
    let closed = 0;
    const lacking: Kernel = { name: "epoll", open: () => ({ imports: { clock: {} }, close: () => void closed++ }) };
    assert.throws(() => restrict(lacking, {}).open(), { code: "ERR_POLLER_UNSUPPORTED" });
    assert.equal(closed, 1);
  });
});

describe("a restricted kernel's two forms", () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    it(`give the same results for the same calls, and grant no more than they should (seed ${seed})`, () => {
      const direct = program(seed, lifted);
      assert.ok(direct.refused["not-permitted"] > 50 && direct.refused["no-space"] > 5, "refusals to compare");
      assert.deepEqual(program(seed, lowered).results, direct.results);
      assert.deepEqual(program(seed, (opened) => lowered(opened, true)).results, direct.results);
    });
  }

  /** Random calls on a restricted kernel by one of its forms: what came of each, and how often changes were refused. */
  function program(seed: number, open: (opened: ReturnType<Kernel["open"]>) => Epoll) {
    const below = random(seed);
    const simulated = new SimulatedEpoll();
    const { io } = simulated;
    const fds = Array.from({ length: 12 }, () => io.eventfd(below(2)));
    const permitted = (fd: number): boolean => fd % 4 !== 0;
    const epoll = open(restrict(simulated, { fds: permitted, maxRegistrations: 5, maxPollers: 3 }).open());
    const fd = () => fds[below(fds.length)] ?? 0;
    const handle = () => Math.max(0, simulated.calls.create - below(4));
    const changes = (): Change[] =>
      Array.from({ length: below(6) }, () => ({
        operation: (["add", "add", "modify", "delete"] as const)[below(4)] ?? "add",
        fd: fd(),
        mask: below(2) === 0 ? IN : IN + ONESHOT,
        token: { slot: below(100), generation: 1 },
      }));
    const calls = [
      () => epoll.create(),
      () => epoll.control(handle(), changes()),
      () => epoll.control(handle(), changes()),
      () => epoll.wait(handle(), changes(), below(3), 0n),
      () => epoll.wait(handle(), [], 64, 0n),
      () => (below(4) === 0 ? epoll.close(handle()) : undefined),
      () => (below(8) === 0 ? io.close(fd()) : undefined),
      () => void (fds[below(fds.length)] = io.eventfd(1)),
    ];
    const refused = { "not-permitted": 0, "no-space": 0 };
    const results = Array.from({ length: 1500 }, () => {
      const result = JSON.stringify(outcome(calls[below(calls.length)] ?? calls[0]!)) ?? "nothing";
      refused["not-permitted"] += result.split('"not-permitted"').length - 1;
      refused["no-space"] += result.split('"no-space"').length - 1;
      // The reader of linear memory knows only what the simulated kernel itself says.
      return result.replaceAll(/"no-space"|"too-many-descriptors"/g, '"?"');
    });
    return { results: [...results, JSON.stringify(simulated.calls)], refused };
  }
});

/** The scenarios, and those of them that lio's kernels share: jco's lifting is too slow for a few of the others. */
const scenarios = loadAll();
const shared = load("lio.json");
const everything: RestrictPolicy = { fds: () => true, maxRegistrations: 100_000, maxPollers: 1000 };
const watchdog = await startWatchdog();

const worlds: readonly [name: string, which: typeof scenarios, lacks: Lacks, open: () => World][] = [
  ["this platform's kernel", scenarios, {}, () => onPlatform(restrict("epoll", everything))],
  [
    "a simulated kernel",
    scenarios,
    simulatedLacks,
    () => openSimulated(watchdog, (simulated) => restrict(simulated, everything)),
  ],
  [
    "a simulated kernel without core functions",
    shared,
    simulatedLacks,
    () => openSimulated(watchdog, (simulated) => restrict(new PlainKernel(simulated), everything)),
  ],
];

function onPlatform(kernel: Kernel): World {
  const world = columns(watchdog)
    .find(({ name }) => name === "epoll")
    ?.open();
  return { ...(world ?? assert.fail()), createPoller: () => new Poller({ kernel }) };
}

for (const [name, which, lacks, open] of worlds) {
  describe(`the contract on ${name}, restricted to everything`, function () {
    this.timeout(0);
    for (const scenario of which) {
      const steps = stepsOn({ kernel: "epoll", lacks }, scenario);
      if ("leftOut" in steps) continue;
      it(`${scenario.title} (${scenario.name})`, () => run(open(), scenario.name, steps));
    }
  });
}
