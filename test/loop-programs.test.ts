/** A few of the random programs on the loop's face; `npm run loop-programs` runs more of them. */
import assert from "node:assert/strict";
import { run } from "./support/child.js";

describe("random programs that wait for descriptors in the event loop", () => {
  it("are told what poll(2) says, once, and nothing after the end; and nothing of them is left", () => {
    const { status, signal, stdout, stderr } = run("../loop-programs/main", ["--seeds", "20"]);
    assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr);
    assert.match(stdout, /^loop-programs: \d+ steps in 20 programs from seed 1, .*: good$/m);
  });
});
