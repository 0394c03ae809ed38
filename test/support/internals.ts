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
type EpollComponent = typeof import("../../dist/component/epoll/epoll.js");

async function built<Module>(path: string): Promise<Module> {
  return (await import(pathToFileURL(join(root, "dist", path)).href)) as Module;
}

export const { platformKernel } = await built<Platform>("platform.js");
export const { instanceFor } = await built<Component>("component.js");
export const { native } = await built<Addon>("native.js");
export const cabiLower: KernelTerms["cabiLower"] = (await built<KernelTerms>("kernel.js")).cabiLower;
export const { instantiate } = await built<EpollComponent>("component/epoll/epoll.js");

/** A core module of the epoll component, for `instantiate`. */
export function epollModule(path: string): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(join(root, "dist/component/epoll", path)));
}
