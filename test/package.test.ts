/** The package as users get it: packed, installed into an empty folder, imported, type-checked, used. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { command } from "./support/child.js";

const root = dirname(createRequire(import.meta.url).resolve("lio-poller/package.json"));
const MINUTES = 60_000;

// Every entry, in the strictest way that a user may compile, and without the DOM's types.
const PROGRAM = `
import { Events, Interest, type Key, Poller, PollerError, type ReadyEvent } from "lio-poller";
import { close, pipe, write } from "lio-poller/io";
import { SimulatedEpoll } from "lio-poller/sim";

const [readEnd, writeEnd] = pipe();
const poller = new Poller();
const key: Key = 2n ** 64n - 1n;
poller.add(readEnd, key, Interest.READABLE);
write(writeEnd, new Uint8Array(1));
const events = new Events(4);
poller.wait(events);
const [event]: ReadyEvent[] = events.toArray();
poller.close();
close(readEnd);
close(writeEnd);

const simulated = new Poller({ kernel: new SimulatedEpoll() });
let code = "";
try {
  simulated.delete(3);
} catch (error) {
  if (error instanceof PollerError) code = error.code;
}
console.log(event?.key === key && event.readable, code);
`;

const CONFIGURATION = {
  compilerOptions: {
    target: "es2022",
    lib: ["es2022", "esnext.disposable"],
    module: "nodenext",
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
  },
  include: ["program.ts"],
};

describe("the packed package, installed into an empty folder", function () {
  this.timeout(5 * MINUTES);
  let folder = "";

  function run(what: string, ...values: string[]): string {
    // npm hands its own settings, such as the folder that it works in, to the programs that it runs.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_(?!config_)/i.test(name)));
    return execFileSync(what, values, { cwd: folder, encoding: "utf8", env, stdio: ["ignore", "pipe", "pipe"] });
  }

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
    const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", folder], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [, tarball] = /"filename": "(.*)"/.exec(packed) ?? [];
    assert.ok(tarball, packed);
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }));
    run("npm", "install", "--no-audit", "--no-fund", "--prefer-offline", join(folder, tarball));
    writeFileSync(join(folder, "program.ts"), PROGRAM);
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(CONFIGURATION));
    // Node's types only: what the project's own dependencies declare must not help.
    mkdirSync(join(folder, "node_modules/@types"), { recursive: true });
    run("cp", "-r", join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"));
    run("cp", "-r", join(root, "node_modules/undici-types"), join(folder, "node_modules/undici-types"));
  });

  after(() => {
    if (folder !== "") rmSync(folder, { recursive: true });
  });

  it("type-checks without help from the DOM's types, and polls", () => {
    run("node", join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.json");
    const [program, args] = command("program.js");
    assert.equal(run(program, ...args), "true ENOENT\n");
  });

  it("brings a command along", () => {
    assert.match(run("npx", "--no", "lio-poller", "doctor"), /^ok {5}the event loop is told$/m);
  });

  it("brings an addon along that needs no compiler", () => {
    const addon = createRequire(join(folder, "package.json")).resolve("node-gyp-build");
    const resolved = run("node", "-p", `require(${JSON.stringify(addon)}).resolve("node_modules/lio-poller")`);
    assert.match(resolved, /prebuilds/);
  });

  it("installs nothing but itself and the two packages that it runs and builds with", () => {
    const lock = readFileSync(join(folder, "node_modules/.package-lock.json"), "utf8");
    const { packages } = JSON.parse(lock) as { packages: object };
    assert.deepEqual(Object.keys(packages).toSorted(), [
      "node_modules/lio-poller",
      "node_modules/node-addon-api",
      "node_modules/node-gyp-build",
    ]);
  });
});
