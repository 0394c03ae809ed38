/**
 * The numbers of our own descriptors. One that a program had just closed became ours at once, and then `delete` of it was
 * refused with EINVAL, `dispose` too, and the registration kept the process running.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { command, PASSED, programPath } from "./support/child.js";

const PATIENCE = 50_000;

describe("a poller's own descriptors", function () {
  this.timeout(2 * PATIENCE);

  for (const limit of [128, 1024, 2048]) {
    it(`have numbers that programs seldom have, and do no harm where they have others, with ${limit} at most`, () => {
      const [name, args] = command(programPath("own-numbers"), [String(limit)]);
      const shell = ["-c", `ulimit -n ${limit} && exec "$0" "$@"`, name, ...args];
      const { status, signal, stdout, stderr } = spawnSync("sh", shell, { encoding: "utf8", timeout: PATIENCE });
      assert.deepEqual({ status, signal, last: stdout.trimEnd() }, { status: 0, signal: null, last: PASSED }, stderr);
    });
  }
});
