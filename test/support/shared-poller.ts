/** The poller that `readable`, `writable` and `watch` share: made anew on a delivery of the test's, or broken. */
import { instanceFor, platformKernel } from "./internals.js";

const kernel = platformKernel(undefined) as { inLoop: boolean } & ReturnType<typeof platformKernel>;
const inLoopByDefault = kernel.inLoop;

/** What can be broken of it, by the name of the component's function. */
export type Broken = "add" | "modify" | "delete" | "wait" | "addTimer" | "deleteTimer";

/** Has the next call of a function of the component trap, whichever poller of the platform's kernel it is for. */
export function breakShared(name: Broken): void {
  const broken = (): never => {
    throw new WebAssembly.RuntimeError("unreachable");
  };
  Object.assign(instanceFor(kernel), { [name]: broken });
}

/** Has the next that waits make the shared poller anew, with this delivery: `"uv_poll"`, `"thread"`, or the runtime's. */
export function renewShared(way?: string): void {
  kernel.inLoop = way === undefined ? inLoopByDefault : way === "uv_poll";
  instanceFor(kernel).trapped(new Error("to make it anew"));
}

/** How many changes its kernel was asked for, to count the work that is done. */
export function countCalls(name: Broken, act: () => void): number {
  const instance = instanceFor(kernel) as unknown as Record<Broken, (...values: never[]) => number>;
  const call = instance[name];
  let count = 0;
  instance[name] = (...values) => {
    count++;
    return call(...values);
  };
  try {
    act();
  } finally {
    instance[name] = call;
  }
  return count;
}
