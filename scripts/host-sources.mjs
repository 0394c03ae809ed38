/**
 * The addon's C++ files: all that are in `host/`, whatever the system. Each leaves itself out where it does not belong, so
 * that no list has to be kept. Run as a program, it prints them for `binding.gyp`.
 */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * The definitions that `binding.gyp` has for a system as it calls it, such as `"linux"`: for whoever builds without gyp.
 * The file is kept to what is JSON as well.
 */
export function hostDefinitions(system) {
  const [target] = JSON.parse(readFileSync(join(root, "binding.gyp"), "utf8")).targets;
  const own = target.conditions.filter(([condition]) => condition === `OS=='${system}'`);
  return [target, ...own.map(([, chosen]) => chosen)].flatMap(({ defines = [] }) => defines);
}

/** Their paths from the package's folder, with `/`. */
export function hostSources() {
  return ["host", "host/kernels"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".cc"))
      .map((name) => `${folder}/${name}`)
      .toSorted(),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(hostSources().join("\n"));
