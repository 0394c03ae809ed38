/**
 * The addon's C++ files: all that are in `host/`, whatever the system. Each leaves itself out where it does not belong, so
 * that no list has to be kept. Prints them for `binding.gyp`.
 */
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

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
