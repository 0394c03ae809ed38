/**
 * Everything that a poller does with time and with the event loop, while all clocks and timers of the runtime are fakes.
 *
 * Arguments: when the fakes are installed (`before` the package is imported, `between` that and the first poller, `after`
 * it), whether they are `left` or taken `off` when pollers have been used for a while, and the way of delivery.
 */
import assert from "node:assert/strict";
import { PASSED } from "../support/child.js";
import { installFakes } from "../support/fakes.js";

const [when, ends, way] = process.argv.slice(2) as [string, string, string];

// What the test itself uses.
const { setTimeout: realTimeout, setImmediate: realImmediate, performance: realPerformance } = globalThis;
const { bigint: nanoseconds } = process.hrtime;
// One of them asks `process.hrtime`, which is a fake then: the first in Node 20.0, the second in Deno.
const milliseconds = (): number => Math.max(realPerformance.now(), Number(nanoseconds()) / 1e6);
const turn = (): Promise<void> => new Promise((resolve) => void realImmediate(resolve));
const idle = (delay: number): Promise<void> => new Promise((resolve) => void realTimeout(resolve, delay));
const until = async (holds: () => boolean, pause = turn): Promise<void> => {
  while (!holds()) await pause();
};

let uninstall = (): void => {};
const step = (name: string): void => {
  if (ends === "off" && name !== "between") uninstall();
  if (when === name) uninstall = installFakes();
};

step("before");
const { Events, Interest, Poller, readable, watch } = await import("lio-poller");
const { deliveries, ONE } = await import("../support/deliveries.js");
const { close, eventfd, write } = await import("../support/files.js");
const { kernel } = deliveries.find((delivery) => delivery.way === way)!;
step("between");
const waiting = new Poller({ kernel });
const attached = new Poller({ kernel });
step("after");

/** Not before so many milliseconds are over. */
async function assertTakes(least: number, action: () => unknown): Promise<void> {
  const began = milliseconds();
  await action();
  const took = milliseconds() - began;
  assert.ok(took >= least, `${took} ms instead of ${least}`);
}

const events = new Events(8);
await assertTakes(5, () => {
  const began = waiting.now();
  while (waiting.now() < began + 5) continue;
});
await assertTakes(10, () => assert.equal(waiting.wait(events, { timeout: 10 }), 0));
await assertTakes(10, () => assert.equal(waiting.wait(events, { deadline: waiting.now() + 10 }), 0));
await assertTakes(5, () => {
  waiting.addTimer(1, 5);
  assert.equal(waiting.wait(events), 1);
});
waiting.addTimer(2, 1, { repeat: 1 });
for (let i = 0; i < 3; i++) assert.equal(waiting.wait(events), 1);
waiting.close();
step("end of waits");

/** What the attached poller's callback does. */
let onEvent = (): void => {};
let calls = 0;
attached.attach(() => {
  calls++;
  onEvent();
});
await assertTakes(5, async () => {
  attached.addTimer(1, 5);
  await until(() => calls === 1);
});
attached.addTimer(2, 1, { repeat: 1 });
await until(() => calls >= 4);
attached.deleteTimer(2);
attached.addTimer(3, 0);
calls = 0;
await until(() => calls === 1);

// A change that is put off goes down before the loop blocks.
const fd = eventfd(1);
attached.add(fd, 1, Interest.READABLE);
await until(() => calls === 2);
await idle(5);
attached.modify(fd, 1, Interest.READABLE);
await until(
  () => calls === 3,
  () => idle(2),
);

// More than one batch has room for.
const many = Array.from({ length: 1100 }, (_, key) => key + 10);
for (const key of many) attached.addTimer(key, 0);
calls = 0;
await until(() => calls >= 2);

// The loop's others have their turn all the while.
attached.modify(fd, 1, Interest.READABLE, { mode: "level" });
calls = 0;
let turns = 0;
await until(() => calls >= 20 && turns++ >= 20);

// What callbacks throw is told, in order, each once.
const caught: unknown[] = [];
const note = ({ cause }: Error): unknown => caught.push(cause);
process.on("uncaughtException", note);
let thrown = 0;
onEvent = () => {
  if (thrown < 3) throw new Error("thrown in the callback", { cause: ++thrown });
};
await until(() => caught.length === 3);
assert.deepEqual(caught, [1, 2, 3]);
attached.close();

const [thrower, other] = [eventfd(1), eventfd(1)];
let seen = 0;
const watches = [
  watch(thrower, Interest.READABLE, () => {
    watches[0]![Symbol.dispose]();
    throw new Error("thrown in a watch", { cause: 4 });
  }),
  watch(other, Interest.READABLE, () => seen++),
];
await until(() => caught.length === 4 && seen > 2);
assert.equal(caught[3], 4);
for (const watching of watches) watching[Symbol.dispose]();
process.off("uncaughtException", note);

const silent = eventfd(0);
await assertTakes(10, () => assert.rejects(readable(silent, { timeout: 10 }), { code: "ETIMEDOUT" }));
void realTimeout(() => write(silent, ONE), 5);
await readable(silent, { timeout: 60_000 });

for (const each of [fd, thrower, other, silent]) close(each);
assert.equal(Date.now() === 0, ends === "left");
uninstall();
console.log(PASSED);
