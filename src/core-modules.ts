/**
 * The core modules of the components, as the build has put them under `component/`: reading and compiling them, and why an
 * instance of them cannot be made.
 */
import { readdirSync, readFileSync } from "node:fs";
import type { ComponentName } from "./components.js";
import { namedError, PollerError, pollerError } from "./errors.js";

const compiled = new Map<string, WebAssembly.Module>();

/**
 * A core module of a component, by the name of its file: read and compiled once.
 *
 * @throws PollerError `EMFILE`, `ENFILE`, `ENOMEM`; `ERR_POLLER_UNSUPPORTED` if the file is missing or damaged
 */
export function coreModule(name: ComponentName, file: string): WebAssembly.Module {
  const path = `./component/${name}/${file}`;
  let module = compiled.get(path);
  if (module === undefined) {
    module = compile(name, path);
    compiled.set(path, module);
  }
  return module;
}

/** Reads and compiles a component's core modules for later. If that fails, the first poller tries again and tells why. */
export function prepareCoreModules(name: ComponentName): void {
  try {
    const files = readdirSync(new URL(`./component/${name}/`, import.meta.url));
    for (const file of files) if (file.endsWith(".wasm")) coreModule(name, file);
  } catch {
    // A program may import the package for something else.
  }
}

function compile(name: ComponentName, path: string): WebAssembly.Module {
  try {
    return new WebAssembly.Module(readFileSync(new URL(path, import.meta.url)));
  } catch (cause) {
    const message = `The component of the kernel "${name}" cannot be loaded: ${(cause as Error).message}`;
    throw shortage(cause) ?? pollerError("ERR_POLLER_UNSUPPORTED", `${message}. Install lio-poller again`, { cause });
  }
}

/** The error to throw for what an instantiation on a kernel has thrown. */
export function instantiationError(cause: unknown, name: ComponentName): unknown {
  if (typeof WebAssembly === "undefined") {
    return pollerError("ERR_POLLER_UNSUPPORTED", "There is no WebAssembly, which every poller needs", { cause });
  }
  if (cause instanceof PollerError) return cause;
  // The end of the stack, which is the caller's to know.
  if (isRangeError(cause) && !isOfMemory(cause)) return cause;
  const message = `The kernel does not offer what a kernel "${name}" must`;
  return shortage(cause) ?? pollerError("ERR_POLLER_UNSUPPORTED", message, { cause });
}

/** The error for what the process has too little of; `undefined` if it is something else. */
function shortage(cause: unknown): PollerError | undefined {
  const { code = "", message } = cause as { readonly code?: string; readonly message: string };
  if (["EMFILE", "ENFILE", "ENOMEM"].includes(code)) return namedError(code, "create", message);
  return isRangeError(cause) && isOfMemory(cause) ? namedError("ENOMEM", "create", message) : undefined;
}

/** By its name: the error may be another realm's. */
function isRangeError(error: unknown): error is RangeError {
  return error instanceof Error && error.name === "RangeError";
}

/** Engines throw a RangeError for want of memory as they do at the end of the stack. */
function isOfMemory({ message }: RangeError): boolean {
  return /memory/i.test(message);
}
