/**
 * inotify: what happens in a folder.
 *
 *     node out/examples/descriptors/inotify.js [FOLDER]
 *
 * Without a folder, a temporary one in which something happens. Node cannot make an inotify descriptor, so this program
 * is started a second time by a few lines of Python, which make one and hand it down.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { endianness, tmpdir } from "node:os";
import { join } from "node:path";
import { Interest, watch } from "lio-poller";
import { read } from "lio-poller/io";

const HAND_DOWN = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init1(os.O_NONBLOCK)
if libc.inotify_add_watch(fd, os.fsencode(sys.argv[1]), 0x100 | 0x40 | 0x80 | 0x200) < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
os.set_inheritable(fd, True)
os.environ["INOTIFY"] = str(fd)
os.execvp(sys.argv[2], sys.argv[2:])
`;
const NAMES = new Map([
  [0x100, "created"],
  [0x40, "moved from"],
  [0x80, "moved to"],
  [0x200, "deleted"],
]);

/** The events in a buffer: struct inotify_event of inotify(7). */
function* eventsIn(bytes: Buffer): Generator<[what: string, name: string]> {
  const word = (at: number): number => (endianness() === "LE" ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  for (let at = 0; at < bytes.length; at += 16 + word(at + 12)) {
    const name = bytes.toString("utf8", at + 16, at + 16 + word(at + 12)).replaceAll("\0", "");
    yield [NAMES.get(word(at + 4)) ?? "something happened to", name];
  }
}

if (process.env["INOTIFY"] === undefined) {
  const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), "lio-poller-"));
  const runs = "Deno" in globalThis ? ["run", "--allow-all"] : process.execArgv;
  const again = [process.execPath, ...runs, ...process.argv.slice(1, 2), folder];
  const { status } = spawnSync("python3", ["-c", HAND_DOWN, folder, ...again], { stdio: "inherit" });
  if (process.argv[2] === undefined) rmSync(folder, { recursive: true });
  process.exitCode = status ?? 1;
} else {
  const [folder] = process.argv.slice(-1) as [string];
  const isOurs = folder.startsWith(join(tmpdir(), "lio-poller-"));
  if (isOurs) {
    writeFileSync(join(folder, "draft"), "");
    renameSync(join(folder, "draft"), join(folder, "final"));
    rmSync(join(folder, "final"));
  }
  const fd = Number(process.env["INOTIFY"]);
  const room = Buffer.alloc(4096);
  for await (const ready of watch(fd, Interest.READABLE)) {
    if (!ready.readable) continue;
    const events = [...eventsIn(room.subarray(0, Math.max(0, read(fd, room))))];
    for (const [what, name] of events) console.log(what, name);
    if (isOurs && events.some(([what]) => what === "deleted")) break;
  }
}
