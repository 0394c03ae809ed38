/**
 * What guards each fault of the reference, and each test of others that is worth having: `guards.json`.
 *
 * It names scenarios of the contract, titles of tests here, and commands that CI runs, which must exist; and says of a fault
 * that cannot occur on the kernels that are there why that is so.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { loadAll } from "./contract/scenarios.js";

interface Guarded {
  /** `"scenario: …"` with its name, `"test: …"` with its title, or `"command: …"` with its name in package.json. */
  readonly guards?: readonly string[];
  /** Why nothing here guards it. */
  readonly elsewhere?: string;
}

interface Fault extends Guarded {
  readonly fault: number;
  readonly was: string;
}

interface Other extends Guarded {
  readonly test: string;
}

const FAULTS = 44;
const SHARED = 36;

const root = dirname(createRequire(import.meta.url).resolve("lio-poller/package.json"));
const folder = join(root, "test");
const { faults, others } = JSON.parse(readFileSync(join(folder, "guards.json"), "utf8")) as {
  readonly faults: readonly Fault[];
  readonly others: readonly Other[];
};
const scenarios = new Map(loadAll().map((scenario) => [scenario.name, scenario]));
const titles = readdirSync(folder)
  .filter((file) => file.endsWith(".test.ts"))
  .flatMap((file) => [...readFileSync(join(folder, file), "utf8").matchAll(/^\s*it\("([^"]+)"/gm)])
  .map(([, title]) => title as string);

/** The program of a command of package.json that CI runs. */
function programOf(command: string): string | undefined {
  if (!readFileSync(join(root, ".ci/run"), "utf8").includes(` npm run ${command}\n`)) return undefined;
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const [, file] = /^node (\S+)$/.exec(scripts[command] ?? "") ?? [];
  return file === undefined ? undefined : readFileSync(join(root, file), "utf8");
}

/** What a guard is, if it is there: the source of a scenario or of a command's program, or the title of a test. */
function found(guard: string): string | undefined {
  const [, kind, name = ""] = /^(scenario|test|command): (.+)$/.exec(guard) ?? [];
  if (kind === "scenario") return scenarios.get(name)?.source;
  if (kind === "command") return programOf(name);
  return kind === "test" && titles.includes(name) ? name : undefined;
}

/** Whether a source or a title speaks of a fault, and not of one whose number only begins like it. */
function speaksOf(text: string, fault: number): boolean {
  return new RegExp(`\\bfault ${fault}\\b`).test(text);
}

describe("the guards", () => {
  it("are of every fault, in order", () => {
    const expected = Array.from({ length: FAULTS }, (_, index) => index + 1);
    assert.deepEqual(
      faults.map(({ fault }) => fault),
      expected,
    );
  });

  it("all exist, and none is named twice for one thing", () => {
    for (const { guards = [], ...what } of [...faults, ...others]) {
      for (const guard of guards) assert.ok(found(guard) !== undefined, `${JSON.stringify(what)}: no ${guard}`);
      assert.equal(new Set(guards).size, guards.length, JSON.stringify(what));
    }
  });

  it("are there, or the reason why nothing can be", () => {
    for (const { guards = [], elsewhere = "", ...what } of [...faults, ...others]) {
      assert.ok(guards.length > 0 !== elsewhere.length > 0, JSON.stringify(what));
    }
    assert.ok(others.every(({ guards = [] }) => guards.length > 0));
  });

  it("name the fault themselves: in a scenario's source, in a test's title, or in a command's program", () => {
    for (const { fault, guards = [] } of faults) {
      if (guards.length === 0) continue;
      assert.ok(
        guards.some((guard) => speaksOf(found(guard) ?? "", fault)),
        `fault ${fault}`,
      );
    }
  });

  it("are scenarios enough: the shared ones, and one for every fault that a scenario can show", () => {
    const shown = new Set(
      [...scenarios.values()].map(({ source }) => source).filter((text) => text.startsWith("fault")),
    );
    const apply = faults.filter(({ guards = [] }) => guards.some((guard) => guard.startsWith("scenario: ")));
    for (const { fault } of apply) assert.ok(shown.has(`fault ${fault}`), `fault ${fault} has no scenario of its own`);
    assert.ok(scenarios.size >= SHARED + faults.filter(({ guards = [] }) => guards.length > 0).length);
  });
});
