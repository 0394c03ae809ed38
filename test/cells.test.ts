/**
 * Every cell of (public operation × call of the kernel × error that the manual lists): the operation fails cleanly, the
 * state is as before or as documented, the next operations work, and nothing is left when all is closed.
 *
 * The cells are made from the list of the manual's errors and from the table of situations; that the table has every call
 * that an operation makes is observed, not believed.
 */
import assert from "node:assert/strict";
import { afdSituations } from "./cells/afd.js";
import { epollSituations } from "./cells/epoll.js";
import { kqueueSituations } from "./cells/kqueue.js";
import type { Situation } from "./cells/situation.js";
import { Stage } from "./cells/stage.js";
import { dialects, type Dialect } from "./model/dialect.js";
import { sampled } from "./support/sample.js";

const tables: Readonly<Record<string, readonly Situation[]>> = {
  epoll: epollSituations,
  ...Object.fromEntries(
    Object.keys(dialects)
      .filter((name) => name.startsWith("kqueue-"))
      .map((name) => [name, kqueueSituations]),
  ),
  afd: afdSituations,
};

/** How many of each kernel's situations, and how many kernels' tables, a sample has. */
const FEW = 6;
const closelyLookedAt = sampled("kernels' tables, looked through for what they lack", Object.keys(tables), 1);

/** Plays a situation in which the kernel says so, or nothing wrong. */
function play(dialect: Dialect, situation: Situation, error: string | undefined): Stage {
  const { call, change, place = 0, nth } = situation;
  const stage = new Stage(dialect);
  situation.prepare(stage);
  stage.wait({ call, change, fd: stage.fds[place], nth }, error);
  const answer = situation.act(stage);
  stage.over();
  if (error === undefined) return stage;
  assert.equal(stage.isOver, true, "the operation makes the call");
  assert.equal(answer, situation.right(error), "the answer");
  situation.after(stage, error);
  if (!situation.when.includes("no memory")) stage.assertSound();
  return stage;
}

for (const [name, situations] of Object.entries(tables)) {
  const dialect = dialects[name];
  assert.ok(dialect, name);
  const documented = new Stage(dialect).faulty.documentedErrors;
  const errorsOf = ({ call, change }: Situation): readonly string[] => {
    const entry = documented.find(({ call: other, operation }) =>
      change === undefined ? other === call : operation === change,
    );
    return entry?.errors ?? assert.fail(`no errors are listed for ${call} ${change}`);
  };

  describe(`each error of each call of ${name}`, () => {
    const chosen = sampled(`situations of ${name}, each with every error`, situations, FEW);
    let cells = 0;
    for (const situation of chosen) {
      const { operation, when, call, change } = situation;
      const errors = errorsOf(situation);
      it(`is met by ${operation} (${when}): ${call} ${change ?? ""}, ${errors.length} errors`, () => {
        for (const error of errors) {
          try {
            play(dialect, situation, error);
          } catch (cause) {
            throw new Error(`${error}: ${(cause as Error).message}`, { cause });
          }
          cells++;
        }
      });
    }

    if (closelyLookedAt.includes(name))
      it("is there: every call that an operation was seen to make is in the table for it, and every line of the manual", () => {
        const there = new Set(
          situations.map(({ operation, call, change }) => `${operation}: ${[call, change].join(" ").trim()}`),
        );
        const seen = new Set<string>();
        for (const situation of situations) {
          for (const call of play(dialect, situation, undefined).calls) seen.add(`${situation.operation}: ${call}`);
        }
        assert.deepEqual(
          [...seen].filter((entry) => !there.has(entry)),
          [],
        );
        const used = new Set(situations.map(({ call, change }) => change ?? call));
        assert.deepEqual(
          documented.map(({ call, operation }) => operation ?? call).filter((entry) => !used.has(entry)),
          [],
        );
      });

    it("was visited", () => {
      const expected = chosen.reduce((sum, situation) => sum + errorsOf(situation).length, 0);
      assert.equal(cells, expected);
      console.log(`    ${name}: ${cells} cells of ${expected} visited, in ${chosen.length} situations`);
    });
  });
}
