/** `npm run bench`: the comparisons, by name. */
import { parseArgs } from "node:util";
import { addDelete } from "./add-delete.js";
import { crowd } from "./crowd.js";
import { delivery } from "./delivery.js";
import { readiness } from "./promises.js";
import { storm, stormCalls } from "./storm.js";
import { timers } from "./timers.js";

const BENCHMARKS: Record<string, (rounds: number) => boolean | Promise<boolean>> = {
  storm,
  "storm-calls": stormCalls,
  "add-delete": addDelete,
  timers,
  delivery,
  promises: readiness,
  crowd,
};

const HELP = `Usage: npm run bench -- [NAME…] [--rounds N]

Compares lio-poller with what one would write in C++, timed in the same run, in
interleaved rounds. Prints medians and their ratios.

Names: ${Object.keys(BENCHMARKS).join(", ")}. Without a name, all.

  --rounds N   rounds to take the medians of (default 25)
  --help       this text

Exits with 1 if a ratio was not reached or the machine is unfit.`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: "string", default: "25" }, help: { type: "boolean" } },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const unknown = positionals.find((name) => !(name in BENCHMARKS));
  const rounds = Number(values.rounds);
  if (unknown !== undefined || !Number.isInteger(rounds) || rounds < 1) {
    console.error(unknown === undefined ? "--rounds must be a positive integer" : `no benchmark is called ${unknown}`);
    console.error(HELP);
    process.exitCode = 2;
    return;
  }
  const names = positionals.length > 0 ? positionals : Object.keys(BENCHMARKS);
  const reached: boolean[] = [];
  for (const name of names) {
    console.log(`\n${name}`);
    reached.push(await BENCHMARKS[name]!(rounds));
  }
  if (!reached.every(Boolean)) process.exitCode = 1;
}

await main();
