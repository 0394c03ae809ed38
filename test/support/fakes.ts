/**
 * What fake timers do, as those of test runners and @sinonjs/fake-timers: all that tells the time or runs something later
 * is replaced, by what stands still and runs nothing. Imports nothing of the package, so that it can come before.
 */
import { createRequire, syncBuiltinESMExports } from "node:module";

type Holder = Record<PropertyKey, unknown>;

const require = createRequire(import.meta.url);
const nothing = (): void => {};
/** What `setTimeout` and the like return. */
const handle = { ref: () => handle, unref: () => handle, hasRef: () => false, refresh: () => handle, close: nothing };
const later = (): object => handle;
const never = (): Promise<never> => new Promise(nothing);

class FrozenDate extends Date {
  constructor(...values: [] | [number]) {
    super(...((values.length === 0 ? [0] : values) as [number]));
  }

  static override now(): number {
    return 0;
  }
}

const frozenPerformance = { now: () => 0, timeOrigin: 0, mark: nothing, measure: nothing, timerify: nothing };
const frozenHrtime = Object.assign((): [number, number] => [0, 0], { bigint: () => 0n });

const timers: Holder = {
  setTimeout: later,
  setInterval: later,
  setImmediate: later,
  clearTimeout: nothing,
  clearInterval: nothing,
  clearImmediate: nothing,
};
const promises: Holder = { setTimeout: never, setImmediate: never, setInterval: never, scheduler: { wait: never } };

const FAKES: readonly (readonly [holder: Holder, fakes: Holder])[] = [
  [globalThis as Holder, { ...timers, queueMicrotask: nothing, performance: frozenPerformance, Date: FrozenDate }],
  [process as unknown as Holder, { nextTick: nothing, hrtime: frozenHrtime }],
  [require("node:timers"), timers],
  [require("node:timers/promises"), promises],
  [require("node:perf_hooks"), { performance: frozenPerformance }],
];

/** Replaces all of them, also for modules that are imported later. Returns what takes that back. */
export function installFakes(): () => void {
  const before = FAKES.map(([holder, fakes]) => {
    const kept = Object.keys(fakes).map((name) => [name, Object.getOwnPropertyDescriptor(holder, name)] as const);
    for (const [name, value] of Object.entries(fakes)) replace(holder, name, { value });
    return [holder, kept] as const;
  });
  syncBuiltinESMExports();
  return () => {
    for (const [holder, kept] of before) {
      for (const [name, descriptor] of kept) if (descriptor !== undefined) replace(holder, name, descriptor);
    }
    syncBuiltinESMExports();
  };
}

function replace(holder: Holder, name: string, descriptor: PropertyDescriptor): void {
  const isAccessor = descriptor.get !== undefined || descriptor.set !== undefined;
  const how = isAccessor ? descriptor : { writable: true, enumerable: true, ...descriptor };
  Object.defineProperty(holder, name, { ...how, configurable: true });
}
