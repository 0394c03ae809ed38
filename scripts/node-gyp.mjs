/**
 * Runs node-gyp, without a download where that can be.
 *
 * node-gyp fetches Node's headers unless it is told where they are. Node's own distributions and the usual packages
 * ship them beside the running `node`, so those are used if they are there.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);

/** Builds the addon whose `binding.gyp` is in that folder; does nothing if it is up to date. */
export function nodeGyp(folder) {
  const prefix = dirname(dirname(process.execPath));
  const headers = existsSync(join(prefix, "include/node/node_api.h")) ? [`--nodedir=${prefix}`] : [];
  for (const command of ["configure", "build"]) {
    const { status, stdout, stderr, error } = spawnSync(process.execPath, [program(), command, ...headers], {
      cwd: folder,
      encoding: "utf8",
    });
    if (error) throw error;
    if (status === 0) continue;
    process.stderr.write(stdout + stderr);
    throw new Error("the native addon could not be built. It needs Python, make and a C++17 compiler");
  }
}

/** node-gyp of this package, if it is installed for development, or of the npm that runs us. */
function program() {
  const npm = process.env.npm_execpath;
  const beside = join(dirname(process.execPath), "../lib/node_modules/npm");
  for (const place of [fileURLToPath(import.meta.url), npm, beside]) {
    if (place === undefined) continue;
    try {
      return require.resolve("node-gyp/bin/node-gyp.js", { paths: [place] });
    } catch {
      // The next place may have it.
    }
  }
  throw new Error("node-gyp was not found: it comes with npm");
}
