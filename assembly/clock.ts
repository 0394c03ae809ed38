/** The host's clock: `wit/clock.wit`. */

/** Nanoseconds since some moment; never goes back. */
// @ts-ignore: top-level decorators are AssemblyScript's
@external("lio:poller/clock@0.1.0", "now")
export declare function now(): u64;
