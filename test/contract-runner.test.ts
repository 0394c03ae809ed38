/**
 * The contract's runner must notice what is wrong, else the contract's tests say nothing.
 *
 * Each test has it run, in the simulated world, steps that do not hold, or true ones in a world that misbehaves.
 */
import assert from "node:assert/strict";
import type { Step } from "./contract/format.js";
import { run } from "./contract/runner.js";
import type { World } from "./contract/world.js";
import { columns } from "./contract/worlds.js";

const simulated = columns({ watch: () => {} }).find(({ name }) => name === "simulated epoll");

function world(): World {
  assert.ok(simulated);
  return simulated.open();
}

const pair: Step = { do: "socketpair", as: ["watched", "peer"] };
const add: Step = { do: "add", fd: "watched", key: 1, interest: ["writable"] };
const event = { key: 1, is: ["writable"] } as const;
const pool: Step = { do: "pool", as: "due", events: [event] };

function fails(steps: readonly Step[], message: RegExp, where = world()): void {
  assert.throws(() => run(where, "scenario", steps), { name: "ContractError", message });
}

describe("the contract's runner", () => {
  it("passes what holds", () => {
    run(world(), "scenario", [
      pair,
      add,
      { do: "wait", timeout: 0, expect: [event] },
      { do: "wait", timeout: 10, expect: [] },
    ]);
  });

  it("names the step that failed", () => {
    fails([pair, { do: "registrations", expect: 1 }], /^step 2, \{"do":"registrations","expect":1\}: registrations/);
  });

  it("names the turn of a repeated step that failed", () => {
    const inner: readonly Step[] = [{ do: "add", fd: "watched", key: "#", interest: [] }];
    fails([pair, { do: "repeat", times: 2, steps: inner }], /^step 2\.1, turn 1, .*"key":"1".*EEXIST/);
  });

  it("fails on an event that does not come", () => {
    fails([pair, { do: "wait", timeout: 10, expect: [event] }], /not reported/);
  });

  it("fails on an event that nobody expects", () => {
    fails([pair, add, { do: "wait", timeout: 0, expect: [] }], /reported \[\{"key":1,"bits":\["writable"\],/);
  });

  it("fails on a bit that is missing", () => {
    const both = { key: 1, is: ["readable", "writable"] } as const;
    fails([pair, add, { do: "wait", timeout: 0, expect: [both] }], /reported/);
  });

  it("fails on a bit too many, unless it may be set", () => {
    const expected = { key: 1, is: ["readClosed", "hangUp"] } as const;
    const steps = [pair, add, { do: "close", fd: "peer" }] as const;
    fails([...steps, { do: "wait", timeout: 0, expect: [expected] }], /reported/);
    run(world(), "scenario", [...steps, { do: "wait", timeout: 0, expect: [{ ...expected, may: ["writable"] }] }]);
  });

  it("fails on another key", () => {
    fails([pair, add, { do: "wait", timeout: 0, expect: [{ ...event, key: 2 }] }], /reported/);
  });

  it("fails on an error that no event names", () => {
    fails([pair, add, { do: "wait", timeout: 0, expect: [{ ...event, errorCode: "EBADF" }] }], /reported/);
  });

  it("fails if an operation succeeds that must not", () => {
    fails([pair, { ...add, error: "EEXIST" }], /verdict/);
  });

  it("fails if an operation fails that must not", () => {
    fails([pair, { do: "delete", fd: "watched" }], /verdict: .*ENOENT/);
  });

  it("fails on another error", () => {
    fails([pair, { do: "delete", fd: "watched", error: "EBADF" }], /verdict: .*ENOENT/);
  });

  it("fails on another verdict of a batch, also where one succeeds", () => {
    const change = { op: "delete", fd: "watched" } as const;
    fails([pair, { do: "apply", changes: [change] }], /verdict 0/);
    fails([pair, add, { do: "apply", changes: [{ ...change, error: "ENOENT" }] }], /verdict 0/);
  });

  it("fails if a wait that must fail succeeds", () => {
    fails([pair, add, { do: "wait", timeout: 0, error: "EINVAL" }], /verdict/);
  });

  it("fails on too many system calls", () => {
    fails([pair, { do: "wait", timeout: 10, maxCalls: 0, expect: [] }], /1 system calls instead of 0 at most/);
  });

  it("fails on an event that is not in the pool any more, unless it may come again", () => {
    const again: Step = { do: "modify", fd: "watched", key: 1, interest: ["writable"] };
    const wait: Step = { do: "wait", timeout: 0, from: "due" };
    fails([pair, add, pool, wait, again, wait], /reported/);
    run(world(), "scenario", [pair, add, pool, wait, again, { ...wait, again: true }]);
  });

  it("fails on another count of a pool's events", () => {
    fails([pair, pool, { do: "wait", timeout: 10, from: "due", count: 1 }], /events: \[\]/);
  });

  it("fails on a pool that is not drained", () => {
    fails([pool, { do: "drained", pool: "due" }], /never reported/);
  });

  it("fails on data that was not read", () => {
    fails([pair, { do: "read", fd: "watched", text: "hello" }], /text read/);
    fails([pair, { do: "read", fd: "watched", count: 5 }], /bytes read/);
  });

  it("fails on another urgent byte, or none", () => {
    const tcp: Step = { do: "tcp", as: ["watched", "peer"] };
    const receive: Step = { do: "receiveUrgent", fd: "watched", text: "!" };
    fails([tcp, { do: "sendUrgent", fd: "peer", text: "?" }, receive], /the urgent byte/);
    fails([tcp, receive], /EINVAL/);
  });

  it("fails on names that no step has given", () => {
    fails([{ do: "close", fd: "nothing" }], /no step has opened nothing/);
    fails([{ do: "registrations", poller: "nobody", expect: 0 }], /no step has made the poller nobody/);
    fails([{ do: "connect", to: "nowhere", as: "client" }], /no step has had nowhere listen/);
    fails([{ do: "drained", pool: "dry" }], /no step has made the pool dry/);
    fails([{ do: "notify", notifier: "bell" }], /no step has asked for the notifier bell/);
    fails([{ do: "addTimer", key: 1, deadline: { of: "noon" } }], /no step has named the moment noon/);
  });

  it("fails on a step that it does not know", () => {
    fails([{ do: "sleep" } as unknown as Step], /unknown step/);
  });

  it("fails if a wait returns early", () => {
    const real = world();
    const stopped: World = { ...real, now: () => 0n, virtualTime: false };
    fails([pair, { do: "wait", timeout: 10, expect: [] }], /10000000 ns too early/, stopped);
  });

  it("fails if a wait blocks with an event to report", () => {
    const real = world();
    let time = 0n;
    const hasty: World = { ...real, now: () => time++ };
    fails([pair, add, { do: "wait", timeout: 10, expect: [event] }], /the moment at which it returned/, hasty);
  });

  it("fails if a wait outlasts its timeout on a virtual clock", () => {
    const real = world();
    const slow: World = { ...real, now: () => real.now() * 2n };
    fails([pair, { do: "wait", timeout: 10, expect: [] }], /the moment at which it returned/, slow);
  });

  const timer: Step = { do: "addTimer", key: 1, after: 5 };
  const expired = { key: 1, expirations: 1 } as const;
  const start: Step = { do: "moment", as: "start" };
  const periodic: Step = { do: "addTimer", key: 1, after: 5, repeat: 5 };

  it("passes timers that hold", () => {
    const until = { of: "start", plus: 5 };
    run(world(), "scenario", [start, timer, { do: "wait", timeout: null, expect: [expired], until }]);
  });

  it("fails on a timer that does not come, or that nobody expects", () => {
    fails([{ do: "wait", timeout: 10, expect: [expired] }], /not reported/);
    fails([timer, { do: "pass", milliseconds: 5 }, { do: "wait", timeout: 0, expect: [] }], /"expirations":1/);
  });

  it("tells a timer's event from a registration's", () => {
    const pass: Step = { do: "pass", milliseconds: 5 };
    fails([timer, pass, { do: "wait", timeout: 0, expect: [event] }], /reported/);
    fails([pair, add, { do: "wait", timeout: 0, expect: [expired] }], /reported/);
  });

  it("fails on another count of expirations", () => {
    const pass: Step = { do: "pass", milliseconds: 12 };
    for (const expirations of [1, 3]) {
      fails([periodic, pass, { do: "wait", timeout: 0, expect: [{ key: 1, expirations }] }], /reported/);
    }
  });

  it("allows more expirations where a wait was late, one for each period that has begun since", () => {
    const real = world();
    const late: World = { ...real, virtualTime: false };
    const wait = (expirations: number, plus: number): Step => {
      return { do: "wait", timeout: 0, expect: [{ key: 1, expirations, every: 5 }], until: { of: "start", plus } };
    };
    const steps = [start, periodic, { do: "pass", milliseconds: 21 } as const];
    run(late, "scenario", [...steps, wait(2, 10)]);
    fails([...steps, wait(2, 20)], /reported/, { ...world(), virtualTime: false });
    fails([...steps, wait(5, 20)], /reported/, { ...world(), virtualTime: false });
  });

  it("fails if a timer comes early, or late on a virtual clock", () => {
    const wait = (plus: number): Step => {
      return { do: "wait", timeout: null, expect: [expired], until: { of: "start", plus } };
    };
    fails([start, timer, wait(6)], /1000000 ns too early/);
    fails([start, timer, wait(4)], /the moment at which it returned/);
    fails([timer, { do: "wait", timeout: null, expect: [expired] }], /the moment at which it returned/);
  });

  it("fails if a wait outlasts its deadline on a virtual clock, or ends before it", () => {
    const real = world();
    const slow: World = { ...real, now: () => real.now() * 2n };
    const deadline = { of: "start", plus: 10 };
    fails([start, { do: "wait", deadline, expect: [] }], /the moment at which it returned/, slow);
    const hasty: World = { ...world(), now: () => 1_000_000_000n, virtualTime: false };
    fails([start, { do: "wait", deadline, expect: [] }], /10000000 ns too early/, hasty);
  });

  it("fails on another count of timers", () => {
    fails([timer, { do: "timers", expect: 2 }], /timers/);
  });

  it("fails if arming or deleting a timer succeeds that must not", () => {
    fails([{ ...timer, error: "EEXIST" } as Step], /verdict/);
    fails([{ do: "modifyTimer", key: 1, after: 5 }], /verdict: .*ENOENT/);
    fails([{ do: "deleteTimer", key: 1 }], /verdict: .*ENOENT/);
  });

  it("tells which wait begins, and that it has returned", () => {
    const told: (string | undefined)[] = [];
    const watched: World = { ...world(), blocking: (what) => told.push(what) };
    run(watched, "scenario", [{ do: "wait", timeout: 0, expect: [] }]);
    assert.deepEqual(told, ['scenario, {"do":"wait","timeout":0,"expect":[]}', undefined]);
  });

  it("fails if something is left open", () => {
    const real = world();
    const forgetful: World = { ...real, io: { ...real.io, close: () => {} } };
    fails([pair], /left open: 2 descriptors/, forgetful);
  });

  it("closes everything though a step fails", () => {
    const real = world();
    fails([pair, { do: "registrations", expect: 1 }], /registrations/, real);
    assert.deepEqual(real.leaks(), []);
  });
});
