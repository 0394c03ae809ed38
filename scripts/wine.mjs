/**
 * `npm run test:wine`: the package on Windows, as far as a Linux machine can tell. Builds the addon with MinGW and runs
 * the tests in the real node.exe under Wine.
 *
 *   wine.mjs ┬ wine/tools.mjs         what has to be installed, and what is fetched
 *            ├ wine/cross-build.mjs   the addon for Windows; wine/delay_load.cc is linked into it
 *            ├ wine/suites.mjs        what is run, and wine/report.mjs, what came of it
 *            └ wine/wine.mjs          the prefix, and programs in it
 *
 * Everything goes to `out/wine/`. Wine's speed says nothing, and what its kernel lacks is not Windows's: see
 * docs/windows.md.
 */
import { copyFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildAddon, buildProgram } from "./wine/cross-build.mjs";
import { report, verdict } from "./wine/report.mjs";
import { faultPrograms, nativePrograms, suites } from "./wine/suites.mjs";
import { fetchNode, installCommands, nodeVersions } from "./wine/tools.mjs";
import { windowsPath, Wine } from "./wine/wine.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, "out/wine");
/** The addon in which using the memory of a request after it was freed fails at once: see host/kernels/request_memory.h. */
const GUARDED = join(folder, "guarded");
/** Suites of programs that need no Node. */
const NATIVE = "native";
const FAULTS = "faults";
const known = [...suites.map(({ name }) => name), NATIVE, FAULTS];

const usage = `Usage: npm run test:wine [-- [--help] [--full] [--node VERSION]… [SUITE…]]

Builds the addon for Windows, runs the suites in node.exe under Wine, and prints
a table of them. With names: only these suites.

  --node  ${nodeVersions.join(" or ")}; both unless said
  --full  as often as it takes, and not only as often as fits into every build

Suites: ${known.join(", ")}

The exit code is 1 if anything failed, and 2 if an option is wrong. What was
printed is in out/wine/*.log; of what failed, it is printed here as well.
`;

class UsageError extends Error {}

function options() {
  let parsed;
  try {
    parsed = parseArgs({
      options: {
        help: { type: "boolean" },
        full: { type: "boolean" },
        node: { type: "string", multiple: true, default: nodeVersions },
      },
      allowPositionals: true,
    });
  } catch (error) {
    throw new UsageError(error.message);
  }
  const { values, positionals: names } = parsed;
  for (const name of names) if (!known.includes(name)) throw new UsageError(`there is no suite "${name}"`);
  for (const version of values.node) {
    if (!nodeVersions.includes(version)) throw new UsageError(`there is no Node ${version} for Wine`);
  }
  const { help, full, node } = values;
  return { help, full, versions: node, names: names.length === 0 ? known : names };
}

async function main() {
  const { help, full, versions, names } = options();
  if (help) {
    process.stdout.write(usage);
    return 0;
  }
  installCommands();
  const addon = join(folder, "addon");
  const nodes = new Map(versions.map((version) => [version, fetchNode(version, folder)]));
  console.error("> building the addon for Windows");
  await buildAddon(addon);
  if (suites.some(({ name, guarded }) => guarded && names.includes(name))) {
    await buildAddon(GUARDED, ["-DLIO_POLLER_GUARD_REQUESTS"]);
  }
  console.error("> making a Wine prefix");
  const wine = new Wine(folder, { LIO_POLLER_PREBUILD: windowsPath(addon) });
  try {
    const results = [];
    const record = (where, name, run) => {
      console.error(`> ${name}, ${where}`);
      results.push({ where, name, ...run() });
    };
    for (const [version, node] of nodes) {
      for (const usual of suites.filter(({ name }) => names.includes(name))) {
        const suite = full ? { ...usual, ...usual.full } : usual;
        record(`Node ${version}`, suite.name, () => runSuite(wine, suite, version, node));
      }
    }
    if (names.includes(NATIVE)) {
      for (const { name, source } of nativePrograms()) record(NATIVE, name, () => runProgram(wine, name, source));
    }
    if (names.includes(FAULTS)) {
      for (const { name, source } of faultPrograms()) record(FAULTS, name, () => runFault(wine, name, source));
    }
    return report(results);
  } finally {
    wine.end();
  }
}

function runSuite(wine, suite, version, node) {
  const { name, seconds, program, renamed = false, guarded = false } = suite;
  let executable = node;
  if (renamed) {
    executable = join(dirname(node), "renamed.exe");
    copyFileSync(node, executable);
  }
  const [script, ...args] = program;
  const variables = guarded ? { LIO_POLLER_PREBUILD: windowsPath(GUARDED) } : {};
  const path = windowsPath(join(root, script));
  const result = wine.run(`${name}-${version}`, seconds, executable, [path, ...args], variables);
  return { ...result, failure: verdict(suite, result.failure, result.output) };
}

function runProgram(wine, name, source) {
  const program = join(folder, "programs", `${name}.exe`);
  try {
    buildProgram(source, program);
  } catch (error) {
    return { failure: "it does not compile", output: error.message, seconds: 0 };
  }
  return wine.run(name, 60, program, []);
}

/** Passes if the program says that Wine has the fault. */
function runFault(wine, name, source) {
  const result = runProgram(wine, name, source);
  if (result.failure === "exit code 1") return { ...result, failure: undefined };
  return { ...result, failure: result.failure ?? "Wine no longer has this fault" };
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`test:wine: ${error.message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
