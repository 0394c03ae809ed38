/**
 * The runtimes that the package is for, of exactly these versions, as npm has them: what `npm run runtimes` runs the suite on.
 * They are installed into out/runtimes/ and nowhere else, so that they are no dependencies of the project.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = join(root, "out/runtimes");

const node = (version) => ({
  package: `npm:node-${process.platform}-${process.arch}@${version}`,
  binary: "bin/node",
  flags: [],
});

/** The last mocha that runs on the oldest runtime: the project's own needs Node 20.19. */
const OLD_MOCHA = { name: "mocha10", package: "npm:mocha@10.8.2", file: "index.js" };

/** What the oldest runtime's tests need for their own `using`; their workers and programs, too. */
const USING = pathToFileURL(join(root, "out/test/support/using.js"));

/** Which package, where the program is in it, how it is told to run a file, and what else its environment says. */
export const RUNTIMES = {
  // What package.json says under "engines".
  "node20.0": {
    ...node("20.0.0"),
    environment: {
      SUITE_MOCHA: join(folder, "node_modules", OLD_MOCHA.name, OLD_MOCHA.file),
      NODE_OPTIONS: `--import ${USING}`,
    },
  },
  node20: node("20.20.2"),
  node22: node("22.23.3"),
  node24: node("24.21.0"),
  node26: node("26.10.0"),
  deno: {
    package: `npm:@deno/${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}@2.9.6`,
    binary: "deno",
    flags: ["run", "--allow-all", "--v8-flags=--expose-gc"],
  },
  bun: { package: `npm:@oven/bun-${process.platform}-${process.arch}@1.4.5`, binary: "bin/bun", flags: [] },
};

/** Installs all of them, unless they are there. */
export function installRuntimes() {
  const programs = Object.entries(RUNTIMES).map(([name, { package: what }]) => [name, what]);
  const dependencies = { ...Object.fromEntries(programs), [OLD_MOCHA.name]: OLD_MOCHA.package };
  const wanted = JSON.stringify({ private: true, dependencies }, null, 2);
  const stamp = join(folder, ".installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  console.error("> installing the runtimes into out/runtimes/");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), wanted);
  const { status, error } = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts"], {
    cwd: folder,
    stdio: ["ignore", 2, 2],
  });
  if (error) throw error;
  if (status !== 0) throw new Error("the runtimes could not be installed");
  writeFileSync(stamp, wanted);
}

/** How to run a script on one of them: the program, its arguments before the script, and the environment. */
export function runtimeCommand(name) {
  const { binary, flags, environment } = RUNTIMES[name];
  // Deno would look for types and newer versions of what is installed.
  const env = { ...process.env, DENO_NO_UPDATE_CHECK: "1", ...environment };
  return { program: join(folder, "node_modules", name, binary), flags, env };
}
