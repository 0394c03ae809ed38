/** What `npm install` runs: builds the native addon unless there is a prebuilt one that loads. */
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { nodeGyp } from "./node-gyp.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function loads() {
  try {
    createRequire(import.meta.url)("node-gyp-build")(root);
    return true;
  } catch {
    return false;
  }
}

if (!loads()) {
  try {
    nodeGyp(root);
  } catch (error) {
    console.error(`lio-poller: ${error.message}`);
    process.exitCode = 1;
  }
}
