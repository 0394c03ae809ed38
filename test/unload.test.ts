/**
 * The addon in processes of which only one thread loads it, a worker: with that thread a runtime unloads it. Node 20 then
 * called what was not there any more, and crashed. This file's own process has it loaded, and would see nothing.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { command, programPath } from "./support/child.js";
import { FLAGS } from "./support/contexts.js";
import { deliveries } from "./support/deliveries.js";
import { root } from "./support/internals.js";
import { AS_ORDERED, ENDINGS, type LoneOrders, STATES } from "./support/lone.js";

const isNode = !("Deno" in globalThis || "bun" in process.versions);
/** Ends what hangs; no verdict on what is slow. */
const PATIENCE = 60_000;

/** Runs the program. Resolves to how it ended. */
async function ending(orders: LoneOrders): Promise<string> {
  const [program, args] = command(programPath("lone-loader"), [JSON.stringify(orders)]);
  const flags = orders.inContext ? FLAGS : [];
  // With a pipe Node fails under Wine.
  const stderr = process.platform === "win32" ? "ignore" : "pipe";
  const child = spawn(program, [...flags, ...args], { stdio: ["ignore", "ignore", stderr], timeout: PATIENCE });
  let said = "";
  child.stderr?.on("data", (data: Buffer) => (said += data.toString()));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (...how) => resolve(how));
  });
  return code === AS_ORDERED ? "as ordered" : `${signal ?? code}: ${said}`;
}

describe("the addon, which no thread but a worker has loaded", function () {
  this.timeout(2 * PATIENCE);

  for (const inContext of isNode ? [false, true] : [false]) {
    for (const { way } of deliveries) {
      for (const state of STATES) {
        const where = inContext ? ", in a context of node:vm" : "";
        it(`stays loaded when that worker ends in any way, with ${state}, delivery by ${way}${where}`, async () => {
          const orders = ENDINGS.map((each) => ({ ending: each, state, byThread: way === "thread", inContext }));
          const found = await Promise.all(orders.map(async (each) => [each.ending, await ending(each)]));
          assert.deepEqual(
            found,
            ENDINGS.map((each) => [each, "as ordered"]),
          );
        });
      }
    }
  }

  it("is linked so that it is never unloaded, where that is the linker's affair", () => {
    const path = (createRequire(join(root, "package.json"))("node-gyp-build") as Resolver).resolve(root);
    const flags = flagsOfElf(readFileSync(path));
    // What is no ELF file pins itself when it is loaded: see host/pinned.cc.
    if (flags !== undefined) assert.equal(flags & DF_1_NODELETE, DF_1_NODELETE);
    else assert.notEqual(process.platform, "linux");
  });
});

interface Resolver {
  resolve(folder: string): string;
}

const PT_DYNAMIC = 2;
const DT_FLAGS_1 = 0x6fff_fffb;
const DF_1_NODELETE = 8;

/** `DT_FLAGS_1` of a 64-bit little-endian ELF file's dynamic section, 0 if it has none: see elf(5). */
function flagsOfElf(file: Buffer): number | undefined {
  if (file.readUInt32BE(0) !== 0x7f45_4c46) return undefined;
  const headers = Number(file.readBigUInt64LE(32));
  const size = file.readUInt16LE(54);
  for (let i = 0; i < file.readUInt16LE(56); i++) {
    const header = headers + i * size;
    if (file.readUInt32LE(header) !== PT_DYNAMIC) continue;
    const from = Number(file.readBigUInt64LE(header + 8));
    const to = from + Number(file.readBigUInt64LE(header + 32));
    for (let entry = from; entry < to; entry += 16) {
      if (file.readBigUInt64LE(entry) === BigInt(DT_FLAGS_1)) return Number(file.readBigUInt64LE(entry + 8));
    }
  }
  return 0;
}
