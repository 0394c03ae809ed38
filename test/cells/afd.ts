/**
 * Every way in which a public operation comes to make a call of `wit/iocp.wit` that can fail, and what must be true when
 * it does. The errors come from the documented list; this says nothing of which there are.
 *
 * That there is nothing to cancel any more is no failure: the completion has come, or comes now. Nor is it one of a delete
 * that its socket is not there. What stays armed by itself, in level mode, and is closed, leaves in silence.
 */
import assert from "node:assert/strict";
import { Interest } from "lio-poller";
import {
  PLACES,
  addAll,
  applied,
  armWithNextWait,
  assertAddable,
  assertDeletedOrNot,
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

const { READABLE, WRITABLE } = Interest;

const cancelling = (error: string): Answer => (error === "ENOENT" ? "ok" : error);
const removing = (error: string): Answer => (error === "EBADF" ? "ok" : error);

/** Registers sockets that are not ready, for reading: their requests are under way. */
function pending(stage: Stage, count = 1): void {
  stage.fds = Array.from({ length: count }, () => stage.idle());
  stage.fds.forEach((fd, index) => stage.poller.add(fd, 7 + index, READABLE, { mode: "level" }));
}

/** Registers sockets that have been told, once: they have no requests. */
function fired(stage: Stage, count = 1): void {
  stage.register("oneshot", count);
  assert.equal(stage.poll().length, count);
}

/** Registered as before, and not ready until now. */
function assertPending(stage: Stage): void {
  assert.deepEqual(stage.poll(), []);
  stage.feed(stage.fd);
  for (let round = 0; round < 2; round++) assert.deepEqual(stage.poll(), [[7, undefined]]);
}

/** Not armed, as before, until it is modified. */
function assertFired(stage: Stage): void {
  for (let round = 0; round < 3; round++) assert.deepEqual(stage.poll(), []);
  stage.poller.modify(stage.fd, 9, READABLE);
  assert.deepEqual(stage.poll(), [[9, undefined]]);
}

// ---- Adding, modifying, deleting -------------------------------------------------------------------------------------

const adding = {
  operation: "add",
  call: "control",
  change: "add",
  act: (stage: Stage): Answer => stage.answerOf(() => stage.poller.add(stage.fd, 7, READABLE)),
  right: itself,
};

const changing: readonly Situation[] = [
  {
    ...adding,
    when: "always",
    prepare: (stage) => void (stage.fds = [stage.ready()]),
    after: assertAddable,
  },
  {
    ...adding,
    when: "the request of an earlier registration has not been seen to end",
    prepare(stage) {
      pending(stage);
      stage.feed(stage.fd);
      stage.poller.delete(stage.fd);
    },
    after: assertAddable,
  },
  {
    ...adding,
    when: "what is registered, of a number that is another socket's by now",
    prepare(stage) {
      const { io, poller } = stage;
      const fd = stage.ready();
      const other = stage.ready();
      poller.add(fd, 6, READABLE);
      io.close(fd);
      stage.fds = [io.dup(other, fd)];
    },
    after(stage) {
      for (let round = 0; round < 2; round++) stage.poll();
      assert.deepEqual(stage.poll(), []);
      stage.poller.delete(stage.fd);
      assertAddable(stage);
    },
  },
  {
    operation: "modify",
    when: "its request does not name what is wanted now",
    call: "control",
    change: "cancel",
    prepare: (stage) => pending(stage),
    act: (stage) => stage.answerOf(() => stage.poller.modify(stage.fd, 8, WRITABLE)),
    right: cancelling,
    after(stage, error) {
      if (error !== "ENOENT") return assertPending(stage);
      for (let round = 0; round < 2; round++) assert.deepEqual(stage.poll(), [[8, undefined]]);
    },
  },
  {
    operation: "modify",
    when: "it has no request, and the interest changes",
    call: "control",
    change: "arm",
    prepare: (stage) => fired(stage),
    act: (stage) => stage.answerOf(() => stage.poller.modify(stage.fd, 8, WRITABLE)),
    right: itself,
    after: assertFired,
  },
  {
    operation: "delete",
    when: "its request is under way",
    call: "control",
    change: "remove",
    prepare: (stage) => pending(stage),
    act: (stage) => stage.answerOf(() => stage.poller.delete(stage.fd)),
    right: removing,
    after(stage, error) {
      if (error !== "EBADF") return assertPending(stage);
      stage.feed(stage.fd);
      assertAddable(stage);
    },
  },
  {
    operation: "delete",
    when: "it has no request",
    call: "control",
    change: "remove",
    prepare: (stage) => fired(stage),
    act: (stage) => stage.answerOf(() => stage.poller.delete(stage.fd)),
    right: removing,
    after: (stage, error) => (error === "EBADF" ? assertAddable(stage) : assertFired(stage)),
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
  ...["cancel", "arm"].map((change): Situation => ({
    operation: "apply",
    when: `it modifies five, at place ${place}`,
    call: "control",
    change,
    place,
    prepare: (stage) => (change === "cancel" ? pending(stage, 5) : fired(stage, 5)),
    act: modifyAll,
    right: (error) => oneOf(place, change === "cancel" ? cancelling(error) : error),
    after(stage, error) {
      const isMade = change === "cancel" && error === "ENOENT";
      const own: Told[] = isMade ? [[27 + place, undefined]] : [];
      const all = [...own, ...keysBut(place, 27)].toSorted(([one], [other]) => one - other);
      assert.deepEqual(stage.poll(), all);
      if (isMade) return;
      const fd = stage.fds[place] as number;
      if (change === "cancel") stage.feed(fd);
      else stage.poller.modify(fd, 7 + place, READABLE);
      assert.deepEqual(
        stage.poll().filter(([key]) => key < 27),
        [[7 + place, undefined]],
      );
    },
  })),
  {
    operation: "apply",
    when: `it deletes five, at place ${place}`,
    call: "control",
    change: "remove",
    place,
    prepare: (stage) => stage.register("level", 5),
    act: deleteAll,
    right: (error) => oneOf(place, removing(error)),
    after: (stage, error) => assertDeletedOrNot(stage, place, error === "EBADF"),
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
  ...["cancel", "arm"].map((change): Situation => ({
    operation: "apply",
    when: "a modify follows a modify",
    call: "control",
    change,
    prepare: (stage) => (change === "cancel" ? pending(stage) : fired(stage)),
    act: (stage) =>
      applied(stage, [
        { op: "modify", fd: stage.fd, key: 6, interest: WRITABLE },
        { op: "modify", fd: stage.fd, key: 8, interest: READABLE | WRITABLE },
      ]),
    right(error) {
      const answer = change === "cancel" ? cancelling(error) : error;
      return `${answer},${answer}`;
    },
    after(stage, error) {
      if (change === "arm") return assertFired(stage);
      if (error === "ENOENT") assert.deepEqual(stage.poll(), [[8, undefined]]);
      else assertPending(stage);
    },
  })),
  {
    operation: "apply",
    when: "a delete follows a modify",
    call: "control",
    change: "remove",
    prepare: (stage) => pending(stage),
    act: (stage) =>
      applied(stage, [
        { op: "modify", fd: stage.fd, key: 8, interest: WRITABLE },
        { op: "delete", fd: stage.fd },
      ]),
    right: (error) => `${error},${removing(error)}`,
    after(stage, error) {
      if (error !== "EBADF") return assertPending(stage);
      stage.feed(stage.fd);
      assertAddable(stage);
    },
  },
];

// ---- Waiting ---------------------------------------------------------------------------------------------------------

/** One-shot registrations that were told and modified in time: the next wait has to make their requests. */
function armAtOnce(stage: Stage, count: number): void {
  stage.register("oneshot", count);
  for (let left = count; left > 0; left -= stage.poll().length);
  stage.fds.forEach((fd, index) => stage.poller.modify(fd, 7 + index, READABLE));
}

/** The same of some that were silenced: the requests that only tell of a close have to end first. */
function armLate(stage: Stage, count: number): void {
  stage.register("oneshot", count);
  armWithNextWait(stage);
}

/** What a wait tells of a registration that it could not arm. */
function told(change: string, error: string): string | undefined {
  return change === "cancel" && error === "ENOENT" ? undefined : error;
}

const waiting: readonly Situation[] = [
  ...[0, 1, 2].flatMap((place) =>
    [
      { when: "at once", change: "arm", prepare: armAtOnce },
      { when: "late", change: "cancel", prepare: armLate },
      { when: "late", change: "arm", prepare: armLate },
    ].map(({ when, change, prepare }): Situation => ({
      operation: "wait",
      when: `it arms three again ${when}, at place ${place}`,
      call: "wait",
      change,
      place,
      prepare: (stage) => prepare(stage, 3),
      act: poll,
      right: fine,
      after(stage, error) {
        const all = [...stage.toldNow(), ...stage.poll()].toSorted(([one], [other]) => one - other);
        assert.deepEqual(
          all,
          PLACES.slice(0, 3).map((index): Told => [7 + index, index === place ? told(change, error) : undefined]),
        );
        assert.deepEqual(stage.poll(), []);
        stage.poller.modify(stage.fds[place] as number, 17, READABLE);
        assert.deepEqual(stage.poll(), [[17, undefined]]);
      },
    })),
  ),
  ...[
    // One wait brings 1,024, so that of 1,100 the last are armed at once, and the first late.
    { change: "arm", place: 1099, prepare: armAtOnce },
    { change: "cancel", place: 0, prepare: armLate },
  ].map(({ change, place, prepare }): Situation => ({
    operation: "wait",
    when: "it arms more again than one call takes",
    call: "control",
    change,
    place,
    prepare: (stage) => prepare(stage, 1100),
    act: poll,
    right: fine,
    after(stage, error) {
      const all = [...stage.toldNow(), ...stage.poll(), ...stage.poll()];
      assert.deepEqual(
        all.filter(([key, code]) => code !== undefined || key === 7 + place),
        [[7 + place, told(change, error)]],
      );
      assert.equal(all.length, 1100);
      stage.poller.modify(stage.fds[place] as number, 9000, READABLE);
      assert.deepEqual(stage.poll(), [[9000, undefined]]);
    },
  })),
  {
    operation: "wait",
    when: "it arms again what is level-triggered",
    call: "wait",
    change: "arm",
    prepare(stage) {
      stage.register("level");
      assert.deepEqual(stage.poll(), [[7, undefined]]);
    },
    act: poll,
    right: fine,
    after(stage, error) {
      const now = [...stage.toldNow(), ...stage.poll()];
      assert.deepEqual(now, isGone(error) ? [] : [[7, error]]);
      assertToldOnce(stage);
    },
  },
  {
    operation: "wait",
    when: "it arms again, and timers take all the room",
    call: "control",
    change: "arm",
    prepare(stage) {
      armAtOnce(stage, 1);
      // Timers have it first in turn.
      if (stage.poller.stats().waits % 2 !== 0) {
        assert.deepEqual(stage.poll(), [[7, undefined]]);
        stage.poller.modify(stage.fd, 7, READABLE);
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
      assert.deepEqual(stage.poll(), [[7, error]], "the next wait tells");
      assertToldOnce(stage);
    },
  },
  {
    operation: "wait",
    when: "it asks only whether what was not armed again is closed",
    call: "wait",
    change: "arm",
    prepare: (stage) => fired(stage),
    act: poll,
    right: fine,
    after(stage) {
      assert.deepEqual(stage.toldNow(), []);
      assertFired(stage);
    },
  },
];

export const afdSituations: readonly Situation[] = [
  ...changing,
  ...batches,
  ...joinedChanges,
  ...["createNotifier", "attachNotifier"].flatMap(notifyingBy),
  // A port has no descriptor.
  ...making.filter(({ call }) => call !== "descriptor"),
  ...bareWaits,
  ...waiting,
];
