/**
 * `npm run test:asan [-- MOCHA'S ARGUMENTS]`: the tests, with the addon under AddressSanitizer and UBSan.
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

/** What is about the package that users install, and loads its own addon. */
const LEFT_OUT = ["--ignore", "out/test/package.test.js"];

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
  const status = await run(
    process.execPath,
    [join(root, "node_modules/mocha/bin/mocha.js"), ...LEFT_OUT, ...process.argv.slice(2)],
    {
      env: environment,
    },
  );
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
