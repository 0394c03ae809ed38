/** `npm run loop-programs`: random programs on the face of the event loop. See `usage`. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { readable } from "lio-poller";
import * as io from "lio-poller/io";
import { startWatchdog } from "../contract/watchdog.js";
import { command } from "../support/child.js";
import { openFiles } from "../support/descriptors.js";
import { platformKernel } from "../support/internals.js";
import { runBreakages } from "./breakages.js";
import { openListener } from "./files.js";
import { Program, wordsOf } from "./program.js";

const usage = `Usage: npm run loop-programs [-- OPTION…]

Runs random programs, which wait for descriptors in all ways that there are in
the event loop, and holds what they are told against poll(2).

  --seeds N     how many programs; default 1000
  --from S      the first one's seed; default 1
  --seconds T   begin no program after so many seconds; default: no limit
  --steps LIST  only these steps of the program, such as 0-7,12
  --shrink      look for the fewest steps that fail, if one fails
  --trace       tell what a program does
  --delivery W  "thread": the loop is told by a thread, also on Node
  --ignore R    what is wrong and matches the regular expression is known
  --breakages   whether each of breakages.json is noticed by the seeds from 1 on
  --only R      those whose rule matches the regular expression
  --patience T  seconds after which what was not told is lost; default 10

The exit code is 1 if one fails. It is told with its seed, and what it did.
`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean" },
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seconds: { type: "string", default: "Infinity" },
    steps: { type: "string" },
    shrink: { type: "boolean" },
    trace: { type: "boolean" },
    delivery: { type: "string" },
    breakages: { type: "boolean" },
    only: { type: "string", default: "" },
    ignore: { type: "string" },
    patience: { type: "string", default: "10" },
  },
});

/** Lines of a failing program's trace. */
const LAST = 60;

function stepsOf(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number) as [number, number?];
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** How many descriptors of each kind are open. */
function openKinds(): string {
  const kinds = [...openFiles().values()].map((file) => file.replace(/\[\d+\]$/, "").replace(/\d+$/, ""));
  return kinds.toSorted().join(" ");
}

async function runAll(): Promise<boolean> {
  // Until the end is reached: a loop that ends too early takes the process with it.
  process.exitCode = 1;
  const [seeds, from, seconds] = [values.seeds, values.from, values.seconds].map(Number) as [number, number, number];
  const patience = Number(values.patience) * 1000;
  const known = values.ignore === undefined ? undefined : new RegExp(values.ignore);
  if (values.delivery === "thread") Object.assign(platformKernel(undefined), { inLoop: false });
  const watchdog = await startWatchdog();
  const worker = new Worker(new URL("./notifying.js", import.meta.url));
  await once(worker, "message");
  worker.unref();
  openListener();
  // Deno opens what it needs for signals some time after its start, unless it is needed before.
  const never = (): void => {};
  process.on("SIGWINCH", never).off("SIGWINCH", never);
  // What the package opens when it is first used stays.
  const ready = io.eventfd(1);
  await readable(ready);
  io.close(ready);

  let program: Program | undefined;
  let endOfLoop: (() => void) | undefined;
  process.on("uncaughtException", (error) => program?.world.caught(error));
  process.on("unhandledRejection", (error) => program?.world.caught(error));
  process.on("warning", (warning) => program?.world.fail(`a warning: ${warning}`));
  process.on("beforeExit", () => {
    const goOn = program?.loopHasEnded() ?? endOfLoop;
    // Whether the loop goes on is decided before what a promise has made known.
    if (goOn !== undefined) setImmediate(goOn);
  });

  const began = performance.now();
  let steps = 0;
  let seed = from;
  let isGood = true;
  for (; isGood && seed < from + seeds && performance.now() - began < seconds * 1000; seed++) {
    watchdog.watch(`the program of seed ${seed}`);
    const before = openKinds();
    const all = wordsOf(seed);
    const words = values.steps === undefined ? all : stepsOf(values.steps).map((index) => all[index] as number);
    program = new Program({ patience, worker, known });
    const { world } = program;
    await program.run(words).catch((error: Error) => world.fail(`the program itself: ${error.stack}`));
    steps += words.length;
    const isEnded = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(resolve, patience, false).unref();
      endOfLoop = () => {
        endOfLoop = undefined;
        clearTimeout(timer);
        resolve(true);
      };
    });
    if (!isEnded) world.fail("the loop does not end, and nothing is waited for");
    program.close();
    const after = openKinds();
    if (before !== after) world.fail(`descriptors are left:\n  ${before}\n  ${after}`);
    watchdog.watch(undefined);
    if (values.trace) console.log(world.trace.join("\n"));
    if (world.failure === undefined) continue;
    isGood = false;
    console.error(`seed ${seed}: ${world.failure}`);
    if (!values.trace) console.error(world.trace.slice(-LAST).join("\n"));
  }
  const duration = ((performance.now() - began) / 1000).toFixed(1);
  console.log(
    `loop-programs: ${steps} steps in ${seed - from} programs from seed ${from}, ${duration} s: ${isGood ? "good" : "FAILED"}`,
  );
  if (!isGood && values.shrink) shrink(seed - 1);
  return isGood;
}

/** Leaves out what can be left out, each time in a process of its own. */
function shrink(seed: number): void {
  let steps = values.steps === undefined ? [...wordsOf(seed).keys()] : stepsOf(values.steps);
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < steps.length;) {
      const fewer = steps.toSpliced(at, size);
      if (fewer.length > 0 && fails(seed, fewer)) steps = fewer;
      else at += size;
    }
  }
  console.error(`fewest steps: --seeds 1 --from ${seed} --trace --steps ${steps.join(",")}`);
}

function fails(seed: number, steps: readonly number[]): boolean {
  const args = ["--seeds", "1", "--from", String(seed), "--steps", steps.join(","), "--patience", "1"];
  if (values.delivery !== undefined) args.push("--delivery", values.delivery);
  if (values.ignore !== undefined) args.push("--ignore", values.ignore);
  const [name, all] = command(fileURLToPath(import.meta.url), args);
  return spawnSync(name, all, { stdio: "ignore" }).status !== 0;
}

async function main(): Promise<void> {
  if (values.help) process.stdout.write(usage);
  else if (values.breakages) process.exitCode = (await runBreakages(Number(values.seeds), values.only)) ? 0 : 1;
  // What has failed may keep the loop running; else nothing does.
  else if (!(await runAll())) process.exit(1);
  else process.exitCode = 0;
}

// While a module awaits something, a loop that has ended is an error to some runtimes.
void main();
