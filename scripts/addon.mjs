/**
 * Makes sure that there is a native addon: a prebuilt one that fits, or one built here.
 *
 * node-gyp downloads Node's headers unless it is told where they are. Node's own distributions and the usual packages
 * ship them beside the running `node`, so those are used if they are there.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);

/** Whether the addon that is there, if any, loads. */
function loads() {
  try {
    require("node-gyp-build")(root);
    return true;
  } catch {
    return false;
  }
}

/** node-gyp, from this package's dependencies or from the npm that runs us. */
function nodeGyp() {
  const npm = process.env.npm_execpath;
  const places = [root, ...(npm ? [dirname(dirname(npm))] : []), join(dirname(process.execPath), "../lib/node_modules/npm")];
  for (const place of places) {
    try {
      return require.resolve("node-gyp/bin/node-gyp.js", { paths: [place] });
    } catch {
      // The next place may have it.
    }
  }
  throw new Error('node-gyp was not found. Install it with "npm install -g node-gyp", then run "npm rebuild lio-poller"');
}

function build() {
  const prefix = dirname(dirname(process.execPath));
  const headers = existsSync(join(prefix, "include/node/node_api.h")) ? [`--nodedir=${prefix}`] : [];
  const { status, error } = spawnSync(process.execPath, [nodeGyp(), "rebuild", "--silent", ...headers], {
    cwd: root,
    stdio: "inherit",
  });
  if (error) throw error;
  if (status !== 0) throw new Error("the native addon could not be built: a C++17 compiler, make and Python are needed");
}

if (process.argv.includes("--rebuild") || !loads()) {
  try {
    build();
  } catch (error) {
    console.error(`lio-poller: ${error.message}`);
    process.exitCode = 1;
  }
}
