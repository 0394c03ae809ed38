/**
 * The restricted functions of `wit/epoll.wit` on flat integers and linear memory, for kernels with core functions.
 *
 * The component's memory is where a hostile component would strike: it can point the kernel at anything in it, and its
 * allocator, which runs while a call runs, can alter anything there. So the kernel never sees that memory. It works on
 * one of the host's: changes are copied there before they are judged, and the kernel's verdicts are read there and
 * noted. Only when every change is made and counted is the component's allocator called, and only then is something
 * written to the component's memory, from which nothing is read back.
 *
 * While its allocator runs, a component may not call out: the canonical ABI has that trap.
 * https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md (`may_leave`)
 */
import type { CanonicalOptions, CoreFunction } from "../kernel.js";
import { LinearMemory } from "../sim/memory.js";
import { type Batch, type Grants, type Operation, OPERATIONS, type Refusal } from "./grants.js";

/** Bytes of `change`, `event` and `failure` in linear memory, and of the areas that results are returned in. */
const CHANGE_SIZE = 20;
const EVENT_SIZE = 12;
const FAILURE_SIZE = 12;
const FAILURE_WORDS = 3;
const LIST_AREA = 8;
const RESULT_AREA = 12;
const WAIT_AREA = 24;
/** Of a wait's result, for its 64-bit moment. */
const WAIT_ALIGNMENT = 8;

/** The discriminants of `result`, and of `wait-error`. */
const OK = 0;
const FAILED = 1;
const CHANGES = 0;

/** The discriminants of `error-code`, of those that the host gives here, and the names of those that it has to know. */
const DISCRIMINANTS = { "bad-descriptor": 0, "not-permitted": 3, "no-space": 7, "too-many-descriptors": 8 } as const;
const NAMES: readonly string[] = ["bad-descriptor", "already-exists", "not-found"];

/** So many changes, or events, cross to the kernel at once. `wit/epoll.wit` lets a wait serve no more. */
const MOST = 1024;

/*
 * The host's memory:
 *
 *    0  the area that the kernel returns its result in
 *   24  1,024 changes
 *    …  the list that the kernel returns, of events or of failures
 */
const AREA = 0;
const COPIES = WAIT_AREA;
const LIST = COPIES + MOST * CHANGE_SIZE;
const END = LIST + MOST * Math.max(EVENT_SIZE, FAILURE_SIZE);

type Lower = (options: CanonicalOptions) => CoreFunction;
type Flat = (...flat: (number | bigint)[]) => void;

/** What makes the core functions that can add something, and the one that ends it. */
export type CoreForm = Readonly<Record<"create" | "control" | "wait" | "close", Lower>>;

/** The functions as the grants allow them. */
export function restrictCore(kernel: CoreForm, grants: Grants): CoreForm {
  const host = new HostSide(kernel);
  let allocating = false;

  const enter = (): void => {
    if (allocating) throw new Error("the component called out of its allocator");
  };

  /** A copy of the bytes in the component's memory, in room that the component's allocator gives. */
  const give = (memory: LinearMemory, bytes: Uint8Array, size: number): number => {
    allocating = true;
    try {
      const pointer = memory.allocate(bytes.length / size, size);
      new Uint8Array(memory.view.buffer).set(bytes, pointer);
      return pointer;
    } finally {
      allocating = false;
    }
  };

  const giveFailures = (memory: LinearMemory, at: number, failures: Failures): void => {
    const pointer = give(memory, failures.bytes, FAILURE_SIZE);
    memory.view.setUint32(at, pointer, true);
    memory.view.setUint32(at + 4, failures.length, true);
  };

  const apply = (handle: number, memory: LinearMemory, pointer: number, length: number): Failures => {
    const count = length >>> 0;
    const start = memory.check(pointer, count, CHANGE_SIZE);
    const failures = new Failures();
    for (let first = 0; first < count; first += MOST) {
      const size = Math.min(count - first, MOST);
      // Before the kernel is asked: what it has done must be counted, even if there is no memory to tell of it.
      failures.reserve(size);
      host.bytes.set(new Uint8Array(memory.view.buffer, start + first * CHANGE_SIZE, size * CHANGE_SIZE), COPIES);
      grants.apply(handle >>> 0, new CoreBatch(host, handle >>> 0, size, first, failures));
    }
    return failures;
  };

  return {
    create: (options) => {
      const memory = new LinearMemory(options);
      return (area: number) => {
        enter();
        const at = memory.check(area, 1, RESULT_AREA);
        if (!grants.hasRoom) {
          memory.view.setUint8(at, FAILED);
          memory.view.setUint8(at + 4, DISCRIMINANTS["too-many-descriptors"]);
          memory.view.setInt32(at + 8, 0, true);
          return;
        }
        host.create(AREA);
        if (host.view.getUint8(AREA) === OK) grants.created(host.view.getUint32(AREA + 4, true));
        new Uint8Array(memory.view.buffer).set(host.bytes.subarray(AREA, AREA + RESULT_AREA), at);
      };
    },

    control: (options) => {
      const memory = new LinearMemory(options);
      return (handle: number, pointer: number, length: number, area: number) => {
        enter();
        const at = memory.check(area, 1, LIST_AREA);
        giveFailures(memory, at, apply(handle, memory, pointer, length));
      };
    },

    wait: (options) => {
      const memory = new LinearMemory(options);
      return (
        handle: number,
        pointer: number,
        length: number,
        capacity: number,
        hasTimeout: number,
        timeout: bigint,
        area: number,
      ) => {
        enter();
        const at = memory.check(area, 1, WAIT_AREA, WAIT_ALIGNMENT);
        const failures = apply(handle, memory, pointer, length);
        if (failures.length > 0) {
          giveFailures(memory, at + 12, failures);
          memory.view.setUint8(at, FAILED);
          memory.view.setUint8(at + 8, CHANGES);
          return;
        }

        // The changes are made; the wait itself has none.
        host.wait(handle >>> 0, COPIES, 0, Math.min(capacity >>> 0, MOST), hasTimeout, timeout, AREA);
        if (host.view.getUint8(AREA) !== OK) {
          new Uint8Array(memory.view.buffer).set(host.bytes.subarray(AREA, AREA + WAIT_AREA), at);
          return;
        }
        const events = host.list(AREA + 8, EVENT_SIZE);
        const room = give(memory, events, EVENT_SIZE);
        memory.view.setUint8(at, OK);
        memory.view.setUint32(at + 8, room, true);
        memory.view.setUint32(at + 12, events.length / EVENT_SIZE, true);
        memory.view.setBigUint64(at + 16, host.view.getBigUint64(AREA + 16, true), true);
      };
    },

    close: () => (handle: number) => {
      enter();
      host.close(handle >>> 0);
      grants.closed(handle >>> 0);
    },
  };
}

/** The kernel's core functions, bound to a memory that the component cannot reach. */
class HostSide {
  readonly bytes = new Uint8Array(END);
  readonly view = new DataView(this.bytes.buffer);
  readonly create: Flat;
  readonly control: Flat;
  readonly wait: Flat;
  readonly close: Flat;

  constructor(kernel: CoreForm) {
    const realloc: CanonicalOptions["realloc"] = (_old, _oldSize, _alignment, size) => {
      if (size > END - LIST) throw new RangeError(`the kernel has ${size} bytes to tell, more than it was asked for`);
      return LIST;
    };
    const options = { memory: { buffer: this.bytes.buffer }, realloc };
    this.create = kernel.create(options) as Flat;
    this.control = kernel.control(options) as Flat;
    this.wait = kernel.wait(options) as Flat;
    this.close = kernel.close(options) as Flat;
  }

  /** The bytes of a list whose pointer and length are at a place. */
  list(at: number, size: number): Uint8Array {
    const start = this.view.getUint32(at, true);
    return this.bytes.subarray(start, start + this.view.getUint32(at + 4, true) * size);
  }
}

/** Changes that were copied to the host's memory. */
class CoreBatch implements Batch {
  /** @param first which change of the component's list is the first one here */
  constructor(
    readonly host: HostSide,
    readonly handle: number,
    readonly length: number,
    readonly first: number,
    readonly failures: Failures,
  ) {
    // A component that breaks the ABI traps, as it would if jco lifted the changes.
    for (let index = 0; index < length; index++) this.operation(index);
  }

  operation(index: number): Operation {
    const number = this.host.view.getUint8(COPIES + index * CHANGE_SIZE);
    const operation = OPERATIONS[number];
    if (operation === undefined) throw new RangeError(`${number} is no operation of epoll_ctl(2)`);
    return operation;
  }

  fd(index: number): number {
    return this.host.view.getInt32(COPIES + index * CHANGE_SIZE + 4, true);
  }

  refuse(index: number, refusal: Refusal): void {
    this.failures.push(this.first + index, DISCRIMINANTS[refusal], 0);
  }

  pass(from: number, to: number): ReadonlyMap<number, string> {
    const failed = new Map<number, string>();
    const { host } = this;
    host.control(this.handle, COPIES + from * CHANGE_SIZE, to - from, AREA);
    const pointer = host.view.getUint32(AREA, true);
    const count = host.view.getUint32(AREA + 4, true);
    for (let place = 0; place < count; place++) {
      const at = pointer + place * FAILURE_SIZE;
      const index = from + host.view.getUint32(at, true);
      const tag = host.view.getUint8(at + 4);
      failed.set(index, NAMES[tag] ?? "another");
      this.failures.push(this.first + index, tag, host.view.getUint32(at + 8, true));
    }
    return failed;
  }
}

/**
 * Changes that failed, laid out as `failure`: index u32 at 0, tag u8 at 4, number s32 at 8.
 *
 * Outside the JavaScript heap, whose exhaustion would end the process: a component can name as many changes as fit into
 * its memory, and have them all refused. Here that is a RangeError, which it does not survive, but the process does.
 */
class Failures {
  #words = new Uint32Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.#words.buffer, 0, this.#length * FAILURE_SIZE);
  }

  /** Makes sure that so many more have room. @throws RangeError if there is no memory for them. */
  reserve(count: number): void {
    const needed = (this.#length + count) * FAILURE_WORDS;
    if (needed <= this.#words.length) return;
    const grown = new Uint32Array(Math.max(needed, this.#words.length * 2));
    grown.set(this.#words);
    this.#words = grown;
  }

  push(index: number, tag: number, number: number): void {
    const at = this.#length * FAILURE_WORDS;
    this.#words[at] = index;
    this.#words[at + 1] = tag;
    this.#words[at + 2] = number;
    this.#length++;
  }
}
