/**
 * The canonical ABI for functions that a component imports, from a description of their types: what jco generates, in
 * as much as the kernels' interfaces need, and as a function of the description. It lets a kernel be wrapped once, on
 * JavaScript values, and still be called by the component without anything of jco's between.
 *
 * Layouts and flattening: https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md
 */
import { cabiLower, type CanonicalOptions, type CoreFunction, type ImportedFunction } from "../kernel.js";
import { LinearMemory } from "./memory.js";

/** The next flat argument, as it arrived: signed. */
type Next = () => number | bigint;

/** A type of `wit/`, and how its values cross. */
export interface Type {
  readonly size: number;
  readonly alignment: number;
  /** How many core values it is as a result; more than one go through memory. */
  readonly width: number;
  /** From flat arguments. */
  lift(next: Next, memory: LinearMemory): unknown;
  load(memory: LinearMemory, at: number): unknown;
  store(memory: LinearMemory, at: number, value: never): void;
}

export const u32: Type = {
  size: 4,
  alignment: 4,
  width: 1,
  lift: (next) => Number(next()) >>> 0,
  load: ({ view }, at) => view.getUint32(at, true),
  store: ({ view }, at, value: number) => view.setUint32(at, value, true),
};

export const s32: Type = {
  size: 4,
  alignment: 4,
  width: 1,
  lift: (next) => Number(next()) | 0,
  load: ({ view }, at) => view.getInt32(at, true),
  store: ({ view }, at, value: number) => view.setInt32(at, value, true),
};

export const u64: Type = {
  size: 8,
  alignment: 8,
  width: 1,
  lift: (next) => BigInt.asUintN(64, BigInt(next())),
  load: ({ view }, at) => view.getBigUint64(at, true),
  store: ({ view }, at, value: bigint) => view.setBigUint64(at, value, true),
};

export const boolean: Type = {
  size: 1,
  alignment: 1,
  width: 1,
  lift: (next) => Number(next()) !== 0,
  load: ({ view }, at) => view.getUint8(at) !== 0,
  store: ({ view }, at, value: boolean) => view.setUint8(at, value ? 1 : 0),
};

/** At most eight flags, in the order of `wit/`: an object with a boolean for each. */
export function flags(...names: readonly string[]): Type {
  const set = (bits: number): Record<string, boolean> =>
    Object.fromEntries(names.map((name, place) => [name, (bits & (1 << place)) !== 0]));
  return {
    size: 1,
    alignment: 1,
    width: 1,
    lift: (next) => set(Number(next())),
    load: ({ view }, at) => set(view.getUint8(at)),
    store: ({ view }, at, value: Readonly<Record<string, boolean>>) =>
      view.setUint8(
        at,
        names.reduce((bits, name, place) => bits | (value[name] ? 1 << place : 0), 0),
      ),
  };
}

/** Names, in the order of `wit/`. */
export function enumeration(...names: readonly string[]): Type {
  const named = (number: number): string => {
    const name = names[number];
    if (name === undefined) throw new RangeError(`${number} is none of ${names.join(", ")}`);
    return name;
  };
  return {
    size: 1,
    alignment: 1,
    width: 1,
    lift: (next) => named(Number(next()) >>> 0),
    load: ({ view }, at) => named(view.getUint8(at)),
    store: ({ view }, at, name: string) => view.setUint8(at, names.indexOf(name)),
  };
}

/** Fields by their names as jco spells them, in the order of `wit/`. */
export function record(fields: Readonly<Record<string, Type>>): Type {
  let end = 0;
  const places = Object.entries(fields).map(([name, type]) => {
    const offset = aligned(end, type.alignment);
    end = offset + type.size;
    return { name, type, offset };
  });
  const alignment = Math.max(1, ...places.map(({ type }) => type.alignment));
  return {
    size: aligned(end, alignment),
    alignment,
    width: places.reduce((sum, { type }) => sum + type.width, 0),
    lift(next, memory) {
      const value: Record<string, unknown> = {};
      for (const { name, type } of places) value[name] = type.lift(next, memory);
      return value;
    },
    load(memory, at) {
      const value: Record<string, unknown> = {};
      for (const { name, type, offset } of places) value[name] = type.load(memory, at + offset);
      return value;
    },
    store(memory, at, value: Record<string, never>) {
      for (const { name, type, offset } of places) type.store(memory, at + offset, value[name] as never);
    },
  };
}

export function list(item: Type): Type {
  const items = (memory: LinearMemory, pointer: number, length: number): unknown[] => {
    const count = length >>> 0;
    const start = memory.check(pointer, count, item.size);
    const values: unknown[] = [];
    for (let index = 0; index < count; index++) values.push(item.load(memory, start + index * item.size));
    return values;
  };
  return {
    size: 8,
    alignment: 4,
    width: 2,
    lift: (next, memory) => items(memory, Number(next()), Number(next())),
    load: (memory, at) => items(memory, memory.view.getUint32(at, true), memory.view.getUint32(at + 4, true)),
    store(memory, at, values: readonly never[]) {
      const start = memory.allocate(values.length, item.size, item.alignment);
      for (let index = 0; index < values.length; index++) {
        item.store(memory, start + index * item.size, values[index] as never);
      }
      memory.view.setUint32(at, start, true);
      memory.view.setUint32(at + 4, values.length, true);
    },
  };
}

/** `undefined` is none. */
export function option(some: Type): Type {
  const offset = aligned(1, some.alignment);
  return {
    size: aligned(offset + some.size, some.alignment),
    alignment: some.alignment,
    width: 1 + some.width,
    lift(next, memory) {
      const isSome = Number(next()) !== 0;
      // What is none has its flat values, too.
      const value = some.lift(next, memory);
      return isSome ? value : undefined;
    },
    load: (memory, at) => (memory.view.getUint8(at) === 0 ? undefined : some.load(memory, at + offset)),
    store(memory, at, value: never) {
      memory.view.setUint8(at, value === undefined ? 0 : 1);
      if (value !== undefined) some.store(memory, at + offset, value);
    },
  };
}

/** Cases in the order of `wit/`, with what each carries. A value is `{ tag, val }`. Only for results, and in memory. */
export function variant(cases: Readonly<Record<string, Type | undefined>>): Type {
  const names = Object.keys(cases);
  const payloads = Object.values(cases).filter((type) => type !== undefined);
  const alignment = Math.max(1, ...payloads.map((type) => type.alignment));
  const offset = aligned(1, alignment);
  return {
    size: aligned(offset + Math.max(0, ...payloads.map((type) => type.size)), alignment),
    alignment,
    width: 2,
    lift: () => {
      throw new Error("a variant is no argument of these interfaces");
    },
    load(memory, at) {
      const tag = names[memory.view.getUint8(at)];
      if (tag === undefined) throw new RangeError(`${memory.view.getUint8(at)} is none of ${names.join(", ")}`);
      const type = cases[tag];
      return type === undefined ? { tag } : { tag, val: type.load(memory, at + offset) };
    },
    store(memory, at, { tag, val }: { tag: string; val: never }) {
      memory.view.setUint8(at, names.indexOf(tag));
      cases[tag]?.store(memory, at + offset, val);
    },
  };
}

/** What a function returns when it succeeds, and what its errors carry as `payload` when it throws them. */
export interface Outcome {
  readonly ok: Type | undefined;
  readonly error: Type;
}

/** The type of a function. */
export interface FunctionType {
  readonly parameters: readonly Type[];
  readonly result?: Type | Outcome;
}

/** How jco wants the error of a `result` thrown. */
export function payloadError(payload: unknown): Error {
  return Object.assign(new Error("refused by the kernel"), { payload });
}

/** A function on JavaScript values as a component's import, with the core function that its type makes of it. */
export function imported(type: FunctionType, call: (...lifted: never[]) => unknown): ImportedFunction {
  return Object.assign((...lifted: never[]) => call(...lifted), {
    [cabiLower]: (options: CanonicalOptions): CoreFunction => {
      const memory = new LinearMemory(options);
      const { parameters, result } = type;
      const lift = (flat: readonly (number | bigint)[]): never[] => {
        let place = 0;
        const next = (): number | bigint => flat[place++] ?? 0;
        return parameters.map((parameter) => parameter.lift(next, memory) as never);
      };
      if (result === undefined) return (...flat: (number | bigint)[]) => void call(...lift(flat));
      if ("ok" in result)
        return (...flat: (number | bigint)[]) => storeOutcome(memory, result, flat, () => call(...lift(flat)));
      if (result.width === 1) return (...flat: (number | bigint)[]) => call(...lift(flat)) as number | bigint;
      return (...flat: (number | bigint)[]) => {
        const at = memory.check(Number(flat.at(-1)), 1, result.size);
        result.store(memory, at, call(...lift(flat)) as never);
      };
    },
  });
}

function storeOutcome(
  memory: LinearMemory,
  { ok, error }: Outcome,
  flat: readonly (number | bigint)[],
  call: () => unknown,
): void {
  const alignment = Math.max(ok?.alignment ?? 1, error.alignment);
  const offset = aligned(1, alignment);
  const size = aligned(offset + Math.max(ok?.size ?? 0, error.size), alignment);
  const at = memory.check(Number(flat.at(-1)), 1, size);
  let value: unknown;
  try {
    value = call();
  } catch (thrown) {
    if (!(thrown instanceof Error && "payload" in thrown)) throw thrown;
    error.store(memory, at + offset, thrown.payload as never);
    memory.view.setUint8(at, 1);
    return;
  }
  ok?.store(memory, at + offset, value as never);
  memory.view.setUint8(at, 0);
}

function aligned(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
