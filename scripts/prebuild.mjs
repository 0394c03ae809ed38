/**
 * Runs before `npm pack`: puts the addon that was built here where node-gyp-build looks for prebuilt ones, so that whoever
 * installs the package on a system like this one needs no compiler.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

// node-gyp-build tells the two by the same file.
const library = existsSync("/etc/alpine-release") ? "musl" : "glibc";
const folder = join(root, "prebuilds", `${process.platform}-${process.arch}`);
const file = join(folder, `lio-poller.${library}.node`);
mkdirSync(folder, { recursive: true });
copyFileSync(join(root, "build/Release/lio_poller.node"), file);
const { status, error } = spawnSync("strip", ["--strip-unneeded", file], { stdio: "inherit" });
if (error || status !== 0) throw new Error(`strip failed on ${file}`, { cause: error });
console.error(`prebuilt: ${file.slice(root.length + 1)}`);
