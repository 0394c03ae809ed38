/** The examples on real descriptors: each runs, and does what it says. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { command } from "./support/child.js";
import { root } from "./support/internals.js";

const examples: readonly [name: string, args: string[], printed: RegExp][] = [
  ["serial", [], /^Example Modem 1 \/ OK\n$/],
  ["inotify", [], /^created draft\nmoved from draft\nmoved to final\ndeleted final\n$/],
  ["fifo", [], /^one\ntwo\nthree\n$/],
  ["child", [], /^50000 lines came back sorted\n$/],
  ["datagram", [], /^20\.50 degrees\n21\.00 degrees\n21\.25 degrees\n$/],
  ["connections", ["500"], /^500 connections stand\n500 were echoed, \d+ events in \d+ waits, \d+ ms\n$/],
];

describe("the examples on real descriptors", () => {
  for (const [name, args, printed] of examples) {
    it(`examples/descriptors/${name}.ts`, () => {
      const [program, values] = command(join(root, "out/examples/descriptors", `${name}.js`), args);
      const { status, stdout, stderr } = spawnSync(program, values, { encoding: "utf8", timeout: 50_000 });
      assert.equal(status, 0, stderr);
      assert.match(stdout, printed);
    });
  }
});
