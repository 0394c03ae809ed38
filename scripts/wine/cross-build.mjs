/**
 * Builds the addon and small programs for Windows, with MinGW. node-gyp knows no such thing; `binding.gyp` still says
 * what is built, and with which definitions.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hostDefinitions, hostSources } from "../host-sources.mjs";
import { run } from "./tools.mjs";

const require = createRequire(import.meta.url);
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const COMPILER = "x86_64-w64-mingw32-g++-posix";
// The strictest that this compiler can be: MSVC has none of GNU's extensions.
const LANGUAGE = ["-std=c++17", "-pedantic-errors", "-Wall", "-Wextra", "-Werror"];
const STATIC = ["-static", "-static-libgcc", "-static-libstdc++"];
const SYSTEM_LIBRARIES = ["-lws2_32", "-lntdll"];

const DEFINITIONS = hostDefinitions("win").map((definition) => `-D${definition}`);

function changed(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

/** When the newest of the addon's headers, or what says how to build, was changed. */
function newestHeader() {
  const headers = ["host", "host/kernels"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".h"))
      .map((name) => join(root, folder, name)),
  );
  return Math.max(...[...headers, join(root, "binding.gyp"), fileURLToPath(import.meta.url)].map(changed));
}

async function compile(source, object, options) {
  const child = spawn(COMPILER, [...LANGUAGE, ...options, "-c", "-o", object, source], { stdio: ["ignore", 2, 2] });
  const status = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (status !== 0) throw new Error(`${basename(source)} does not compile for Windows`);
}

/** Compiles what is older than its source or a header, as many at a time as there are processors. */
async function compileAll(jobs, options) {
  const header = newestHeader();
  const waiting = jobs.filter(({ source, object }) => changed(object) <= Math.max(changed(source), header));
  const work = async () => {
    for (let job = waiting.pop(); job !== undefined; job = waiting.pop()) {
      await compile(job.source, job.object, options);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

/**
 * Builds the addon as node-gyp would lay it out below the folder, which node-gyp-build finds by the environment variable
 * LIO_POLLER_PREBUILD.
 *
 * @param further definitions beside those of `binding.gyp`
 */
export async function buildAddon(folder, further = []) {
  const objects = join(folder, "objects");
  const addon = join(folder, "build/Release/lio_poller.node");
  mkdirSync(objects, { recursive: true });
  mkdirSync(dirname(addon), { recursive: true });

  // An import library that looks for node.exe only when the first of its functions is called: see delay_load.cc.
  const imports = join(objects, "libnode.a");
  const headers = require("node-api-headers");
  run("x86_64-w64-mingw32-dlltool", ["-d", headers.def_paths.node_api_def, "-D", "node.exe", "-y", imports]);

  const includes = ["-isystem", headers.include_dir, "-isystem", require("node-addon-api").include_dir];
  const jobs = [...hostSources(), "scripts/wine/delay_load.cc"].map((source) => ({
    source: join(root, source),
    object: join(objects, `${source.replaceAll("/", "_")}.o`),
  }));
  const options = ["-O2", "-g", "-fno-exceptions", "-fvisibility=hidden"];
  await compileAll(jobs, [...options, ...includes, ...DEFINITIONS, ...further]);
  const parts = jobs.map(({ object }) => object);
  run(COMPILER, ["-shared", "-o", addon, ...parts, ...STATIC, imports, "-ldelayimp", ...SYSTEM_LIBRARIES]);
}

/** Builds a program of one file. */
export function buildProgram(source, program) {
  mkdirSync(dirname(program), { recursive: true });
  run(COMPILER, [...LANGUAGE, "-O1", "-g", ...DEFINITIONS, "-o", program, source, ...STATIC, ...SYSTEM_LIBRARIES]);
}
