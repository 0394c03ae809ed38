/** The core's self-test, in AssemblyScript, as a WASI program that is given nothing but a place to write to. */
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { WASI } from "node:wasi";

const root = dirname(createRequire(import.meta.url).resolve("lio-poller/package.json"));

describe("the core's self-test under node:wasi", () => {
  const program = new WebAssembly.Module(readFileSync(join(root, "out/selftest.wasm")));

  it("asks its host for nothing but to write and to exit", () => {
    const imports = WebAssembly.Module.imports(program).map(({ module, name }) => `${module}.${name}`);
    assert.deepEqual(imports.toSorted(), ["wasi_snapshot_preview1.fd_write", "wasi_snapshot_preview1.proc_exit"]);
  });

  it("passes, every test of it", () => {
    const folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
    const file = join(folder, "output");
    const output = openSync(file, "w");
    try {
      const wasi = new WASI({ version: "preview1", preopens: {}, returnOnExit: true, stdout: output });
      const instance = new WebAssembly.Instance(program, wasi.getImportObject() as WebAssembly.Imports);
      const status = wasi.start(instance);
      const text = readFileSync(file, "utf8");
      assert.deepEqual(text.match(/^(not ok|#) .*$/gm) ?? [], []);
      assert.match(text, /^[1-9][0-9]* passed, 0 failed\n$/m);
      assert.equal(status, 0);
    } finally {
      closeSync(output);
      rmSync(folder, { recursive: true });
    }
  });
});
