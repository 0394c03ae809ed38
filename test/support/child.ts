/** Runs a program of `test/programs/` in a process of its own. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What a program prints last: one that ends early without a word has not passed. */
export const PASSED = "passed";

/** Ends a program that hangs; no verdict on a slow one. */
const PATIENCE = 50_000;

/** How this runtime is told to run a program. */
export function command(path: string, args: readonly string[] = []): [string, string[]] {
  return [process.execPath, [...("Deno" in globalThis ? ["run", "--allow-all"] : []), path, ...args]];
}

/** How this runtime is told to run a text, as a module. */
export function evaluation(text: string): [string, string[]] {
  if ("Deno" in globalThis) return [process.execPath, ["eval", "--ext=mjs", text]];
  return [process.execPath, [...("bun" in process.versions ? [] : ["--input-type=module"]), "--eval", text]];
}

/** Where a program of `test/programs/` is. */
export function programPath(name: string): string {
  return fileURLToPath(new URL(`../programs/${name}.js`, import.meta.url));
}

export interface Ending {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export function run(program: string, args: readonly string[]): Ending {
  const [name, all] = command(programPath(program), args);
  if (process.platform === "win32") return runIntoFiles(name, all);
  const { status, signal, stdout, stderr, error } = spawnSync(name, all, { encoding: "utf8", timeout: PATIENCE });
  if (error) throw error;
  return { status, signal, stdout, stderr };
}

/** For Wine, where node.exe fails if its output is a pipe. */
function runIntoFiles(name: string, args: readonly string[]): Ending {
  const folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
  const paths = ["stdout", "stderr"].map((file) => join(folder, file));
  const files = paths.map((path) => openSync(path, "w"));
  try {
    const { status, signal, error } = spawnSync(name, args, { stdio: ["ignore", ...files], timeout: PATIENCE });
    if (error) throw error;
    const [stdout, stderr] = paths.map((path) => readFileSync(path, "utf8")) as [string, string];
    return { status, signal, stdout, stderr };
  } finally {
    for (const file of files) closeSync(file);
    rmSync(folder, { recursive: true });
  }
}

/** Runs a program, which asserts by itself, under the shell's limits such as `"ulimit -n 64"`. */
export function assertPasses(program: string, limits = ":", ...given: readonly string[]): void {
  const [name, args] = command(programPath(program), given);
  const { status, signal, stdout, stderr } = spawnSync("sh", ["-c", `${limits} && exec "$0" "$@"`, name, ...args], {
    encoding: "utf8",
    timeout: PATIENCE,
  });
  assert.deepEqual({ status, signal, last: stdout.trimEnd() }, { status: 0, signal: null, last: PASSED }, stderr);
}
