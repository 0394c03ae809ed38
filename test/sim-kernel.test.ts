/**
 * The simulated epoll compared with this machine's, as a poller meets them: random programs must give the same results,
 * errors and events, in the same order, on both.
 */
import assert from "node:assert/strict";
import { release } from "node:os";
import { Events, Interest, type Mode, Poller } from "lio-poller";
import * as platformIo from "lio-poller/io";
import { SimulatedEpoll, type SimulatedIo } from "lio-poller/sim";
import { outcome, random } from "./simulated.js";
import { isWhole, sampledSeeds } from "./support/sample.js";

/** The calls that both worlds have. */
type Io = Omit<SimulatedIo, "poll" | "regular" | "tcpPair">;

/** Descriptors are moved to numbers from here on, which nothing else in the process uses: both worlds name them alike. */
const FIRST = 700;
const COUNT = 12;

const MODES: readonly [Mode, ...Mode[]] = ["oneshot", "level", "edge", "edge-oneshot"];
/** How much a program writes at a time, and how often in a row. */
interface Writes {
  readonly sizes: readonly [number, ...number[]];
  readonly bursts: readonly [number, ...number[]];
}

const LITTLE: Writes = { sizes: [0, 1, 8, 8, 8], bursts: [1, 1, 3] };
const MUCH: Writes = { sizes: [0, 1, 8, 8, 8, 705, 4096, 4097, 40_000, 70_000], bursts: [1, 1, 20] };

/** Runs a random program, and returns what came of each step. */
function run(seed: number, io: Io, poller: Poller, { sizes, bursts }: Writes): unknown[] {
  const below = random(seed);
  const buffer = new Uint8Array(300_000);
  const small = new Events(2);
  const large = new Events(64);
  const pick = <T>(choices: readonly [T, ...T[]]): T => choices[below(choices.length)] ?? choices[0];
  const fd = () => FIRST + below(COUNT);
  const interest = () =>
    pick([Interest.READABLE, Interest.WRITABLE, Interest.READABLE | Interest.WRITABLE]) as Interest;
  const move = (...fds: number[]) =>
    fds.map((made) => {
      const target = fd();
      io.dup(made, target);
      io.close(made);
      return target;
    });
  const wait = (events: Events) => {
    poller.wait(events, { timeout: 0 });
    return events.toArray();
  };

  let key = 0;
  const steps: readonly [() => unknown, ...(() => unknown)[]] = [
    () => move(...io.pipe()),
    () => move(...io.socketpair()),
    () => move(...io.socketpair()),
    () => move(io.eventfd(below(2))),
    () => io.dup(fd(), fd()),
    () => (below(2) === 0 ? io.close(fd()) : undefined),
    () => (below(2) === 0 ? io.shutdown(fd(), pick(["read", "write", "both"])) : undefined),
    ...repeat(4, () => io.read(fd(), buffer, 0, pick(sizes))),
    ...repeat(4, () => {
      const target = fd();
      const size = pick(sizes);
      return Array.from({ length: pick(bursts) }, () => outcome(() => io.write(target, buffer, 0, size)));
    }),
    ...repeat(5, () => poller.add(fd(), ++key, interest(), { mode: pick(MODES) })),
    ...repeat(2, () => poller.modify(fd(), ++key, interest())),
    () => poller.delete(fd()),
    ...repeat(3, () => wait(small)),
    ...repeat(5, () => wait(large)),
  ];
  const results = Array.from({ length: 200 }, () => outcome(pick(steps)));
  for (let left = FIRST; left < FIRST + COUNT; left++) outcome(() => io.close(left));
  return results;
}

function repeat(times: number, step: () => unknown): (() => unknown)[] {
  return Array.from({ length: times }, () => step);
}

function compare(what: string, writes: Writes): void {
  let events = 0;
  const seeds = sampledSeeds(`random programs on both epolls that ${what}`, 1, 150, 30);
  for (const seed of seeds) {
    using real = new Poller();
    const expected = run(seed, platformIo, real, writes);
    const simulated = new SimulatedEpoll();
    using poller = new Poller({ kernel: simulated });
    assert.deepEqual(run(seed, simulated.io, poller, writes), expected, `seed ${seed}`);
    events += real.stats().events;
  }
  assert.ok(!isWhole || events > seeds.length, `${events} events are too few to compare`);
}

describe("the simulated epoll and this machine's", () => {
  it("report the same for random programs that write little", () => compare("write little", LITTLE));

  // How much a socket holds has changed from release to release, and eventfds refuse writes of more than 8 bytes since
  // 6.9: the model has these as 6.18 does.
  const [major = 0, minor = 0] = release().split(".").map(Number);
  if (major > 6 || (major === 6 && minor >= 18)) {
    it("report the same for random programs that fill pipes and sockets", () => compare("write much", MUCH));
  }
});
