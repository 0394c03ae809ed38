/**
 * The errors that this package throws, and the only place that makes them.
 *
 * A failed system call is a {@link PollerError} that carries what Node's own system errors carry. A wrong argument is
 * Node's `TypeError` or `RangeError`, with Node's codes.
 */
import { getSystemErrorMap } from "node:util";

/**
 * Codes of failures that are not the kernel's.
 *
 * - `"ERR_POLLER_ADDON"`: the native addon is missing or does not load. Thrown when the package is imported.
 * - `"ERR_POLLER_BUSY"`: a call of a poller on the same kernel is running.
 * - `"ERR_POLLER_CLOSED"`: the poller is closed.
 * - `"ERR_POLLER_TRAPPED"`: the component failed, or a call of it was ended from outside, and its descriptors are closed.
 *   A new poller starts afresh.
 * - `"ERR_POLLER_UNSUPPORTED"`: there is no such kernel here, the kernel object lacks a function, there is no WebAssembly, a
 *   file of the package cannot be used, or the events are another kernel's. The message says which.
 */
export type PollerErrorCode =
  | "ERR_POLLER_ADDON"
  | "ERR_POLLER_ATTACHED"
  | "ERR_POLLER_BUSY"
  | "ERR_POLLER_CLOSED"
  | "ERR_POLLER_TRAPPED"
  | "ERR_POLLER_UNSUPPORTED";

/** An operation that failed, by the kernel's word or because of the poller's state. */
export class PollerError extends Error {
  /** `"PollerError"`, also where another copy of this package made the error. */
  override readonly name = "PollerError";

  /** The kernel's error as Node spells it, such as `"EBADF"`, or an `ERR_POLLER_…` code. */
  readonly code: string;

  /** Node's negative error number, or `undefined` if the failure is not the kernel's. */
  readonly errno: number | undefined;

  /** The operation that failed, such as `"add"`. */
  readonly syscall: string | undefined;

  /** As the package makes it: the parameters are the members of the same names. */
  constructor(message: string, code: string, errno?: number, syscall?: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** A failure that is not the kernel's. */
export function pollerError(code: PollerErrorCode, message: string, options?: ErrorOptions): PollerError {
  return new PollerError(message, code, undefined, undefined, options);
}

/**
 * Node's error numbers by name, positive. On Windows `os.constants.errno` holds those of the C library, which Node's own
 * errors do not carry.
 */
const NUMBERS: ReadonlyMap<string, number> = new Map(
  [...getSystemErrorMap()].map(([number, [name]]) => [name, -number] as const),
);

/** A failed system call, by its positive error number. */
export function systemError(errno: number, syscall: string, detail?: string): PollerError {
  return describe(systemErrorName(errno), -errno, syscall, detail);
}

/** A failed system call, by the name of its error. */
export function namedError(code: string, syscall: string, detail?: string): PollerError {
  const number = NUMBERS.get(code);
  return describe(code, number === undefined ? undefined : -number, syscall, detail);
}

function describe(code: string, errno: number | undefined, syscall: string, detail: string | undefined): PollerError {
  const message = detail === undefined ? `${syscall}: ${code}` : `${syscall}: ${code}, ${detail}`;
  return new PollerError(message, code, errno, syscall);
}

/** Node's positive number of an error that it has on every system. */
export function systemErrorNumber(name: "EAGAIN" | "EBADF"): number {
  return NUMBERS.get(name) as number;
}

/** Node's name of a positive error number, or one made of the number where Node has none. */
export function systemErrorName(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[0] ?? `E${errno}`;
}

/** The positive number of an error by Node's name; 0 if this platform has no such error. */
export function errorNumber(name: string): number {
  return NUMBERS.get(name) ?? 0;
}

/** An argument of the wrong type: Node's `ERR_INVALID_ARG_TYPE`. */
export function invalidType(name: string, expected: string, actual: unknown): TypeError {
  const message = `The "${name}" argument must be ${expected}. Received ${received(actual)}`;
  return Object.assign(new TypeError(message), { code: "ERR_INVALID_ARG_TYPE" });
}

/** An argument of the right type with a value that cannot be: Node's `ERR_OUT_OF_RANGE`. */
export function outOfRange(name: string, expected: string, actual: unknown): RangeError {
  const message = `The value of "${name}" is out of range. It must be ${expected}. Received ${received(actual)}`;
  return Object.assign(new RangeError(message), { code: "ERR_OUT_OF_RANGE" });
}

/** An argument of the right type that names none of the choices: Node's `ERR_INVALID_ARG_VALUE`. */
export function invalidValue(name: string, expected: string, actual: unknown): TypeError {
  const message = `The "${name}" argument must be ${expected}. Received ${received(actual)}`;
  return Object.assign(new TypeError(message), { code: "ERR_INVALID_ARG_VALUE" });
}

function received(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "number":
    case "boolean":
    case "undefined":
      return String(value);
    case "object":
      return value === null ? "null" : "an object";
    default:
      return `a ${typeof value}`;
  }
}
