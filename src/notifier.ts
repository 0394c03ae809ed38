/**
 * Notifiers: how a thread ends the wait of a poller that belongs to another.
 *
 * A notifier is plain data, so that it can be sent to a worker; what it names is looked up in a table of the process.
 */
import { invalidType, outOfRange } from "./errors.js";
import { native } from "./native.js";

/** Names a poller for {@link notify}. Plain data: it can be posted to any worker, and kept for ever. */
export interface Notifier {
  /** The process that the poller belongs to. */
  readonly process: string;
  /** The poller, within the process. */
  readonly id: number;
}

const THIS_PROCESS = native.nonce.toString(16);

/** @internal */
export function notifierOf(id: bigint): Notifier {
  return Object.freeze({ process: THIS_PROCESS, id: Number(id) });
}

/**
 * Ends the wait of a poller that blocks in another thread, or its next one, early. Never blocks, never fails:
 * notifications that no wait has seen are one, and if the poller is closed, or was another process's, nothing happens.
 *
 * @param notifier what {@link Poller.notifier} returned, in whichever thread
 * @throws TypeError, RangeError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 */
export function notify(notifier: Notifier): void {
  if (typeof notifier !== "object" || notifier === null) throw invalidType("notifier", "a Notifier", notifier);
  const { process, id } = notifier;
  if (typeof process !== "string") throw invalidType("notifier.process", "of type string", process);
  if (typeof id !== "number") throw invalidType("notifier.id", "of type number", id);
  if (!Number.isSafeInteger(id) || id < 0) throw outOfRange("notifier.id", "an integer >= 0 and <= 2^53 - 1", id);
  if (process === THIS_PROCESS) native.notify(id);
}
