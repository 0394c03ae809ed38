/** What the situations of all kernels have in common. */
import assert from "node:assert/strict";
import { Interest, Poller, type Change } from "lio-poller";
import type { Answer, Stage, Told } from "./stage.js";

const { READABLE, WRITABLE } = Interest;

export interface Situation {
  /** The public operation. */
  readonly operation: string;
  /** What leads it to the call. */
  readonly when: string;
  /** The call, and the kind of change in it that is refused. */
  readonly call: string;
  readonly change?: string;
  /** Which of the stage's descriptors the change is about: the first, unless told. */
  readonly place?: number;
  /** Which of the changes of this kind of this descriptor in the call: the first, unless told. */
  readonly nth?: number;
  prepare(stage: Stage): void;
  act(stage: Stage): Answer;
  /** The right answer when the kernel says so. */
  right(error: string): Answer;
  /** Asserts what is true then. Nothing goes wrong any more. */
  after(stage: Stage, error: string): void;
}

/** That the registered file is not there, says the kernel. */
export function isGone(error: string): boolean {
  return error === "EBADF" || error === "ENOENT";
}

export const itself = (error: string): Answer => error;
export const fine = (): Answer => "ok";

// ---- Adding, modifying, deleting ---------------------------------------------------------------------------------------

/** Nothing is registered; adding works. */
export function assertAddable(stage: Stage): void {
  const { poller, fd } = stage;
  for (let round = 0; round < 4; round++) assert.deepEqual(stage.poll(), [], `round ${round}`);
  assert.equal(
    stage.answerOf(() => poller.delete(fd)),
    "ENOENT",
  );
  poller.add(fd, 8, READABLE);
  assert.deepEqual(stage.poll(), [[8, undefined]]);
}

// ---- Batches -----------------------------------------------------------------------------------------------------------

export function applied(stage: Stage, changes: readonly Change[]): Answer {
  return stage.poller
    .apply(changes)
    .map((error) => error?.code ?? "ok")
    .join();
}

export const PLACES = [0, 1, 2, 3, 4];

/** The keys of a batch of five, but for the one of a place. */
export function keysBut(place: number, first: number): Told[] {
  return PLACES.filter((other) => other !== place).map((other) => [first + other, undefined]);
}

/** The answers of a batch of five, one of which is this. */
export function oneOf(place: number, answer: Answer): Answer {
  return PLACES.map((other) => (other === place ? answer : "ok")).join();
}

export function prepareFive(stage: Stage): void {
  stage.fds = PLACES.map(() => stage.ready());
}

export function addAll(stage: Stage): Answer {
  return applied(
    stage,
    stage.fds.map((fd, index) => ({ op: "add", fd, key: 7 + index, interest: READABLE })),
  );
}

export function modifyAll(stage: Stage): Answer {
  return applied(
    stage,
    stage.fds.map((fd, index) => ({ op: "modify", fd, key: 27 + index, interest: WRITABLE })),
  );
}

export function deleteAll(stage: Stage): Answer {
  return applied(
    stage,
    stage.fds.map((fd) => ({ op: "delete", fd })),
  );
}

/** All of a batch of five are gone, but for the one of a place if it could not be deleted. */
export function assertDeletedOrNot(stage: Stage, place: number, isDeleted: boolean): void {
  const left: Told[] = isDeleted ? [] : [[7 + place, undefined]];
  for (let round = 0; round < 4; round++) assert.deepEqual(stage.poll(), left, `round ${round}`);
  assert.equal(stage.poller.stats().registrations, 1 + left.length);
}

/** Notifying works, and one wait hears of it. */
export function assertNotifiable(stage: Stage): void {
  const { poller, kernel } = stage;
  assert.deepEqual(stage.poll(), []);
  assert.deepEqual([kernel.instances, kernel.notifiers ?? 0], [1, 0], "nothing is kept of what failed");
  stage.quieten();
  poller.notify();
  const before = kernel.clock.now();
  assert.equal(poller.wait(stage.events, { timeout: 1000 }), 0);
  assert.equal(kernel.clock.now(), before, "notified");
  assert.equal(poller.wait(stage.events, { timeout: 1000 }), 0);
  assert.equal(kernel.clock.now() - before, 1_000_000_000n, "once");
}

/** What notifying does when this call fails. */
export function notifyingBy(call: string): readonly Situation[] {
  return [
    {
      operation: "notify",
      when: "for the first time",
      call,
      prepare: () => undefined,
      act: (stage) => stage.answerOf(() => stage.poller.notify()),
      right: itself,
      after: assertNotifiable,
    },
    {
      operation: "notifier",
      when: "for the first time",
      call,
      prepare: () => undefined,
      act: (stage) => stage.answerOf(() => stage.poller.notifier()),
      right: itself,
      after: assertNotifiable,
    },
  ];
}

/** What making pollers and telling descriptors do when the kernel fails. */
export const making: readonly Situation[] = [
  {
    operation: "new Poller",
    when: "always",
    call: "create",
    prepare: () => undefined,
    act: (stage) => stage.answerOf(() => new Poller({ kernel: stage.faulty }).close()),
    right: itself,
    after(stage) {
      assert.equal(stage.kernel.instances, 1);
      const bytes = stage.bytes;
      new Poller({ kernel: stage.faulty }).close();
      assert.equal(stage.bytes, bytes);
    },
  },
  {
    operation: "fd",
    when: "always",
    call: "descriptor",
    prepare: () => undefined,
    act: (stage) => stage.answerOf(() => stage.poller.fd),
    right: itself,
    after: (stage) => assert.ok(stage.poller.fd > 2),
  },
];

// ---- Waiting ----

export const poll = (stage: Stage): Answer => stage.answerOf(() => stage.poller.wait(stage.events, { timeout: 0 }));

/** A one-shot registration that was told, silenced and modified: the next wait has to arm it in the kernel. */
export function armWithNextWait(stage: Stage): void {
  for (let left = stage.fds.length; left > 0; left -= stage.poll().length);
  // One wait meets it, the next one silences it.
  for (let round = 0; round < 3; round++) assert.deepEqual(stage.poll(), []);
  stage.fds.forEach((fd, index) => stage.poller.modify(fd, 7 + index, READABLE));
}

/** Its user was told why it could not be armed, and can arm it again. */
export function assertToldOnce(stage: Stage): void {
  assert.deepEqual(stage.poll(), []);
  stage.poller.modify(stage.fd, 8, READABLE);
  assert.deepEqual(stage.poll(), [[8, undefined]]);
}

/** The kernel said that it is gone, or would not have it: there is nothing to modify, and adding works. */
export function assertNotThere(stage: Stage): void {
  assert.deepEqual(stage.poll(), []);
  assert.equal(
    stage.answerOf(() => stage.poller.modify(stage.fd, 8, READABLE)),
    "ENOENT",
  );
  stage.poller.add(stage.fd, 8, READABLE);
  assert.deepEqual(stage.poll(), [[8, undefined]]);
}

/** Waits that carry no changes. */
export const bareWaits: readonly Situation[] = [
  {
    operation: "wait",
    when: "it does not block",
    call: "wait",
    prepare: (stage) => stage.register("oneshot"),
    act: poll,
    right: (error) => (error === "EINTR" ? "ok" : error),
    after(stage, error) {
      // Interrupted, a wait that does not block is over: nothing was told, and nothing is lost.
      if (error !== "EINTR") assert.equal(stage.events.length, 0);
      assert.deepEqual(stage.poll(), [[7, undefined]]);
    },
  },
  {
    operation: "wait",
    when: "it blocks",
    call: "wait",
    prepare(stage) {
      stage.fds = [stage.idle()];
      stage.poller.add(stage.fd, 7, READABLE);
      stage.poll();
      stage.quieten();
      stage.kernel.clock.after(5, () => stage.feed(stage.fd));
    },
    act: (stage) => stage.answerOf(() => stage.poller.wait(stage.events)),
    right: (error) => (error === "EINTR" ? "ok" : error),
    after(stage, error) {
      if (error === "EINTR") return assert.deepEqual(stage.toldNow(), [[7, undefined]]);
      assert.equal(stage.events.length, 0);
      stage.poller.wait(stage.events);
      assert.deepEqual(stage.toldNow(), [[7, undefined]]);
    },
  },
];
