/** `npm run test:threads [-- SECONDS]`: notifiers among threads, under ThreadSanitizer: see `test/native/threads.cc`. */
import { buildNative, run } from "./native.mjs";

try {
  const status = await run(await buildNative("threads"), [process.argv[2] ?? "5"]);
  if (status !== 0) throw new Error(`the program ended with ${status}`);
} catch (error) {
  console.error(`threads: ${error.message}`);
  process.exitCode = 1;
}
