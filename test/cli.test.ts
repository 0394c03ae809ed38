/** The command `lio-poller`. */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { platformKernels } from "lio-poller";
import { command, type Ending } from "./support/child.js";
import { root } from "./support/internals.js";

const [name, before] = command(join(root, "dist/cli.js"));

function cli(...args: string[]): Ending {
  const { status, signal, stdout, stderr, error } = spawnSync(name, [...before, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 50_000,
  });
  if (error) throw error;
  return { status, signal, stdout, stderr };
}

/** A few lines, none of a stack trace. */
function assertPlain(text: string): void {
  assert.doesNotMatch(text, /^\s+at /m);
  assert.doesNotMatch(text, /\bError:/);
}

describe("the command", () => {
  it("tells its usage", () => {
    for (const args of [["--help"], ["-h"], ["watch", "--help"], ["doctor", "--help"]]) {
      const { status, stdout, stderr } = cli(...args);
      assert.deepEqual([status, stderr], [0, ""]);
      assert.match(stdout, /^Usage: lio-poller watch .*PATH\|FD…$/ms);
    }
  });

  it("ends with 2 for wrong usage, and says what is wrong with it", () => {
    const cases: readonly [args: string[], what: RegExp][] = [
      [[], /a command is needed/],
      [["look"], /there is no command "look"/],
      [["watch"], /watch needs a path or a descriptor/],
      [["watch", "--count", "0", "/dev/null"], /--count must be a positive integer/],
      [["watch", "--loud", "0"], /--loud/],
      [["doctor", "everything"], /doctor takes no arguments/],
    ];
    for (const [args, what] of cases) {
      const { status, stdout, stderr } = cli(...args);
      assert.deepEqual([status, stdout], [2, ""], args.join(" "));
      assert.match(stderr, what);
      assert.match(stderr, /^lio-poller: .*\nTry "lio-poller --help"\.\n$/);
      assertPlain(stderr);
    }
  });

  describe("watch", () => {
    let folder: string;
    let fifo: string;

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
      fifo = join(folder, "fifo");
      execFileSync("mkfifo", [fifo]);
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    /** Runs it until it ends; what the shell does meanwhile has the FIFO as `$0`. */
    async function watching(args: string[], script: string): Promise<{ code: number | null; lines: string[] }> {
      const child = spawn(name, [...before, "watch", ...args], { stdio: ["ignore", "pipe", "inherit"] });
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
      let stdout = "";
      child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
      // Opening it waits until the command has.
      const writer = spawn("sh", ["-c", script, fifo], { stdio: "inherit" });
      const code = await ended;
      writer.kill();
      return { code, lines: stdout.split("\n").slice(0, -1) };
    }

    it("prints a line when a FIFO becomes readable, and ends when it has hung up", async () => {
      const { code, lines } = await watching([fifo], 'exec > "$0"; echo one; sleep 0.1; echo two; sleep 0.1');
      assert.equal(code, 0);
      assert.equal(lines[0], `${fifo} readable`);
      assert.match(lines.at(-1)!, /^\S+ readable readClosed( hangUp)?$/);
      assert.ok(lines.length >= 3, lines.join("\n"));
    });

    it("prints JSON, and ends after so many lines", async () => {
      const { code, lines } = await watching(["--json", "--count", "1", fifo], 'exec > "$0"; echo one; sleep 5');
      assert.equal(code, 0);
      assert.equal(lines.length, 1);
      const { time, fd, ...rest } = JSON.parse(lines[0]!) as Record<string, unknown>;
      assert.ok(typeof fd === "number" && !Number.isNaN(Date.parse(String(time))));
      const bits = { writable: false, priority: false, readClosed: false, hangUp: false, error: false, refused: false };
      assert.deepEqual(rest, { target: fifo, readable: true, ...bits });
    });

    it("watches an inherited descriptor by its number, in both directions if it is asked to", () => {
      const script = 'exec 9<>"$1"; shift; exec "$@"';
      const args = [
        "-c",
        script,
        "sh",
        fifo,
        name,
        ...before,
        "watch",
        "--writable",
        "--readable",
        "--count",
        "1",
        "9",
      ];
      const { status, stdout, stderr } = spawnSync("sh", args, { encoding: "utf8", timeout: 50_000 });
      assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: "9 writable\n", stderr: "" });
    });

    it("tells what it cannot watch, watches the rest, and ends with 1", async () => {
      const regular = join(folder, "regular");
      writeFileSync(regular, "");
      const none = join(folder, "none");
      const wrong = [none, regular, folder, "1000000", "99999999999"];
      const { status, stdout, stderr } = cli("watch", ...wrong);
      assert.deepEqual([status, stdout], [1, ""]);
      assert.match(stderr, /none: there is no such file \(ENOENT\)\n/);
      assert.match(stderr, /regular: regular files and folders cannot be polled \(EPERM\)\n/);
      assert.match(stderr, /1000000: the descriptor is not open \(EBADF\)\n/);
      assert.match(stderr, /99999999999: a descriptor's number is below 2147483648/);
      assert.equal(stderr.trim().split("\n").length, wrong.length);
      assertPlain(stderr);
    });
  });

  describe("doctor", () => {
    it("tells what there is, and that it works", () => {
      const { status, stdout, stderr } = cli("doctor");
      assert.deepEqual([status, stderr], [0, ""], stdout);
      for (const fact of ["lio-poller", "runtime", "platform", "kernel", "delivery", "open files"]) {
        assert.match(stdout, new RegExp(`^${fact} +\\S`, "m"));
      }
      assert.equal(stdout.match(/^ok {5}/gm)?.length, 5);
    });

    it("says so in JSON", () => {
      const { status, stdout } = cli("doctor", "--json");
      assert.equal(status, 0);
      const { isWell, checks, kernel } = JSON.parse(stdout) as { isWell: boolean; checks: object[]; kernel: string };
      assert.deepEqual([isWell, checks.length, kernel], [true, 5, platformKernels[0]]);
    });

    it("ends with 1 where there is no addon, and says so", () => {
      const folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
      cpSync(join(root, "dist"), join(folder, "dist"), { recursive: true });
      cpSync(join(root, "package.json"), join(folder, "package.json"));
      symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
      for (const [what, args] of [
        ["FAILED the native addon loads", ["doctor"]],
        ["lio-poller has no native addon", ["watch", "0"]],
      ] as const) {
        const [program, values] = command(join(folder, "dist/cli.js"), args);
        // By this variable an addon is found wherever the package is.
        const env = { ...process.env, LIO_POLLER_PREBUILD: undefined };
        const { status, stdout, stderr } = spawnSync(program, values, { encoding: "utf8", timeout: 50_000, env });
        assert.equal(status, 1);
        assert.ok((stdout + stderr).includes(what), stdout + stderr);
        assertPlain(stdout + stderr);
      }
      rmSync(folder, { recursive: true });
    });
  });
});
