/**
 * Ends what can be ended by `using` in a realm that may have no `Symbol.dispose`: its own, or with `"context"` one of
 * `node:vm`; a polyfill comes never, before the package is loaded or after, and takes a key of the registry or a fresh one.
 */
import { strict as assert } from "node:assert";
import vm from "node:vm";
import { PASSED } from "../support/child.js";
import { createContext, importInContext } from "../support/contexts.js";
import { openedSince, openFiles } from "../support/descriptors.js";

type Package = typeof import("lio-poller");
type Io = typeof import("lio-poller/io");

const [realm, when, key] = process.argv.slice(2) as ["own" | "context", "never" | "before" | "after", string];
const context = realm === "context" ? createContext() : undefined;
const run = <T>(text: string): T =>
  (context === undefined ? vm.runInThisContext(text) : vm.runInContext(text, context)) as T;

function polyfill(): void {
  for (const name of ["dispose", "asyncDispose"]) {
    const made = `${key === "fresh" ? "Symbol" : "Symbol.for"}("Symbol.${name}")`;
    run(`if (!Symbol.${name}) Object.defineProperty(Symbol, "${name}", { value: ${made} })`);
  }
}

if (when === "before") polyfill();
const files = ["index.js", "io.js"];
const importing = (file: string): Promise<unknown> => import(new URL(`../../../dist/${file}`, import.meta.url).href);
const modules = context === undefined ? await Promise.all(files.map(importing)) : await importInContext(files, context);
const [{ Interest, Poller, readable, watch }, { close, pipe }] = modules as [Package, Io];
if (when === "after") polyfill();

const dispose: typeof Symbol.dispose = run(`Symbol.dispose ?? Symbol.for("Symbol.dispose")`);
const asyncDispose: typeof Symbol.asyncDispose = run(`Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")`);

// What the first poller opens for all that come after.
new Poller().close();
const before = openFiles();
const closed = new Poller();
closed.notify();
closed.close();
closed.close();
assert.deepEqual(openedSince(before), []);
const disposed = new Poller();
disposed[dispose]();
assert.throws(() => disposed.stats(), { code: "ERR_POLLER_CLOSED" });
assert.deepEqual(openedSince(before), []);

const [readEnd, writeEnd] = pipe();
watch(readEnd, Interest.READABLE, () => assert.fail("it was disposed of"))[dispose]();
const iteration = watch(readEnd, Interest.READABLE);
const step = iteration.next();
await iteration[asyncDispose]();
assert.equal((await step).done, true);
await assert.rejects(readable(readEnd, { timeout: 0 }), { code: "ETIMEDOUT" });
close(readEnd);
close(writeEnd);
console.log(PASSED);
