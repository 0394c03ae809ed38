/**
 * `npm run test:asan [-- MOCHA'S ARGUMENTS]`: the tests of the addon, or others, with it under AddressSanitizer and UBSan.
 *
 * Node itself is not instrumented, so that the run-time library has to be loaded before it. V8 handles SIGSEGV by itself:
 * that is how it bounds WebAssembly's memory. What Node leaves unfreed at its end is not ours; the fuzzer looks for leaks.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildAddon, root, run } from "./native.mjs";

const FLAGS = [
  "-O1",
  "-fsanitize=address,undefined",
  "-fno-sanitize-recover=undefined",
  "-shared-libsan",
  "-fno-omit-frame-pointer",
];

/** The files in which the addon does something that others do not have it do. */
const FILES =
  "host io contract notifier worker lifecycle attach watch watch-calls watch-trap watch-turns waiting storm events timers trap restrict echo-server echo";
/**
 * What the addon has no part in, and what depends on when garbage is collected: under the sanitizers that is later than any
 * of these tests has patience for, when the machine is busy. And UBSan opens a pipe to look at an object's type, so that a
 * process without a descriptor left is reported.
 */
const LEFT_OUT = "simulated|dropped|collected|while no descriptor is left";

function runtime() {
  const { stdout } = spawnSync("clang", ["-print-file-name=libclang_rt.asan-x86_64.so"], { encoding: "utf8" });
  return stdout.trim();
}

try {
  const folder = await buildAddon("asan", FLAGS);
  const reports = join(root, "out-native/asan/reports");
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports);
  const options = `detect_leaks=0:handle_segv=0:handle_sigbus=0:allow_user_segv_handler=1:log_path=${reports}/report`;
  const environment = {
    ...process.env,
    LD_PRELOAD: runtime(),
    LIO_POLLER_PREBUILD: folder,
    ASAN_OPTIONS: options,
    UBSAN_OPTIONS: `print_stacktrace=1:log_path=${reports}/report`,
  };
  const files = FILES.split(" ").map((name) => join(root, `out/test/${name}.test.js`));
  const what = process.argv.length > 2 ? process.argv.slice(2) : [...files, "--grep", LEFT_OUT, "--invert"];
  const mocha = [
    join(root, "node_modules/mocha/bin/mocha.js"),
    "--no-config",
    "--timeout",
    "180000",
    "--reporter",
    "dot",
  ];
  const status = await run(process.execPath, [...mocha, ...what], { env: environment });
  const found = readdirSync(reports);
  // Children of the tests are looked at too, whatever they were expected to end with.
  for (const report of found) process.stderr.write(readFileSync(join(reports, report), "utf8"));
  if (status !== 0) throw new Error(`the tests ended with ${status}`);
  if (found.length > 0) throw new Error(`${found.length} reports`);
  console.log("asan: no report");
} catch (error) {
  console.error(`asan: ${error.message}`);
  process.exitCode = 1;
}
