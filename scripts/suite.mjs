/**
 * The suite in the runtime that runs this, whichever it is: mocha as a library, for its command starts processes of Node's.
 *
 * Prints failures as they come, and at last one line, `suite: `, with the counts as JSON.
 */
import { readdirSync } from "node:fs";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import Mocha from "mocha";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const isBun = process.versions.bun !== undefined;

/** A reporter that reports nothing. */
function silent() {}

/** Tests that a runtime cannot run, with the reason. */
const LEFT_OUT = {
  "selftest.test.js": isBun && "the core's self-test: Bun's node:wasi lacks what it needs",
};

const files = readdirSync(join(root, "out/test")).filter((name) => name.endsWith(".test.js"));
const leftOut = files.map((name) => LEFT_OUT[name]).filter(Boolean);
const mocha = new Mocha({ timeout: 180_000, reporter: silent });
if (process.argv[2]) mocha.fgrep(process.argv[2]);
for (const name of files) if (!LEFT_OUT[name]) mocha.addFile(join(root, "out/test", name));
await mocha.loadFilesAsync();

const { Poller } = await import("lio-poller");
const poller = new Poller();
poller.attach(() => {});
const { delivery } = poller;
poller.close();

let passed = 0;
let failed = 0;
const runner = mocha.run(() => {
  const version = process.versions.bun ?? process.versions.deno ?? process.versions.node;
  console.log(`suite: ${JSON.stringify({ version, delivery, passed, failed, leftOut })}`);
  process.exit(failed === 0 ? 0 : 1);
});
runner.on("pass", () => passed++);
runner.on("fail", (test, error) => {
  failed++;
  console.log(`✗ ${test.fullTitle()}\n${String(error?.stack ?? error).replaceAll(/^/gm, "    ")}`);
});
