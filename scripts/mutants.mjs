/**
 * `npm run mutants`: whether the tests notice when the core is changed.
 *
 *   --sampled N    so many mechanical mutants: see mutants/sites.mjs; default 400
 *   --handmade N   so many of those in test/mutants/handmade.json, one for each rule and fault; default: all
 *   --seed S       which ones, and in which order; default 1. A smaller number is the beginning of a larger one
 *   --kernel K     of which kernel's component; default epoll
 *   --only PATTERN those whose description matches the regular expression
 *
 * Each mutant is compiled from its source, and runs in processes of its own that may use so much processor time: whoever
 * does not come to an end is caught. First the contract and random programs on the simulated kernel; what survives those
 * meets the core's self-test and the suite. A mutant that does not compile, or that compiles to the same, is none, and
 * another is taken.
 *
 * Fails if a hand-made mutant survives, if more than one in twenty of the sampled ones does that
 * test/mutants/equivalent.json does not list with its reason, or if one that is listed is caught.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { changed, coreFiles, sitesOf } from "./mutants/sites.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, "out-mutants");
const MOST_SURVIVORS = 0.05;
/** Seconds of processor time. The quick suite needs 4. */
const QUICK = 30;
const THOROUGH = 180;
/** What is in the suite that can catch more, quickest first. */
const TESTS =
  "selftest proved rearming stats timers lifecycle events arguments waiting notifier trap lifting faults memory attach watch cells";
/** Tests that depend on signals or on garbage collection: one that fails by chance would count as a catch. */
const BY_CHANCE = "dropped|collected|signals";

const { values } = parseArgs({
  options: {
    sampled: { type: "string", default: "400" },
    handmade: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    kernel: { type: "string", default: "epoll" },
    only: { type: "string", default: "" },
  },
});
const { kernel, only } = values;

function read(name) {
  return JSON.parse(readFileSync(join(root, "test/mutants", name), "utf8"));
}

/** Puts an array in an order that follows from the seed: mulberry32 draws, Fisher and Yates shuffle. */
function shuffled(array, seed) {
  let state = seed >>> 0;
  const draw = (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return Math.floor((((word ^ (word >>> 14)) >>> 0) / 2 ** 32) * below);
  };
  const order = [...array];
  for (let i = order.length - 1; i > 0; i--) {
    const other = draw(i + 1);
    [order[i], order[other]] = [order[other], order[i]];
  }
  return order;
}

function describe({ file, line, what, nth, context }) {
  return `${file}:${line}: ${what}${nth > 1 ? ` (number ${nth})` : ""}   in: ${context}`;
}

function handmade() {
  return read("handmade.json").map(({ rule, file, find, replace }) => {
    const source = readFileSync(join(root, file), "utf8");
    if (source.split(find).length !== 2) throw new Error(`"${rule}": ${file} must contain this once:\n${find}`);
    const texts = { [file]: source.replace(find, () => replace) };
    return { name: `by hand: ${rule}`, texts };
  });
}

function sampled() {
  const sites = coreFiles(kernel).flatMap(sitesOf);
  return sites.map((site) => ({ name: describe(site), site, texts: { [site.file]: changed(site) } }));
}

/** Runs a program with so much processor time. Answers undefined if it succeeds, else how it ended. */
function attempt(args, environment, seconds) {
  return new Promise((resolve, reject) => {
    const command = ["-c", `ulimit -t ${seconds} && exec "$@"`, "mutant", process.execPath, ...args];
    const child = spawn("sh", command, { cwd: root, env: environment, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    const take = (chunk) => void (text = (text + chunk).slice(-100_000));
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    // One that waits for ever uses no processor time.
    const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 8000);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(undefined);
      const error = /^(?:\w*Error.*|\s+\d+\) .*)$/m.exec(text)?.[0].trim();
      resolve(signal === null ? (error ?? `exit code ${code}`) : `ended by ${signal}`);
    });
  });
}

/** One lane's thread. */
const compilers = [0, 1].map(() => new Worker(new URL("./mutants/compiler.mjs", import.meta.url)));

/** What a lane's thread makes of the texts, or undefined if that is no program. */
async function compile(lane, texts, isSelfTest) {
  compilers[lane].postMessage({ kernel, texts, isSelfTest });
  const [{ wasm }] = await once(compilers[lane], "message");
  return wasm;
}

/** The core as it is, and the word for what is no mutant. */
const original = Buffer.from(await compile(0, {}, false));
const NONE = Symbol("none");
/** No text is changed. */
const UNHARMED = {};

/** What catches a mutant, or undefined. */
async function catcher(texts, lane) {
  const [core, selfTest] = ["core", "selftest"].map((name) => join(folder, `${lane}-${name}.wasm`));
  const compiled = await compile(lane, texts, false);
  if (compiled === undefined || (texts !== UNHARMED && original.equals(compiled))) return NONE;
  writeFileSync(core, compiled);
  // So that what the tests start is the mutant's as well.
  const NODE_OPTIONS = `--import ${join(root, "out/test/mutants/replaced-core.js")}`;
  const environment = { ...process.env, NODE_OPTIONS, MUTANT_KERNEL: kernel, MUTANT_CORE: core };
  const quick = await attempt(["out/test/mutants/suite.js", kernel], environment, QUICK);
  if (quick !== undefined) return quick;
  const compiledTest = await compile(lane, texts, true);
  if (compiledTest === undefined) return NONE;
  writeFileSync(selfTest, compiledTest);
  const all = TESTS.split(" ").map((name) => `out/test/${name}.test.js`);
  const mocha = [
    "node_modules/mocha/bin/mocha.js",
    "--no-config",
    "--bail",
    "--timeout",
    "600000",
    "--grep",
    // What other kernels' components do is not the mutant's doing.
    `${BY_CHANCE}|each error of each call of (?!${kernel})`,
    "--invert",
    ...all,
  ];
  return attempt(mocha, { ...environment, MUTANT_SELFTEST: selfTest }, THOROUGH);
}

const counts = { caught: 0, injected: 0, none: 0, listed: 0 };
const survivors = [];
const problems = [];

async function look(mutant, lane) {
  const how = await catcher(mutant.texts, lane);
  if (how === NONE) {
    counts.none++;
    if (!mutant.site) problems.push(`changes nothing: ${mutant.name}`);
    return false;
  }
  counts.injected++;
  const listed = mutant.site && equivalent.find((entry) => isSame(entry, mutant.site));
  if (how !== undefined) {
    counts.caught++;
    if (listed) problems.push(`listed as equivalent, but caught: ${mutant.name}\n    ${how}`);
  } else if (listed) counts.listed++;
  else survivors.push(mutant);
  console.log(`${how === undefined ? (listed ? "equivalent" : "SURVIVED") : "caught"} ${mutant.name}`);
  if (how !== undefined && process.env.VERBOSE) console.log(`    ${how}`);
  return true;
}

/** Entries name the line by its text, and the change in it; with `nth` if it is not the first such change of the line. */
function isSame(entry, { file, context, what, nth }) {
  return entry.file === file && entry.line === context && entry.change === what && (entry.nth ?? 1) === nth;
}

/** Looks at mutants, two at a time, until there were enough. */
async function lookAtSome(mutants, enough) {
  const left = mutants.filter(({ name }) => new RegExp(only).test(name));
  let taken = 0;
  const lanes = [0, 1].map(async (lane) => {
    while (taken < enough && left.length > 0) {
      taken++;
      if (!(await look(left.shift(), lane))) taken--;
    }
  });
  await Promise.all(lanes);
}

const equivalent = read("equivalent.json");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
const seed = Number(values.seed);
const byHand = kernel === "epoll" ? shuffled(handmade(), seed) : [];
const unharmed = await catcher(UNHARMED, 0);
if (unharmed !== undefined) throw new Error(`the core itself is caught: ${unharmed}`);
await lookAtSome(byHand, Number(values.handmade));
const survivorsByHand = survivors.length;
const injectedByHand = counts.injected;
await lookAtSome(shuffled(sampled(), seed), Number(values.sampled));

const sampledSurvivors = survivors.length - survivorsByHand;
const sampledCount = counts.injected - injectedByHand;
if (survivorsByHand > 0) problems.push(`${survivorsByHand} hand-made mutants survived`);
if (sampledSurvivors > sampledCount * MOST_SURVIVORS) problems.push("more than 5 % of the sampled mutants survived");
for (const { name } of survivors) console.log(`survived: ${name}`);
for (const problem of problems) console.error(problem);
console.log(`hand-made: ${injectedByHand - survivorsByHand} of ${injectedByHand} caught`);
console.log(
  `sampled, seed ${seed}: ${sampledCount - sampledSurvivors - counts.listed} of ${sampledCount} caught, ` +
    `${counts.listed} equivalent, ${sampledSurvivors} survived; ${counts.none} were none`,
);
console.log(`mutants: ${counts.caught} caught / ${counts.injected} injected`);
process.exitCode = problems.length > 0 ? 1 : 0;
await Promise.all(compilers.map((compiler) => compiler.terminate()));
