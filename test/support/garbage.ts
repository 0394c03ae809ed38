/** Garbage collection when a test wants it. */
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const collect = collector();

function collector(): () => void {
  const { Bun } = globalThis as { Bun?: { gc(now: boolean): void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  // The flag gives `gc` to contexts that are made after it, and does nothing to the others.
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

/** Collects garbage, and lets what waits for the collection run. */
export async function collectGarbage(): Promise<void> {
  // Finalizers run in turns of the event loop of their own, and may free what the next collection finds.
  for (let round = 0; round < 50; round++) {
    collect();
    await turn();
  }
}

/** Collects garbage until the condition holds. False if it does not for long: a busy machine runs finalizers late. */
export async function collectUntil(holds: () => boolean): Promise<boolean> {
  for (let round = 0; round < 500 && !holds(); round++) {
    collect();
    await (round < 50 ? turn() : sleep(20));
  }
  return holds();
}
