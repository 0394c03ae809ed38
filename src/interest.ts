/** What to watch a descriptor for, and how often to be told. */

/**
 * Interests, to be joined with `|`. The numbers are those of the `interest` flags in `wit/types.wit`.
 *
 * @example poller.add(fd, key, Interest.READABLE | Interest.WRITABLE);
 */
export const Interest = Object.freeze({
  /** Registered, and silent. */
  NONE: 0,
  /** Data can be read, a connection accepted, or the peer has stopped writing. */
  READABLE: 1,
  /** Data can be written without blocking. */
  WRITABLE: 2,
  /** Exceptional data, such as TCP's out-of-band byte. */
  PRIORITY: 4,
} as const);

/** Any of {@link Interest}'s numbers, joined with `|`. */
export type Interest = number;

/** All bits of {@link Interest}. */
export const ANY_INTEREST = Interest.READABLE | Interest.WRITABLE | Interest.PRIORITY;

/** The modes in the order of the `mode` enum in `wit/types.wit`. */
export const MODES = ["oneshot", "level", "edge", "edge-oneshot"] as const;

/**
 * How often one state of readiness is reported.
 *
 * - `"oneshot"`: one event disarms the registration until `modify`. The default.
 * - `"level"`: every wait reports the descriptor for as long as it is ready.
 * - `"edge"`: reported when readiness arises anew, and after every `modify`.
 * - `"edge-oneshot"`: as `"edge"`, then disarmed until `modify`.
 *
 * @useDeclaredType
 */
export type Mode = (typeof MODES)[number];
