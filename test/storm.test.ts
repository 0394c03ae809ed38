/** The storm of endings in short; `npm run storm:full` is the long one. */
import assert from "node:assert/strict";
import { runProcesses, runWorkers, type Tally } from "./storm/storm.js";

const SEED = 20_240_607;

function total(tally: Tally): number {
  return [...tally.values()].reduce((sum, count) => sum + count, 0);
}

describe("a storm of endings", function () {
  this.timeout(180_000);

  it("of workers, in whatever their pollers do: none crashes, hangs, or leaves a descriptor", async () => {
    assert.equal(total(await runWorkers(60, SEED)), 60);
  });

  it("of processes, with and without workers: none crashes or hangs", async () => {
    assert.equal(total(await runProcesses(40, SEED)), 40);
  });
});
