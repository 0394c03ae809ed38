/** The `error-code` variant of `wit/types.wit`: from the component's memory, or from jco, to Node's names. */
import type { Instance } from "./component.js";
import { errorNumber, namedError, type PollerError, systemErrorName } from "./errors.js";

/** The tags' Node names, in the order of the variant; `other` comes after them. */
const NAMES = [
  "EBADF",
  "EEXIST",
  "ENOENT",
  "EPERM",
  "EACCES",
  "EINVAL",
  "ENOMEM",
  "ENOSPC",
  "EMFILE",
  "ENFILE",
  "ELOOP",
  "EINTR",
  "ENOTSUP",
  "ENOSYS",
  "EFAULT",
  "EPIPE",
  "ENOTSOCK",
  "ECONNREFUSED",
  "ECONNRESET",
  "ETIMEDOUT",
] as const;

/** jco's names of the tags, in the same order. */
export const ERROR_TAGS = [
  "bad-descriptor",
  "already-exists",
  "not-found",
  "not-permitted",
  "access-denied",
  "invalid-argument",
  "out-of-memory",
  "no-space",
  "too-many-descriptors",
  "file-table-full",
  "loop",
  "interrupted",
  "not-supported",
  "no-system-call",
  "bad-address",
  "broken-pipe",
  "not-a-socket",
  "connection-refused",
  "connection-reset",
  "timed-out",
] as const;

/** An error code: its tag, and the number that only `other` has. */
export interface ErrorCode {
  readonly tag: number;
  readonly number: number;
}

/** Reads an error code from the component's memory, whose views must be fresh. */
export function errorCodeAt(instance: Instance, at: number): ErrorCode {
  return { tag: instance.bytes[at] as number, number: (instance.words[(at >> 2) + 1] as number) | 0 };
}

/** Node's name of an error code. */
export function codeOf({ tag, number }: ErrorCode): string {
  return NAMES[tag] ?? systemErrorName(number);
}

/** The error to throw for an error code. */
export function errorOf(code: ErrorCode, syscall: string): PollerError {
  return namedError(codeOf(code), syscall);
}

/** The error code of Node's name of an error, as jco spells it. */
export function liftedErrorCode(name: string): { readonly tag: string; readonly val?: number } {
  const tag = ERROR_TAGS[(NAMES as readonly string[]).indexOf(name)];
  return tag === undefined ? { tag: "other", val: errorNumber(name) } : { tag };
}

/** Runs a call of jco's, and throws what it throws as a `PollerError`. */
export function rethrowLifted<T>(syscall: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const payload = (error as { payload?: { tag?: string; val?: number } }).payload;
    if (payload?.tag === undefined) throw error;
    const tag = (ERROR_TAGS as readonly string[]).indexOf(payload.tag);
    throw errorOf({ tag: tag === -1 ? ERROR_TAGS.length : tag, number: payload.val ?? 0 }, syscall);
  }
}
