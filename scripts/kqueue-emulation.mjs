/**
 * `npm run test:kqueue-emulation [-- SENTENCE]`: builds the test-only kqueue of `test/kqueue/` in each of its flavours,
 * with the address and undefined-behaviour sanitizers, and runs its own tests, or those whose sentence contains the
 * argument; then with the thread sanitizer. At last checks that a shared object shadows `close` for itself alone.
 *
 * Relies on g++ and nm, and on nothing that is built before. Everything goes into `out/kqueue/`.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = join(root, "test/kqueue");
const output = join(root, "out/kqueue");

const memory = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"];
const flavours = [
  { name: "FreeBSD", flags: memory },
  { name: "FreeBSD with EVFILT_EXCEPT", flags: [...memory, "-DKQUEUE_EMULATION_EXCEPT"] },
  { name: "macOS", flags: [...memory, "-DKQUEUE_EMULATION_MACOS"] },
  { name: "FreeBSD, threads", flags: ["-fsanitize=thread"] },
];

/** Runs a program to its end; whether it succeeded. */
function run(command, args, options) {
  const { status, signal, error } = spawnSync(command, args, { ...options, stdio: "inherit" });
  if (error !== undefined) console.error(error.message);
  else if (signal !== null) console.error(`${command} was ended by ${signal}`);
  return status === 0;
}

/** Where the tests with the kqueue they test are, or undefined if they cannot be built. */
function build({ name, flags }) {
  const program = join(output, name.replaceAll(/\W+/g, "-"));
  const files = readdirSync(sources).filter((file) => file.endsWith(".cc"));
  const warnings = ["-Wall", "-Wextra", "-Werror"];
  const args = ["-std=c++17", "-O1", "-g", ...warnings, "-pthread", ...flags, "-I.", ...files, "-o", program];
  return run("g++", args, { cwd: sources }) ? program : undefined;
}

/** What is closed in a shared object is to go through the kqueue in it, and nobody else's through that. */
function shadowsForItselfAlone() {
  const object = build({
    name: "shared object",
    flags: ["-shared", "-fPIC", "-fvisibility=hidden", "-fno-exceptions"],
  });
  if (object === undefined) return false;
  const { stdout } = spawnSync("nm", ["-D", object], { encoding: "utf8" });
  const names = new Set(stdout.split("\n").map((line) => line.split(" ").pop().replace(/@.*/, "")));
  return names.has("kqueue_emulation_calls") && !["close", "dup2", "dup3"].some((name) => names.has(name));
}

mkdirSync(output, { recursive: true });
let failed = false;
for (const flavour of flavours) {
  console.log(`\n${flavour.name}`);
  const program = build(flavour);
  // A wait that never ends is a failure too.
  if (program === undefined || !run(program, process.argv.slice(2), { timeout: 120_000 })) failed = true;
}
console.log("\nshared object");
if (!shadowsForItselfAlone()) {
  console.log("  NOT OK its symbols");
  failed = true;
}
process.exitCode = failed ? 1 : 0;
