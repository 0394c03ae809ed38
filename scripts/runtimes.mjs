/**
 * `npm run runtimes`: the whole suite on every runtime that the package is for, and a table of what came of it.
 *
 * Of the generated matrices each takes a sample, all of them the same one: `npm run test:matrices` has the whole.
 *
 * Which runtimes, and where they come from, runtimes/installed.mjs says. Relies on a build (`scripts/ready.mjs` makes one).
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { installRuntimes, RUNTIMES, runtimeCommand } from "./runtimes/installed.mjs";

const usage = `Usage: npm run runtimes [-- [--help] [--only NAME]… [--grep TEXT] [--seed N]]

Installs the runtimes into out/runtimes/, runs the suite on each, and prints a
table of them.

  --only   a runtime of the table: node20.0, node20, node22, node24, node26,
           deno, bun
  --grep   only tests whose names contain this text
  --seed   of the sample of the generated matrices; drawn by default

The exit code is 1 if a test failed or a runtime could not be had.
`;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const suite = join(root, "scripts/suite.mjs");

async function main() {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean" },
      only: { type: "string", multiple: true, default: Object.keys(RUNTIMES) },
      grep: { type: "string", default: "" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 32)) },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const unknown = values.only.find((name) => !(name in RUNTIMES));
  if (unknown !== undefined) {
    console.error(`runtimes: there is no "${unknown}"\n\n${usage}`);
    return 2;
  }
  installRuntimes();
  const rows = [];
  for (const name of values.only) rows.push(await runSuite(name, values.grep, values.seed));
  return report(rows);
}

/** Runs the suite in two processes side by side, and resolves to what it was that ran, and what came of it. */
async function runSuite(name, grep, seed) {
  console.error(`> ${name}`);
  const files = readdirSync(join(root, "out/test"))
    .filter((file) => file.endsWith(".test.js"))
    .map((file) => file.replace(".test.js", ""));
  const halves = [0, 1].map((half) => files.filter((_, index) => index % 2 === half));
  const [one, other] = await Promise.all(halves.map((half) => runFiles(name, grep, seed, half)));
  const sum = (what) => (one[what] ?? 0) + (other[what] ?? 0);
  const worse = one.code === 0 ? other : one;
  const leftOut = [...(one.leftOut ?? []), ...(other.leftOut ?? [])];
  return { ...one, code: worse.code, signal: worse.signal, passed: sum("passed"), failed: sum("failed"), leftOut };
}

/** Runs some files of the suite, printing what fails. */
async function runFiles(name, grep, seed, files) {
  const { program, flags, env } = runtimeCommand(name);
  const child = spawn(program, [...flags, suite, grep, ...files], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...env, LIO_POLLER_SAMPLE: seed },
  });
  const ended = new Promise((resolve, reject) => child.once("error", reject).once("close", (...how) => resolve(how)));
  let summary;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("suite: ")) summary = JSON.parse(line.slice("suite: ".length));
    else console.log(line);
  }
  const [code, signal] = await ended;
  return { name, code, signal, ...summary };
}

function report(rows) {
  console.log(`\n${["runtime", "version", "delivery", "passed", "failed", "left out"].map(cell).join("")}`);
  for (const { name, version = "–", delivery = "–", passed = 0, failed = "–", leftOut = [], code, signal } of rows) {
    const how = code === 0 || failed > 0 ? "" : `  ended with ${signal ?? code}`;
    console.log([name, version, delivery, passed, failed, leftOut.length].map(cell).join("") + how);
  }
  for (const { name, leftOut = [] } of rows)
    for (const reason of leftOut) console.log(`\n${name}: left out: ${reason}`);
  console.log(
    `\nOf the generated matrices a sample was run, of seed ${rows[0].sample}: "npm run test:matrices" has all.`,
  );
  // A runtime on which nothing ran has not passed.
  const isGreen = rows.every(({ code, passed = 0, failed }) => code === 0 && failed === 0 && passed > 0);
  const sum = (what) => rows.reduce((total, row) => total + (row[what] ?? 0), 0);
  console.log(`\n${sum("passed")} passed, ${sum("failed")} failed`);
  return isGreen ? 0 : 1;
}

const cell = (text) => String(text).padEnd(12);

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`runtimes: ${error.message}`);
  process.exitCode = 1;
}
