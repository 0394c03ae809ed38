/** Finds and reads the contract's files, and applies what they say about a kernel's differences. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import {
  checkKernels,
  checkScenarios,
  type Difference,
  type ExpectedEvent,
  type ExpectedReadiness,
  type InterestName,
  type Lacks,
  type Mode,
  type Scenario,
  type Step,
  type Untold,
} from "./format.js";
import type { Column } from "./world.js";

/** The compiled tests lie elsewhere than the data, so the data is found from the package's root. */
const root = dirname(createRequire(import.meta.url).resolve("lio-poller/package.json"));
export const folder = join(root, "test", "contract");

/** The files, in the order in which their scenarios are run. */
export const files = [
  "lio.json",
  "faults.json",
  "modes.json",
  "sockets.json",
  "timers.json",
  "notifiers.json",
] as const;

/** Tells what holds for each kernel in all scenarios. */
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

const kernelFacts = checkKernels(JSON.parse(readFileSync(join(folder, kernelsFile), "utf8")), kernelsFile);

/** The steps that a scenario has in a column, or why it has none there. */
export function stepsOn(
  { kernel, lacks = {} }: Pick<Column, "kernel" | "lacks">,
  scenario: Scenario,
): readonly Step[] | { readonly leftOut: string } {
  const differences = (scenario.differences ?? []).filter(({ kernels }) => kernels.includes(kernel));
  const leftOut = differences.find((difference) => difference.leftOut);
  if (leftOut !== undefined) return { leftOut: leftOut.reason };
  const steps = scenario.steps.map((step) => replacement(differences, step) ?? step);
  const facts = kernelFacts[kernel];
  const reason = reasonAgainst(steps, { ...facts.lacks, ...lacks });
  if (reason !== undefined) return { leftOut: reason };
  return facts.untold.length === 0 ? steps : steps.map((step) => withoutUntold(step, facts.untold));
}

/** The step, silent about what the kernel does not tell. */
export function withoutUntold(step: Step, untold: readonly Untold[]): Step {
  const events = (all: readonly ExpectedEvent[]): readonly ExpectedEvent[] =>
    all.map((event) => ("is" in event ? untold.reduce(withoutOne, event) : event));
  switch (step.do) {
    case "repeat":
      return { ...step, steps: step.steps.map((inner) => withoutUntold(inner, untold)) };
    case "pool":
      return { ...step, events: events(step.events) };
    case "wait":
      return step.expect === undefined ? step : { ...step, expect: events(step.expect) };
    default:
      return step;
  }
}

function withoutOne(event: ExpectedReadiness, { bit, unless }: Untold): ExpectedReadiness {
  if (!event.is.includes(bit) || (unless !== undefined && event.is.includes(unless))) return event;
  return { ...event, is: event.is.filter((other) => other !== bit), may: [...(event.may ?? []), bit] };
}

/** Why there are steps that cannot be carried out, if there are. */
function reasonAgainst(steps: readonly Step[], lacks: Lacks): string | undefined {
  const used = steps.flatMap((step) => (step.do === "repeat" ? step.steps : [step]));
  for (const step of used) {
    const fields = Object.keys(step).map((field) => `${step.do}.${field}`);
    const names = [step.do, ...fields, ...changesOf(step).flatMap(asked)];
    const reason = names.map((name) => lacks[name]);
    const found = reason.find((text) => text !== undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}

function changesOf(step: Step): readonly object[] {
  return step.do === "apply" ? step.changes : [step];
}

/** The mode and the interests that a change names. */
function asked(change: { readonly mode?: Mode; readonly interest?: readonly InterestName[] }): string[] {
  const interests = (change.interest ?? []).map((name) => `interest.${name}`);
  return change.mode === undefined ? interests : [`mode.${change.mode}`, ...interests];
}

function replacement(differences: readonly Difference[], { label }: Step): Step | undefined {
  if (label === undefined) return undefined;
  return differences.map(({ replace }) => replace?.[label]).find((step) => step !== undefined);
}
