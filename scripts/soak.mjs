/** `npm run soak`: starts `test/soak/main.ts` with as many descriptors as it needs and with a garbage collector to call. */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const DESCRIPTORS = 16384;
// V8 doubles the room for young objects as it sees fit, up to 48 MiB a thread, which would pass for a leak or hide one.
const STEADY = "--max-semi-space-size=1";
const program = [
  process.execPath,
  "--expose-gc",
  STEADY,
  join(root, "out/test/soak/main.js"),
  ...process.argv.slice(2),
];

const { status, signal, error } = spawnSync("sh", ["-c", `ulimit -n ${DESCRIPTORS} && exec "$@"`, "soak", ...program], {
  stdio: "inherit",
});
if (error) throw error;
if (signal) console.error(`soak: ended by ${signal}`);
process.exitCode = status ?? 1;
