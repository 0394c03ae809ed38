/**
 * `npm run prove`: random programs, millions of steps, on the component as it ships and on the model of its contract.
 *
 * `--help` tells its options. With `--seconds` each kernel has an equal share of them.
 *
 * Exits with 1 at the first difference, and prints the shortest program found that shows it. The last line of a run
 * tells the steps, the faults injected and the differences.
 */
import { parseArgs } from "node:util";
import { shrink } from "lio-poller/sim";
import { Random } from "../support/random.js";
import { dialects, proved, type Dialect } from "./dialect.js";
import { ACTIONS, FAULTS, MOST_WEATHER, World, type Program, type Step } from "./program.js";

const LONGEST = 120;

const USAGE = `Usage: npm run prove [-- OPTION…]

  --steps N        steps for each kernel; default 1,000,000
  --seconds N      in all, of which each kernel has an equal share
  --seed S         the first program; default: the time
  --kernel K       one kernel; default: all, one after the other:
                   ${proved.map(({ name }) => name).join(", ")}
  --program JSON   one program, as a failure prints it`;

/** The program of a seed. */
export function programOf(seed: number): Program {
  const random = new Random(seed);
  const weather = random.below(MOST_WEATHER + 1);
  const steps: Step[] = [];
  // Something to watch from the start.
  const openings = 1 + random.below(4);
  for (let i = 0; i < openings; i++) steps.push([ACTIONS.indexOf("open"), 1 + random.below(7), 0, 0, 0]);
  const length = 10 + random.below(LONGEST);
  for (let i = 0; i < length; i++) {
    const faults = weather & FAULTS && random.below(4) === 0 ? random.word() : 0;
    steps.push([random.below(ACTIONS.length), random.word(), random.word(), random.word(), faults]);
  }
  return { weather, steps };
}

/** What is wrong when a program runs in a new world; `undefined` if nothing is. */
export function differenceOf(dialect: Dialect, program: Program, tell?: (line: string) => void): unknown {
  try {
    new World(dialect).run(program, tell);
    return undefined;
  } catch (error) {
    return error ?? new Error("nothing was thrown");
  }
}

/** The shortest program that leaving out finds and that still shows a difference. */
export function shortest(dialect: Dialect, program: Program): Program {
  const { weather } = program;
  const fails = (steps: readonly Step[]): boolean => differenceOf(dialect, { weather, steps }) !== undefined;
  const steps = shrink(program.steps, fails);
  // Without its faults, where they are not what fails.
  for (let index = 0; index < steps.length; index++) {
    const [action, a, b, c] = steps[index] as Step;
    const calm = steps.with(index, [action, a, b, c, 0]);
    if (fails(calm)) steps.splice(index, 1, [action, a, b, c, 0]);
  }
  return { weather, steps };
}

function report(dialect: Dialect, program: Program, seed: number | undefined): void {
  const tell = (line: string): void => console.error(`  ${line}`);
  if (differenceOf(dialect, program) === undefined) {
    console.error("It does not happen in a new world; run the same seed from its start again.");
    return;
  }
  const short = shortest(dialect, program);
  console.error(`${dialect.name}, seed ${seed ?? "none"}, ${short.steps.length} steps of ${program.steps.length}:`);
  differenceOf(dialect, short, tell);
  console.error(`npm run prove -- --kernel ${dialect.name} --program '${JSON.stringify(short)}'`);
}

interface Amount {
  readonly steps: number;
  readonly seconds: number;
}

/** Runs programs until there were enough. Answers how many differences there were. */
function prove(dialect: Dialect, { steps, seconds }: Amount, firstSeed: number): number {
  const began = performance.now();
  const world = new World(dialect);
  let seed = firstSeed;
  const elapsed = (): number => (performance.now() - began) / 1000;
  let differences = 0;
  for (; world.steps < steps && elapsed() < seconds; seed++) {
    const program = programOf(seed >>> 0);
    try {
      world.run(program);
    } catch (error) {
      differences++;
      console.error(error);
      report(dialect, program, seed);
      break;
    }
  }
  const { steps: made, faulty } = world;
  console.log(
    `${dialect.name}: ${made} steps in ${seed - firstSeed} programs from seed ${firstSeed} in ${elapsed().toFixed(1)} s, ` +
      `${faulty.injected} faults injected, ${differences} differences`,
  );
  return differences;
}

function main(): void {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean" },
      steps: { type: "string" },
      seconds: { type: "string" },
      seed: { type: "string" },
      kernel: { type: "string" },
      program: { type: "string" },
    },
  });
  if (values.help) return console.log(USAGE);
  const chosen = values.kernel === undefined ? proved : [dialects[values.kernel]];
  const known = chosen.filter((dialect) => dialect !== undefined);
  if (known.length === 0)
    throw new Error(`no kernel "${values.kernel}": there are ${Object.keys(dialects).join(", ")}`);
  if (values.program !== undefined) {
    const program = JSON.parse(values.program) as Program;
    const differences = known.filter((dialect) => differenceOf(dialect, program, console.log) !== undefined);
    process.exitCode = differences.length === 0 ? 0 : 1;
    return;
  }
  const seconds = values.seconds === undefined ? Infinity : Number(values.seconds) / known.length;
  const steps = values.steps === undefined ? (values.seconds === undefined ? 1e6 : Infinity) : Number(values.steps);
  const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
  if (!(seconds > 0 && steps > 0 && Number.isSafeInteger(seed)))
    throw new Error("--seconds, --steps and --seed are numbers");
  const differences = known.map((dialect) => prove(dialect, { steps, seconds }, seed));
  process.exitCode = differences.some((count) => count > 0) ? 1 : 0;
}

if (process.argv[1]?.endsWith("prove.js")) main();
