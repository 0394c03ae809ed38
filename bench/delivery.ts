/**
 * From a write to the callback in the event loop, beside an addon that watches the descriptor with uv_poll and does
 * nothing else.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { Interest, Poller, watch } from "lio-poller";
import { close, eventfd, read, write } from "lio-poller/io";
import { root } from "./peers.js";
import { print, raceAsync, ratio } from "./rounds.js";

interface UvPoll {
  watch(fd: number, callback: () => void): object;
  unwatch(watch: object): void;
}

const uvPoll = createRequire(import.meta.url)(join(root, "bench/native/build/Release/uv_poll.node")) as UvPoll;

const EVENTS_PER_ROUND = 8192;
const one = new Uint8Array(new BigUint64Array([1n]).buffer);
const counter = new Uint8Array(8);

/** Writes to all descriptors, again and again, and times from the first write to the last callback. */
class Turns {
  readonly fds: readonly number[];
  #left = 0;
  #turns = 0;
  #began = 0n;
  #elapsed = 0n;
  #done: (nanoseconds: number) => void = () => {};

  constructor(count: number) {
    this.fds = Array.from({ length: count }, () => eventfd());
  }

  /** To be called first in a callback, and for each descriptor that it is called for; then reads it. */
  arrived(fd: number): void {
    if (--this.#left === 0) {
      this.#elapsed += process.hrtime.bigint() - this.#began;
      read(fd, counter);
      // Not from inside the callback, so that nothing but the write has happened when the loop looks next.
      setImmediate(() => this.#next());
      return;
    }
    read(fd, counter);
  }

  /** Runs so many turns. Resolves to the nanoseconds that all of them took together. */
  run(turns: number): Promise<number> {
    this.#turns = turns;
    this.#elapsed = 0n;
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#next();
    });
  }

  #next(): void {
    if (this.#turns-- === 0) {
      this.#done(Number(this.#elapsed));
      return;
    }
    this.#left = this.fds.length;
    this.#began = process.hrtime.bigint();
    for (const fd of this.fds) write(fd, one);
  }

  close(): void {
    for (const fd of this.fds) close(fd);
  }
}

/** Each contender arms itself, runs, and is gone again, for a watch that stands costs the others time. */
async function bare(turns: Turns): Promise<number> {
  const watches = turns.fds.map((fd) => uvPoll.watch(fd, () => turns.arrived(fd)));
  const elapsed = await turns.run(EVENTS_PER_ROUND / turns.fds.length);
  for (const each of watches) uvPoll.unwatch(each);
  await new Promise(setImmediate);
  return elapsed;
}

/** Level-triggered, as uv_poll is. */
async function attached(turns: Turns): Promise<number> {
  const { fds } = turns;
  using poller = new Poller();
  poller.attach((events) => {
    for (const { key } of events) turns.arrived(fds[key as number] as number);
  });
  for (const [key, fd] of fds.entries()) poller.add(fd, key, Interest.READABLE, { mode: "level" });
  return await turns.run(EVENTS_PER_ROUND / fds.length);
}

async function rearmed(turns: Turns): Promise<number> {
  const { fds } = turns;
  using poller = new Poller();
  poller.attach((events) => {
    for (const { key } of events) {
      const fd = fds[key as number] as number;
      turns.arrived(fd);
      poller.modify(fd, key, Interest.READABLE);
    }
  });
  for (const [key, fd] of fds.entries()) poller.add(fd, key, Interest.READABLE);
  return await turns.run(EVENTS_PER_ROUND / fds.length);
}

async function watched(turns: Turns): Promise<number> {
  const watches = turns.fds.map((fd) => watch(fd, Interest.READABLE, () => turns.arrived(fd)));
  const elapsed = await turns.run(EVENTS_PER_ROUND / turns.fds.length);
  for (const each of watches) each[Symbol.dispose]();
  return elapsed;
}

/** Runs the comparisons. @returns whether the ratios were reached */
export async function delivery(rounds: number): Promise<boolean> {
  const verdicts = [];
  for (const [count, limit] of [
    [1, 1.5],
    [64, 0.9],
  ] as const) {
    const turns = new Turns(count);
    const timings = await raceAsync(
      [
        { name: `uv_poll addon, ${count} a wake`, run: () => bare(turns) },
        { name: `lio-poller, attach, ${count} a wake`, run: () => attached(turns) },
        { name: `lio-poller, attach, one-shot, ${count} a wake`, run: () => rearmed(turns) },
        { name: `lio-poller, watch, ${count} a wake`, run: () => watched(turns) },
      ],
      EVENTS_PER_ROUND,
      rounds,
    );
    turns.close();
    print(timings.values(), "event");
    const [native, ours] = [...timings.values()].map(({ median }) => median) as [number, number];
    verdicts.push(ratio(`write to callback: attached against the uv_poll addon, ${count} a wake`, ours, native, limit));
  }
  return verdicts.every(Boolean);
}
