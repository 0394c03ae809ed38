/** The contract, on every kernel: each scenario of `test/contract/*.json` in each world is a test of its own. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { run } from "./contract/runner.js";
import { files, folder, kernelsFile, load, loadAll, stepsOn } from "./contract/scenarios.js";
import { startWatchdog } from "./contract/watchdog.js";
import { columns } from "./contract/worlds.js";

const scenarios = loadAll();

describe("the contract's files", () => {
  it("hold lio's 36 shared tests, in their order", () => {
    const sources = load("lio.json").map(({ source }) => source);
    const expected = Array.from({ length: 36 }, (_, index) => `lio test ${index + 1}`);
    assert.deepEqual(sources, expected);
  });

  it("are all run", () => {
    const there = readdirSync(folder).filter((file) => file.endsWith(".json"));
    assert.deepEqual(there.toSorted(), [...files, kernelsFile].toSorted());
    assert.ok(load("faults.json").length >= 70);
    assert.ok(load("modes.json").length >= 70);
    assert.ok(load("timers.json").length >= 20);
  });

  it("name every scenario once", () => {
    const names = scenarios.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
  });
});

for (const column of columns(await startWatchdog())) {
  describe(`the contract on ${column.name}`, function () {
    // However slow the machine is, that is no verdict. What blocks for ever, the watchdog ends.
    this.timeout(0);

    for (const scenario of scenarios) {
      const steps = stepsOn(column, scenario);
      if ("leftOut" in steps) continue;
      it(`${scenario.title} (${scenario.name})`, () => {
        run(column.open(), scenario.name, steps);
      });
    }
  });
}
