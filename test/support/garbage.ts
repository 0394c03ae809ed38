/** Garbage collection when a test wants it. */
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects garbage, and returns before anything that waits for the collection has run. */
export const collect = collector();

function collector(): () => void {
  const { Bun } = globalThis as { Bun?: { gc(now: boolean): void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  // The flag gives `gc` to contexts that are made after it, and does nothing to the others.
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

/** Never collected itself: see `src/finalization.ts`. */
const registry = new FinalizationRegistry<() => void>((callback) => callback());

/** Calls back some time after the object was collected. The function must not keep it. */
export function whenCollected(object: object, callback: () => void): void {
  registry.register(object, callback);
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
export async function collectUntil(holds: () => boolean, rounds = 500): Promise<boolean> {
  for (let round = 0; round < rounds && !holds(); round++) {
    collect();
    await (round < 50 ? turn() : sleep(20));
  }
  return holds();
}
