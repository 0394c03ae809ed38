/**
 * An event loop whose kernel object refuses one more descriptor. libuv asks it a turn later than it says, and aborts: one
 * watch was left of the user's limit, and `await readable(fd)` ended the process.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { command, PASSED, programPath } from "./support/child.js";
import { deliveries } from "./support/deliveries.js";
import { root } from "./support/internals.js";

const PATIENCE = 50_000;
const { errno } = constants;

/** Elsewhere no loop of a runtime's watches a descriptor of ours, or by other calls than this test can interpose. */
const isThere = process.platform === "linux" && deliveries.some(({ way }) => way === "uv_poll");

if (isThere)
  describe("an event loop that refuses to watch one more descriptor", function () {
    this.timeout(2 * PATIENCE);
    let folder = "";
    let library = "";

    before(() => {
      folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
      library = join(folder, "refused_add.so");
      const source = join(root, "test/native/preload/refused_add.cc");
      execFileSync("c++", ["-std=c++17", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]);
    });

    after(() => rmSync(folder, { recursive: true }));

    /** Runs the program. Returns who asked for what. */
    function run(...values: string[]): string[] {
      const [name, args] = command(programPath("refused-by-the-loop"), values);
      const env = { ...process.env, LD_PRELOAD: library };
      const { status, signal, stdout, stderr } = spawnSync(name, args, { encoding: "utf8", env, timeout: PATIENCE });
      assert.deepEqual({ status, signal, last: stdout.trimEnd() }, { status: 0, signal: null, last: PASSED }, stderr);
      return stderr.split("\n").filter((line) => /^(loop|addon) /.test(line));
    }

    it("has been asked by the addon before it asks by itself, and takes that", () => {
      const asked = run();
      assert.deepEqual(asked.slice(0, 6), [
        "loop ADD 0",
        "loop DEL 0",
        `loop DEL ${errno.ENOENT}`,
        "addon ADD 0",
        `loop ADD ${errno.EEXIST}`,
        "loop MOD 0",
      ]);
    });

    for (const code of ["ENOSPC", "ENOMEM", "EINVAL"] as const) {
      it(`makes that the call's error: ${code}, for readable, attach, and a poller that replaces its kernel object`, () => {
        const asked = run(String(errno[code]), code);
        const refused = asked.filter((line) => line.endsWith(` ADD ${errno[code]}`));
        assert.ok(refused.length >= 4, asked.join("\n"));
        assert.deepEqual(new Set(refused), new Set([`addon ADD ${errno[code]}`]));
      });
    }
  });
