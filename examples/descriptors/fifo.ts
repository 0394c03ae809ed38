/**
 * A FIFO: lines from whoever writes to it.
 *
 *     node out/examples/descriptors/fifo.js [PATH]
 *
 * Without a path, a temporary one to which a shell writes.
 */
import { execFileSync, spawn } from "node:child_process";
import { constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Interest, watch } from "lio-poller";
import { close, read, WOULD_BLOCK } from "lio-poller/io";

const folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
const path = process.argv[2] ?? join(folder, "fifo");
if (process.argv[2] === undefined) execFileSync("mkfifo", [path]);

// Non-blocking, or opening would wait for a writer.
const fifo = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
if (process.argv[2] === undefined) {
  spawn("sh", ["-c", 'exec > "$0"; echo one; sleep 0.05; echo two; echo three', path], { stdio: "inherit" });
}

const room = Buffer.alloc(4096);
let text = "";
for await (const { readable, readClosed } of watch(fifo, Interest.READABLE)) {
  const count = readable ? read(fifo, room) : WOULD_BLOCK;
  if (count > 0) text += room.toString("utf8", 0, count);
  const lines = text.split("\n");
  text = lines.pop()!;
  for (const line of lines) console.log(line);
  // The last writer has closed it, and all is read.
  if (readClosed && count === 0) break;
}
close(fifo);
rmSync(folder, { recursive: true });
