/** Finds and reads the contract's files, and applies what they say about a kernel's differences. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { checkLacks, checkScenarios, type Difference, type Lacks, type Scenario, type Step } from "./format.js";
import type { Column } from "./world.js";

/** The compiled tests lie elsewhere than the data, so the data is found from the package's root. */
const root = dirname(createRequire(import.meta.url).resolve("lio-poller/package.json"));
export const folder = join(root, "test", "contract");

/** The files, in the order in which their scenarios are run. */
export const files = ["lio.json", "faults.json", "modes.json", "timers.json", "notifiers.json"] as const;

/** Tells what the systems of each kernel lack. */
export const kernelsFile = "kernels.json";

/**
 * Reads one file of the contract.
 *
 * @param file its name, such as `"lio.json"`
 * @throws FormatError if it is not as README.md says
 */
export function load(file: string): readonly Scenario[] {
  return checkScenarios(JSON.parse(readFileSync(join(folder, file), "utf8")), file);
}

/** Reads the whole contract. */
export function loadAll(): readonly Scenario[] {
  return files.flatMap(load);
}

/** What each kernel's systems lack. */
const lacking = checkLacks(JSON.parse(readFileSync(join(folder, kernelsFile), "utf8")), kernelsFile);

/** The steps that a scenario has in a column, or why it has none there. */
export function stepsOn(
  { kernel, lacks = {} }: Pick<Column, "kernel" | "lacks">,
  scenario: Scenario,
): readonly Step[] | { readonly leftOut: string } {
  const differences = (scenario.differences ?? []).filter(({ kernels }) => kernels.includes(kernel));
  const leftOut = differences.find((difference) => difference.leftOut);
  if (leftOut !== undefined) return { leftOut: leftOut.reason };
  const steps = scenario.steps.map((step) => replacement(differences, step) ?? step);
  const reason = reasonAgainst(steps, { ...lacking[kernel], ...lacks });
  return reason === undefined ? steps : { leftOut: reason };
}

/** Why there are steps that cannot be carried out, if there are. */
function reasonAgainst(steps: readonly Step[], lacks: Lacks): string | undefined {
  const used = steps.flatMap((step) => (step.do === "repeat" ? step.steps : [step]));
  for (const step of used) {
    const reason = [step.do, ...Object.keys(step).map((field) => `${step.do}.${field}`)].map((name) => lacks[name]);
    const found = reason.find((text) => text !== undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}

function replacement(differences: readonly Difference[], { label }: Step): Step | undefined {
  if (label === undefined) return undefined;
  return differences.map(({ replace }) => replace?.[label]).find((step) => step !== undefined);
}
