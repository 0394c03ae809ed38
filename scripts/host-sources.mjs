/**
 * The addon's C++ files: all that are in `host/`, whatever the system. Each leaves itself out where it does not belong, so
 * that no list has to be kept. Run as a program, it prints them for `binding.gyp`.
 */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What `binding.gyp` has for a system as it calls it, such as `"linux"`. The file is kept to what is JSON as well. */
function hostSettings(system, name) {
  const [target] = JSON.parse(readFileSync(join(root, "binding.gyp"), "utf8")).targets;
  const chosen = target.conditions.filter(([condition]) => holds(condition, system)).map(([, settings]) => settings);
  return [target, ...chosen].flatMap((settings) => settings[name] ?? []);
}

/** Of gyp's conditions, those that are there: comparisons of `OS` with a name, all of which must hold. */
function holds(condition, system) {
  return condition.split(" and ").every((comparison) => {
    const [, operator, name] = /^OS(==|!=)'(\w+)'$/.exec(comparison);
    return (name === system) === (operator === "==");
  });
}

/** The definitions, for whoever builds without gyp. */
export const hostDefinitions = (system) => hostSettings(system, "defines");

/** The linker's flags, as the compiler takes them. */
export const hostLinkerFlags = (system) => hostSettings(system, "ldflags");

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
