/**
 * `npm run fuzz -- --seconds N [--seed S]`: a hostile component against the addon, under sanitizers.
 *
 * First the seeds, which are valid calls, and what was once found, then so many seconds of libFuzzer: three quarters on
 * this kernel, one quarter as if it had no epoll_pwait2(2). A finding is written to `out-native/findings/`; mended, it
 * goes to `test/native/findings/`.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildNative, root, run } from "./native.mjs";

const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } } });
const seconds = Number(values.seconds ?? 40);
if (!(seconds >= 4)) throw new RangeError("--seconds must be at least 4");

const folder = join(root, "out-native");
const [seeds, grown, findings] = ["seeds", "grown", "findings"].map((name) => join(folder, name));
const known = join(root, "test/native/findings");

async function expect(program, args, environment = {}) {
  const status = await run(program, args, { env: { ...process.env, ...environment } });
  if (status !== 0) throw new Error(`the fuzzer ended with ${status}`);
}

try {
  const began = Date.now();
  const program = await buildNative("fuzz");
  // Every run starts from the seeds alone, so that one with the same seed does the same.
  for (const path of [seeds, grown, findings]) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { recursive: true });
  }
  await expect(program, [], { WRITE_SEEDS: seeds });
  const old = readdirSync(known).filter((name) => name !== "README.md");
  await expect(program, [
    "-runs=1",
    ...[...readdirSync(seeds)].map((name) => join(seeds, name)),
    ...old.map((name) => join(known, name)),
  ]);
  const always = ["-max_len=1024", "-timeout=20", "-rss_limit_mb=1024", `-artifact_prefix=${findings}/`];
  always.push(
    "-print_final_stats=1",
    "-verbosity=1",
    "-close_fd_mask=0",
    `-seed=${values.seed ?? 1}`,
    grown,
    seeds,
    known,
  );
  await expect(program, [`-max_total_time=${Math.ceil(seconds * 0.75)}`, ...always]);
  await expect(program, [`-max_total_time=${Math.ceil(seconds * 0.25)}`, ...always], { WITHOUT_PWAIT2: "1" });
  console.log(`fuzz: no finding in ${((Date.now() - began) / 1000).toFixed(0)} s, the build included`);
} catch (error) {
  console.error(`fuzz: ${error.message}`);
  process.exitCode = 1;
}
