/** Why simulated kernels refuse what they are asked for. */

/** Cases of `error-code` in `wit/types.wit`, by their names there. */
export type Refusal =
  | "bad-descriptor"
  | "already-exists"
  | "not-found"
  | "not-permitted"
  | "invalid-argument"
  | "not-supported"
  | "broken-pipe"
  | "connection-reset";

/** Their discriminants. */
export const DISCRIMINANTS: Readonly<Record<Refusal, number>> = {
  "bad-descriptor": 0,
  "already-exists": 1,
  "not-found": 2,
  "not-permitted": 3,
  "invalid-argument": 5,
  "not-supported": 12,
  "broken-pipe": 15,
  "connection-reset": 18,
};
