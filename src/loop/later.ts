/**
 * What is to be called in a turn of the event loop's own, because its cause came out inside a call of the program's: at the
 * next time that the shared poller has something to tell, or in the loop's next turn, whichever comes first.
 */
import { clearImmediate, setImmediate } from "node:timers";

/** In the order in which they came. */
const actions = new Set<() => void>();
let immediate: NodeJS.Immediate | undefined;

/** Has something called later. It must not throw. */
export function callLater(action: () => void): void {
  actions.add(action);
  immediate ??= setImmediate(callNow);
}

/** Has it not called, if it was not yet. */
export function doNotCall(action: () => void): void {
  if (actions.delete(action) && actions.size === 0) forgetImmediate();
}

/** Calls all that is to be called. What these add comes later. */
export function callNow(): void {
  forgetImmediate();
  const due = [...actions];
  for (const action of due) if (actions.delete(action)) action();
}

function forgetImmediate(): void {
  clearImmediate(immediate);
  immediate = undefined;
}
