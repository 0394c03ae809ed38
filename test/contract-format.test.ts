/** A mistake in the contract's data must be refused: read over, it would make a scenario weaker. */
import assert from "node:assert/strict";
import { checkKernels, checkScenarios, type Step, type Untold } from "./contract/format.js";
import { stepsOn, withoutUntold } from "./contract/scenarios.js";

const wait = { do: "wait", timeout: 10, expect: [] };
const event = { key: 1, is: ["readable"] };

function scenario(...steps: unknown[]): Record<string, unknown> {
  return { name: "some_name", title: "Something holds", source: "fault 1", steps };
}

function refused(data: unknown): string {
  try {
    checkScenarios(data, "file.json");
  } catch (error) {
    assert.ok(error instanceof Error && error.name === "FormatError", String(error));
    return error.message;
  }
  return assert.fail("accepted");
}

describe("the contract's format", () => {
  it("accepts a scenario that expects something", () => {
    const data = [scenario({ do: "socketpair", as: ["a", "b"] }, wait)];
    assert.deepEqual(checkScenarios(data, "file.json"), data);
  });

  const notScenarios: readonly [what: string, data: unknown, message: RegExp][] = [
    ["something that is not a list", {}, /file\.json: is not a list/],
    ["an empty file", [], /holds no scenario/],
    ["two scenarios of one name", [scenario(wait), scenario(wait)], /two scenarios are named some_name/],
    ["a scenario without steps", [scenario()], /some_name\.steps: is empty/],
    ["a scenario without a source", [{ ...scenario(wait), source: undefined }], /some_name\.source/],
    ["a source that nobody could look up", [{ ...scenario(wait), source: "somewhere" }], /some_name\.source/],
    ["a title that is no sentence", [{ ...scenario(wait), title: "works." }], /some_name\.title/],
    ["an unknown field of a scenario", [{ ...scenario(wait), skip: true }], /unknown field skip/],
  ];
  for (const [what, data, message] of notScenarios) {
    it(`refuses ${what}`, () => assert.match(refused(data), message));
  }

  const notSteps: readonly [what: string, step: unknown, message: RegExp][] = [
    ["an unknown step", { do: "sleep" }, /steps\[0\]\.do: "sleep" is none of/],
    ["a step that does nothing", {}, /steps\[0\]: is not a step/],
    ["an unknown field of a step", { ...wait, expects: [] }, /\(wait\): has an unknown field expects/],
    ["a field of another step", { do: "close", fd: "a", onto: "b" }, /\(close\): has an unknown field onto/],
    ["a missing field", { do: "add", fd: "a", key: 1 }, /\(add\)\.interest/],
    ["an unknown interest", { do: "add", fd: "a", key: 1, interest: ["read"] }, /"read" is none of/],
    ["an unknown mode", { do: "add", fd: "a", key: 1, interest: [], mode: "once" }, /"once" is none of/],
    ["a wait without an end", { do: "wait", expect: [] }, /exactly one of timeout, deadline/],
    ["a wait that expects nothing", { do: "wait", timeout: 10 }, /exactly one of expect, from, error, woken/],
    ["a wait that expects two things", { ...wait, woken: true }, /exactly one of expect, from, error, woken/],
    ["a wait with two ends", { ...wait, deadline: { of: "start" } }, /exactly one of timeout, deadline/],
    ["a wait for ever without events", { do: "wait", timeout: null, expect: [] }, /could not return/],
    ["a count without a pool", { ...wait, count: 1 }, /count and again belong to from/],
    ["an unknown bit", { ...wait, expect: [{ key: 1, is: ["hup"] }] }, /"hup" is none of/],
    ["a timer's event with a bit", { ...wait, expect: [{ ...event, expirations: 1 }] }, /unknown field is/],
    ["a timer that has not expired", { ...wait, expect: [{ key: 1, expirations: 0 }] }, /is not a count from 1 on/],
    ["a beat without a moment", { ...wait, expect: [{ key: 1, expirations: 1, every: 5 }] }, /not say until when/],
    ["a timer that is never due", { do: "addTimer", key: 1 }, /exactly one of after, deadline/],
    [
      "a timer that is due twice",
      { do: "modifyTimer", key: 1, after: 1, deadline: { of: "a" } },
      /exactly one of after/,
    ],
    ["a moment of nothing", { do: "addTimer", key: 1, deadline: { plus: 1 } }, /deadline\.of/],
    ["a notify of two", { do: "notify", poller: "a", notifier: "b" }, /at most one of poller, notifier/],
    ["an event without a bit", { ...wait, expect: [{ key: 1, is: [] }] }, /expect\[0\]\.is: is empty/],
    ["an unknown field of an event", { ...wait, expect: [{ ...event, readable: true }] }, /unknown field readable/],
    ["a bit that must and may be set", { ...wait, expect: [{ ...event, may: ["readable"] }] }, /is in may/],
    ["a key that lost its last digits", { ...wait, expect: [{ ...event, key: 2 ** 53 }] }, /is not a count/],
    ["a short key as a string", { ...wait, expect: [{ ...event, key: "7" }] }, /written as a number/],
    ["a key of 65 bits", { ...wait, expect: [{ ...event, key: "18446744073709551616" }] }, /fit in 64 bits/],
    ["an error by its number", { do: "delete", fd: 9, error: "9" }, /an error's name/],
    ["a write of nothing", { do: "write", fd: "a" }, /exactly one of text, counter, fill/],
    ["a read that expects nothing", { do: "read", fd: "a" }, /exactly one of text, count, drain/],
    ["more than one urgent byte", { do: "sendUrgent", fd: "a", text: "no" }, /is not one ASCII character/],
    ["one name for a pair", { do: "pipe", as: ["a"] }, /is not a pair/],
    ["nested repeats", repeat(repeat(wait)), /repeats cannot be nested/],
    ["a mistake in a repeated step", repeat({ do: "sleep" }), /\(repeat\)\.steps\[0\]\.do/],
    ["a change without an operation", { do: "apply", changes: [{ fd: "a" }] }, /changes\[0\]: is not a change/],
    ["a delete with a key", { do: "apply", changes: [{ op: "delete", fd: "a", key: 1 }] }, /unknown field key/],
  ];
  for (const [what, step, message] of notSteps) {
    it(`refuses ${what}`, () => assert.match(refused([scenario(step, wait)]), message));
  }

  const withoutExpectation: readonly unknown[] = [
    { do: "notify" },
    { do: "add", fd: "a", key: 1, interest: ["readable"] },
    { do: "apply", changes: [{ op: "delete", fd: "a" }] },
    repeat({ do: "close", fd: "a" }),
  ];
  for (const step of withoutExpectation) {
    it(`refuses a scenario of nothing but ${JSON.stringify(step)}`, () => {
      assert.match(refused([scenario(step)]), /expects nothing/);
    });
  }
});

describe("a kernel's differences", () => {
  const labelled = { ...wait, label: "quiet" };
  const other = { do: "wait", timeout: 10, expect: [event] };

  it("replace the labelled step on that kernel alone", () => {
    const differences = [{ kernels: ["kqueue"], reason: "It tells more", replace: { quiet: other } }];
    const [checked] = checkScenarios([{ ...scenario(labelled, wait), differences }], "file.json");
    assert.ok(checked);
    assert.deepEqual(stepsOn({ kernel: "kqueue" }, checked), [other, wait]);
    assert.deepEqual(stepsOn({ kernel: "epoll" }, checked), [labelled, wait]);
  });

  it("leave a scenario out on that kernel alone", () => {
    const differences = [{ kernels: ["iocp"], reason: "It cannot", leftOut: true }];
    const [checked] = checkScenarios([{ ...scenario(wait), differences }], "file.json");
    assert.ok(checked);
    assert.deepEqual(stepsOn({ kernel: "iocp" }, checked), { leftOut: "It cannot" });
    assert.deepEqual(stepsOn({ kernel: "epoll" }, checked), [wait]);
  });

  const mistakes: readonly [what: string, difference: unknown, message: RegExp][] = [
    ["without a reason", { kernels: ["kqueue"], leftOut: true }, /reason/],
    ["of no kernel", { kernels: [], reason: "None", leftOut: true }, /kernels: is empty/],
    ["of an unknown kernel", { kernels: ["poll"], reason: "Old", leftOut: true }, /"poll" is none of/],
    ["that changes nothing", { kernels: ["kqueue"], reason: "None" }, /exactly one of leftOut, replace/],
    ["of a step that is not there", { kernels: ["kqueue"], reason: "It", replace: { loud: other } }, /labelled loud/],
  ];
  for (const [what, difference, message] of mistakes) {
    it(`are refused if there is one ${what}`, () => {
      assert.match(refused([{ ...scenario(labelled, wait), differences: [difference] }]), message);
    });
  }

  it("are needed for a label", () => {
    assert.match(refused([scenario(labelled)]), /the label quiet is of no use/);
  });
});

describe("what is known of a kernel", () => {
  const silent = { bit: "hangUp", unless: "writable", reason: "It says so when written" };
  const facts = {
    epoll: { lacks: {}, untold: [] },
    kqueue: { lacks: { eventfd: "It is Linux's" }, untold: [silent] },
    iocp: { lacks: { "dup.onto": "No number can be chosen" }, untold: [] },
  };

  it("is what it lacks and what it does not tell, with a reason", () => {
    assert.deepEqual(checkKernels(facts, "file.json"), facts);
    const refuses = (iocp: unknown, message: RegExp): void => {
      assert.throws(() => checkKernels({ ...facts, iocp }, "file.json"), message);
    };
    for (const wrong of [
      "sleep",
      "dup.under",
      "dup.onto.more",
      "mode",
      "mode.lazy",
      "mode.edge.more",
      "interest.edge",
      "",
    ]) {
      refuses({ lacks: { [wrong]: "No" }, untold: [] }, /is no step/);
    }
    refuses({ lacks: { dup: "" }, untold: [] }, /is not text/);
    refuses({ lacks: {}, untold: [{ bit: "hup", reason: "No" }] }, /"hup" is none of/);
    refuses({ lacks: {}, untold: [{ bit: "hangUp" }] }, /reason/);
    refuses(undefined, /file\.json\.iocp/);
  });

  it("leaves out what cannot be carried out, there alone", () => {
    const steps = [repeat({ do: "dup", fd: "a", as: "b", onto: "c" }), wait];
    const [checked] = checkScenarios([scenario(...steps)], "file.json");
    assert.ok(checked);
    assert.deepEqual(stepsOn({ kernel: "epoll" }, checked), steps);
    const without = (field: string): unknown => stepsOn({ kernel: "epoll", lacks: { [field]: "No" } }, checked);
    assert.deepEqual(without("dup.onto"), { leftOut: "No" });
    assert.deepEqual(without("dup"), { leftOut: "No" });
    assert.deepEqual(without("close"), steps);
  });

  it("leaves out what names a mode or an interest that is not there, in a batch too", () => {
    const add = { op: "add", fd: "a", key: 1, interest: ["priority"], mode: "edge" };
    for (const step of [
      { do: "apply", changes: [add] },
      { ...add, op: undefined, do: "add" },
    ]) {
      const { op: _, ...named } = step as Record<string, unknown>;
      const [checked] = checkScenarios([scenario(named as unknown as Step, wait)], "file.json");
      assert.ok(checked);
      const without = (what: string): unknown => stepsOn({ kernel: "epoll", lacks: { [what]: "No" } }, checked);
      assert.deepEqual(without("mode.edge"), { leftOut: "No" });
      assert.deepEqual(without("mode.level"), checked.steps);
      assert.deepEqual(without("interest.priority"), { leftOut: "No" });
      assert.deepEqual(without("interest.readable"), checked.steps);
    }
  });

  it("makes the contract silent about what it does not tell, and about nothing else", () => {
    const expecting = (...expect: unknown[]): Step => ({ do: "wait", timeout: 0, expect }) as Step;
    const untold = [silent as Untold];
    const reading = { key: 1, is: ["readable", "hangUp"] };
    const writing = { key: 1, is: ["writable", "hangUp"] };
    const timer = { key: 1, expirations: 1 };
    const loose = { key: 1, is: ["readable"], may: ["hangUp"] };
    assert.deepEqual(withoutUntold(expecting(reading, writing, timer), untold), expecting(loose, writing, timer));
    const within = (events: unknown[]): Step => repeat({ do: "pool", as: "a", events }) as Step;
    assert.deepEqual(withoutUntold(within([reading]), untold), within([loose]));
    const [checked] = checkScenarios([scenario(expecting(reading))], "file.json");
    assert.ok(checked);
    assert.deepEqual(stepsOn({ kernel: "epoll" }, checked), [expecting(reading)]);
    assert.deepEqual(stepsOn({ kernel: "kqueue" }, checked), [expecting(loose)]);
  });
});

function repeat(step: unknown): unknown {
  return { do: "repeat", times: 2, steps: [step] };
}
