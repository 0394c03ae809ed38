/** 100,000 that wait for one descriptor: how long the loop is blocked as they join, are served, are aborted and expire. */
import { Interest, readable, watch, writable } from "lio-poller";
import { close, eventfd, read, socketpair, write } from "lio-poller/io";
import { most } from "./rounds.js";

const MANY = 100_000;
/** Milliseconds, for what makes no errors: 100,000 of those, with their stacks, are most of the time of the others. */
const LIMITS: Readonly<Record<string, number>> = { join: 1000, "are served": 1000, "are disposed of": 1000 };

const one = new Uint8Array(new BigUint64Array([1n]).buffer);
const room = new Uint8Array(8);

/** Milliseconds since then. */
function since(moment: bigint): number {
  return Number(process.hrtime.bigint() - moment) / 1e6;
}

/** One round's figures by name, in milliseconds. */
async function measure(): Promise<Record<string, number>> {
  const figures: Record<string, number> = {};
  const fd = eventfd(0);
  const waiting = (options?: Parameters<typeof readable>[1]): Promise<unknown>[] =>
    Array.from({ length: MANY }, () => readable(fd, options));

  let began = process.hrtime.bigint();
  const promises = waiting();
  figures["join"] = since(began);
  began = process.hrtime.bigint();
  write(fd, one);
  await Promise.all(promises);
  figures["are served"] = since(began);
  read(fd, room);

  const controller = new AbortController();
  began = process.hrtime.bigint();
  const aborted = Promise.allSettled(waiting({ signal: controller.signal }));
  figures["join with one signal"] = since(began);
  began = process.hrtime.bigint();
  controller.abort();
  await aborted;
  figures["are aborted"] = since(began);

  began = process.hrtime.bigint();
  const expiring = Promise.allSettled(waiting({ timeout: 1 }));
  figures["join with a timeout"] = since(began);
  began = process.hrtime.bigint();
  await expiring;
  figures["expire"] = since(began);

  const watchings = Array.from({ length: MANY }, () => watch(fd, Interest.READABLE, () => {}));
  began = process.hrtime.bigint();
  for (const watching of watchings) watching[Symbol.dispose]();
  figures["are disposed of"] = since(began);

  const [left, right] = socketpair();
  const readers = Array.from({ length: MANY }, () => readable(left));
  began = process.hrtime.bigint();
  for (let i = 0; i < 1000; i++) await writable(left);
  figures["wait beside 1,000 of the other direction"] = since(began);
  write(right, room);
  await Promise.all(readers);
  for (const each of [fd, left, right]) close(each);
  return figures;
}

/** Runs the measurement. @returns whether the limits were kept */
export async function crowd(rounds: number): Promise<boolean> {
  const samples = new Map<string, number[]>();
  for (let round = -1; round < Math.min(rounds, 5); round++) {
    for (const [name, milliseconds] of Object.entries(await measure())) {
      const list = samples.get(name) ?? [];
      if (round >= 0) list.push(milliseconds);
      samples.set(name, list);
    }
  }
  const verdicts = [...samples].map(([name, list]) => {
    const sorted = list.toSorted((a, b) => a - b);
    return most(`ms in which 100,000 ${name}`, sorted[sorted.length >> 1] as number, LIMITS[name] ?? Infinity);
  });
  return verdicts.every(Boolean);
}
