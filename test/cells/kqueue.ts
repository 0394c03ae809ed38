/**
 * Every way in which a public operation comes to make a call of `wit/kqueue.wit` that can fail, and what must be true when
 * it does: a change of the core's is several of the kernel's, each of which has a receipt of its own. The errors come from
 * the list of the manual; this says nothing of which there are.
 *
 * Two answers of the kernel are no failures of the caller's: EPIPE, which says of a pipe without reader that it is ready
 * (`isReported` in `assembly/kernels/kqueue.ts`), and of a delete that there is nothing to delete. Whatever else refuses a
 * change, what was done of it is taken back; but where the kernel says that the number is no longer the file that was
 * registered, there is nothing to go back to, and the registration is silent until it is deleted or added anew.
 */
import assert from "node:assert/strict";
import { Interest, type Mode } from "lio-poller";
import { takeAllMemory } from "../support/exhaustion.js";
import {
  PLACES,
  addAll,
  applied,
  armWithNextWait,
  assertAddable,
  assertDeletedOrNot,
  assertNotThere,
  assertToldOnce,
  bareWaits,
  deleteAll,
  fine,
  isGone,
  itself,
  keysBut,
  making,
  modifyAll,
  notifyingBy,
  oneOf,
  poll,
  prepareFive,
  type Situation,
} from "./situation.js";
import type { Answer, Stage, Told } from "./stage.js";

const { NONE, READABLE, WRITABLE } = Interest;
const BOTH = READABLE | WRITABLE;

/** What the caller hears of a refusal. */
const refusal = (error: string): Answer => (error === "EPIPE" ? "ok" : error);
/** The same of a delete. */
const ending = (error: string): Answer => (isGone(error) ? "ok" : error);

/** Registered with this key and told of these directions. */
function assertTold(stage: Stage, key: number, interest: number): void {
  assert.deepEqual(stage.poll(), [[key, undefined]]);
  const event = stage.events.toArray().find((told) => told.key === key);
  assert.equal((event?.readable ? READABLE : 0) | (event?.writable ? WRITABLE : 0), interest, "the directions");
}

// ---- Adding, modifying, deleting -------------------------------------------------------------------------------------

function add(interest: number) {
  return {
    operation: "add",
    call: "control",
    act: (stage: Stage): Answer => stage.answerOf(() => stage.poller.add(stage.fd, 7, interest)),
  };
}

function prepareOne(stage: Stage): void {
  stage.fds = [stage.ready()];
}

/** Nothing is registered; but what has nobody to write to is, and has been told. */
function assertAddedOrNot(stage: Stage, error: string): void {
  if (error !== "EPIPE") return assertAddable(stage);
  assert.deepEqual(stage.poll(), [[7, undefined]], "that there is nobody at the other end");
  stage.poller.delete(stage.fd);
  assertAddable(stage);
}

/** A registration whose number names another file by now. */
function prepareReused(stage: Stage): void {
  const { io, poller } = stage;
  const fd = stage.ready();
  const other = stage.ready();
  poller.add(fd, 7, READABLE);
  io.close(fd);
  stage.fds = [io.dup(other, fd)];
}

/** A delete of what is registered still, as far as the poller knows, whatever became of its file. */
function assertDeletedOnce(stage: Stage): void {
  stage.poller.delete(stage.fd);
  assertAddable(stage);
}

const adding: readonly Situation[] = [
  {
    ...add(READABLE),
    when: "for one direction",
    change: "add",
    prepare: prepareOne,
    right: refusal,
    after: assertAddedOrNot,
  },
  ...[0, 1].map((nth): Situation => ({
    ...add(BOTH),
    when: `for both directions, and one is refused: ${nth}`,
    change: "add",
    nth,
    prepare: prepareOne,
    right: refusal,
    after: assertAddedOrNot,
  })),
  ...[
    { change: "enable", registered: READABLE, kept: [7], added: [8] },
    // A knote that the kernel denies, and has, is not enabled by being added.
    { change: "disable", registered: NONE, kept: [], added: [] },
  ].map(({ change, registered, kept, added }): Situation => ({
    operation: "add",
    when: `what is registered already, for ${registered}`,
    call: "control",
    change,
    prepare(stage) {
      prepareOne(stage);
      stage.poller.add(stage.fd, 7, registered, { mode: "level" });
    },
    act: (stage) => stage.answerOf(() => stage.poller.add(stage.fd, 8, READABLE)),
    // That nothing is registered any more is a reason to add.
    right: (error) => (error === "ENOENT" ? "ok" : error),
    after(stage, error) {
      const keys: readonly number[] = error === "ENOENT" ? added : kept;
      assert.deepEqual(
        stage.poll(),
        keys.map((key): Told => [key, undefined]),
      );
      assertDeletedOnce(stage);
    },
  })),
  {
    ...add(READABLE),
    when: "what is registered, of a number that is another file's by now",
    change: "add",
    prepare: prepareReused,
    right: refusal,
    after(stage, error) {
      assert.deepEqual(stage.poll(), error === "EPIPE" ? [[7, undefined]] : []);
      assertDeletedOnce(stage);
    },
  },
  {
    ...add(READABLE),
    when: "there is no memory to register it, so that it is taken back",
    change: "delete",
    prepare(stage) {
      stage.fds = [stage.io.dup(stage.ready(), 100_000)];
      takeAllMemory(stage.poller);
    },
    right: () => "ENOMEM",
    after(stage) {
      // What the kernel kept reports, and is not told; in the end the kernel object is replaced.
      for (let round = 0; round < 4; round++) assert.deepEqual(stage.poll(), []);
      assert.equal(stage.poller.stats().registrations, 1);
      assert.equal(stage.poller.stats().rebuilds, 1);
    },
  },
];

/** Changes of interest, and what each makes of the knotes. */
const MODIFICATIONS: readonly { readonly from: number; readonly to: number; readonly changes: readonly string[] }[] = [
  { from: READABLE, to: WRITABLE, changes: ["delete", "add"] },
  { from: READABLE, to: BOTH, changes: ["enable", "add"] },
  { from: READABLE, to: NONE, changes: ["disable"] },
  { from: NONE, to: READABLE, changes: ["enable"] },
  { from: BOTH, to: READABLE, changes: ["enable", "delete"] },
  { from: BOTH, to: WRITABLE, changes: ["delete", "enable"] },
  { from: WRITABLE, to: NONE, changes: ["delete", "add"] },
];

/** The kernel said that the file is gone: nothing is told of it until it is added anew. */
function assertSilentUntilAdded(stage: Stage): void {
  for (let round = 0; round < 2; round++) assert.deepEqual(stage.poll(), []);
  stage.poller.add(stage.fd, 9, READABLE);
  assert.deepEqual(stage.poll(), [[9, undefined]]);
}

/** Registered as before, or silent if the kernel said that the file is gone, or as it was modified. */
function assertModifiedOrNot(stage: Stage, error: string, from: number, to: number): void {
  if (isGone(error)) return assertSilentUntilAdded(stage);
  if (error === "EPIPE") {
    const told: Told[] = to === NONE ? [] : [[8, undefined]];
    for (let round = 0; round < 3; round++) assert.deepEqual(stage.poll(), told, "a state, told by every wait");
  } else if (from === NONE) {
    assert.deepEqual(stage.poll(), []);
  } else {
    for (let round = 0; round < 2; round++) assertTold(stage, 7, from);
  }
  stage.poller.modify(stage.fd, 9, BOTH);
  assertTold(stage, 9, BOTH);
}

const modifying: readonly Situation[] = [
  ...MODIFICATIONS.flatMap(({ from, to, changes }) =>
    changes.map((change): Situation => ({
      operation: "modify",
      when: `from ${from} to ${to}`,
      call: "control",
      change,
      prepare(stage) {
        prepareOne(stage);
        stage.poller.add(stage.fd, 7, from, { mode: "level" });
      },
      act: (stage) => stage.answerOf(() => stage.poller.modify(stage.fd, 8, to)),
      right: refusal,
      after: (stage, error) => assertModifiedOrNot(stage, error, from, to),
    })),
  ),
  ...["delete", "add"].map((change): Situation => ({
    operation: "modify",
    when: "the mode tells anew each time",
    call: "control",
    change,
    prepare(stage) {
      stage.register("edge");
      assert.deepEqual(stage.poll(), [[7, undefined]]);
    },
    act: (stage) => stage.answerOf(() => stage.poller.modify(stage.fd, 8, READABLE)),
    right: refusal,
    after(stage, error) {
      if (isGone(error)) return assertSilentUntilAdded(stage);
      const key = error === "EPIPE" ? 8 : 7;
      // The knote that was put back tells the edge anew.
      assert.deepEqual(stage.poll(), [[key, undefined]]);
      assert.deepEqual(stage.poll(), [], "the edge was told");
      stage.poller.modify(stage.fd, 9, READABLE);
      assert.deepEqual(stage.poll(), [[9, undefined]]);
    },
  })),
];

const deleting: readonly Situation[] = [READABLE, BOTH].flatMap((interest) =>
  (interest === BOTH ? [0, 1] : [0]).map((nth): Situation => ({
    operation: "delete",
    when: `for ${interest}, and one is refused: ${nth}`,
    call: "control",
    change: "delete",
    nth,
    prepare(stage) {
      prepareOne(stage);
      stage.poller.add(stage.fd, 7, interest, { mode: "level" });
    },
    act: (stage) => stage.answerOf(() => stage.poller.delete(stage.fd)),
    right: ending,
    after(stage, error) {
      if (isGone(error)) return assertAddable(stage);
      assertTold(stage, 7, interest);
      stage.poller.delete(stage.fd);
      assertAddable(stage);
    },
  })),
);

// ---- Batches ---------------------------------------------------------------------------------------------------------

const batches: readonly Situation[] = PLACES.flatMap((place): Situation[] => [
  {
    operation: "apply",
    when: `it adds five, at place ${place}`,
    call: "control",
    change: "add",
    place,
    prepare: prepareFive,
    act: addAll,
    right: (error) => oneOf(place, refusal(error)),
    after(stage, error) {
      const fd = stage.fds[place] as number;
      if (error === "EPIPE") {
        assert.deepEqual(
          stage.poll(),
          PLACES.map((index): Told => [7 + index, undefined]),
        );
        stage.poller.delete(fd);
      } else {
        assert.deepEqual(stage.poll(), keysBut(place, 7));
      }
      stage.poller.add(fd, 7 + place, READABLE);
      assert.deepEqual(stage.poll(), [[7 + place, undefined]]);
    },
  },
  ...["delete", "add"].map((change): Situation => ({
    operation: "apply",
    when: `it modifies five, at place ${place}`,
    call: "control",
    change,
    place,
    prepare: (stage) => stage.register("level", 5),
    act: modifyAll,
    right: (error) => oneOf(place, refusal(error)),
    after(stage, error) {
      const own: Told[] = isGone(error) ? [] : [[error === "EPIPE" ? 27 + place : 7 + place, undefined]];
      const told = [...own, ...keysBut(place, 27)].toSorted(([one], [other]) => one - other);
      for (let round = 0; round < 2; round++) assert.deepEqual(stage.poll(), told);
    },
  })),
  {
    operation: "apply",
    when: `it deletes five, at place ${place}`,
    call: "control",
    change: "delete",
    place,
    prepare: (stage) => stage.register("level", 5),
    act: deleteAll,
    right: (error) => oneOf(place, ending(error)),
    after: (stage, error) => assertDeletedOrNot(stage, place, isGone(error)),
  },
]);

const joinedChanges: readonly Situation[] = [
  {
    operation: "apply",
    when: "a modify follows its add",
    call: "control",
    change: "add",
    prepare: prepareOne,
    act: (stage) =>
      applied(stage, [
        { op: "add", fd: stage.fd, key: 6, interest: READABLE },
        { op: "modify", fd: stage.fd, key: 7, interest: READABLE },
      ]),
    right: (error) => (error === "EPIPE" ? "ok,ok" : `${error},ENOENT`),
    after: assertAddedOrNot,
  },
  ...["enable", "add"].map((change): Situation => ({
    operation: "apply",
    when: "a modify follows a modify",
    call: "control",
    change,
    prepare: (stage) => stage.register("level"),
    act: (stage) =>
      applied(stage, [
        { op: "modify", fd: stage.fd, key: 6, interest: WRITABLE },
        { op: "modify", fd: stage.fd, key: 8, interest: BOTH },
      ]),
    right: (error) => `${refusal(error)},${refusal(error)}`,
    after: (stage, error) => assertModifiedOrNot(stage, error, READABLE, BOTH),
  })),
  {
    operation: "apply",
    when: "a delete follows a modify",
    call: "control",
    change: "delete",
    prepare: (stage) => stage.register("level"),
    act: (stage) =>
      applied(stage, [
        { op: "modify", fd: stage.fd, key: 8, interest: WRITABLE },
        { op: "delete", fd: stage.fd },
      ]),
    right: (error) => `${error},${ending(error)}`,
    after(stage, error) {
      if (isGone(error)) assertAddable(stage);
      else assertTold(stage, 7, READABLE);
    },
  },
  {
    operation: "apply",
    when: "it adds what is registered already",
    call: "control",
    change: "enable",
    prepare: (stage) => stage.register("level"),
    act: (stage) => applied(stage, [{ op: "add", fd: stage.fd, key: 8, interest: READABLE }]),
    right: (error) => (error === "ENOENT" ? "ok" : error),
    after: (stage, error) => assert.deepEqual(stage.poll(), [[error === "ENOENT" ? 8 : 7, undefined]]),
  },
  {
    operation: "apply",
    when: "it modifies to nothing",
    call: "control",
    change: "disable",
    prepare: (stage) => stage.register("level"),
    act: (stage) => applied(stage, [{ op: "modify", fd: stage.fd, key: 8, interest: NONE }]),
    right: itself,
    after: (stage, error) => assertModifiedOrNot(stage, error, READABLE, NONE),
  },
  {
    operation: "apply",
    when: "there is no memory to register what it adds, so that it is taken back",
    call: "control",
    change: "delete",
    prepare(stage) {
      stage.fds = [stage.io.dup(stage.ready(), 100_000)];
      takeAllMemory(stage.poller);
    },
    act: (stage) => applied(stage, [{ op: "add", fd: stage.fd, key: 7, interest: READABLE }]),
    right: () => "ENOMEM",
    after(stage) {
      for (let round = 0; round < 4; round++) assert.deepEqual(stage.poll(), []);
      assert.equal(stage.poller.stats().registrations, 1);
    },
  },
];

// ---- Waiting ---------------------------------------------------------------------------------------------------------

/** What a wait that arms tells: of the one that could not be, why; that nobody is at its other end, for EPIPE. */
const told = (error: string): string | undefined => (error === "EPIPE" ? undefined : error);

/**
 * One-shot registrations that have always been armed late, so that the kernel disables them by itself: the next wait has
 * to make their knotes anew.
 */
function armAnewWithNextWait(stage: Stage): void {
  armWithNextWait(stage);
  armWithNextWait(stage);
}

/** A registration that the kernel refuses to silence: the wait replaces the kernel object. */
function replaceWithNextWait(stage: Stage): void {
  const fd = stage.ready();
  stage.poller.add(fd, 98, READABLE);
  stage.poll();
  stage.poll();
  stage.cause({ call: "wait", change: "disable", fd }, "EINVAL");
  assert.equal(stage.poller.stats().rebuilds, 0);
}

const arming: readonly Situation[] = [
  ...[0, 1, 2].flatMap((place): Situation[] =>
    ["enable", "delete", "add"].map((change): Situation => ({
      operation: "wait",
      when: `it arms three again, at place ${place}`,
      call: "wait",
      change,
      place,
      prepare(stage) {
        stage.register("oneshot", 3);
        if (change === "enable") armWithNextWait(stage);
        else armAnewWithNextWait(stage);
      },
      act: poll,
      right: fine,
      after(stage, error) {
        const now = [...stage.toldNow(), ...stage.poll()].toSorted(([one], [other]) => one - other);
        assert.deepEqual(
          now,
          PLACES.slice(0, 3).map((index): Told => [7 + index, index === place ? told(error) : undefined]),
        );
        assert.deepEqual(stage.poll(), []);
        const fd = stage.fds[place] as number;
        if (isGone(error)) {
          stage.poller.delete(fd);
          stage.poller.add(fd, 17, READABLE);
        } else {
          stage.poller.modify(fd, 17, READABLE);
        }
        assert.deepEqual(stage.poll(), [[17, undefined]]);
      },
    })),
  ),
  ...["enable", "delete", "add"].map((change): Situation => ({
    operation: "wait",
    when: "it arms more again than one call takes",
    call: "control",
    change,
    prepare(stage) {
      stage.register("oneshot", 1100);
      if (change === "enable") armWithNextWait(stage);
      else armAnewWithNextWait(stage);
    },
    act: poll,
    right: fine,
    after(stage, error) {
      // One kernel wait brings 1,024 at most, and what a call before it has refused may come with the next one.
      const all = [...stage.toldNow(), ...stage.poll()];
      assert.deepEqual(
        all.filter(([key, code]) => code !== undefined || key === 7),
        [[7, told(error)]],
      );
      assert.equal(all.length, 1100);
      if (isGone(error)) assertNotThere(stage);
      else assertToldOnce(stage);
    },
  })),
  {
    operation: "wait",
    when: "it silences what was not armed again, and goes on",
    call: "wait",
    change: "disable",
    prepare(stage) {
      stage.register("oneshot");
      assert.deepEqual(stage.poll(), [[7, undefined]]);
      stage.quieten();
    },
    act: (stage) => stage.answerOf(() => stage.poller.wait(stage.events, { timeout: 5 })),
    right: fine,
    after: assertSilencedOrMoved,
  },
  {
    operation: "wait",
    when: "it silences what was not armed again, at its end",
    call: "control",
    change: "disable",
    prepare(stage) {
      stage.register("oneshot");
      assert.deepEqual(stage.poll(), [[7, undefined]]);
      stage.quieten();
    },
    act: poll,
    right: fine,
    after: assertSilencedOrMoved,
  },
];

/** A file that is gone takes its knotes along; else only a new kernel object is silent. */
function assertSilencedOrMoved(stage: Stage, error: string): void {
  assert.deepEqual([stage.events.length, stage.poller.stats().rebuilds], [0, isGone(error) ? 0 : 1]);
  if (isGone(error)) return assertNotThere(stage);
  assert.deepEqual(stage.poll(), []);
  stage.poller.modify(stage.fd, 8, READABLE);
  assert.deepEqual(stage.poll(), [[8, undefined]]);
}

const replacing: readonly Situation[] = [
  ...["create", "attachNotifier"].map((call): Situation => ({
    operation: "wait",
    when: "it replaces the kernel object",
    call,
    prepare(stage) {
      stage.poller.notify();
      stage.poll();
      replaceWithNextWait(stage);
      stage.quieten();
    },
    act: poll,
    right: itself,
    after(stage) {
      assert.deepEqual([stage.kernel.instances, stage.events.length], [1, 0]);
      assert.equal(stage.poller.stats().rebuilds, 0);
      assert.deepEqual(stage.poll(), []);
      assert.equal(stage.poller.stats().rebuilds, 1);
    },
  })),
  ...["create", "attachNotifier"].map((call): Situation => ({
    operation: "wait",
    when: "it replaces the kernel object, and has something to tell",
    call,
    prepare(stage) {
      stage.poller.notify();
      stage.register("level");
      stage.poll();
      replaceWithNextWait(stage);
    },
    act: poll,
    right: fine,
    after(stage) {
      assert.deepEqual([stage.kernel.instances, stage.events.length], [1, 2]);
      assert.equal(stage.poller.stats().rebuilds, 0);
      assert.deepEqual(stage.poll(), [[7, undefined]]);
      assert.equal(stage.poller.stats().rebuilds, 1);
    },
  })),
  ...["delete", "add"].flatMap((change) =>
    (["level", "oneshot"] as const satisfies Mode[]).map((mode): Situation => ({
      operation: "wait",
      when: `it replaces the kernel object, and moves what is ${mode === "level" ? "armed" : "silent"}`,
      call: "control",
      change,
      prepare(stage) {
        stage.register(mode);
        stage.poll();
        replaceWithNextWait(stage);
      },
      act: poll,
      right: fine,
      after(stage, error) {
        // Of a file that is gone there is nothing to tell, and of one that is silent neither.
        const isSilent = mode === "oneshot" || (change === "delete" && isGone(error));
        assert.deepEqual(stage.toldNow(), isSilent ? [] : [[7, told(error)]]);
        if (error === "EPIPE" && !isSilent) assert.deepEqual(stage.poll(), [[7, undefined]], "a state");
        else assert.deepEqual(stage.poll(), [], "once");
        assertDeletedOnce(stage);
      },
    })),
  ),
];

export const kqueueSituations: readonly Situation[] = [
  ...adding,
  ...modifying,
  ...deleting,
  ...batches,
  ...joinedChanges,
  ...notifyingBy("attachNotifier"),
  ...making,
  ...bareWaits,
  ...arming,
  ...replacing,
];
