/**
 * What is only seen when it is done often: requests that are cancelled, outlive their registrations and their pollers,
 * and are on their way when a thread ends. Prints "endured" when all is well; how often is in the arguments.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, workerData } from "node:worker_threads";
import { Events, Interest, Poller } from "lio-poller";
import { close, read, socketpair, write } from "lio-poller/io";
import { native } from "../support/internals.js";
import { Random } from "../support/random.js";

const { READABLE, WRITABLE } = Interest;
const handles = native.io.openHandles as () => number;
const byte = Uint8Array.of(1);
const buffer = new Uint8Array(4096);
const events = new Events(64);

/** How often a number was taken for a socket that had been closed: see docs/windows.md. */
let mistaken = 0;

/**
 * Adds what has not been added. The number may have been another's, closed without a delete after its request had ended:
 * then the two can only be told apart if their names differ, and sometimes they do not.
 */
function add(poller: Poller, fd: number, key: number, interest: Interest, mode: "oneshot" | "level"): void {
  try {
    poller.add(fd, key, interest, { mode });
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
    mistaken++;
    poller.delete(fd);
    poller.add(fd, key, interest, { mode });
  }
}

/** Adds, modifies, fires, deletes and closes sockets in every order, while their requests are under way. */
function cycle(poller: Poller, random: Random, count: number): void {
  for (let i = 0; i < count; i++) {
    const [fd, peer] = socketpair();
    const mode = random.below(2) === 0 ? "oneshot" : "level";
    add(poller, fd, i, random.below(2) === 0 ? READABLE : READABLE | WRITABLE, mode);
    if (random.below(2) === 0) poller.wait(events, { timeout: 0 });
    if (random.below(2) === 0) poller.modify(fd, i, [READABLE, WRITABLE, 0][random.below(3)] as number);
    if (random.below(3) === 0) write(peer, byte);
    if (random.below(2) === 0) poller.wait(events, { timeout: 0 });
    if (random.below(3) === 0) read(fd, buffer);
    const deletes = random.below(3);
    if (deletes === 0) poller.delete(fd);
    if (deletes === 1) add(poller, peer, i, READABLE, "oneshot");
    close(fd);
    close(peer);
    // One that was closed is deleted once with success, if its number was not used again meanwhile.
    if (deletes === 2) poller.delete(fd);
    if (random.below(2) === 0) poller.wait(events, { timeout: 0 });
  }
}

/** Opens pollers that watch, and closes each while its requests are under way. */
function closeBusy(count: number): void {
  const sockets = Array.from({ length: 40 }, () => socketpair());
  for (let i = 0; i < count; i++) {
    const poller = new Poller();
    poller.notify();
    sockets.forEach(([fd], key) => poller.add(fd, key, key === i % 40 ? WRITABLE : READABLE));
    if (i % 3 === 0) poller.wait(events, { timeout: 0 });
    if (i % 5 === 0) sockets.forEach(([fd], key) => poller.modify(fd, key, READABLE | WRITABLE));
    if (i % 7 === 0) sockets.forEach(([fd]) => poller.delete(fd));
    poller.close();
  }
  for (const pair of sockets) for (const fd of pair) close(fd);
}

/** Counts what a task leaves open, after it was done once for what is opened once. */
async function leaks(name: string, task: () => void | Promise<void>): Promise<void> {
  await task();
  const before = handles();
  await task();
  const left = handles() - before;
  console.log(`${name}: ${left} handles left`);
  // Windows and Node keep a few for themselves now and then, as threads of their pools.
  assert.ok(left < 20, `${left} handles left`);
}

async function endWorkers(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: i });
    if (i % 2) {
      const [sockets] = (await once(worker, "message")) as [number[]];
      await worker.terminate();
      for (const fd of sockets) close(fd);
    } else {
      await once(worker, "exit");
    }
  }
}

if (isMainThread) {
  const [cycles = 10_000, pollers = 1_000, workers = 20] = process.argv.slice(2).map(Number);
  const random = new Random(3);
  await leaks(`${cycles} cycles`, () => {
    const poller = new Poller();
    cycle(poller, random, cycles / 2);
    poller.close();
  });
  console.log(`${mistaken} of them added to a number that was taken for another socket's`);
  assert.ok(mistaken < cycles / 10);
  await leaks(`${pollers} pollers`, () => closeBusy(pollers / 2));
  await leaks(`${workers} workers`, () => endWorkers(workers / 2));
  // The process ends with requests under way.
  const poller = new Poller();
  for (let i = 0; i < 50; i++) poller.add(socketpair()[0], i, READABLE);
  poller.wait(events, { timeout: 0 });
  console.log("endured");
} else {
  const poller = new Poller();
  const sockets = Array.from({ length: 40 }, () => socketpair());
  sockets.forEach(([fd], key) => poller.add(fd, key, READABLE));
  poller.wait(events, { timeout: 0 });
  const { parentPort } = await import("node:worker_threads");
  if ((workerData as number) % 2) {
    parentPort?.postMessage(sockets.flat());
    setInterval(() => {}, 1000);
  }
  // The thread ends, or is ended, with its poller open. Nobody else closes what it has opened.
  else for (const pair of sockets) for (const fd of pair) close(fd);
}
