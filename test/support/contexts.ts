/**
 * Loads the package into a context of its own, as test runners do that isolate test files by `node:vm`. Node's only, which
 * must have been started with `--experimental-vm-modules`.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import vm from "node:vm";

export const FLAGS = ["--experimental-vm-modules", "--no-warnings"];

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** What such test runners give a context beside the language's own globals. */
function globals(): object {
  const { process, console, URL, AbortSignal, AbortController, TextDecoder, TextEncoder, queueMicrotask } = globalThis;
  return { process, console, URL, AbortSignal, AbortController, TextDecoder, TextEncoder, queueMicrotask };
}

// @types/node of the oldest version does not know what modules of a context have become.
interface Module {
  readonly status: string;
  readonly namespace: object;
  link(linker: (specifier: string, from: { readonly identifier: string }) => Promise<Module>): Promise<void>;
  evaluate(): Promise<void>;
}
const { SourceTextModule, SyntheticModule } = vm as unknown as {
  readonly SourceTextModule: new (text: string, options: object) => Module;
  readonly SyntheticModule: new (
    names: string[],
    evaluate: (this: { setExport(name: string, value: unknown): void }) => void,
    options: object,
  ) => Module;
};

/** The exports of modules of `dist/`, such as `"index.js"`, all of whose code runs in one context. */
export async function importInContext(
  files: readonly string[],
  context = vm.createContext(globals()),
): Promise<readonly object[]> {
  const known = new Map<string, Promise<Module>>();
  const load = (identifier: string): Promise<Module> => {
    const found = known.get(identifier) ?? make(identifier, context);
    known.set(identifier, found);
    return found;
  };
  const namespaces: object[] = [];
  for (const file of files) {
    const module = await load(pathToFileURL(join(ROOT, "dist", file)).href);
    if (module.status === "unlinked") {
      await module.link((specifier, from) =>
        load(specifier.startsWith(".") ? new URL(specifier, from.identifier).href : specifier),
      );
    }
    await module.evaluate();
    namespaces.push(module.namespace);
  }
  return namespaces;
}

async function make(identifier: string, context: vm.Context): Promise<Module> {
  if (identifier.startsWith("file:")) {
    const initializeImportMeta = (meta: ImportMeta): void => void (meta.url = identifier);
    const text = await readFile(fileURLToPath(identifier), "utf8");
    return new SourceTextModule(text, { identifier, context, initializeImportMeta });
  }
  const exports = (await import(identifier)) as Readonly<Record<string, unknown>>;
  const evaluate = function (this: { setExport(name: string, value: unknown): void }): void {
    for (const [name, value] of Object.entries(exports)) this.setExport(name, value);
  };
  return new SyntheticModule(Object.keys(exports), evaluate, { identifier, context });
}
