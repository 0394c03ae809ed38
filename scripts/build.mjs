/**
 * `npm run build`: everything that is made from the sources, in the order in which it is needed.
 *
 *   dist/<kernel>.component.wasm, dist/component/    the components         scripts/component.mjs
 *   dist/                                            src/, compiled         tsc
 *   build/Release/                                   the native addon       scripts/addon.mjs
 *   out/                                             test/, bench/ and examples/, compiled; the core's self-test and parts
 *   bench/native/build/Release/                      what the benchmarks compare with
 */
import { spawnSync } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildComponents, compileParts, compileSelfTest } from "./component.mjs";
import { nodeGyp } from "./node-gyp.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function tsc(project) {
  const { status } = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", project], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) throw new Error(`${project} does not compile`);
}

try {
  // Files whose source is gone would be shipped, or run as tests.
  await rm(join(root, "dist"), { recursive: true, force: true });
  for (const name of ["test", "bench", "examples"]) {
    await rm(join(root, "out", name), { recursive: true, force: true });
  }
  await buildComponents();
  tsc("tsconfig.json");
  nodeGyp(root);
  tsc("tsconfig.dev.json");
  await writeFile(join(root, "out/selftest.wasm"), await compileSelfTest());
  await writeFile(join(root, "out/parts.wasm"), await compileParts());
  nodeGyp(join(root, "bench/native"));
} catch (error) {
  console.error(`build: ${error.message}`);
  process.exitCode = 1;
}
