/**
 * The addon's tables: thousands of kernel objects and notifiers in one instance. Finding a free handle took a search
 * through all of them; now the free ones are a list.
 */
import assert from "node:assert/strict";
import { openedSince, openFiles } from "./support/descriptors.js";
import { native, platformKernel } from "./support/internals.js";
import { Random } from "./support/random.js";

type CoreFunction = (...values: number[]) => unknown;
const Kernel = native.kernels[platformKernel(undefined).name]!;

/** As many as a process may have descriptors for. */
const MOST = 10_000;

describe("a table of handles", function () {
  this.timeout(60_000);

  for (const [create, close] of [
    ["create", "close"],
    ["createNotifier", "closeNotifier"],
  ] as const) {
    it(`gives out each once, and again when it was given back in whatever order: ${create}, ${close}`, () => {
      const before = openFiles();
      const kernel = new Kernel();
      const memory = new WebAssembly.Memory({ initial: 1 });
      const view = new DataView(memory.buffer);
      const bound = (name: string): CoreFunction => kernel.bind(name, memory, undefined) as never;
      const [make, give] = [bound(create), bound(close)];
      /** Makes them, until there are so many or no descriptor is left. */
      const fill = (handles: Set<number>, count: number): void => {
        while (handles.size < count) {
          make(0);
          if (view.getUint8(0) !== 0) return;
          const handle = view.getUint32(4, true);
          assert.ok(!handles.has(handle), `${handle} is given out`);
          handles.add(handle);
        }
      };
      try {
        const handles = new Set<number>();
        fill(handles, MOST);
        const count = handles.size;
        const shuffled = [...handles];
        const random = new Random(7);
        for (let i = count - 1; i > 0; i--) {
          const other = random.below(i + 1);
          [shuffled[i], shuffled[other]] = [shuffled[other]!, shuffled[i]!];
        }
        // A half, then all: a list that is used while it has some left, and one that runs empty.
        for (const most of [count >> 1, count]) {
          for (const handle of shuffled.slice(0, most)) {
            give(handle);
            handles.delete(handle);
          }
          // What is given back twice is not given out twice.
          give(shuffled[0]!);
          fill(handles, count);
          assert.equal(handles.size, count);
          assert.ok(Math.max(...[...handles].slice(-1000)) < count, "handles are used again");
        }
      } finally {
        kernel.close();
      }
      assert.deepEqual(openedSince(before), []);
    });
  }
});
