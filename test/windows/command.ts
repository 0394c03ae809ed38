/** The command `lio-poller` on Windows. */
import assert from "node:assert/strict";
import { type Ending, run } from "../support/child.js";

const cli = (...args: string[]): Ending => run("../../../dist/cli", args);

describe("the command on Windows", () => {
  it("doctor tells the kernel and its delivery, and that all is well", () => {
    const { stdout, ...rest } = cli("doctor");
    assert.deepEqual(rest, { status: 0, signal: null, stderr: "" });
    assert.match(stdout, /^kernel +iocp$/m);
    assert.match(stdout, /^delivery +thread$/m);
    const checks = stdout.split("\n\n")[1]!.trimEnd().split("\n");
    assert.equal(checks.length, 5);
    assert.ok(
      checks.every((check) => check.startsWith("ok ")),
      stdout,
    );
  });

  it("watch says that there are no edges", () => {
    const { stdout, stderr, status } = cli("watch", "272");
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(stderr, /^lio-poller: 272: .* \(ENOTSUP\)\n$/);
  });
});
