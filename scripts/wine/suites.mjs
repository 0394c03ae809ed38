/** What `npm run test:wine` runs: suites of JavaScript in node.exe, and programs in C++ for what JavaScript cannot reach. */
import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Tests that are the same on every system. Starting Wine takes longer than most of them, so they run in one process. */
const PORTABLE = ["contract-format", "contract-runner", "sim"];

/** Tests of delivery in the event loop. Which of them AFD cannot hold, and why, suite.mjs says. */
const LOOP = ["attach", "ghosts", "pending-errors", "watch"];

function mocha(...files) {
  // Without the configuration, whose files are all of them.
  const options = ["--no-config", "--timeout", "60000", "--reporter", "spec", "--no-color"];
  return ["node_modules/mocha/bin/mocha.js", ...options, ...files];
}

const tests = PORTABLE.map((name) => `out/test/${name}.test.js`);

/**
 * A name; the program, from the package's folder, and its arguments; how many seconds it may take; what it must print.
 * A renamed node.exe must do as well: what is imported from "node.exe" is to be found in it. Under Wine, what is guarded
 * runs with an addon that notices at once if the kernel's memory was freed too early.
 */
export const suites = [
  { name: "smoke", program: ["out/test/windows/smoke.js"], seconds: 60, expects: ["passed"] },
  { name: "renamed", program: ["out/test/windows/smoke.js"], seconds: 60, expects: ["passed"], renamed: true },
  {
    name: "io",
    program: mocha("out/test/windows/io.js", "out/test/windows/errors.js"),
    seconds: 120,
    expects: ["passing"],
  },
  { name: "iocp", program: mocha("out/test/windows/iocp.js"), seconds: 120, expects: ["passing"] },
  {
    name: "attached",
    program: mocha("out/test/windows/attached.js", "out/test/windows/command.js"),
    seconds: 120,
    expects: ["passing"],
    guarded: true,
  },
  { name: "loop", program: ["scripts/suite.mjs", "", ...LOOP], seconds: 120, expects: ['"failed":0'] },
  {
    name: "endurance",
    program: ["out/test/windows/endurance.js", "1000", "100", "6"],
    full: { program: ["out/test/windows/endurance.js", "10000", "1000", "20"], seconds: 600 },
    seconds: 100,
    expects: ["endured"],
    guarded: true,
  },
  { name: "contract", program: ["out/test/contract/table.js"], seconds: 300, expects: [" passed, 0 failed"] },
  { name: "portable", program: mocha(...tests), seconds: 300, expects: ["passing"] },
  { name: "start", program: ["out/examples/echo/main.js", "--clients", "60", "--messages", "50"], seconds: 120 },
];

function programsIn(folder) {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".cc"))
    .toSorted()
    .map((file) => ({ name: basename(file, ".cc"), source: join(folder, file) }));
}

const programs = join(root, "test/native/windows");

/** Programs without Node: each exits with 0 if all is as it is on Windows. */
export function nativePrograms() {
  return programsIn(programs);
}

/**
 * Programs that exit with 1 because Wine does what Windows does not: what the rest may blame on Wine. One that exits with
 * 0 has no place here any longer.
 */
export function faultPrograms() {
  return programsIn(join(programs, "wine"));
}
