/**
 * `npm test`: the suite, its files side by side, with a sample of the generated matrices.
 *
 *   test.mjs ┬ test/reporter.mjs   dots, counts, and the titles of what passed, for `npm run check:titles`
 *            └ test/matrices.mjs   which files have matrices: test/support/sample.ts
 *
 * What a run leaves out is told at its end, with the seed of the sample. Relies on a build (`scripts/ready.mjs` makes one).
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { filesWithMatrices } from "./test/matrices.mjs";

const usage = `Usage: npm test [-- [--help] [--seed N | --whole] [--matrices] [MOCHA'S OPTION…]]

Runs the tests, two files or more at a time. Of the generated matrices (cells of
errors, random programs) a sample is run, drawn by a seed that is printed.

  --seed N     the seed of the sample, 0 to 2^32 - 1; another at each run by default
  --whole      everything, which takes three times as long
  --matrices   only the files that have matrices

Mocha's options, such as "--grep TEXT" and "--bail", are passed on.
The exit code is 1 if a test failed, and 2 if an option is wrong.
`;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** What takes longest comes first, so that nothing is left to one process at the end. */
const LONG = ["contract", "echo", "attach", "dropped", "unload", "restrict", "storm"];

class UsageError extends Error {}

function options() {
  const { tokens, values } = parseArgs({
    options: {
      help: { type: "boolean" },
      seed: { type: "string" },
      whole: { type: "boolean" },
      matrices: { type: "boolean" },
    },
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const { help, seed, whole, matrices } = values;
  if (seed !== undefined && !(/^\d+$/.test(seed) && Number(seed) < 2 ** 32)) {
    throw new UsageError(`--seed must be an integer from 0 to 2^32 - 1, not "${seed}"`);
  }
  if (seed !== undefined && whole) throw new UsageError("--seed and --whole exclude each other");
  // The words of the command line that are mocha's, as they stand.
  const own = new Set();
  for (const { kind, name, index, inlineValue } of tokens) {
    if (kind !== "option" || !["help", "seed", "whole", "matrices"].includes(name)) continue;
    own.add(index);
    if (name === "seed" && !inlineValue) own.add(index + 1);
  }
  const passedOn = process.argv.slice(2).filter((_, index) => !own.has(index));
  return { help, seed: seed ?? String(Math.floor(Math.random() * 2 ** 32)), whole, matrices, passedOn };
}

function testFiles(onlyMatrices) {
  const names = onlyMatrices
    ? filesWithMatrices()
    : readdirSync(join(root, "out/test"))
        .filter((file) => file.endsWith(".test.js"))
        .map((file) => file.replace(".test.js", ""));
  const rank = (name) => (LONG.includes(name) ? LONG.indexOf(name) : LONG.length);
  return names.toSorted((one, other) => rank(one) - rank(other)).map((name) => `out/test/${name}.test.js`);
}

/** Resolves to mocha's exit code. */
function mocha(files, passedOn, variables) {
  const args = ["node_modules/mocha/bin/mocha.js", "--no-config", "--enable-source-maps", "--timeout", "60000"];
  // Many tests wait for something, and leave their processor to others.
  args.push("--parallel", "--jobs", String(availableParallelism() + 1));
  args.push("--reporter", join(root, "scripts/test/reporter.mjs"), ...passedOn, ...files);
  const child = spawn(process.execPath, args, { cwd: root, stdio: "inherit", env: { ...process.env, ...variables } });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}

function tellWhatWasLeftOut(file, seed) {
  if (!existsSync(file)) return;
  console.log(`\nLeft to .ci/run, which has all of it as "npm run test:matrices" (sample: --seed ${seed}):`);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  for (const line of [...new Set(lines)].toSorted()) console.log(`  ${line}`);
}

async function main() {
  const { help, seed, whole, matrices, passedOn } = options();
  if (help) {
    process.stdout.write(usage);
    return 0;
  }
  const temporary = mkdtempSync(join(tmpdir(), "lio-poller-test-"));
  try {
    const leftOut = join(temporary, "left-out");
    const variables = {};
    if (!whole) Object.assign(variables, { LIO_POLLER_SAMPLE: seed, LIO_POLLER_LEFT_OUT: leftOut });
    // What mocha was told to leave out is known to nobody else.
    const titles = join(root, `out/titles/${matrices ? "matrices" : "test"}.txt`);
    if (passedOn.length === 0) variables.LIO_POLLER_TITLES = titles;
    const code = await mocha(testFiles(matrices), passedOn, variables);
    tellWhatWasLeftOut(leftOut, seed);
    return code === 0 ? 0 : 1;
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`test: ${error.message}`);
  if (error instanceof UsageError) console.error(`\n${usage}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
