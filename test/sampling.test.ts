/** Samples of generated matrices, and the command that draws them: `scripts/test.mjs`. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { command, programPath } from "./support/child.js";

const root = dirname(createRequire(import.meta.url).resolve("lio-poller/package.json"));

function take(sample: string): readonly (readonly number[])[] {
  const env = { ...process.env, LIO_POLLER_SAMPLE: sample, LIO_POLLER_LEFT_OUT: "" };
  const { stdout, stderr } = spawnSync(...command(programPath("sampled")), { encoding: "utf8", env });
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout) as readonly (readonly number[])[];
}

function range(first: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

function run(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ["scripts/test.mjs", ...args], { cwd: root, encoding: "utf8" });
}

describe("a sample of a matrix", () => {
  it("is all of it where no sample is asked for", () => {
    assert.deepEqual(take(""), [range(0, 100), range(7, 20), [1, 2]]);
  });

  it("has as many different items as it should, in their order, and all of what is no larger", () => {
    const [items = [], seeds = [], few] = take("1");
    assert.equal(new Set(items).size, 10);
    assert.deepEqual(
      items.toSorted((one, other) => one - other),
      items,
    );
    assert.ok(items.every((item) => range(0, 100).includes(item)));
    assert.equal(new Set(seeds).size, 3);
    assert.ok(seeds.every((seed) => range(7, 20).includes(seed)));
    assert.deepEqual(few, [1, 2]);
  });

  it("is the same in every process for one seed, and another for another", () => {
    assert.deepEqual(take("1"), take("1"));
    assert.notDeepEqual(take("1")[0], take("2")[0]);
  });
});

describe("the command for the tests", () => {
  it("tells its options", () => {
    const { status, stdout } = run("--help");
    assert.equal(status, 0);
    assert.match(stdout, /^Usage: npm test/);
  });

  for (const args of [
    ["--seed", "x"],
    ["--seed", "-1"],
    ["--seed", "4294967296"],
    ["--seed=1", "--whole"],
  ]) {
    it(`refuses ${args.join(" ")}, and exits with 2`, () => {
      const { status, stderr } = run(...args);
      assert.equal(status, 2);
      assert.match(stderr, /^test: --seed/);
    });
  }

  it("tells what it left to .ci/run, with the seed, and hands mocha's options on", () => {
    const { status, stdout } = run("--matrices", "--seed", "7", "--grep", "is the title of no test");
    assert.equal(status, 0, stdout);
    assert.match(stdout, /\n0 passed, 0 failed\n/);
    assert.match(stdout, /"npm run test:matrices" \(sample: --seed 7\):\n( {2}\d+ of \d+ \S.*\n)+$/);
  });
});

describe("the table of the contract", () => {
  it("tells each reason for leaving out once, with how many scenarios it is for on which kernels", () => {
    const args = ["--on", "simulated AFD", "edge_mode_is_silent", "edge_mode_merges", "fault_01"];
    const { status, stdout } = spawnSync(...command(join(root, "out/test/contract/table.js"), args), {
      encoding: "utf8",
    });
    assert.equal(status, 0);
    const [, leftOut = ""] = stdout.split("\nLeft out, by reason:\n");
    const lines = leftOut.trim().split("\n");
    assert.deepEqual(
      lines.filter((line) => line.startsWith("–")),
      ["– AFD tells states, and no edges"],
    );
    assert.match(lines[1] as string, /^ {2}2 on simulated AFD: edge_mode_merges\w+ edge_mode_is_silent\w+$/);
    assert.match(leftOut, /\n1 passed, 0 failed, 2 left out\n$/);
  });
});
