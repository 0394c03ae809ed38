/**
 * Every way in which a public operation comes to make a call of `wit/epoll.wit` that can fail, and what must be true when
 * it does. The errors come from the list of the manual; this says nothing of which there are.
 */
import assert from "node:assert/strict";
import { Interest } from "lio-poller";
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
import type { Stage, Told } from "./stage.js";

const { READABLE, WRITABLE } = Interest;

/** What the kernel's error says of what was registered: EINVAL that its number is by now the kernel object's own. */
function meaningOf(error: string): string {
  return error === "EINVAL" ? "EBADF" : error;
}

/** The same, of a deletion: the number may be another file's. */
function isEnded(error: string): boolean {
  return isGone(meaningOf(error)) || error === "EPERM";
}

// ---- Adding, modifying, deleting -------------------------------------------------------------------------------------

const adding = {
  operation: "add",
  act: (stage: Stage) => stage.answerOf(() => stage.poller.add(stage.fd, 7, READABLE)),
  after: assertAddable,
};

const changing: readonly Situation[] = [
  {
    ...adding,
    when: "always",
    call: "control",
    change: "add",
    prepare: (stage) => void (stage.fds = [stage.ready()]),
    right: itself,
  },
  {
    ...adding,
    when: "the kernel has a remainder of a closed descriptor",
    call: "control",
    change: "modify",
    prepare(stage) {
      const { io, poller } = stage;
      const fd = stage.ready();
      const other = io.dup(fd);
      poller.add(fd, 7, READABLE);
      io.close(fd);
      poller.delete(fd);
      io.dup(other, fd);
      stage.fds = [fd];
    },
    // An add does not answer that nothing is registered.
    right: (error) => (error === "ENOENT" ? "EEXIST" : meaningOf(error)),
  },
  {
    ...adding,
    when: "there is no memory to register it, so that it is taken back",
    call: "control",
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
  {
    operation: "modify",
    when: "the interest changes",
    call: "control",
    change: "modify",
    prepare: (stage) => stage.register("level"),
    act: (stage) => stage.answerOf(() => stage.poller.modify(stage.fd, 8, WRITABLE)),
    right: meaningOf,
    after(stage) {
      assert.deepEqual(stage.poll(), [[7, undefined]], "key and interest are as before");
      stage.poller.modify(stage.fd, 8, WRITABLE);
      assert.deepEqual(stage.poll(), [[8, undefined]]);
    },
  },
  {
    operation: "modify",
    when: "the mode tells anew each time",
    call: "control",
    change: "modify",
    prepare(stage) {
      stage.register("edge");
      assert.deepEqual(stage.poll(), [[7, undefined]]);
    },
    act: (stage) => stage.answerOf(() => stage.poller.modify(stage.fd, 8, READABLE)),
    right: meaningOf,
    after(stage) {
      assert.deepEqual(stage.poll(), [], "the edge was told");
      stage.feed(stage.fd);
      assert.deepEqual(stage.poll(), [[7, undefined]], "the next one bears the key as before");
      stage.poller.modify(stage.fd, 8, READABLE);
      assert.deepEqual(stage.poll(), [[8, undefined]]);
    },
  },
  {
    operation: "delete",
    when: "always",
    call: "control",
    change: "delete",
    prepare: (stage) => stage.register("level"),
    act: (stage) => stage.answerOf(() => stage.poller.delete(stage.fd)),
    right: (error) => (isEnded(error) ? "ok" : error),
    after(stage, error) {
      if (isEnded(error)) return assertAddable(stage);
      assert.deepEqual(stage.poll(), [[7, undefined]], "registered as before");
      stage.poller.delete(stage.fd);
      assertAddable(stage);
    },
  },
];

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
    right: (error) => oneOf(place, error),
    after(stage) {
      assert.deepEqual(stage.poll(), keysBut(place, 7));
      stage.poller.add(stage.fds[place] as number, 7 + place, READABLE);
      assert.deepEqual(stage.poll(), [[7 + place, undefined]]);
    },
  },
  {
    operation: "apply",
    when: `it modifies five, at place ${place}`,
    call: "control",
    change: "modify",
    place,
    prepare: (stage) => stage.register("level", 5),
    act: modifyAll,
    right: (error) => oneOf(place, meaningOf(error)),
    after(stage) {
      assert.deepEqual(stage.poll(), [[7 + place, undefined], ...keysBut(place, 27)]);
    },
  },
  {
    operation: "apply",
    when: `it deletes five, at place ${place}`,
    call: "control",
    change: "delete",
    place,
    prepare: (stage) => stage.register("level", 5),
    act: deleteAll,
    right: (error) => oneOf(place, isEnded(error) ? "ok" : error),
    after: (stage, error) => assertDeletedOrNot(stage, place, isEnded(error)),
  },
]);

const joinedChanges: readonly Situation[] = [
  {
    operation: "apply",
    when: "a modify follows its add",
    call: "control",
    change: "add",
    prepare: (stage) => void (stage.fds = [stage.ready()]),
    act: (stage) =>
      applied(stage, [
        { op: "add", fd: stage.fd, key: 7, interest: READABLE },
        { op: "modify", fd: stage.fd, key: 8, interest: READABLE },
      ]),
    right: (error) => `${error},ENOENT`,
    after: assertAddable,
  },
  {
    operation: "apply",
    when: "a modify follows a modify",
    call: "control",
    change: "modify",
    prepare: (stage) => stage.register("level"),
    act: (stage) =>
      applied(stage, [
        { op: "modify", fd: stage.fd, key: 8, interest: WRITABLE },
        { op: "modify", fd: stage.fd, key: 9, interest: READABLE | WRITABLE },
      ]),
    right: (error) => `${meaningOf(error)},${meaningOf(error)}`,
    after: (stage) => assert.deepEqual(stage.poll(), [[7, undefined]], "as before"),
  },
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
    right: (error) => `${meaningOf(error)},${isEnded(error) ? "ok" : error}`,
    after(stage, error) {
      if (isEnded(error)) assertAddable(stage);
      else assert.deepEqual(stage.poll(), [[7, undefined]], "as before");
    },
  },
  {
    operation: "apply",
    when: "an add meets a remainder of a closed descriptor",
    call: "control",
    change: "modify",
    prepare(stage) {
      changing[1]?.prepare(stage);
    },
    act: (stage) => applied(stage, [{ op: "add", fd: stage.fd, key: 7, interest: READABLE }]),
    right: (error) => (error === "ENOENT" ? "EEXIST" : meaningOf(error)),
    after: assertAddable,
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

/** A descriptor that was closed and deleted goes on reporting: the next wait replaces the kernel object. */
function replaceWithNextWait(stage: Stage): void {
  const { io, poller } = stage;
  const fd = stage.ready();
  io.dup(fd);
  poller.add(fd, 98, READABLE, { mode: "level" });
  io.close(fd);
  poller.delete(fd);
  stage.poll();
  stage.poll();
  assert.equal(poller.stats().rebuilds, 0);
}

const silencing = {
  operation: "wait",
  change: "modify",
  prepare(stage: Stage): void {
    stage.register("oneshot");
    assert.deepEqual(stage.poll(), [[7, undefined]]);
    stage.quieten();
  },
  right: fine,
  after(stage: Stage, error: string): void {
    assert.deepEqual([stage.events.length, stage.poller.stats().rebuilds], [0, 1]);
    if (isGone(meaningOf(error))) return assertNotThere(stage);
    assert.deepEqual(stage.poll(), []);
    stage.poller.modify(stage.fd, 8, READABLE);
    assert.deepEqual(stage.poll(), [[8, undefined]]);
  },
};

const waiting: readonly Situation[] = [
  ...bareWaits,
  ...[0, 1, 2].map((place): Situation => ({
    operation: "wait",
    when: `it arms three again, at place ${place}`,
    call: "wait",
    change: "modify",
    place,
    prepare(stage) {
      stage.register("oneshot", 3);
      armWithNextWait(stage);
    },
    act: poll,
    right: fine,
    after(stage, error) {
      const told = PLACES.slice(0, 3).map((index): Told => [7 + index, index === place ? meaningOf(error) : undefined]);
      assert.deepEqual(stage.toldNow(), told);
      assert.deepEqual(stage.poll(), []);
      stage.poller.modify(stage.fds[place] as number, 17, READABLE);
      assert.deepEqual(stage.poll(), [[17, undefined]]);
    },
  })),
  {
    operation: "wait",
    when: "it arms more again than one call takes",
    call: "control",
    change: "modify",
    prepare(stage) {
      stage.register("oneshot", 1100);
      armWithNextWait(stage);
    },
    act: poll,
    right: fine,
    after(stage, error) {
      // One kernel wait brings 1,024 at most, and what a call before it has refused may come with the next one.
      const told = [...stage.toldNow(), ...stage.poll()];
      assert.deepEqual(
        told.filter(([, code]) => code !== undefined),
        [[7, meaningOf(error)]],
      );
      assert.equal(told.length, 1100);
      assertToldOnce(stage);
    },
  },
  {
    operation: "wait",
    when: "it arms again, and timers take all the room",
    call: "control",
    change: "modify",
    prepare(stage) {
      stage.register("oneshot");
      armWithNextWait(stage);
      // Timers have it first in turn.
      if (stage.poller.stats().waits % 2 !== 0) {
        stage.poll();
        armWithNextWait(stage);
      }
      stage.poller.addTimer(1, 0);
    },
    act(stage) {
      const events = stage.single;
      const answer = stage.answerOf(() => stage.poller.wait(events, { timeout: 0 }));
      assert.deepEqual(
        events.toArray().map(({ timer }) => timer),
        [true],
      );
      return answer;
    },
    right: fine,
    after(stage, error) {
      stage.poller.deleteTimer(1);
      assert.deepEqual(stage.poll(), [[7, meaningOf(error)]], "the next wait tells");
      assertToldOnce(stage);
    },
  },
  {
    ...silencing,
    when: "it silences what was not armed again, and goes on",
    call: "wait",
    act: (stage) => stage.answerOf(() => stage.poller.wait(stage.events, { timeout: 5 })),
  },
  {
    ...silencing,
    when: "it silences what was not armed again, at its end",
    call: "control",
    act: poll,
  },
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
      assert.deepEqual([stage.kernel.instances, stage.kernel.notifiers, stage.events.length], [1, 1, 0]);
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
      assert.deepEqual([stage.kernel.instances, stage.kernel.notifiers, stage.events.length], [1, 1, 2]);
      assert.equal(stage.poller.stats().rebuilds, 0);
      assert.deepEqual(stage.poll(), [[7, undefined]]);
      assert.equal(stage.poller.stats().rebuilds, 1);
    },
  })),
  ...["delete", "add"].flatMap((change): Situation[] => [
    {
      operation: "wait",
      when: `it replaces the kernel object, and moves what is armed: ${change}`,
      call: "control",
      change,
      prepare(stage) {
        stage.register("level");
        replaceWithNextWait(stage);
      },
      act: poll,
      right: fine,
      after(stage, error) {
        // Of a file that is gone there is nothing to tell.
        const isSilent = change === "delete" && isEnded(error);
        assert.deepEqual(stage.toldNow(), isSilent ? [] : [[7, error]]);
        assertNotThere(stage);
      },
    },
    {
      operation: "wait",
      when: `it replaces the kernel object, and moves what is silent: ${change}`,
      call: "control",
      change,
      prepare(stage) {
        stage.register("oneshot");
        stage.poll();
        replaceWithNextWait(stage);
      },
      act: poll,
      right: fine,
      after(stage) {
        assert.deepEqual(stage.toldNow(), []);
        assertNotThere(stage);
      },
    },
  ]),
];

const others = [...["createNotifier", "attachNotifier"].flatMap(notifyingBy), ...making];

export const epollSituations: readonly Situation[] = [...changing, ...batches, ...joinedChanges, ...others, ...waiting];
