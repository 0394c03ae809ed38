/** A hundred thousand timers that stand at once: what each operation costs, and how late the real ones come. */
import { Events, Poller } from "lio-poller";
import { SimulatedEpoll } from "lio-poller/sim";
import { print, race } from "./rounds.js";

const TIMERS = 100_000;
const REAL_TIMERS = 10_000;

/** Times so many operations among timers that stand, on a clock that stands still. @returns true: nothing is compared */
export function timers(rounds: number): boolean {
  const simulated = new SimulatedEpoll();
  const poller = new Poller({ kernel: simulated });
  const events = new Events(TIMERS);
  // Multiplying by an odd number visits every key once, in no order that a heap would like.
  const each = (call: (key: number, delay: number) => void): number => {
    for (let i = 0; i < TIMERS; i++) call(i, ((i * 48271) % TIMERS) + 1);
    return TIMERS;
  };
  const timings = race(
    [
      { name: "addTimer, to 100,000", run: () => each((key, delay) => poller.addTimer(key, delay)) },
      { name: "modifyTimer, among 100,000", run: () => each((key, delay) => poller.modifyTimer(key, TIMERS - delay)) },
      { name: "deleteTimer, from 100,000", run: () => each((key) => poller.deleteTimer(key)) },
      { name: "addTimer again", run: () => each((key, delay) => poller.addTimer(key, delay)) },
      {
        name: "expiring, all in one wait",
        run: () => {
          simulated.clock.advance(2 * TIMERS);
          return poller.wait(events, { timeout: 0 });
        },
      },
      { name: "deleteTimer of expired ones", run: () => each((key) => poller.deleteTimer(key)) },
    ],
    rounds,
    "in order",
  );
  poller.close();
  print(timings.values(), "timer");
  console.log();
  printLateness();
  return true;
}

/** How late real timers come, whose delays are spread over a second. */
function printLateness(): void {
  using poller = new Poller();
  const events = new Events(256);
  const now = (): number => Number(process.hrtime.bigint()) / 1e6;
  const dues: number[] = [];
  for (let key = 0; key < REAL_TIMERS; key++) {
    const delay = ((key * 48271) % 1_000_000) / 1000;
    dues.push(now() + delay);
    poller.addTimer(key, delay);
  }
  const lateness: number[] = [];
  while (lateness.length < REAL_TIMERS) {
    poller.wait(events);
    const time = now();
    for (const { key } of events) lateness.push(time - (dues[key as number] as number));
  }
  const sorted = lateness.toSorted((a, b) => a - b);
  const at = (part: number): string => ((sorted[Math.floor(part * (REAL_TIMERS - 1))] as number) * 1000).toFixed(0);
  const parts = [0.1, 0.5, 0.9, 0.99, 0.999].map((part) => `${part * 100} % ${at(part)}`);
  console.log(`lateness of ${REAL_TIMERS} real timers, in µs: least ${at(0)}, ${parts.join(", ")}, most ${at(1)}`);
}
