/** `npm run contract`: runs the contract and prints it as a table, a line per scenario and a column per kernel. */
import { parseArgs } from "node:util";
import type { Scenario } from "./format.js";
import { run } from "./runner.js";
import { loadAll, stepsOn } from "./scenarios.js";
import { startWatchdog } from "./watchdog.js";
import type { Column } from "./world.js";
import { columns } from "./worlds.js";

const usage = `Usage: npm run contract [-- [--help] [--on KERNEL] [NAME…]]

Runs the contract's scenarios on every kernel and prints a table of them.
With names: only the scenarios whose name contains one of them.

  --on  the one kernel to run them on, as the table calls it

  ✓  passed
  ✗  failed; what happened is printed below the table
  –  left out on this kernel; the reasons are printed below the table, each
     once, with the scenarios and kernels that it is for

The exit code is 1 if a scenario failed or none was run.
`;

interface Cell {
  readonly sign: "✓" | "✗" | "–";
  /** Why it is not a ✓. */
  readonly reason?: string;
}

async function main(): Promise<number> {
  const options = { help: { type: "boolean" }, on: { type: "string" } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const scenarios = loadAll().filter(({ name }) => selected(name, positionals));
  const all = columns(await startWatchdog());
  const table = values.on === undefined ? all : all.filter((column) => column.name === values.on);
  const failures: string[] = [];
  /** By reason and columns, the scenarios. */
  const leftOut = new Map<string, Map<string, string[]>>();
  const counts = { "✓": 0, "✗": 0, "–": 0 };
  const width = Math.max(0, ...scenarios.map(({ name }) => name.length));
  print(
    line(
      "",
      table.map((column) => column.name),
      width,
      table,
    ),
  );
  for (const scenario of scenarios) {
    const cells = table.map((column) => runCell(scenario, column));
    print(
      line(
        scenario.name,
        cells.map((cell) => cell.sign),
        width,
        table,
      ),
    );
    const leftOutHere = new Map<string, string[]>();
    cells.forEach(({ sign, reason = "" }, index) => {
      const column = table[index]?.name as string;
      counts[sign]++;
      if (sign === "✗") failures.push(`✗ ${scenario.name}, ${column}: ${reason}`);
      if (sign === "–") add(leftOutHere, reason, column);
    });
    for (const [reason, on] of leftOutHere) add(getOrMake(leftOut, reason), on.join("; "), scenario.name);
  }
  for (const failure of failures) print(`\n${failure}`);
  if (leftOut.size > 0) print("\nLeft out, by reason:");
  for (const [reason, scenariosOn] of leftOut) {
    print(`\n– ${reason}`);
    for (const [on, names] of scenariosOn) print(`  ${names.length} on ${on}: ${names.join(" ")}`);
  }
  const others = counts["–"] > 0 ? `, ${counts["–"]} left out` : "";
  print(`\n${counts["✓"]} passed, ${counts["✗"]} failed${others}`);
  return counts["✗"] > 0 || counts["✓"] === 0 ? 1 : 0;
}

function getOrMake(maps: Map<string, Map<string, string[]>>, name: string): Map<string, string[]> {
  const map = maps.get(name) ?? new Map<string, string[]>();
  maps.set(name, map);
  return map;
}

function add(lists: Map<string, string[]>, name: string, item: string): void {
  const list = lists.get(name);
  if (list === undefined) lists.set(name, [item]);
  else list.push(item);
}

function selected(name: string, filters: readonly string[]): boolean {
  return filters.length === 0 || filters.some((filter) => name.includes(filter));
}

function runCell(scenario: Scenario, column: Column): Cell {
  const steps = stepsOn(column, scenario);
  if ("leftOut" in steps) return { sign: "–", reason: steps.leftOut };
  try {
    run(column.open(), scenario.name, steps);
    return { sign: "✓" };
  } catch (error) {
    return { sign: "✗", reason: error instanceof Error ? error.message : String(error) };
  }
}

function line(name: string, cells: readonly string[], width: number, table: readonly Column[]): string {
  const padded = cells.map((cell, index) => cell.padEnd(table[index]?.name.length ?? 0));
  return [name.padEnd(width), ...padded].join("  ").trimEnd();
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

process.exitCode = await main();
