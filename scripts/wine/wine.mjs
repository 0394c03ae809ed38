/** A Wine of our own: a prefix that nothing else uses, and programs in it whose output is seen. */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "./tools.mjs";

/** A path as a program under Wine sees it. */
export function windowsPath(path) {
  return `Z:${path.replaceAll("/", "\\")}`;
}

export class Wine {
  #folder;
  #env;

  /**
   * Makes a fresh prefix below the folder.
   *
   * @param variables further ones for the environment of the programs
   */
  constructor(folder, variables) {
    this.#folder = folder;
    const prefix = join(folder, "prefix");
    const { DISPLAY: _, NODE_OPTIONS: __, ...inherited } = process.env;
    const own = { WINEPREFIX: prefix, WINEARCH: "win64", WINEDEBUG: "-all", LC_ALL: "C.UTF-8" };
    this.#env = { ...inherited, ...own, ...variables };
    mkdirSync(folder, { recursive: true });
    // One that an interrupted run has left would hold on to the prefix that is removed.
    this.end();
    rmSync(prefix, { recursive: true, force: true });
    this.#quietly("wineboot", "-i");
    // Node refuses to run on what Wine is unless it is told: Windows 7.
    this.#quietly("winecfg", "-v", "win10");
  }

  #quietly(command, ...args) {
    run(command, args, { env: this.#env, stdio: "ignore" });
  }

  /**
   * Runs a program to its end, or until the time is over.
   *
   * @param name of the file that its output goes to: under Wine, node.exe fails if that is a pipe
   * @param seconds how long it may take
   * @param variables further ones for its environment
   * @returns why it failed, or `undefined`; what it printed; how many seconds it took
   */
  run(name, seconds, program, args, variables = {}) {
    const path = join(this.#folder, `${name}.log`);
    const output = openSync(path, "w");
    const began = performance.now();
    try {
      const { status, error } = spawnSync("wine", [program, ...args], {
        env: { ...this.#env, ...variables },
        stdio: ["ignore", output, output],
        timeout: seconds * 1000,
        killSignal: "SIGKILL",
      });
      const late = error?.code === "ETIMEDOUT";
      if (error && !late) throw error;
      // Processes that it has started go on without it.
      if (late) this.end();
      const failure = late ? `not done after ${seconds} s` : status === 0 ? undefined : `exit code ${status}`;
      return { failure, output: readFileSync(path, "utf8"), seconds: (performance.now() - began) / 1000 };
    } finally {
      closeSync(output);
    }
  }

  /** Ends whatever runs in the prefix. */
  end() {
    // It fails if nothing runs.
    spawnSync("wineserver", ["-k"], { env: this.#env, stdio: "ignore" });
    spawnSync("wineserver", ["-w"], { env: this.#env, stdio: "ignore" });
  }
}
