/**
 * Runs before the commands of `package.json`, so that each works on a fresh clone: installs what is missing, and builds
 * if a source is newer than what was built.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCES = ["assembly", "wit", "host", "src", "test", "bench", "examples", "scripts"];
const CONFIGURATION = ["package.json", "package-lock.json", "binding.gyp", "tsconfig.json", "tsconfig.dev.json"];
const STAMP = join(root, "out/.built");

/** When the newest file of a folder was changed, but for what a build puts there. */
function newest(path) {
  const status = statSync(path);
  if (!status.isDirectory()) return status.mtimeMs;
  const names = readdirSync(path).filter((name) => name !== "build");
  return Math.max(0, ...names.map((name) => newest(join(path, name))));
}

function run(what, command, ...args) {
  console.error(`> ${what}`);
  // On Windows npm is a batch file, which only a shell can start.
  const shell = command === "npm" && process.platform === "win32";
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2], shell });
  if (error) throw error;
  if (status !== 0) throw new Error(`"${[command, ...args].join(" ")}" failed`);
}

try {
  if (Number(process.versions.node.split(".")[0]) < 20) throw new Error("Node 20 or newer is needed");
  // Installing builds the addon; the build that follows sees that it is up to date.
  const installed = join(root, "node_modules/.package-lock.json");
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(root, "package-lock.json")).mtimeMs) {
    // Not "npm ci", which fails where a registry lacks an optional package of a system that this is not.
    run("installing what is missing", "npm", "install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error");
  }
  const built = existsSync(STAMP) ? statSync(STAMP).mtimeMs : 0;
  const sources = [...SOURCES, ...CONFIGURATION].map((name) => join(root, name)).filter(existsSync);
  if (Math.max(...sources.map(newest)) > built) {
    const began = new Date();
    run("building", process.execPath, join(root, "scripts/build.mjs"));
    writeFileSync(STAMP, "");
    // A source that changed while it was built is newer than this.
    utimesSync(STAMP, began, began);
  }
} catch (error) {
  console.error(`lio-poller: ${error.message}`);
  process.exitCode = 1;
}
