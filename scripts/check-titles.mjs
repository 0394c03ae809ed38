/**
 * `npm run check:titles`: whether every test that there is has passed somewhere: in `npm test`, which takes a sample of the
 * generated matrices, or in `npm run test:matrices`. To be run after both, which leave the titles in out/titles/.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, "out/titles");

/** The titles of all tests, none of which is run. */
function all() {
  const args = ["node_modules/mocha/bin/mocha.js", "--no-config", "--dry-run", "--reporter", "json"];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args, "out/test/*.test.js"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`the tests cannot be listed:\n${stderr}`);
  // Files may print while they are loaded.
  return JSON.parse(stdout.slice(stdout.indexOf("{\n"))).tests.map(({ fullTitle }) => fullTitle);
}

try {
  const passed = new Set(readdirSync(folder).flatMap((file) => readFileSync(join(folder, file), "utf8").split("\n")));
  const titles = all();
  const missing = titles.filter((title) => !passed.has(title));
  if (missing.length > 0) throw new Error(`${missing.length} tests have not passed anywhere:\n${missing.join("\n")}`);
  console.log(`check:titles: all ${titles.length} tests have passed somewhere`);
} catch (error) {
  console.error(`check:titles: ${error.message}`);
  process.exitCode = 1;
}
