/**
 * Promises of readiness, each after a write and followed by a read; beside npm's `epoll`, which does the same on the same
 * pipes with its callback. And events alone, of pipes that stay readable: what delivering costs without writes and reads.
 */
import { Interest, Poller, readable } from "lio-poller";
import { close, pipe, read, write } from "lio-poller/io";
import { type Epoll, npmEpoll } from "./npm-epoll.js";
import { atLeast, print, raceAsync, ratio } from "./rounds.js";

const PIPES = 64;
const PROMISES = 50_000;
// It needs as long for these as the promises do for all of theirs.
const CALLBACKS = 2000;
const EVENTS = 100_000;
const MOST_OF_NPM_EPOLL = 1 / 10;
const LEAST_PER_SECOND = 100_000;

const byte = new Uint8Array(1);
const room = new Uint8Array(16);
type Pipe = readonly [readEnd: number, writeEnd: number];

/** Nanoseconds per promise. */
async function promises(pipes: readonly Pipe[]): Promise<number> {
  let left = PROMISES;
  const began = process.hrtime.bigint();
  const reader = async ([readEnd, writeEnd]: Pipe): Promise<void> => {
    while (left-- > 0) {
      write(writeEnd, byte);
      await readable(readEnd);
      if (read(readEnd, room) !== 1) throw new Error("there was nothing to read");
    }
  };
  await Promise.all(pipes.map(reader));
  return Number(process.hrtime.bigint() - began) / PROMISES;
}

/** Nanoseconds per event. */
function callbacks(pipes: readonly Pipe[], Epolls: typeof Epoll): Promise<number> {
  return new Promise((resolve, reject) => {
    let left = CALLBACKS;
    const writeEnds = new Map(pipes);
    const epoll = new Epolls((error, fd) => {
      if (error !== null) reject(error);
      if (left <= 0) return;
      if (read(fd, room) !== 1) reject(new Error("there was nothing to read"));
      if (--left > 0) {
        write(writeEnds.get(fd)!, byte);
        return;
      }
      resolve(Number(process.hrtime.bigint() - began) / CALLBACKS);
      for (const [readEnd] of pipes) epoll.remove(readEnd);
      epoll.close();
      for (const [readEnd] of pipes) read(readEnd, room);
    });
    for (const [readEnd] of pipes) epoll.add(readEnd, Epolls.EPOLLIN);
    const began = process.hrtime.bigint();
    for (const [, writeEnd] of pipes) write(writeEnd, byte);
  });
}

/** Nanoseconds per event of pipes that stay readable, each told again and again by npm's `epoll`. */
function standingCallbacks(pipes: readonly Pipe[], Epolls: typeof Epoll): Promise<number> {
  return new Promise((resolve, reject) => {
    let left = CALLBACKS;
    const epoll = new Epolls((error) => {
      if (error !== null) reject(error);
      if (--left !== 0) return;
      resolve(Number(process.hrtime.bigint() - began) / CALLBACKS);
      for (const [readEnd] of pipes) epoll.remove(readEnd);
      epoll.close();
    });
    for (const [readEnd] of pipes) epoll.add(readEnd, Epolls.EPOLLIN);
    const began = process.hrtime.bigint();
  });
}

/** The same by an attached poller. */
async function standingEvents(pipes: readonly Pipe[]): Promise<number> {
  using poller = new Poller();
  let left = EVENTS;
  let ended = 0n;
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => (resolve = done));
  poller.attach((events) => {
    for (const { readable: isReadable } of events) if (isReadable) left--;
    if (left > 0 || ended !== 0n) return;
    ended = process.hrtime.bigint();
    resolve();
  });
  const began = process.hrtime.bigint();
  for (const [key, [readEnd]] of pipes.entries()) poller.add(readEnd, key, Interest.READABLE, { mode: "level" });
  await promise;
  return Number(ended - began) / (EVENTS - left);
}

/** Runs the comparison. @returns whether the ratios were reached */
export async function readiness(rounds: number): Promise<boolean> {
  const Epolls = npmEpoll();
  const verdicts = [];
  for (const count of [PIPES, 1]) {
    const pipes = Array.from({ length: count }, () => pipe());
    const timings = await raceAsync(
      [
        { name: `npm epoll, ${count} pipes`, run: () => callbacks(pipes, Epolls) },
        { name: `lio-poller, await readable, ${count} pipes`, run: () => promises(pipes) },
      ],
      1,
      rounds,
    );
    print(timings.values(), "event");
    for (const [, writeEnd] of pipes) write(writeEnd, byte);
    const standing = await raceAsync(
      [
        { name: `npm epoll, ${count} that stay readable`, run: () => standingCallbacks(pipes, Epolls) },
        { name: `lio-poller, attach, ${count} that stay readable`, run: () => standingEvents(pipes) },
      ],
      1,
      rounds,
    );
    print(standing.values(), "event");
    for (const fd of pipes.flat()) close(fd);
    const [theirs, ours] = [...timings.values()].map(({ median }) => median) as [number, number];
    if (count !== PIPES) continue;
    verdicts.push(atLeast("promises a second", 1e9 / ours, LEAST_PER_SECOND));
    verdicts.push(ratio("time per event: await readable against npm epoll", ours, theirs, MOST_OF_NPM_EPOLL));
    const [told, events] = [...standing.values()].map(({ median }) => median) as [number, number];
    verdicts.push(ratio("time per event alone: attach against npm epoll", events, told, MOST_OF_NPM_EPOLL));
  }
  return verdicts.every(Boolean);
}
