/**
 * To be loaded before a program, in each of its threads and children: the components' core modules are the instrumented
 * ones in `COVERAGE_FOLDER`, and which of their statements are executed is written there when the thread ends.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { threadId } from "node:worker_threads";

const folder = String(process.env["COVERAGE_FOLDER"]);
const hits = new Set<number>();

const original = fs.readFileSync;
fs.readFileSync = ((path: unknown, ...options: unknown[]) => {
  const kernel = /component\/(\w+)\/\w+\.core\.wasm$/.exec(String(path))?.[1];
  if (kernel !== undefined && String(path).endsWith(`${kernel}.core.wasm`))
    return original(join(folder, `${kernel}.wasm`));
  return (original as (...values: unknown[]) => unknown)(path, ...options);
}) as typeof fs.readFileSync;
syncBuiltinESMExports();

const Instance = WebAssembly.Instance;
WebAssembly.Instance = class extends Instance {
  constructor(module: WebAssembly.Module, imports: WebAssembly.Imports = {}) {
    super(module, { ...imports, coverage: { hit: (statement: number) => void hits.add(statement) } });
  }
};

process.on("exit", () => {
  fs.writeFileSync(join(folder, `${process.pid}-${threadId}.json`), JSON.stringify([...hits]));
});
