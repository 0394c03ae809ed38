/**
 * `npm run coverage`: which lines of `src/` and `host/`, and which statements of `assembly/`, the suite executes.
 *
 *   src/        V8's own counts, mapped to the sources by c8
 *   host/       a build with clang's counters, by llvm-cov; what ends without exit(3), as a killed child does, is not counted
 *   assembly/   a build of each kernel's core that tells an import before every statement; optimized as the one that is shipped
 *
 *   --again    reports on what the last run has left, without another one
 *
 * Prints a line per file, and what is not covered with its reason, from test/coverage/reasons.json. Decides nothing.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { compileCore, kernels } from "./component.mjs";
import { coreFiles } from "./mutants/sites.mjs";
import { instrument } from "./coverage/instrument.mjs";
import { buildAddon, root, run } from "./native.mjs";

const isAgain = process.argv.includes("--again");
const folder = join(root, "out-coverage");
const [core, v8, clang, report] = ["core", "v8", "clang", "report"].map((name) => join(folder, name));

async function instrumentCores() {
  const names = await kernels();
  const files = [...new Set(names.flatMap(coreFiles))];
  const statements = [];
  const texts = Object.fromEntries(files.map((file) => [file, instrument(file, statements)]));
  for (const kernel of names) writeFileSync(join(core, `${kernel}.wasm`), await compileCore(kernel, texts));
  return statements;
}

/** Counts by file and line: `Map<file, Map<line, executed>>`. */
function linesOfCore(statements) {
  const hits = new Set();
  for (const name of readdirSync(core).filter((file) => file.endsWith(".json"))) {
    for (const id of JSON.parse(readFileSync(join(core, name), "utf8"))) hits.add(id);
  }
  const files = new Map();
  statements.forEach(({ file, line }, id) => note(files, file, line, hits.has(id)));
  return files;
}

function note(files, file, line, isExecuted) {
  const lines = files.get(file) ?? new Map();
  // Where several are on a line, one that is missing is told.
  lines.set(line, (lines.get(line) ?? true) && isExecuted);
  files.set(file, lines);
}

function linesOfLcov(text, prefix) {
  const files = new Map();
  let file;
  for (const line of text.split("\n")) {
    if (line.startsWith("SF:")) file = relative(root, join(root, relative(root, line.slice(3)) || ""));
    const [, number, count] = /^DA:(\d+),(\d+)/.exec(line) ?? [];
    if (number !== undefined && file.startsWith(prefix)) note(files, file, Number(number), count !== "0");
  }
  return files;
}

function output(command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout;
}

function linesOfHost(addon) {
  const data = join(clang, "all.profdata");
  const raw = readdirSync(clang).filter((name) => name.endsWith(".profraw"));
  output("llvm-profdata", "merge", "-sparse", ...raw.map((name) => join(clang, name)), "-o", data);
  return linesOfLcov(output("llvm-cov", "export", "-format=lcov", `-instr-profile=${data}`, addon), "host/");
}

function linesOfSource() {
  const c8 = join(root, "node_modules/c8/bin/c8.js");
  const options = ["--temp-directory", v8, "--reporter", "lcovonly", "--reports-dir", report, "--exclude-after-remap"];
  output(process.execPath, c8, "report", ...options, "--include", "src/**", "--exclude", "out/**");
  return linesOfLcov(readFileSync(join(report, "lcov.info"), "utf8").replaceAll(/^SF:(?!\/)/gm, `SF:${root}/`), "src/");
}

const reasons = JSON.parse(readFileSync(join(root, "test/coverage/reasons.json"), "utf8"));

function reasonFor(file, text) {
  return reasons.find((entry) => entry.file === file && text.includes(entry.line))?.reason;
}

function print(title, files) {
  let [executed, all, unexplained] = [0, 0, 0];
  console.log(`\n${title}`);
  for (const [file, lines] of [...files].toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    const missing = [...lines].filter(([, isExecuted]) => !isExecuted).map(([line]) => line);
    executed += lines.size - missing.length;
    all += lines.size;
    const share = ((1 - missing.length / lines.size) * 100).toFixed(1).padStart(5);
    console.log(`  ${share} %  ${lines.size - missing.length} of ${lines.size}  ${file}`);
    const source = readFileSync(join(root, file), "utf8").split("\n");
    for (const line of missing.toSorted((one, other) => one - other)) {
      const text = source[line - 1].trim();
      const reason = reasonFor(file, text);
      if (reason === undefined) unexplained++;
      console.log(`           ${line}: ${text.slice(0, 90)}   ${reason === undefined ? "NO REASON" : `(${reason})`}`);
    }
  }
  const summary = `${title}: ${((executed / all) * 100).toFixed(1)} %, ${executed} of ${all}; ${unexplained} without a reason`;
  console.log(`  ${summary}`);
  return summary;
}

if (!isAgain) rmSync(folder, { recursive: true, force: true });
for (const path of [core, v8, clang, report]) mkdirSync(path, { recursive: true });
const statements = await instrumentCores();
const built = await buildAddon("coverage", ["-O0", "-fprofile-instr-generate", "-fcoverage-mapping"]);
const environment = {
  ...process.env,
  NODE_OPTIONS: `--import ${join(root, "out/test/coverage/collect.js")}`,
  COVERAGE_FOLDER: core,
  NODE_V8_COVERAGE: v8,
  LLVM_PROFILE_FILE: `${clang}/%p.profraw`,
  LIO_POLLER_PREBUILD: built,
};
// Programs that end without a descriptor left cannot write down what they have counted.
const left = ["--grep", "echo server without descriptors|say EMFILE", "--invert"];
const mocha = [join(root, "node_modules/mocha/bin/mocha.js"), "--ignore", "out/test/package.test.js", ...left];
const status = isAgain ? 0 : await run(process.execPath, mocha, { env: environment });
// Tests that measure memory or calls see the instruments, and may fail for them.
if (status !== 0) console.log(`${status} tests failed under instruments; the rest counts`);

const addon = join(built, "build/Release/lio_poller.node");
const summaries = [
  print("lines of src/", linesOfSource()),
  print("lines of host/", linesOfHost(addon)),
  print("statements of assembly/, by line", linesOfCore(statements)),
];
console.log(`\n${summaries.join("\n")}`);
