/**
 * The component as it ships against the model of its contract, on simulated kernels with faults: programs that fast-check
 * makes and shrinks, and the ones that `npm run prove` runs by the million. What they have found is in `proved.test.ts`.
 */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { proved } from "./model/dialect.js";
import { ACTIONS, FAULTS, MOST_WEATHER, World, type Program, type Step } from "./model/program.js";
import { differenceOf, programOf, shortest } from "./model/prove.js";
import { isWhole, sampled, sampledSeeds } from "./support/sample.js";

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const action = fc.integer({ min: 0, max: ACTIONS.length - 1 });
const faults = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: word });
const program = fc.record<Program>({
  weather: fc.integer({ min: 0, max: MOST_WEATHER }),
  steps: fc.array(fc.tuple(action, word, word, word, faults) as fc.Arbitrary<Step>, { maxLength: 120, size: "max" }),
});

/** What is random has to be long to get everywhere. */
const MANY = 2000;
const FEW = 100;
const closelyLookedAt = sampled("kernels, led through every action and error", proved, 1);

for (const dialect of proved) {
  describe(`pollers on the simulated ${dialect.name}`, () => {
    it("do what their model does, whatever the program", () => {
      const seeds = sampledSeeds(`programs that shrink, on ${dialect.name}`, 0, 1500, FEW);
      let world = new World(dialect);
      const holds = fc.property(program, (given) => {
        try {
          world.run(given);
        } catch (error) {
          // What is left of it is nobody's.
          world = new World(dialect);
          throw error;
        }
      });
      fc.assert(holds, { numRuns: seeds.length, endOnFailure: false });
    });

    it("do what their model does in the programs of any seed", () => {
      const world = new World(dialect);
      const seeds = sampledSeeds(`random programs on ${dialect.name}`, 0, MANY, FEW);
      for (const seed of seeds) world.run(programOf(seed));
      const { steps, faulty } = world;
      if (isWhole) assert.ok(steps > 100_000 && faulty.injected > 5000, `${steps}, ${faulty.injected}`);
    });

    if (closelyLookedAt.includes(dialect))
      it("are led through every action, each kind of fault and every error that the manual lists", () => {
        const world = new World(dialect);
        const seen = new Set<string>();
        for (let seed = 0; seed < MANY; seed++) {
          const { weather, steps } = programOf(seed);
          world.begin(weather);
          for (const step of steps) {
            seen.add(world.step(step).split(" ")[0] as string);
            for (const trouble of world.trouble.split(", ")) seen.add(trouble);
          }
          world.end();
        }
        const errors = world.faulty.documentedErrors.flatMap((entry) => entry.errors);
        // Nothing in a program asks for the descriptor of the kernel object.
        const missing = [...ACTIONS, ...errors, "cut short"].filter((name) => !seen.has(name));
        assert.deepEqual([...new Set(missing)], []);
      });
  });
}

describe("a program that shows a difference", () => {
  it("is shrunk to what is needed for it, and can be run again as it is printed", () => {
    const [dialect] = proved;
    assert.ok(dialect);
    // A kernel whose readiness the model has wrong: whatever is readable is said to be writable, too.
    const wrong = { ...dialect, readiness: (bits: number, interest: number) => dialect.readiness(bits, interest) | 2 };
    const found = Array.from({ length: 50 }, (_, seed) => programOf(seed)).find(
      (given) => differenceOf(wrong, given) !== undefined && (given.weather & FAULTS) !== 0,
    );
    assert.ok(found);
    const short = shortest(wrong, found);
    assert.ok(short.steps.length <= 4, `${short.steps.length} steps`);
    const lines: string[] = [];
    const printed = JSON.parse(JSON.stringify(short)) as Program;
    assert.ok(differenceOf(wrong, printed, (line) => lines.push(line)) instanceof Error);
    assert.equal(lines.length, short.steps.length);
    assert.equal(differenceOf(dialect, short), undefined);
  });
});
