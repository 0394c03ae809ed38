/**
 * `npm run test:windows`, on Windows itself: the suites that `npm run test:wine` runs under Wine, in the node.exe that
 * runs this. Relies on a build; for the programs in C++ on MSVC's `cl`, as a developer's command prompt has it.
 *
 * What Wine gets wrong has to be right here: its programs are run as the others are.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { report, verdict } from "./wine/report.mjs";
import { faultPrograms, nativePrograms, suites } from "./wine/suites.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, "out/windows");
const COMPILER = ["/nologo", "/std:c++17", "/permissive-", "/EHsc", "/W3"];
const DEFINITIONS = ["/D_WIN32_WINNT=0x0A00", "/DWIN32_LEAN_AND_MEAN", "/DNOMINMAX"];
const LIBRARIES = ["ws2_32.lib", "ntdll.lib"];

function run(command, args, seconds) {
  const began = performance.now();
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    timeout: seconds * 1000,
    maxBuffer: 2 ** 26,
  });
  const late = error?.code === "ETIMEDOUT";
  const failure = late
    ? `not done after ${seconds} s`
    : (error?.message ?? (status === 0 ? undefined : `exit code ${status}`));
  return { failure, output: `${stdout ?? ""}${stderr ?? ""}`, seconds: (performance.now() - began) / 1000 };
}

function runSuite(suite) {
  const { program, seconds, renamed = false } = suite;
  let executable = process.execPath;
  if (renamed) {
    executable = join(folder, "renamed.exe");
    copyFileSync(process.execPath, executable);
  }
  const [script, ...args] = program;
  const result = run(executable, [join(root, script), ...args], seconds);
  return { ...result, failure: verdict(suite, result.failure, result.output) };
}

function runProgram({ name, source }) {
  const program = join(folder, `${name}.exe`);
  const options = [...COMPILER, ...DEFINITIONS, `/Fe${program}`, `/Fo${join(folder, `${name}.obj`)}`];
  const built = run("cl", [...options, source, ...LIBRARIES], 120);
  return built.failure === undefined ? run(program, [], 60) : { ...built, failure: "it does not compile" };
}

mkdirSync(folder, { recursive: true });
const where = `Node ${process.versions.node.split(".")[0]}`;
process.exitCode = report([
  ...suites.map((suite) => ({ where, name: suite.name, ...runSuite(suite) })),
  ...[...nativePrograms(), ...faultPrograms()].map((program) => ({
    where: "native",
    name: program.name,
    ...runProgram(program),
  })),
]);
