/** The addon of `system.cc`, which is built when it is first needed. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

interface System {
  poll(fds: Int32Array, events: Int32Array, revents: Int32Array): number;
  openTerminal(pair: Int32Array): number;
  openMemory(): number;
}

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL("../../../", import.meta.url));
const source = join(root, "test/loop-programs/system.cc");
const addon = join(root, "out-native/loop-programs/system.node");

function build(): void {
  if (existsSync(addon) && statSync(addon).mtimeMs > statSync(source).mtimeMs) return;
  mkdirSync(dirname(addon), { recursive: true });
  const { include_dir: headers } = require("node-api-headers") as { include_dir: string };
  // Another process may do the same.
  const made = `${addon}.${process.pid}`;
  const flags = ["-std=c++17", "-O2", "-shared", "-fPIC", "-Wall", `-isystem${headers}`];
  const { status, error } = spawnSync("g++", [...flags, source, "-o", made], { stdio: ["ignore", 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${source} does not compile`);
  renameSync(made, addon);
}

build();

export const { poll, openTerminal, openMemory } = require(addon) as System;
