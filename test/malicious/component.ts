/** Instantiates `component.wat` on a kernel's core functions, as a host would. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import binaryen from "assemblyscript/binaryen";
import type { CanonicalOptions, Kernel } from "lio-poller";
import { coreFunctions } from "../simulated.js";
import { root } from "../support/internals.js";
import { registeredWith } from "./registered.js";

const ADD = 0;
const MODIFY = 1;
const DELETE = 2;
export const OPERATIONS = { add: ADD, modify: MODIFY, delete: DELETE };

/** What the allocator can do while the host works: see `component.wat`. */
export const MISCHIEF = { rewrite: 1, control: 2, wait: 4, create: 8, close: 16, grow: 32, trap: 64 };

/** Where the module has its area for results and its list of changes, and what its memory holds at first. */
export const AREA = 64;
export const LIST = 256;
export const PAGE = 65_536;

/** A refused change: which, and its error's discriminant. */
export type Refused = readonly [index: number, tag: number];

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly cabi_realloc: NonNullable<CanonicalOptions["realloc"]>;
  readonly mischief: WebAssembly.Global<"i32">;
  readonly answer: WebAssembly.Global<"i32">;
  readonly prey: WebAssembly.Global<"i32">;
  readonly handle: WebAssembly.Global<"i32">;
  readonly changes: WebAssembly.Global<"i32">;
  readonly allocations: WebAssembly.Global<"i32">;
  change(index: number, operation: number, fd: number): void;
  create(area: number): void;
  control(handle: number, pointer: number, length: number, area: number): void;
  wait(handle: number, pointer: number, length: number, area: number): void;
  close(handle: number): void;
}

let module: WebAssembly.Module | undefined;

function compiled(): WebAssembly.Module {
  if (module !== undefined) return module;
  const parsed = binaryen.parseText(readFileSync(join(root, "test/malicious/component.wat"), "utf8"));
  module = new WebAssembly.Module(parsed.emitBinary() as Uint8Array<ArrayBuffer>);
  parsed.dispose();
  return module;
}

/** The module on one opening of a kernel. */
export class Malicious {
  readonly exports: Exports;
  readonly close: () => void;
  readonly #descriptor: (handle: number) => number;

  constructor(kernel: Kernel) {
    const opened = kernel.open();
    this.close = () => opened.close();
    // The functions are bound to a memory that is there only once the instance is: they are looked up when called.
    let core: Readonly<Record<string, (...flat: (number | bigint)[]) => unknown>> = {};
    const late = (name: string) => [name, (...flat: (number | bigint)[]) => core[name]?.(...flat)] as const;
    const epoll = Object.fromEntries(["create", "control", "wait", "close"].map(late));
    const instance = new WebAssembly.Instance(compiled(), { epoll });
    this.exports = instance.exports as unknown as Exports;
    const { memory, cabi_realloc: realloc } = this.exports;
    core = coreFunctions(opened, { memory, realloc });

    const aside = new WebAssembly.Memory({ initial: 1 });
    const { descriptor } = coreFunctions(opened, { memory: aside });
    this.#descriptor = (handle) => {
      descriptor(handle, 0);
      return new DataView(aside.buffer).getInt32(4, true);
    };
  }

  get view(): DataView {
    return new DataView(this.exports.memory.buffer);
  }

  /** What the kernel has registered with the instance behind a handle. */
  registered(handle: number): readonly number[] {
    return registeredWith(this.#descriptor(handle));
  }

  /** Has the allocator do something from now on. */
  plan(mischief: number, { answer = 32_768, prey = 0, handle = 0, changes = 1 } = {}): void {
    const { exports } = this;
    exports.mischief.value = mischief;
    exports.answer.value = answer;
    exports.prey.value = prey;
    exports.handle.value = handle;
    exports.changes.value = changes;
  }

  /** Makes an epoll instance; below 0 is the complement of the error's discriminant. */
  create(): number {
    this.exports.create(AREA);
    return this.view.getUint8(AREA) === 0 ? this.view.getUint32(AREA + 4, true) : ~this.view.getUint8(AREA + 4);
  }

  write(changes: readonly (readonly [operation: keyof typeof OPERATIONS, fd: number])[]): void {
    changes.forEach(([operation, fd], index) => this.exports.change(index, OPERATIONS[operation], fd));
  }

  /** Changes by control. Returns what was refused, as the module sees it. */
  control(handle: number, changes: readonly (readonly [keyof typeof OPERATIONS, number])[]): Refused[] {
    this.write(changes);
    this.exports.control(handle, LIST, changes.length, AREA);
    return this.#refused(AREA);
  }

  /** Changes by wait. Returns what was refused, or the slots of the events. */
  wait(
    handle: number,
    changes: readonly (readonly [keyof typeof OPERATIONS, number])[] = [],
  ): { readonly refused: Refused[] } | { readonly slots: number[] } | { readonly error: number } {
    this.write(changes);
    this.exports.wait(handle, LIST, changes.length, AREA);
    const { view } = this;
    if (view.getUint8(AREA) === 0) {
      const pointer = view.getUint32(AREA + 8, true);
      const length = view.getUint32(AREA + 12, true);
      return { slots: Array.from({ length }, (_, index) => view.getUint32(pointer + index * 12 + 4, true)) };
    }
    if (view.getUint8(AREA + 8) === 0) return { refused: this.#refused(AREA + 12) };
    return { error: view.getUint8(AREA + 12) };
  }

  #refused(at: number): Refused[] {
    const { view } = this;
    const pointer = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    assert.ok(pointer + length * 12 <= view.byteLength, "a list inside the memory");
    return Array.from({ length }, (_, index) => {
      const place = pointer + index * 12;
      return [view.getUint32(place, true), view.getUint8(place + 4)] as const;
    });
  }
}
