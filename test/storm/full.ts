/** `npm run storm:full`: a thousand workers and a thousand processes, and what they were doing when they ended. */
import { parseArgs } from "node:util";
import { runProcesses, runWorkers, type Tally } from "./storm.js";

const { values } = parseArgs({
  options: {
    workers: { type: "string", default: "1000" },
    processes: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
  },
});

function print(what: string, tally: Tally): void {
  const total = [...tally.values()].reduce((sum, count) => sum + count, 0);
  console.log(`\n${total} ${what} ended without a crash, a hang or a leak; what they were doing, and how they ended:`);
  for (const [how, count] of [...tally].toSorted(([a], [b]) => a.localeCompare(b))) {
    console.log(`${String(count).padStart(6)}  ${how}`);
  }
}

const seed = Number(values.seed);
console.log(`seed ${seed}`);
print("workers", await runWorkers(Number(values.workers), seed));
print("processes", await runProcesses(Number(values.processes), seed));
