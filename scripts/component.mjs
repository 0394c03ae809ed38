/**
 * From `assembly/` and `wit/` to a component and its JavaScript, once for each kernel in `assembly/kernels/`.
 *
 *   dist/<kernel>.component.wasm        the component, for any component host
 *   dist/component/<kernel>/            what jco makes of it: core modules, JavaScript and types
 */
import { componentEmbed, componentNew, componentWit, transpile } from "@bytecodealliance/jco";
import { main as compileAssemblyScript } from "assemblyscript/asc";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import WitExports from "./wit-exports.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const MOST_BYTES = 32 * 1024;

/** The kernels that there are: one file each. */
export async function kernels() {
  const files = await readdir(join(root, "assembly/kernels"));
  return files.map((file) => basename(file, ".ts")).toSorted();
}

/** Compiles AssemblyScript; `replaced` gives other texts for files of `assembly/`. */
export async function compile(entry, replaced = {}, options = []) {
  let wasm;
  const { error, stderr } = await compileAssemblyScript(
    [
      entry,
      "--outFile",
      "core.wasm",
      "--runtime",
      "stub",
      "--use",
      "abort=assembly/abi/abort/abort",
      "--optimizeLevel",
      "3",
      "--shrinkLevel",
      "0",
      "--converge",
      "--noAssert",
      ...options,
    ],
    {
      readFile: async (name, base) => replaced[name] ?? readFile(join(base, name), "utf8").catch(() => null),
      writeFile: (name, content) => void (wasm = content),
      listFiles: () => [],
      transforms: [new WitExports()],
    },
  );
  if (error) throw new Error(`${entry} does not compile:\n${stderr}`);
  return wasm;
}

/** The core of a kernel's component; `changed` gives other texts for files of `assembly/`. */
export function compileCore(kernel, changed = {}, options = []) {
  const texts = { ...changed, "assembly/kernel.ts": `export * from "./kernels/${kernel}";\n` };
  return compile("assembly/index.ts", texts, options);
}

/** The core's self-test, on a scripted kernel and clock of its own; `changed` as in `compileCore`. */
export function compileSelfTest(changed = {}, options = []) {
  const replaced = {
    ...changed,
    "assembly/kernel.ts": `export * from "./selftest/kernel";
export { ABSENT, CLOSING_ENDS, Descriptor, REPORTED, REPORTED_MASK, SPENT } from "./kernels/epoll";
export { afterEvent, armed, descriptorOf, isArmed, isNoisy, isReported, modifyAlwaysTells } from "./kernels/epoll";
export { heldAfterRefusal, readinessOf, silenced, staysArmed } from "./kernels/epoll";
export { readyAmount, readyError, readyFd, readyGeneration, readyMask } from "./kernels/epoll";
export * from "./numbered";
`,
    "assembly/clock.ts": 'export * from "./selftest/clock";\n',
  };
  return compile("assembly/selftest/index.ts", replaced, options);
}

/** The core's parts that depend on nothing, for tests in JavaScript. */
export function compileParts() {
  return compile("assembly/selftest/parts.ts");
}

/** All of `wit/` as one source; the package is named in the first file. */
export async function witSource() {
  const files = (await readdir(join(root, "wit"))).filter((file) => file !== "types.wit").toSorted();
  const texts = ["types.wit", ...files].map((file) => readFile(join(root, "wit", file), "utf8"));
  return (await Promise.all(texts)).join("\n");
}

/** Fails if the component of a kernel imports anything but the kernel, the clock and the types they speak in. */
export async function checkImports(component, kernel) {
  const wit = await componentWit(component);
  const imports = [...wit.matchAll(/^\s*import (.*);$/gm)].map(([, name]) => name);
  const allowed = ["types", "clock", kernel].map((name) => `lio:poller/${name}@0.1.0`);
  const others = imports.filter((name) => !allowed.includes(name));
  if (others.length > 0 || imports.length === 0) {
    throw new Error(`${kernel}: the component may import ${allowed.join(", ")} only. Its WIT:\n${wit}`);
  }
  return wit;
}

/** A component without its custom sections: names for debuggers, a tenth of all bytes, and who has made it. */
function withoutCustomSections(component) {
  const kept = [component.subarray(0, 8)];
  for (let at = 8; at < component.length;) {
    const [start, isCustom] = [at, component[at] === 0];
    let size = 0;
    // LEB128: seven bits a byte, the lowest first.
    for (let shift = 0; ; shift += 7) {
      const byte = component[++at];
      size += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    at += 1 + size;
    if (!isCustom) kept.push(component.subarray(start, at));
  }
  return Buffer.concat(kept);
}

export async function buildComponent(kernel) {
  const core = await compileCore(kernel);
  const embedded = await componentEmbed({ binary: core, witSource: await witSource(), world: `${kernel}-poller` });
  const component = withoutCustomSections(await componentNew(embedded, []));
  const wit = await checkImports(component, kernel);
  if (component.length > MOST_BYTES) {
    throw new Error(`${kernel}: the component has ${component.length} bytes, more than ${MOST_BYTES}`);
  }
  const { files } = await transpile(component, {
    name: kernel,
    instantiation: "sync",
    importBindings: "hybrid",
    validLiftingOptimization: true,
    nodejsCompat: false,
    map: {},
  });
  return { core, component, wit, files };
}

/**
 * The types that jco generates take WebAssembly's from the DOM's, which a program on Node need not have. These two
 * names are all that they use of it.
 */
const WEBASSEMBLY_TYPES = `declare namespace WebAssembly {
  interface Module {}
  interface Instance { readonly exports: Record<string, any> }
}
`;

async function write(path, content) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

export async function buildComponents() {
  for (const kernel of await kernels()) {
    const { core, component, files } = await buildComponent(kernel);
    const folder = join(root, "dist/component", kernel);
    await rm(folder, { recursive: true, force: true });
    await write(join(root, `dist/${kernel}.component.wasm`), component);
    for (const [name, content] of Object.entries(files)) {
      const isRoot = name === `${kernel}.d.ts`;
      await write(join(folder, name), isRoot ? WEBASSEMBLY_TYPES + Buffer.from(content).toString() : content);
    }
    console.log(`${kernel}: core module ${core.length} bytes, component ${component.length} bytes`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildComponents();
