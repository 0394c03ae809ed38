/**
 * `npm run loop-programs [-- [--on RUNTIME]… [OPTION…]]`: random programs on the face of the event loop, by this Node or by
 * runtimes of `npm run runtimes`. All other options are those of test/loop-programs/main.ts, which tells them with --help.
 */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { installRuntimes, RUNTIMES, runtimeCommand } from "./runtimes/installed.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const program = join(root, "out/test/loop-programs/main.js");
const THIS = { program: process.execPath, flags: ["--enable-source-maps"], env: process.env };

const { values, tokens } = parseArgs({
  options: { on: { type: "string", multiple: true, default: [] } },
  strict: false,
  tokens: true,
});
const own = tokens.filter(({ kind, name }) => kind === "option" && name === "on");
const ownPlaces = own.flatMap(({ index, inlineValue }) => (inlineValue ? [index] : [index, index + 1]));
const passedOn = process.argv.slice(2).filter((_, index) => !ownPlaces.includes(index));

const unknown = values.on.find((name) => !(name in RUNTIMES));
if (unknown !== undefined) {
  console.error(`loop-programs: there is no runtime "${unknown}", but ${Object.keys(RUNTIMES).join(", ")}`);
  process.exitCode = 2;
} else {
  if (values.on.length > 0) installRuntimes();
  const commands = values.on.length === 0 ? [["this Node", THIS]] : values.on.map((on) => [on, runtimeCommand(on)]);
  for (const [name, { program: runtime, flags, env }] of commands) {
    console.error(`> ${name}`);
    const { status, error } = spawnSync(runtime, [...flags, program, ...passedOn], {
      cwd: root,
      env,
      stdio: "inherit",
    });
    if (error) throw error;
    if (status !== 0) process.exitCode = status ?? 1;
  }
}
