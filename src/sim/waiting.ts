/** How a simulated call that blocks lets time pass. */
import type { VirtualClock } from "./clock.js";

/**
 * Lets time pass until there is something to take, or the timeout is over.
 *
 * @param take Takes what is there, and tells how much that was.
 * @param timeout Nanoseconds, or `undefined` for ever.
 * @throws {Error} If it would block for ever.
 */
export function waitFor(clock: VirtualClock, take: () => number, timeout: bigint | undefined): number {
  const deadline = timeout === undefined ? undefined : clock.later(timeout);
  // What is due now has happened before the wait looks.
  while (clock.step(clock.now()));
  for (;;) {
    const count = take();
    if (count > 0) return count;
    if (clock.step(deadline)) continue;
    if (deadline === undefined) throw endless("wait");

    clock.skipTo(deadline);
    return 0;
  }
}

/** Lets time pass, once, for a call on a blocking descriptor. @throws {Error} If it would block for ever. */
export function pass(clock: VirtualClock, syscall: string): void {
  if (!clock.step()) throw endless(syscall);
}

function endless(syscall: string): Error {
  return new Error(`the simulated ${syscall} would block for ever: nothing is ready and nothing is scheduled`);
}
