/**
 * `npm run test:kqueue`: `host/kernels/kqueue.cc` as it is, on Linux, over the test-only kqueue of `test/kqueue/`.
 *
 * Builds the addon with kqueue as its only kernel, once in the flavour of FreeBSD and once in that of macOS. On both it
 * runs the contract, and the tests that ask a kernel anything; on one `npm start`.
 *
 * Relies on clang++, and on everything else being built. The addons go to `out-native/`.
 */
import { spawnSync } from "node:child_process";
import { buildAddon, root } from "./native.mjs";

const FLAVOURS = [
  { name: "kqueue-freebsd", flags: [] },
  { name: "kqueue-macos", flags: ["-DKQUEUE_EMULATION_MACOS"] },
];

/** The test-only kqueue, and what it tells tests. */
const SYSTEM = ["test/kqueue/kqueue.cc", "test/kqueue/filters.cc", "test/kqueue/addon/calls.cc"];

/**
 * Test files that have pollers on the platform's kernel. Of theirs, suite.mjs says which tests kqueue cannot hold, and why.
 * The others are about simulated kernels, about the component alone, or about epoll by name.
 */
const FILES = [
  "arguments",
  "attach",
  "events",
  "ghosts",
  "kqueue-calls",
  "lifecycle",
  "lifting",
  "notifier",
  "timers",
  "trap",
];
const FILES_OF_WATCH = ["watch", "watch-arguments", "watch-calls", "watch-crowd", "watch-trap", "watch-turns"];
const FILES_OF_PROGRAMS = [
  "cli",
  "echo",
  "echo-server",
  "examples",
  "pending-errors",
  "storm",
  "waiting",
  "worker",
  ...FILES_OF_WATCH,
];

function withoutEpoll(sources) {
  return [...sources.filter((source) => source !== "host/kernels/epoll.cc"), ...SYSTEM];
}

let failed = 0;

/** Runs a program in which the package finds that addon; whether it succeeded and said what it must. */
function run(addon, what, expects, ...args) {
  console.log(`\n> ${what}`);
  const { status, stdout } = spawnSync(process.execPath, ["--enable-source-maps", ...args], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, LIO_POLLER_PREBUILD: addon },
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 2 ** 26,
    // A wait that never ends is a failure too.
    timeout: 180_000,
    killSignal: "SIGKILL",
  });
  const passed = status === 0 && expects.test(stdout);
  const lines = stdout.trimEnd().split("\n");
  console.log((passed ? lines.slice(-1) : lines).join("\n"));
  if (!passed) failed++;
}

try {
  for (const { name, flags } of FLAVOURS) {
    console.log(`\n${name}`);
    const addon = await buildAddon(name, ["-O2", "-pthread", "-Itest/kqueue", ...flags], withoutEpoll);
    const suite = (files) => ["scripts/suite.mjs", "", ...files];
    run(addon, "the contract", /\n\d{3} passed, 0 failed/, "out/test/contract/table.js", "--on", "kqueue");
    run(addon, "tests", /"passed":\d{2}/, ...suite(FILES));
    if (flags.length === 0) continue;
    run(addon, "tests of programs", /"passed":\d{2}/, ...suite(FILES_OF_PROGRAMS));
    run(addon, "npm start", /./, "out/examples/echo/main.js", "--kernel", "kqueue");
  }
} catch (error) {
  console.error(`test:kqueue: ${error.message}`);
  failed++;
}
process.exitCode = failed > 0 ? 1 : 0;
