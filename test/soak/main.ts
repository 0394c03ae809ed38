/**
 * `npm run soak -- --seconds N [--seed S]`: a poller with 10,000 descriptors on the real kernel, while threads write,
 * signals rain, and descriptors are modified, deleted, closed, reopened, duplicated and run out.
 *
 * Every event and every byte is accounted for: see field.ts. Every few seconds writing pauses; then all that was written
 * must be reported and read, and exactly the descriptors must be open that are known. At the end eight threads notify
 * without a pause. Speed decides nothing; a run that hangs is ended by its watchdog.
 */
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { Events, Poller, PollerError } from "lio-poller";
import { startWatchdog } from "../contract/watchdog.js";
import { Field } from "./field.js";
import { PAUSE, RUN, SharedSlots, STOP, WRITERS, type WriterOrders } from "./shared.js";

const SLOTS = 10_000;
const CHECK_EVERY = 5_000;
const NOTIFYING = 8;
const NOTIFICATIONS = 100_000;
/** So many findings end the run: what is broken may well report without end. */
const ENOUGH = 1000;
/** Bytes a minute, from the first minute on. */
const STEEPEST = 2 ** 20;

const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } } });
const seconds = Number(values.seconds ?? 60);
if (!(seconds > 0)) throw new RangeError("--seconds must be above 0");
const seed = Number(values.seed ?? Date.now() % 2 ** 31);

function program(name: string): URL {
  return new URL(`./${name}.js`, import.meta.url);
}

/** How many descriptors the process has, this look at them not counted. */
function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length - 1;
}

/** Bytes of memory, after a garbage collection: what is left is kept. */
function resident(): number {
  globalThis.gc?.();
  return Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]) * 4096;
}

/** The slope of a line through points, by least squares. */
function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (place: 0 | 1): number => points.reduce((sum, point) => sum + point[place], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const over = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return over / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}

const watchdog = await startWatchdog();
// Held by its name, so that the signals are seen and do not end the process.
process.on("SIGUSR2", () => {});

const poller = new Poller();
const notifier = poller.notifier();
const events = new Events(512);
const shared = SharedSlots.create(SLOTS);
const control = new Int32Array(new SharedArrayBuffer(16));
const field = new Field(poller, shared, seed);
console.log(`soak: ${SLOTS} descriptors watched, ${openDescriptors()} open, ${seconds} s, seed ${seed}`);

const writers = Array.from({ length: WRITERS }, (_, index) => {
  const orders: WriterOrders = {
    slots: shared.buffer,
    control: control.buffer as SharedArrayBuffer,
    count: SLOTS,
    index,
    seed,
    notifier,
  };
  return new Worker(program("writer"), { workerData: orders });
});
const signaller = new Worker(program("signaller"), { workerData: control.buffer });
await Promise.all([...writers, signaller].map((worker) => once(worker, "online")));

function order(what: number): void {
  Atomics.store(control, 0, what);
  Atomics.notify(control, 0);
}

function isHopeless(): boolean {
  const { lost, doubled, ghosts } = field.findings;
  return lost + doubled + ghosts >= ENOUGH;
}

function wait(timeout: number): number {
  watchdog.watch(`the soak's wait, seed ${seed}`);
  const count = poller.wait(events, { timeout });
  watchdog.watch(undefined);
  field.serve(events);
  return count;
}

/** While nobody writes: all is reported, all is read, all is open that should be. */
function check(): number {
  order(PAUSE);
  while (Atomics.load(control, 1) < WRITERS) Atomics.wait(control, 3, 0, 1);
  field.armAll();
  while (!isHopeless() && (wait(0) > 0 || wait(0) > 0)) field.armAll();
  field.findLost();
  const others = openDescriptors() - field.descriptors;
  field.exhaust(
    () => new Poller(),
    (error) => error instanceof PollerError && error.code === "EMFILE",
  );
  order(RUN);
  return others;
}

const began = performance.now();
const memory: [minutes: number, bytes: number][] = [];
/** Bytes of JavaScript's heap in use when memory was looked at: to tell whose it is if it grows. */
const heaps: number[] = [];
/** Open descriptors that are not the slots'. Constant, once all threads run. */
const others = new Set<number>();
let nextCheck = CHECK_EVERY;
let turns = 0;
for (;;) {
  const elapsed = performance.now() - began;
  if (elapsed >= seconds * 1000 || isHopeless()) break;
  for (let i = 0; i < 8; i++) field.disturb();
  wait(turns % 16 === 0 ? 3 : 0.2);
  if (elapsed >= nextCheck) {
    others.add(check());
    memory.push([elapsed / 60_000, resident()]);
    heaps.push(process.memoryUsage().heapUsed);
    nextCheck = elapsed + CHECK_EVERY;
  }
  // Lets Node empty its pipe of signals.
  if (++turns % 256 === 0) await turn();
}
check();
order(STOP);
await Promise.all([...writers, signaller].map((worker) => once(worker, "exit")));

// The storm: the last notification of all must end a wait, or the watchdog ends this.
const counter = new SharedArrayBuffer(4);
const counted = new Int32Array(counter);
const before = poller.stats();
for (let slot = 0; slot < SLOTS; slot++) shared.lock(slot);
const notifying = Array.from({ length: NOTIFYING }, () => {
  return new Worker(program("notifying"), { workerData: { notifier, counter, times: NOTIFICATIONS } });
});
const ended = Promise.all(notifying.map((worker) => once(worker, "exit")));
// A wait blocks this thread, on which the workers' start depends.
await Promise.all(notifying.map((worker) => once(worker, "online")));
while (Atomics.load(counted, 0) < NOTIFYING * NOTIFICATIONS) {
  watchdog.watch(`the storm of notifications, ${Atomics.load(counted, 0)} seen`);
  poller.wait(events);
  watchdog.watch(undefined);
}
await ended;
const storm = poller.stats().waits - before.waits;
for (let slot = 0; slot < SLOTS; slot++) shared.unlock(slot);

const stats = poller.stats();
field.closeAll();
poller.close();

// ---- The verdict -----------------------------------------------------------------------------------------------------

const { lost, doubled, ghosts, notes } = field.findings;
const failures = [...notes];
if (others.size > 1) failures.push(`descriptors: ${[...others].join(", ")} that are not the slots'`);
const settled = memory.filter(([minutes]) => minutes >= 1);
const isLong = settled.length >= 12;
const steepness = isLong ? slope(settled) : 0;
if (steepness > STEEPEST) failures.push(`memory grows by ${(steepness / 2 ** 20).toFixed(2)} MiB a minute`);
if (field.events === 0 || stats.rebuilds === 0) failures.push("nothing happened");
for (const failure of failures) console.error(failure);

console.log(`system calls: ${stats.kernelWaits} waits, ${stats.changes} changes, ${stats.rebuilds} rebuilds`);
console.log(`re-arms: ${stats.rearmsMade} made, ${stats.rearmsLeftOut} left out`);
console.log(
  `${NOTIFYING * NOTIFICATIONS} notifications of ${NOTIFYING} threads ended ${storm} waits, the last one among them`,
);
const slopeText = isLong ? `${(steepness / 2 ** 20).toFixed(2)} MiB a minute` : "too short a run to tell its slope";
const fromTo = (bytes: readonly number[]): string =>
  `${((bytes[0] ?? 0) / 2 ** 20).toFixed(1)} MiB to ${((bytes.at(-1) ?? 0) / 2 ** 20).toFixed(1)} MiB`;
console.log(`resident memory: ${fromTo(memory.map(([, bytes]) => bytes))}, ${slopeText}`);
console.log(`JavaScript's heap: ${fromTo(heaps)}; other descriptors: ${[...others].join(", ")}`);
console.log(
  `soak: ${seconds} s, ${stats.waits} waits, ${field.operations} operations, ${field.events} events, ` +
    `${field.bytes} bytes: ${lost} lost, ${doubled} doubled, ${ghosts} ghost`,
);
process.exitCode = failures.length > 0 ? 1 : 0;
