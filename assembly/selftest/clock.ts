/** In place of the host's clock: one that the tests move. */

export let time: u64 = 0;

/** Lets time pass. */
export function pass(duration: u64): void {
  time += duration;
}

export function now(): u64 {
  return time;
}
