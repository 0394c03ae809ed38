/**
 * To be loaded before a program: the component's core module is the file that `MUTANT_CORE` names, and the core's self-test
 * the one that `MUTANT_SELFTEST` names. Nothing in the package knows of it.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const { MUTANT_CORE: core, MUTANT_SELFTEST: selfTest, MUTANT_KERNEL: kernel } = process.env;
const original = fs.readFileSync;
const replaced = ((path: unknown, ...options: unknown[]) => {
  const name = String(path);
  if (core !== undefined && name.endsWith(`component/${kernel}/${kernel}.core.wasm`)) return original(core);
  if (selfTest !== undefined && name.endsWith("out/selftest.wasm")) return original(selfTest);
  return (original as (...values: unknown[]) => unknown)(path, ...options);
}) as typeof fs.readFileSync;
fs.readFileSync = replaced;
syncBuiltinESMExports();
