/** Which test files have generated matrices, of which a run may take a sample: those that ask test/support/sample.ts. */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "test");

/** Their names, without `.test.ts`. */
export function filesWithMatrices() {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".test.ts"))
    .filter((file) => readFileSync(join(folder, file), "utf8").includes('"./support/sample.js"'))
    .map((file) => file.replace(".test.ts", ""));
}
