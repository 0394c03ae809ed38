/** `npm run differential -- --programs N --seed S`: builds poll(2) for JavaScript, and starts `test/differential/main.ts`. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { includes, root, run } from "./native.mjs";

const addon = join(root, "out-native/poll/poll.node");
mkdirSync(join(root, "out-native/poll"), { recursive: true });
const source = join(root, "test/differential/poll.cc");
const built = await run("g++", ["-std=c++17", "-O2", "-shared", "-fPIC", "-Wall", ...includes(), source, "-o", addon]);
const program = [join(root, "out/test/differential/main.js"), ...process.argv.slice(2)];
const environment = { ...process.env, POLL_ADDON: addon };
process.exitCode = built === 0 ? Number(await run(process.execPath, program, { env: environment })) : 1;
