/**
 * What is to be called when the program's code that runs now has returned, because its cause came out inside a call of the
 * program's.
 *
 * By a continuation of a promise: fake timers leave those alone, and they come although the poller's delivery has ended.
 */

/** In the order in which they came. */
const actions = new Set<() => void>();

/** Has something called later. It must not throw. */
export function callLater(action: () => void): void {
  if (actions.size === 0) void callInContinuation();
  actions.add(action);
}

/** Has it not called, if it was not yet. */
export function doNotCall(action: () => void): void {
  actions.delete(action);
}

/** What the actions add comes later. */
async function callInContinuation(): Promise<void> {
  await undefined;
  const due = [...actions];
  for (const action of due) if (actions.delete(action)) action();
  if (actions.size > 0) void callInContinuation();
}
