/**
 * Builds programs of `test/native/` with a part or all of `host/`, under sanitizers: no Node in them, but a stub of its
 * interface.
 *
 * Folders are taken as they are. Of `host/kernels/` a file is in if there is one of its name in `test/native/kernels/`,
 * where a line "Build: …" may give the compiler more arguments, such as a simulated system's sources.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hostDefinitions, hostLinkerFlags, hostSources } from "./host-sources.mjs";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const TESTS = "test/native";

/** The programs: their sources beside `host/`, the stub and `kernels/`, and the sanitizers that they run under. */
const PROGRAMS = {
  fuzz: { own: ["fuzz", "system"], sanitizers: "fuzzer,address,undefined", kernels: /./ },
  // Its notifiers are epoll's; the other kernels' files need the calls of system.cc, which this one does without.
  threads: { own: ["threads"], sanitizers: "thread", kernels: /\/epoll\.cc$/ },
};

function sourcesIn(folder) {
  const files = existsSync(join(root, folder)) ? readdirSync(join(root, folder)) : [];
  return files.filter((file) => file.endsWith(".cc")).map((file) => `${folder}/${file}`);
}

function kernelFiles(kernels) {
  return sourcesIn(`${TESTS}/kernels`)
    .filter((file) => kernels.test(file))
    .flatMap((file) => {
      const host = `host/kernels/${basename(file)}`;
      if (!existsSync(join(root, host))) throw new Error(`${file} is about a kernel that there is no ${host} for`);
      return [file, host];
    });
}

/** More arguments of the compiler, from the files under `kernels/`. */
function kernelArguments(kernels) {
  return sourcesIn(`${TESTS}/kernels`)
    .filter((file) => kernels.test(file))
    .flatMap((file) => {
      const [, line] = readFileSync(join(root, file), "utf8").match(/^\/\/ Build: (.*)$/m) ?? [];
      return line === undefined ? [] : line.split(" ");
    });
}

/** The headers of this Node: as node-gyp.mjs finds them. */
export function includes() {
  const prefix = join(dirname(dirname(process.execPath)), "include/node");
  const headers = [prefix, "/usr/include/node"].find((folder) => existsSync(join(folder, "node_api.h")));
  if (headers === undefined) throw new Error(`there is no node_api.h in ${prefix}`);
  const addonApi = dirname(createRequire(import.meta.url).resolve("node-addon-api/package.json"));
  return [`-isystem${headers}`, `-isystem${addonApi}`];
}

export const DEFINES = ["-DNAPI_VERSION=8", "-DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS"];

/** The calls for which there is a `__wrap_…`. */
function wrapped(files) {
  const texts = files.map((file) => readFileSync(join(root, file), "utf8"));
  const names = texts.flatMap((text) => [...text.matchAll(/\b__wrap_(\w+)\(/g)].map(([, name]) => name));
  return [...new Set(names)].map((name) => `-Wl,--wrap=${name}`);
}

export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit", ...options });
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(signal ?? code));
  });
}

/** Two at a time: what there is of processors. */
async function inTwos(jobs) {
  const left = [...jobs];
  const work = async () => {
    for (let job = left.shift(); job !== undefined; job = left.shift()) await job();
  };
  await Promise.all([work(), work()]);
}

async function compile(source, object, flags) {
  // What is not the addon's own is no code to be covered.
  const own = source.startsWith("host/") ? flags : flags.map((flag) => flag.replace("=fuzzer,", "="));
  const status = await run("clang++", ["-c", source, "-o", object, ...own]);
  if (status !== 0) throw new Error(`${source} does not compile`);
}

/** Node-API functions that an object needs and no object has: each fails when it is called. */
function missingFunctions(objects) {
  const names = (flag) => {
    const { stdout } = spawnSync("nm", [flag, ...objects], { encoding: "utf8", maxBuffer: 2 ** 28 });
    return new Set([...stdout.matchAll(/ [A-Z] (napi_\w+)$/gm)].map(([, name]) => name));
  };
  const defined = names("--defined-only");
  return [...names("-u")].filter((name) => !defined.has(name));
}

function newest(folder) {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  const times = entries.map((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? newest(path) : statSync(join(root, path)).mtimeMs;
  });
  return Math.max(0, ...times);
}

/** Builds a program, unless it is newer than its sources. Answers its path. */
export async function buildNative(name) {
  const { own, sanitizers, kernels } = PROGRAMS[name];
  const folder = join(root, "out-native", name);
  const program = join(folder, name);
  const changed = Math.max(newest("host"), newest(TESTS), statSync(fileURLToPath(import.meta.url)).mtimeMs);
  if (existsSync(program) && statSync(program).mtimeMs > changed) return program;

  mkdirSync(folder, { recursive: true });
  const tests = [...own, "node_api_stub"].map((file) => `${TESTS}/${file}.cc`);
  const more = kernelArguments(kernels);
  const sources = [
    ...sourcesIn("host"),
    ...tests,
    ...kernelFiles(kernels),
    ...more.filter((word) => word.endsWith(".cc")),
  ];
  const sanitize = [`-fsanitize=${sanitizers}`, "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];
  const flags = ["-std=c++17", "-O1", "-g", "-fno-exceptions", "-Wall", "-Wextra", ...sanitize, ...DEFINES];
  flags.push(...includes(), ...more.filter((word) => !word.endsWith(".cc")));

  const objects = sources.map((source) => join(folder, `${source.replaceAll("/", "+")}.o`));
  await inTwos(sources.map((source, index) => () => compile(source, objects[index], flags)));

  const missing = missingFunctions(objects);
  if (missing.length > 0) {
    console.log(`not in the stub of Node-API, so that they fail when called: ${missing.join(", ")}`);
    const stubs = missing.map((missed) => `extern "C" int ${missed}() { return 9; /* napi_generic_failure */ }\n`);
    writeFileSync(join(folder, "missing.cc"), stubs.join(""));
    await compile(join(folder, "missing.cc"), join(folder, "missing.o"), flags);
    objects.push(join(folder, "missing.o"));
  }
  const status = await run("clang++", [...objects, "-o", program, ...sanitize, ...wrapped(sources)]);
  if (status !== 0) throw new Error(`${name} does not link`);
  return program;
}

/**
 * Builds the addon for this Node with other flags than node-gyp's, as `out-native/<name>/build/Release/lio_poller.node`;
 * `choose` may choose other sources. Answers the folder in which node-gyp-build finds it, if `LIO_POLLER_PREBUILD` says so.
 */
export async function buildAddon(name, flags, choose = (sources) => sources) {
  const folder = join(root, "out-native", name);
  const addon = join(folder, "build/Release/lio_poller.node");
  const { sources: own, defines, linkerFlags } = bindings();
  const sources = choose(own);
  const changed = Math.max(
    ...sources.map((source) => newest(dirname(source))),
    statSync(fileURLToPath(import.meta.url)).mtimeMs,
  );
  if (existsSync(addon) && statSync(addon).mtimeMs > changed) return folder;

  mkdirSync(dirname(addon), { recursive: true });
  const all = ["-std=c++17", "-g", "-fPIC", "-fno-exceptions", "-fvisibility=hidden", "-Wall", "-Wextra", ...flags];
  all.push(...defines, ...includes());
  const objects = sources.map((source) => join(folder, `${source.replaceAll("/", "+")}.o`));
  await inTwos(sources.map((source, index) => () => compile(source, objects[index], all)));
  const status = await run("clang++", ["-shared", "-o", addon, ...objects, ...flags, ...linkerFlags]);
  if (status !== 0) throw new Error(`${addon} does not link`);
  return folder;
}

/** What `binding.gyp` says about this platform. */
export function bindings() {
  const system = { darwin: "mac", win32: "win" }[process.platform] ?? process.platform;
  const defines = [...hostDefinitions(system), "NODE_GYP_MODULE_NAME=lio_poller"];
  return {
    sources: hostSources(),
    defines: defines.map((define) => `-D${define}`),
    linkerFlags: hostLinkerFlags(system),
  };
}
