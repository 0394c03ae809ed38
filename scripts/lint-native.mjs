/** `npm run lint:native`: clang-tidy over the sources of the addon of this platform. Which checks, and why, `.clang-tidy` says. */
import { DEFINES, bindings, includes, run } from "./native.mjs";

const { sources } = bindings();
let failed = 0;
for (const source of sources) {
  const status = await run("clang-tidy", ["--quiet", source, "--", "-std=c++17", ...DEFINES, ...includes()], {
    stdio: ["ignore", "inherit", "ignore"],
  });
  if (status !== 0) failed++;
}
console.log(`lint: ${sources.length} files, ${failed} with findings`);
process.exitCode = failed > 0 ? 1 : 0;
