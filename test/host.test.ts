/** The addon's epoll functions, called as a hostile component would: never outside its memory, never a raw descriptor. */
import assert from "node:assert/strict";
import { close, eventfd } from "lio-poller/io";
import { kernelObjects, openedSince, openFiles } from "./support/descriptors.js";
import { native } from "./support/internals.js";

type CoreFunction = (...values: (number | bigint)[]) => unknown;
interface EpollKernel {
  readonly functions: readonly string[];
  bind(name: string, memory?: WebAssembly.Memory, realloc?: (...values: number[]) => unknown): CoreFunction;
  close(): void;
}

const Kernel = native.kernels["epoll"] as unknown as new () => EpollKernel;

const PAGE = 65536;
const CHANGE = 20;
const IN = 1;
const EBADF = 0;
const EINVAL = 5;
const OUTSIDE = { name: "RangeError", code: "ERR_OUT_OF_RANGE" };

/** Pointers that no area of that size can have. */
function badPointers(size: number): number[] {
  return [PAGE, PAGE - size + 4, PAGE - 4 + (size <= 4 ? 4 : 0), 2 ** 31, 2 ** 32 - 4, 2 ** 32 - 1, 1, 2, 3, 4097];
}

describe("the addon's epoll", () => {
  let before: ReadonlyMap<number, string>;
  let kernel: EpollKernel;
  let memory: WebAssembly.Memory;
  /** What the component's allocator answers. */
  let allocate: (bytes: number) => unknown;
  let fd: number;

  beforeEach(() => {
    before = openFiles();
    kernel = new Kernel();
    memory = new WebAssembly.Memory({ initial: 1 });
    allocate = () => 8192;
    fd = eventfd(1);
  });

  afterEach(() => {
    kernel.close();
    close(fd);
    assert.deepEqual(openedSince(before), []);
  });

  const bound = (name: string): CoreFunction =>
    kernel.bind(name, memory, (_old, _size, _align, bytes) => allocate(bytes!));
  const word = (at: number): number => new DataView(memory.buffer).getUint32(at, true);

  function create(): number {
    bound("create")(0);
    assert.equal(word(0), 0);
    return word(4);
  }

  function writeChange(at: number, operation: number, descriptor: number): void {
    const view = new DataView(memory.buffer);
    view.setUint32(at, operation, true);
    view.setInt32(at + 4, descriptor, true);
    view.setUint32(at + 8, IN, true);
    view.setUint32(at + 12, descriptor, true);
    view.setUint32(at + 16, 1, true);
  }

  it("makes nothing if there is no place for its handle", () => {
    const objects = kernelObjects();
    for (const name of ["create", "createNotifier"]) {
      for (const pointer of badPointers(12)) assert.throws(() => bound(name)(pointer), OUTSIDE, `${name} ${pointer}`);
    }
    assert.deepEqual(kernelObjects(), objects);
  });

  it("looks at no change that is not wholly inside, and makes none then", () => {
    const epoll = create();
    const control = bound("control");
    writeChange(64, 0, fd);
    for (const pointer of badPointers(CHANGE)) {
      assert.throws(() => control(epoll, pointer, 1, 0), OUTSIDE, String(pointer));
    }
    for (const length of [3277, PAGE, 2 ** 31, 2 ** 32 - 1]) {
      assert.throws(() => control(epoll, 64, length, 0), OUTSIDE, String(length));
    }
    for (const pointer of badPointers(8)) assert.throws(() => control(epoll, 64, 1, pointer), OUTSIDE);
    // The change was good, so that only now it is made.
    control(epoll, 64, 1, 0);
    assert.equal(word(4), 0);
    control(epoll, 64, 1, 0);
    assert.equal(word(4), 1);
  });

  it("does not wait, nor change anything, if there is no place for the answer", () => {
    const epoll = create();
    const wait = bound("wait");
    writeChange(64, 0, fd);
    for (const pointer of [...badPointers(24), 4]) {
      assert.throws(() => wait(epoll, 64, 1, 1, 1, 0n, pointer), OUTSIDE);
    }
    for (const pointer of badPointers(CHANGE)) assert.throws(() => wait(epoll, pointer, 1, 1, 1, 0n, 0), OUTSIDE);
    wait(epoll, 64, 1, 1, 1, 0n, 0);
    assert.deepEqual([word(0), word(12)], [0, 1]);
  });

  it("knows only the handles that it gave out: never a raw descriptor", () => {
    const epoll = create();
    const handles = [epoll + 1, 7, fd, 2 ** 31, 2 ** 32 - 1];
    for (const handle of handles) {
      writeChange(64, 0, fd);
      bound("control")(handle, 64, 1, 0);
      assert.deepEqual([word(4), word(8192), word(8196)], [1, 0, EBADF], String(handle));
      bound("wait")(handle, 64, 0, 1, 1, 0n, 0);
      assert.deepEqual([word(0), word(8), word(12)], [1, 1, EBADF], String(handle));
      bound("descriptor")(handle, 0);
      assert.deepEqual([word(0), word(4)], [1, EBADF], String(handle));
      bound("attachNotifier")(handle, epoll, 0, 0, 0);
      assert.deepEqual([word(0), word(4)], [1, EBADF], String(handle));
      bound("notify")(handle);
      bound("closeNotifier")(handle);
      bound("close")(handle);
    }
    bound("descriptor")(epoll, 0);
    assert.equal(word(0), 0);
  });

  it("shares no handles between two tables", () => {
    const epoll = create();
    const other = new Kernel();
    other.bind("descriptor", memory)(epoll, 0);
    assert.deepEqual([word(0), word(4)], [1, EBADF]);
    other.close();
  });

  it("refuses operations that epoll_ctl(2) does not have", () => {
    const epoll = create();
    for (const operation of [3, 4, 255]) {
      writeChange(64, operation, fd);
      bound("control")(epoll, 64, 1, 0);
      assert.deepEqual([word(4), word(8196)], [1, EINVAL], String(operation));
    }
  });

  it("refuses room for no event", () => {
    const epoll = create();
    bound("wait")(epoll, 64, 0, 0, 1, 0n, 0);
    assert.deepEqual([word(0), word(8), word(12)], [1, 1, EINVAL]);
  });

  it("believes no pointer that the allocator answers", () => {
    const epoll = create();
    writeChange(64, 0, fd);
    bound("control")(epoll, 64, 1, 0);
    for (const pointer of badPointers(12)) {
      allocate = () => pointer;
      assert.throws(() => bound("wait")(epoll, 64, 0, 1, 1, 0n, 0), OUTSIDE, `events to ${pointer}`);
      assert.throws(() => bound("control")(epoll, 64, 1, 0), OUTSIDE, `failures to ${pointer}`);
    }
  });

  it("believes no place for lists that it is told of instead", () => {
    const epoll = create();
    writeChange(64, 0, fd);
    bound("control")(epoll, 64, 1, 0);
    const wait = (landing: unknown, landingBytes: unknown): unknown => {
      const realloc = Object.assign(() => 8192, { landing, landingBytes });
      return kernel.bind("wait", memory, realloc)(epoll, 0, 0, 8, 1, 0n, 0);
    };
    for (const pointer of badPointers(12)) assert.throws(() => wait(pointer, 2 ** 32 - 1), OUTSIDE);
    wait(4096, 12);
    assert.deepEqual([word(0), word(8), word(12)], [0, 4096, 1]);
    for (const bytes of [11, 0, undefined, "12", {}]) {
      wait(4096, bytes);
      assert.deepEqual([word(0), word(8), word(12)], [0, 8192, 1], String(bytes));
    }
  });

  it("passes on what the allocator throws", () => {
    const epoll = create();
    writeChange(64, 0, fd);
    bound("control")(epoll, 64, 1, 0);
    const failure = new Error("no memory");
    allocate = () => {
      throw failure;
    };
    assert.throws(() => bound("wait")(epoll, 64, 0, 1, 1, 0n, 0), failure);
    assert.throws(() => bound("control")(epoll, 64, 1, 0), failure);
  });

  it("finds memory again that has grown between calls or while it allocates", () => {
    const epoll = create();
    const wait = bound("wait");
    writeChange(64, 0, fd);
    bound("control")(epoll, 64, 1, 0);
    memory.grow(1);
    wait(epoll, 64, 0, 1, 1, 0n, PAGE);
    assert.deepEqual([word(PAGE), word(PAGE + 12), word(word(PAGE + 8) + 4)], [0, 1, fd]);
    allocate = () => {
      memory.grow(1);
      return 2 * PAGE;
    };
    wait(epoll, 64, 0, 1, 1, 0n, 0);
    assert.deepEqual([word(8), word(12), word(2 * PAGE + 4)], [2 * PAGE, 1, fd]);
  });

  it("stands wrong types, missing arguments and functions that were given no memory", () => {
    const wrong = [undefined, null, "1", {}, 1.5, Number.NaN, Symbol("1")] as never[];
    for (const name of kernel.functions) {
      for (const value of wrong) {
        for (const call of [bound(name), kernel.bind(name), kernel.bind(name, {} as never)]) {
          try {
            call(value, value, value, value, value, value, value);
            call();
          } catch (error) {
            assert.ok(error instanceof Error);
          }
        }
      }
    }
    assert.throws(() => kernel.bind("no such function", memory), TypeError);
  });

  it("stands names that nothing can be made of, which once ended the process", () => {
    const wrong = [undefined, null, 1, 1n, {}, Symbol("wait"), { toString: () => assert.fail("converted") }] as never[];
    for (const name of wrong) {
      assert.throws(() => kernel.bind(name, memory), TypeError);
      native.notify(name);
    }
  });

  it("believes no allocator that answers something else than a pointer", () => {
    const epoll = create();
    writeChange(64, 0, fd);
    bound("control")(epoll, 64, 1, 0);
    for (const answer of [undefined, "64", {}, 64n]) {
      allocate = () => answer;
      assert.throws(() => bound("wait")(epoll, 64, 0, 1, 1, 0n, 0), OUTSIDE);
      assert.throws(() => bound("control")(epoll, 64, 1, 0), OUTSIDE);
    }
  });

  it("tells with a wait when it ended, by the clock that it has", () => {
    const epoll = create();
    const moment = (): bigint => new DataView(memory.buffer).getBigUint64(16, true);
    const clock = new BigUint64Array(native.clock.moment);
    const now = (): bigint => {
      native.clock.read();
      return clock[0] as bigint;
    };
    for (const nanoseconds of [0n, 1n, 2_000_000n]) {
      const began = now();
      bound("wait")(epoll, 64, 0, 8, 1, nanoseconds, 0);
      assert.ok(moment() >= began + nanoseconds && moment() <= now());
    }
  });

  it("closes everything that a table still holds", () => {
    const objects = kernelObjects();
    for (let i = 0; i < 3; i++) create();
    bound("createNotifier")(0);
    assert.deepEqual(kernelObjects(), { epolls: objects.epolls + 3, eventfds: objects.eventfds + 1 });
    kernel.close();
    assert.deepEqual(kernelObjects(), objects);
  });
});
