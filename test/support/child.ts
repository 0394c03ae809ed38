/** Runs a program of `test/programs/` in a process of its own. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What a program prints last: one that ends early without a word has not passed. */
export const PASSED = "passed";

/** Ends a program that hangs; no verdict on a slow one. */
const PATIENCE = 50_000;

/** Runs a program, which asserts by itself, under the shell's limits such as `"ulimit -n 64"`. */
export function assertPasses(program: string, limits = ":"): void {
  const path = fileURLToPath(new URL(`../programs/${program}.js`, import.meta.url));
  const { status, signal, stdout, stderr } = spawnSync(
    "sh",
    ["-c", `${limits} && exec "$0" "$1"`, process.execPath, path],
    {
      encoding: "utf8",
      timeout: PATIENCE,
    },
  );
  assert.deepEqual({ status, signal, last: stdout.trimEnd() }, { status: 0, signal: null, last: PASSED }, stderr);
}
