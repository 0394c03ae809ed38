/**
 * The storm: 1,024 descriptors that are always ready, one-shot, every event consumed in JavaScript and armed again.
 *
 * Beside it the C++ loops that do the same with EPOLL_CTL_MOD per event, and one that is level-triggered and arms
 * nothing again: no poller can be cheaper than that.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Events, Interest, Poller } from "lio-poller";
import { close, eventfd } from "lio-poller/io";
import { EPOLL_CTL_ADD, EPOLLIN, EPOLLONESHOT, EPOLLRDHUP, peers } from "./peers.js";
import { print, race, ratio } from "./rounds.js";

const FDS = 1024;
const TURNS = 100;
const MOST_CALLS_PER_EVENT = 0.02;

class Storm {
  readonly fds = Array.from({ length: FDS }, () => eventfd(1));
  readonly poller = new Poller();
  readonly events = new Events(FDS);
  readonly none = new Events(FDS);

  constructor() {
    for (const [key, fd] of this.fds.entries()) this.poller.add(fd, key, Interest.READABLE);
  }

  /** Every event is armed again before the next wait. */
  prompt(turns: number): number {
    const { poller, events, fds } = this;
    let seen = 0;
    for (let turn = 0; turn < turns; turn++) {
      seen += poller.wait(events);
      for (const { key, readable } of events) {
        if (readable) poller.modify(fds[key as number] as number, key, Interest.READABLE);
      }
    }
    return seen;
  }

  /** Every event is armed again after one more wait, which finds nothing. */
  late(turns: number): number {
    const { poller, events, none, fds } = this;
    let seen = 0;
    for (let turn = 0; turn < turns; turn++) {
      seen += poller.wait(events);
      seen += poller.wait(none, { timeout: 0 });
      for (const { key, readable } of events) {
        if (readable) poller.modify(fds[key as number] as number, key, Interest.READABLE);
      }
    }
    return seen;
  }

  close(): void {
    this.poller.close();
    for (const fd of this.fds) close(fd);
  }
}

function epollOf(fds: readonly number[], mask: number): number {
  const epoll = peers.create();
  for (const fd of fds) peers.control(epoll, EPOLL_CTL_ADD, fd, mask);
  return epoll;
}

/** Runs the storm and prints the ratios. @returns whether all of them were reached */
export function storm(rounds: number): boolean {
  const prompt = new Storm();
  const late = new Storm();
  const level = epollOf(prompt.fds, EPOLLIN | EPOLLRDHUP);
  const oneshot = epollOf(prompt.fds, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT);
  const oneshotLate = epollOf(late.fds, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT);
  const timings = race(
    [
      { name: "C++, level-triggered, nothing armed again", run: () => peers.level(level, TURNS, FDS) },
      { name: "C++, one-shot, EPOLL_CTL_MOD per event", run: () => peers.oneshot(oneshot, TURNS, FDS) },
      { name: "lio-poller, one-shot, modify per event", run: () => prompt.prompt(TURNS) },
      { name: "C++, one-shot, armed after the next wait", run: () => peers.late(oneshotLate, TURNS, FDS) },
      { name: "lio-poller, one-shot, armed after the next wait", run: () => late.late(TURNS) },
    ],
    rounds,
  );
  for (const epoll of [level, oneshot, oneshotLate]) peers.close(epoll);
  prompt.close();
  late.close();

  print(timings.values(), "event");
  const [floor, native, ours, nativeLate, oursLate] = [...timings.values()].map(({ median }) => median) as [
    number,
    number,
    number,
    number,
    number,
  ];
  console.log();
  if (native < 3 * floor) {
    console.log(`This machine is unfit: the two C++ loops differ by ${(native / floor).toFixed(2)} only, not by 3.`);
    return false;
  }
  return [
    ratio("storm: ours against the C++ one-shot loop", ours, native, 0.35),
    ratio("storm: ours against the level-triggered floor", ours, floor, 1.3),
    ratio("late: ours against the C++ loop that does the same", oursLate, nativeLate, 1.15),
  ].every(Boolean);
}

/**
 * Counts all system calls of a process with strace, for two lengths of the storm: the difference is the storm's own.
 *
 * @returns whether there were few enough
 */
export function stormCalls(): boolean {
  const [few, many] = [20, 220];
  const extra = countCalls(many) - countCalls(few);
  return ratio("storm: system calls per event, by strace", extra, (many - few) * FDS, MOST_CALLS_PER_EVENT);
}

function countCalls(turns: number): number {
  const folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
  try {
    const table = join(folder, "calls");
    const command = ["-f", "-c", "-o", table, process.execPath, fileURLToPath(import.meta.url), String(turns)];
    const { status, stderr, error } = spawnSync("strace", command, { encoding: "utf8" });
    if (error) throw new Error("strace is needed to count system calls", { cause: error });
    if (status !== 0) throw new Error(`strace failed:\n${stderr}`);
    const total = /^\s*100\.00\s+\S+\s+(?:\S+\s+)?(\d+)(?:\s+\d+)?\s+total$/m.exec(readFileSync(table, "utf8"));
    if (!total) throw new Error("strace printed no total");
    return Number(total[1]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// What is run under strace.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const counted = new Storm();
  counted.prompt(Number(process.argv[2]));
  counted.close();
}
