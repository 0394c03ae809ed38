/** What a descriptor is ready for. */
import type { ReadyEvent } from "../events.js";
import { Interest } from "../interest.js";

/** What a descriptor is ready for: see the fields of the same names in {@link ReadyEvent}. */
export type Ready = Omit<ReadyEvent, "key" | "timer" | "expirations">;

/** Copies an event, whose object stands for the next one soon. */
export function readyOf(event: ReadyEvent): Ready {
  return {
    readable: event.readable,
    writable: event.writable,
    priority: event.priority,
    readClosed: event.readClosed,
    hangUp: event.hangUp,
    error: event.error,
    refused: event.refused,
    errorCode: event.errorCode,
    bytes: event.bytes,
  };
}

/** Nothing but an error. */
export function failureOf(errorCode: string): Ready {
  return {
    readable: false,
    writable: false,
    priority: false,
    readClosed: false,
    hangUp: false,
    error: true,
    refused: true,
    errorCode,
    bytes: 0,
  };
}

/** Whether readiness concerns an interest. Errors and hang-ups concern every one. */
export function concerns(ready: Ready, interest: Interest): boolean {
  if (ready.readable && interest & Interest.READABLE) return true;
  if (ready.writable && interest & Interest.WRITABLE) return true;
  return ready.hangUp || ready.error || (ready.priority && (interest & Interest.PRIORITY) !== 0);
}
