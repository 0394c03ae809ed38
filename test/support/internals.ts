/** The parts of the built package that it does not export, for the tests that look behind its face. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/** The package's folder. */
export const root = dirname(createRequire(import.meta.url).resolve("lio-poller/package.json"));

type Platform = typeof import("../../dist/platform.js");
type Addon = typeof import("../../dist/native.js");
type KernelTerms = typeof import("../../dist/kernel.js");
type Component = typeof import("../../dist/component.js");
type Components = typeof import("../../dist/components.js");

/** A module of the built package, by its path. */
export async function built<Module>(path: string): Promise<Module> {
  return (await import(pathToFileURL(join(root, "dist", path)).href)) as Module;
}

export const { monotonic, PlatformKernel, platformKernel } = await built<Platform>("platform.js");
export const { BUSY, instanceFor } = await built<Component>("component.js");
export const { native } = await built<Addon>("native.js");
export const cabiLower: KernelTerms["cabiLower"] = (await built<KernelTerms>("kernel.js")).cabiLower;
export const { components } = await built<Components>("components.js");

/** Finds the core modules of a component, for the one that instantiates it. */
export function modulesOf(name: keyof typeof components): (path: string) => WebAssembly.Module {
  return (path) => new WebAssembly.Module(readFileSync(join(root, "dist/component", name, path)));
}
