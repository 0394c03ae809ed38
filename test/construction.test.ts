/** The first poller of a process that lacks what one is made of: each lack has its own error. All were "unsupported". */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Poller } from "lio-poller";
import { SimulatedEpoll } from "lio-poller/sim";
import { command, programPath } from "./support/child.js";
import { cabiLower, platformKernel, root } from "./support/internals.js";

const PATIENCE = 50_000;

interface Outcome {
  /** Of the first poller. */
  readonly first: string;
  /** Of one that needs another component. */
  readonly another: string;
  /** How `readable` has failed: of a pipe with nothing in it. */
  readonly loop: string;
  /** Of a poller when all that was lacking is back; empty if nothing can be given back. */
  readonly afterwards: string;
}

const WELL = "it works";

/** Runs the program under the shell's limits. */
function run(values: readonly string[], limits = ":", flags: readonly string[] = [], env = {}): Outcome {
  const [name, args] = command(programPath("first-poller"), values);
  const shell = ["-c", `${limits} && exec "$0" "$@"`, name, ...flags, ...args];
  const options = { encoding: "utf8", timeout: PATIENCE, env: { ...process.env, ...env } } as const;
  const { status, signal, stdout, stderr } = spawnSync("sh", shell, options);
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr);
  return JSON.parse(stdout) as Outcome;
}

describe("the first poller", function () {
  this.timeout(4 * PATIENCE);

  it("is made where nothing is lacking", () => {
    assert.deepEqual(run(["nothing"]), { first: WELL, another: WELL, loop: "ETIMEDOUT", afterwards: "" });
  });

  it("of a process without a descriptor left fails with EMFILE, and what needs none of the kernel's works", () => {
    const { first, another, loop, afterwards } = run(["descriptors"], "ulimit -n 64");
    assert.equal(first, "PollerError EMFILE: create: EMFILE");
    assert.match(another, /^PollerError EMFILE: create: EMFILE, /);
    assert.deepEqual([loop, afterwards], ["EMFILE", WELL]);
  });

  it("of a process without WebAssembly fails with that in words, and is made when there is one", () => {
    const { first, another, loop, afterwards } = run(["WebAssembly"]);
    assert.match(first, /^PollerError ERR_POLLER_UNSUPPORTED: .*no WebAssembly/);
    assert.equal(another, first);
    assert.deepEqual([loop, afterwards], ["ERR_POLLER_UNSUPPORTED", WELL]);
  });

  it("of a process whose engine has no room for a memory fails with ENOMEM, and is made when there is room", () => {
    const { first, another, loop, afterwards } = run(["memory"]);
    assert.match(first, /^PollerError ENOMEM: create: ENOMEM, /);
    assert.equal(another, first);
    assert.deepEqual([loop, afterwards], ["ENOMEM", WELL]);
  });

  if (process.versions["bun"] === undefined && !("Deno" in globalThis)) {
    it("of a process started without WebAssembly fails with that in words", () => {
      const { first, loop } = run(["nothing"], ":", ["--jitless", "--no-warnings"]);
      assert.match(first, /^PollerError ERR_POLLER_UNSUPPORTED: .*no WebAssembly/);
      assert.equal(loop, "ERR_POLLER_UNSUPPORTED");
    });

    it("of a process without address space fails with ENOMEM, or is made if the engine can do with so little", () => {
      const { first, loop } = run(["nothing"], "ulimit -v 4000000");
      if (first === WELL) assert.equal(loop, "ETIMEDOUT");
      else assert.match(`${loop} ${first}`, /^ENOMEM PollerError ENOMEM: create: ENOMEM, .*memory/);
    });
  }

  describe("of a package whose files", () => {
    let folder = "";

    before(() => (folder = mkdtempSync(join(tmpdir(), "lio-poller-"))));
    after(() => rmSync(folder, { recursive: true }));

    /** A copy of the package whose core modules of the platform's kernel are changed. */
    function changed(name: string, change: (file: string) => void): string {
      const copy = join(folder, name);
      mkdirSync(copy);
      cpSync(join(root, "dist"), join(copy, "dist"), { recursive: true });
      cpSync(join(root, "package.json"), join(copy, "package.json"));
      symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
      const cores = join(copy, "dist/component", platformKernel(undefined).name);
      for (const file of readdirSync(cores)) if (file.endsWith(".wasm")) change(join(cores, file));
      return pathToFileURL(join(copy, "dist/index.js")).href;
    }

    const changes: readonly [how: string, change: (file: string) => void][] = [
      ["are cut short", (file) => truncateSync(file, 100)],
      ["are empty", (file) => truncateSync(file, 0)],
      ["are folders", (file) => (rmSync(file), mkdirSync(file))],
      ["are gone", (file) => rmSync(file)],
    ];
    for (const [how, change] of changes) {
      it(`${how} fails with that in words, and a component that is whole works`, () => {
        const copy = changed(how, change);
        const { first, another, loop } = run(["nothing", copy], ":", [], { LIO_POLLER_PREBUILD: root });
        assert.match(first, /^PollerError ERR_POLLER_UNSUPPORTED: .*cannot be loaded: .*Install lio-poller again$/);
        assert.deepEqual([another, loop], [WELL, "ERR_POLLER_UNSUPPORTED"]);
      });
    }
  });

  it("at the end of the stack fails with the engine's own error, and its kernel is closed", () => {
    const inner = new SimulatedEpoll();
    let closed = 0;
    const failing = Object.assign(() => 0n, {
      [cabiLower]: () => {
        throw new RangeError("Maximum call stack size exceeded");
      },
    });
    const open = (): ReturnType<SimulatedEpoll["open"]> => {
      const { imports } = inner.open();
      return { imports: { ...imports, clock: { now: failing } }, close: () => void closed++ };
    };
    assert.throws(() => new Poller({ kernel: { name: "epoll", open } }), { name: "RangeError", message: /call stack/ });
    assert.equal(closed, 1);
  });
});
