/**
 * `close` and `using` where there is no `Symbol.dispose`, as in Node before 20.4 and in older contexts of `node:vm`: `close`
 * took the component for broken there. Where there is one, nothing here can be lacking.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { command, PASSED, programPath } from "./support/child.js";
import { FLAGS } from "./support/contexts.js";

const isNode = !("Deno" in globalThis || "bun" in process.versions);

function passes(...values: string[]): void {
  const [name, args] = command(programPath("disposable"), values);
  // Without what a runner of this suite may have brought.
  const { NODE_OPTIONS: _, ...env } = process.env;
  const flags = values[0] === "context" ? FLAGS : [];
  const { status, signal, stdout, stderr } = spawnSync(name, [...flags, ...args], { encoding: "utf8", env });
  assert.deepEqual({ status, signal, last: stdout.trimEnd() }, { status: 0, signal: null, last: PASSED }, stderr);
}

describe("what can be disposed of", () => {
  for (const realm of isNode ? ["own", "context"] : ["own"]) {
    const where = realm === "own" ? "a program" : "a context of node:vm";
    it(`can be, in ${where} to which nobody brings Symbol.dispose`, () => passes(realm, "never"));
    for (const when of ["before", "after"]) {
      for (const key of ["registered", "fresh"]) {
        it(`can be, in ${where} to which a polyfill brings a ${key} key ${when} the package is loaded`, () =>
          passes(realm, when, key));
      }
    }
  }
});
