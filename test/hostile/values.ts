/** Values of every kind that JavaScript has, the odd ones of each, and what each type of parameter takes of them. */
import { isUint8Array } from "node:util/types";
import { Events, Interest } from "lio-poller";

const { proxy, revoke } = Proxy.revocable({}, {});
revoke();

/** Looks like room for events, and is none. */
const PRETENDER: unknown = Object.create(Events.prototype);

/** Looking at them throws an error of the engine's. As one from a getter of the user's, it may come through. */
export const THROWING: readonly unknown[] = [proxy, PRETENDER];

/** Whatever somebody could pass. */
export const VALUES: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  7,
  8,
  255,
  256,
  65_536,
  2 ** 26 + 1,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  -(2 ** 31) - 1,
  2 ** 32,
  2 ** 32 + 1,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  2 ** 64,
  1e300,
  -1e300,
  Number.MIN_VALUE,
  Infinity,
  -Infinity,
  NaN,
  0n,
  1n,
  -1n,
  2n ** 64n - 1n,
  2n ** 64n,
  "",
  "0",
  "1",
  "level",
  "Level",
  "epoll",
  "both",
  "stream",
  "add",
  "ENOMEM",
  "constructor",
  "__proto__",
  "::1",
  "a\0b",
  "\ud800",
  "x".repeat(70_000),
  Symbol("a symbol"),
  Symbol.iterator,
  () => 1,
  function named(): void {},
  async () => 1,
  Map,
  Events,
  {},
  { fd: 1 },
  { __proto__: null },
  Object.create(null),
  Object.freeze({}),
  { valueOf: () => 3 },
  { toString: () => "level" },
  { [Symbol.toPrimitive]: () => 3 },
  { length: 4 },
  [],
  [1],
  ["1"],
  [null],
  [[]],
  new Array(3),
  new Number(1),
  new String("level"),
  new Boolean(true),
  Object(1n),
  Object(Symbol.iterator),
  new Date(0),
  /x/,
  new Map(),
  new Set([1]),
  new WeakMap(),
  new Error("an error"),
  new Int8Array(8),
  new Uint8Array(0),
  new Uint8Array(8),
  new Uint16Array(8),
  new Float64Array(1),
  new ArrayBuffer(8),
  new SharedArrayBuffer(8),
  new DataView(new ArrayBuffer(8)),
  Buffer.alloc(4),
  Promise.resolve(1),
  (function* () {})(),
  new Proxy({}, {}),
  new Proxy([], {}),
  new Proxy(() => 1, {}),
  ...THROWING,
  globalThis,
  Math,
  JSON,
];

/** Which values a parameter takes, by its documentation. */
export type Taken = (value: unknown) => boolean;

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

export const integer =
  (least: number, most: number): Taken =>
  (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;

export const number =
  (least: number, most = Infinity): Taken =>
  (value) =>
    typeof value === "number" && value >= least && value <= most;

export const anyNumber: Taken = (value) => typeof value === "number" && !Number.isNaN(value);

export const fd = integer(-(2 ** 31), 2 ** 31 - 1);
/** Where the kernel is always asked, whatever is below 0 is no descriptor that is open. */
export const openFd = integer(-Infinity, 2 ** 31 - 1);
export const interest = integer(0, Interest.READABLE | Interest.WRITABLE | Interest.PRIORITY);
export const key: Taken = (value) =>
  typeof value === "bigint" ? value >= 0n && value < 2n ** 64n : integer(0, Number.MAX_SAFE_INTEGER)(value);

export const text: Taken = (value) => typeof value === "string";
export const flag: Taken = (value) => typeof value === "boolean";
export const callable: Taken = (value) => typeof value === "function";
export const object: Taken = isObject;
export const nothing: Taken = () => false;
export const events: Taken = (value) => isObject(value) && !isPretender(value as Events);
export const bytes: Taken = isUint8Array;

function isPretender(value: Events): boolean {
  try {
    return !(value instanceof Events) || value.length < 0;
  } catch {
    return true;
  }
}

export const choice =
  (...choices: readonly string[]): Taken =>
  (value) =>
    typeof value === "string" && choices.includes(value);

export const optional =
  (taken: Taken): Taken =>
  (value) =>
    value === undefined || taken(value);

export const either =
  (...types: readonly Taken[]): Taken =>
  (value) =>
    types.some((taken) => taken(value));

/** Anything that can be gone through whose items are taken. */
export const listOf =
  (item: Taken): Taken =>
  (value) => {
    if (typeof value !== "string" && !isObject(value)) return false;
    try {
      return (
        typeof (value as Iterable<unknown>)[Symbol.iterator] === "function" &&
        [...(value as Iterable<unknown>)].every(item)
      );
    } catch {
      return false;
    }
  };

export const arrayOf =
  (item: Taken): Taken =>
  (value) =>
    isArray(value) && [...value].every(item);

function isArray(value: unknown): value is unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** An object whose properties are taken; what others it has is nobody's affair. */
export const shape =
  (properties: Readonly<Record<string, Taken>>): Taken =>
  (value) => {
    if (!isObject(value)) return false;
    try {
      return Object.entries(properties).every(([name, taken]) => taken((value as Record<string, unknown>)[name]));
    } catch {
      return false;
    }
  };

/** In words, whatever it is. */
export function inWords(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return JSON.stringify(value.slice(0, 20));
  if (Object.is(value, -0)) return "-0";
  if (!isObject(value)) return typeof value === "function" ? "a function" : String(value);
  try {
    return Object.prototype.toString.call(value);
  } catch {
    return "a revoked proxy";
  }
}
