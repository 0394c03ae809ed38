/**
 * A poller on a simulated kqueue compared with one on the simulated epoll: random programs must give the same verdicts,
 * and report the same keys as readable and writable. What the kernels tell beyond that differs, as the contract says, and
 * so do edges, and which modifies need no call, so that they cannot see a close: programs delete what they close.
 */
import assert from "node:assert/strict";
import { Events, Interest, type Kernel, type Mode, Poller } from "lio-poller";
import { SimulatedEpoll, type SimulatedIo, SimulatedKqueue } from "lio-poller/sim";
import { flavours } from "./contract/worlds.js";
import { outcome, random } from "./simulated.js";
import { sampledSeeds } from "./support/sample.js";

interface Simulated extends Kernel {
  readonly io: SimulatedIo;
}

/** Runs a random program, and returns what came of each step. */
function run(seed: number, simulated: Simulated): readonly unknown[] {
  const { io } = simulated;
  using poller = new Poller({ kernel: simulated });
  const below = random(seed);
  const pick = <T>(choices: readonly [T, ...T[]]): T => choices[below(choices.length)] ?? choices[0];
  const buffer = new Uint8Array(64);
  const events = new Events(64);
  const fd = () => below(10) + 2;
  const interest = () => below(4) as Interest;
  const mode = (): { mode?: Mode } => pick([{}, {}, { mode: "oneshot" }, { mode: "level" }]);
  let key = 0;
  const steps: readonly [() => unknown, ...(() => unknown)[]] = [
    () => io.socketpair(),
    () => io.socketpair(),
    () => {
      const closed = fd();
      return [outcome(() => poller.delete(closed)), outcome(() => io.close(closed))];
    },
    ...repeat(2, () => void outcome(() => io.write(fd(), buffer, 0, 8))),
    // What is read at the end of a connection, and whether it is an error, differs.
    () => void outcome(() => io.read(fd(), buffer)),
    ...repeat(4, () => poller.add(fd(), ++key, interest(), mode())),
    ...repeat(4, () => poller.modify(fd(), ++key, interest(), mode())),
    ...repeat(2, () => poller.delete(fd())),
    () => {
      const changes = Array.from({ length: below(4) }, () => {
        const op = pick(["add", "modify", "modify", "delete"] as const);
        const change = { fd: fd(), key: ++key, interest: interest(), ...mode() };
        return op === "delete" ? { op, fd: change.fd } : { op, ...change };
      });
      return poller.apply(changes).map((error) => error?.code);
    },
    ...repeat(6, () => {
      poller.wait(events, { timeout: 1 });
      return events.toArray().map(told).toSorted();
    }),
  ];
  const results = Array.from({ length: 300 }, () => outcome(pick(steps)));
  return [...results, poller.stats().registrations];
}

function told({ key, readable, writable, errorCode }: ReturnType<Events["toArray"]>[number]): string {
  // Which number of the error it is, Linux tells of no socket.
  const isRefusal = errorCode === "EBADF" || errorCode === "ENOENT";
  return `${key}${readable ? " readable" : ""}${writable ? " writable" : ""}${isRefusal ? ` ${errorCode}` : ""}`;
}

function repeat(times: number, step: () => unknown): (() => unknown)[] {
  return Array.from({ length: times }, () => step);
}

describe("pollers on a simulated kqueue and on the simulated epoll", () => {
  for (const flavour of flavours) {
    it(`report the same for random programs (${flavour})`, () => {
      for (const seed of sampledSeeds(`random programs on epoll and the kqueue of ${flavour}`, 1, 25, 5)) {
        const expected = run(seed, new SimulatedEpoll());
        assert.ok(
          expected.flat().filter((result) => /^\d+ (read|writ)able/.test(String(result))).length > 20,
          "events",
        );
        assert.deepEqual(run(seed, new SimulatedKqueue({ flavour })), expected, `seed ${seed}`);
      }
    });
  }
});
