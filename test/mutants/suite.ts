/**
 * What mutants are caught by, quickly: the contract and random programs, on the simulated kernel of that name. Stops at the
 * first thing that is wrong, which it throws.
 *
 *   node --import ./replaced-core.js suite.js KERNEL     the component in a process of its own is the mutant's
 */
import { run } from "../contract/runner.js";
import { loadAll, stepsOn } from "../contract/scenarios.js";
import { columns } from "../contract/worlds.js";
import { dialects } from "../model/dialect.js";
import { differenceOf, programOf } from "../model/prove.js";

const PROGRAMS = 400;
const [, , kernel] = process.argv;

// Whoever started this ends it when it hangs.
const simulated = columns({ watch: () => {} }).find(({ name }) => name.startsWith(`simulated ${kernel}`));
if (simulated === undefined) throw new Error(`there is no simulated ${kernel}`);
for (const scenario of loadAll()) {
  const steps = stepsOn(simulated, scenario);
  if (!("leftOut" in steps)) run(simulated.open(), scenario.name, steps);
}

const dialect = Object.values(dialects).find(({ name }) => name.startsWith(String(kernel)));
if (dialect === undefined) throw new Error(`the model has no ${kernel}`);
for (let seed = 1; seed <= PROGRAMS; seed++) {
  const difference = differenceOf(dialect, programOf(seed));
  if (difference !== undefined) throw difference;
}
