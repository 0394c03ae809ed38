/** Finds and reads the contract's files, and applies what they say about a kernel's differences. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { checkScenarios, type Difference, type KernelName, type Scenario, type Step } from "./format.js";

/** The compiled tests lie elsewhere than the data, so the data is found from the package's root. */
const root = dirname(createRequire(import.meta.url).resolve("lio-poller/package.json"));
export const folder = join(root, "test", "contract");

/** The files, in the order in which their scenarios are run. */
export const files = ["lio.json", "faults.json", "modes.json"] as const;

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

/** The steps that a scenario has on a kernel, or why it has none there. */
export function stepsOn(kernel: KernelName, scenario: Scenario): readonly Step[] | { readonly leftOut: string } {
  const differences = (scenario.differences ?? []).filter(({ kernels }) => kernels.includes(kernel));
  const leftOut = differences.find((difference) => difference.leftOut);
  if (leftOut !== undefined) return { leftOut: leftOut.reason };
  return scenario.steps.map((step) => replacement(differences, step) ?? step);
}

function replacement(differences: readonly Difference[], { label }: Step): Step | undefined {
  if (label === undefined) return undefined;
  return differences.map(({ replace }) => replace?.[label]).find((step) => step !== undefined);
}
