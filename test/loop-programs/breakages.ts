/**
 * Whether the random programs notice when the package is broken: each breakage of `breakages.json` changes one place of
 * the compiled package, in a copy of it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/internals.js";

interface Breakage {
  /** What holds no more. */
  readonly rule: string;
  /** In `dist/`. */
  readonly file: string;
  /** Stands there once. */
  readonly find: string;
  readonly replace: string;
}

const COPIED = ["dist", "out/test/loop-programs", "out/test/support", "out/test/contract"];
const LINKED = ["package.json", "node_modules", "build", "test", "out-native"];
/** Seconds after which what was not told is lost: a breakage that is noticed late is noticed. */
const PATIENCE = 1;
/** Programs that the package must pass as it is. */
const SOUND = 200;
const LANES = 2;

/** Copies the package, with one place changed. Returns the program's path there. */
function copy(folder: string, breakage: Breakage | undefined): string {
  rmSync(folder, { recursive: true, force: true });
  for (const name of COPIED) cpSync(join(root, name), join(folder, name), { recursive: true });
  for (const name of LINKED) symlinkSync(join(root, name), join(folder, name));
  // Found by its real path, the package would be the one that is whole.
  rmSync(join(folder, "package.json"));
  cpSync(join(root, "package.json"), join(folder, "package.json"));
  if (breakage !== undefined) change(join(folder, "dist", breakage.file), breakage);
  return join(folder, "out/test/loop-programs/main.js");
}

function change(path: string, { rule, find, replace }: Breakage): void {
  const text = readFileSync(path, "utf8");
  if (text.split(find).length !== 2) throw new Error(`"${rule}": ${path} must contain this once:\n${find}`);
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
}

/** Runs programs until one fails. Returns how many that took and how it failed, or `undefined` if all passed. */
async function firstFailure(program: string, seeds: number): Promise<string | undefined> {
  const args = [program, "--seeds", String(seeds), "--patience", String(PATIENCE)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text = (text + chunk).slice(0, 100_000)));
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  if (code === 0) return undefined;
  const [, seed, what] = /^seed (\d+): (.*)$/m.exec(text) ?? [];
  if (seed !== undefined) return `${seed} programs: ${what}`;
  return `ended with ${signal ?? code}: ${text.trim().split("\n", 1)[0]}`;
}

/** Tells of each breakage how many programs it took. Returns whether all are noticed, and nothing else is. */
export async function runBreakages(seeds: number, only: string): Promise<boolean> {
  const folder = join(root, "out-native/loop-programs");
  mkdirSync(folder, { recursive: true });
  const source = join(root, "test/loop-programs/breakages.json");
  const all = (JSON.parse(readFileSync(source, "utf8")) as Breakage[]).filter(({ rule }) =>
    new RegExp(only).test(rule),
  );
  const whole = await firstFailure(copy(join(folder, "whole"), undefined), Math.min(seeds, SOUND));
  if (whole !== undefined) {
    console.error(`the package as it is: ${whole}`);
    return false;
  }
  const left = [...all];
  let noticed = 0;
  const lanes = Array.from({ length: LANES }, async (_, lane) => {
    for (let breakage = left.shift(); breakage !== undefined; breakage = left.shift()) {
      const program = copy(join(folder, `broken-${lane}`), breakage);
      const how = await firstFailure(program, seeds);
      if (how !== undefined) noticed++;
      console.log(
        `${how === undefined ? "SURVIVED" : "noticed"}: ${breakage.rule}${how === undefined ? "" : `\n    ${how}`}`,
      );
    }
  });
  await Promise.all(lanes);
  console.log(`breakages: ${noticed} of ${all.length} noticed`);
  return noticed === all.length && all.length > 0;
}
