/**
 * The first poller of a process that lacks something: what, its argument says. Prints how it failed, or that it did not. With
 * a second argument, the package is loaded from that file.
 */
import { strict as assert } from "node:assert";
import { close, eventfd, pipe, write } from "lio-poller/io";

type Package = typeof import("lio-poller");

const [lacking, file = "lio-poller"] = process.argv.slice(2) as [keyof typeof lack, string?];

/** Each leaves the process without something. Returns what gives it back, where that can be. */
const lack = {
  nothing: () => undefined,
  descriptors: (): (() => void) => {
    const fillers: number[] = [];
    try {
      for (;;) fillers.push(eventfd(0));
    } catch (error) {
      assert.equal((error as { code?: unknown }).code, "EMFILE");
    }
    return () => fillers.forEach(close);
  },
  WebAssembly: (): (() => void) => {
    const { WebAssembly } = globalThis;
    Reflect.deleteProperty(globalThis, "WebAssembly");
    return () => Object.assign(globalThis, { WebAssembly });
  },
  memory: (): (() => void) => {
    const { Instance } = WebAssembly;
    WebAssembly.Instance = function noRoom(): never {
      throw new RangeError("Out of memory: no room for a memory");
    } as never;
    return () => Object.assign(WebAssembly, { Instance });
  },
} as const;

function outcomeOf(call: () => unknown): string {
  try {
    call();
    return "it works";
  } catch (error) {
    const { name, code, message } = error as { name: string; code?: string; message: string };
    return `${name} ${code}: ${message}`;
  }
}

const [readEnd, writeEnd] = pipe();
const { Poller, readable } = (await import(file)) as Package;
const { SimulatedKqueue } = await import("lio-poller/sim");
const giveBack = lack[lacking]();
const first = outcomeOf(() => new Poller().close());
// Another kernel's component, which nothing has read yet.
const another = outcomeOf(() => new Poller({ kernel: new SimulatedKqueue({ flavour: "freebsd" }) }).close());
const loop = await readable(readEnd, { timeout: 1 }).then(
  () => "kept",
  ({ code }: { code: string }) => code,
);
giveBack?.();
write(writeEnd, new Uint8Array(1));
const afterwards = giveBack === undefined ? "" : outcomeOf(() => new Poller().close());
if (giveBack !== undefined) await readable(readEnd);
console.log(JSON.stringify({ first, another, loop, afterwards }));
