/** Fake timers change nothing: no clock, timer or queue that a test can replace is used, whenever it was replaced. */
import assert from "node:assert/strict";
import { mock } from "node:test";
import { PASSED, run } from "./support/child.js";
import { deliveries } from "./support/deliveries.js";

const runtime = "Deno" in globalThis ? "deno" : "bun" in process.versions ? "bun" : "node";

const MOMENTS = {
  before: "before the import of the package",
  between: "between the import of the package and the first poller",
  after: "after the first poller was made",
};

describe("fake timers", () => {
  for (const { way } of deliveries) {
    for (const [when, words] of Object.entries(MOMENTS)) {
      for (const [ends, rest] of [
        ["left", "left on"],
        ["off", "taken off again"],
      ] as const) {
        it(`change nothing if they are installed ${words} and ${rest}, by ${way}`, () => {
          const { stderr, ...ending } = run("faked", [when, ends, way]);
          assert.deepEqual(ending, { status: 0, signal: null, stdout: `${PASSED}\n` }, stderr);
        });
      }
    }
  }

  // Node 20.4 and later have them; Deno and Bun have none that replace the runtime's.
  if (runtime === "node" && "timers" in mock) {
    it("of node:test change nothing", () => {
      const { stderr, ...ending } = run("mocked", []);
      assert.deepEqual(ending, { status: 0, signal: null, stdout: `${PASSED}\n` }, stderr);
    });
  }
});
