/** What is said between `test/unload.test.ts` and its programs, which load nothing of the package. */

export const ENDINGS = ["return", "exit in the worker", "throw", "terminate", "exit in the main thread"] as const;

export const STATES = [
  "nothing",
  "an open poller",
  "a pending readable",
  "an ended watch",
  "a live watch",
  "an attached poller",
  "a blocking wait",
] as const;

export interface LoneOrders {
  readonly ending: (typeof ENDINGS)[number];
  readonly state: (typeof STATES)[number];
  /** Whether the event loop's own means of delivery are left out. */
  readonly byThread: boolean;
  /** Whether a context of `node:vm` loads the package. */
  readonly inContext: boolean;
}

/** What no runtime ends with by itself. */
export const AS_ORDERED = 42;
export const CODE_OF_WORKER = 3;
export const THROWN = "as ordered";
