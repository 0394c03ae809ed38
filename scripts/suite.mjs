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
const NO_DESCRIPTORS = "Deno's fs.openSync tells numbers of its own, which are no descriptors";

/** Tests that a runtime cannot run: what their names contain, and why. */
const LEFT_OUT = {
  bun: [["the core's self-test under node:wasi", "Bun's node:wasi lacks what it needs"]],
  deno: [
    ["a_regular_file", NO_DESCRIPTORS],
    ["examples/descriptors/serial.ts", NO_DESCRIPTORS],
    ["examples/descriptors/fifo.ts", NO_DESCRIPTORS],
    ["the command watch prints a line when a FIFO", NO_DESCRIPTORS],
    ["the command watch prints JSON", NO_DESCRIPTORS],
    ["the command watch tells what it cannot watch", NO_DESCRIPTORS],
  ],
};
const name = process.versions.bun ? "bun" : "Deno" in globalThis ? "deno" : "node";
const unfit = LEFT_OUT[name] ?? [];
const leftOut = [];

/** Takes tests out, and notes which and why. */
function leaveOut(suite) {
  suite.tests = suite.tests.filter((test) => {
    const [, reason] = unfit.find(([part]) => test.fullTitle().includes(part)) ?? [];
    if (reason !== undefined) leftOut.push(`${test.fullTitle()}: ${reason}`);
    return reason === undefined;
  });
  for (const each of suite.suites) leaveOut(each);
}

/** A reporter that reports nothing. */
function silent() {}

const mocha = new Mocha({ timeout: 180_000, reporter: silent });
if (process.argv[2]) mocha.fgrep(process.argv[2]);
for (const file of readdirSync(join(root, "out/test"))) {
  if (file.endsWith(".test.js")) mocha.addFile(join(root, "out/test", file));
}
await mocha.loadFilesAsync();
leaveOut(mocha.suite);

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
