/**
 * A child process's pipes, by their descriptors: talks to `sort`, and waits for both directions at once.
 *
 *     node out/examples/descriptors/child.js
 */
import { spawn } from "node:child_process";
import { readable, writable } from "lio-poller";
import { close, pipe, read, setNonBlocking, write, WOULD_BLOCK } from "lio-poller/io";

const LINES = 50_000;

const [childIn, toChild] = pipe();
const [fromChild, childOut] = pipe();
// The child does not expect its ends to be non-blocking.
for (const fd of [childIn, childOut]) setNonBlocking(fd, false);
spawn("sort", ["-n"], { stdio: [childIn, childOut, "inherit"] });
for (const fd of [childIn, childOut]) close(fd);

async function send(text: Buffer): Promise<void> {
  for (let sent = 0; sent < text.length;) {
    const count = write(toChild, text, sent);
    if (count === WOULD_BLOCK) await writable(toChild);
    else sent += count;
  }
  close(toChild);
}

async function receive(): Promise<string> {
  const room = Buffer.alloc(65_536);
  const pieces: Buffer[] = [];
  for (;;) {
    const count = read(fromChild, room);
    if (count === 0) break;
    if (count === WOULD_BLOCK) await readable(fromChild);
    else pieces.push(Buffer.from(room.subarray(0, count)));
  }
  close(fromChild);
  return Buffer.concat(pieces).toString();
}

const numbers = Array.from({ length: LINES }, (_, i) => (i * 7919) % LINES);
const [sorted] = await Promise.all([receive(), send(Buffer.from(`${numbers.join("\n")}\n`))]);
const lines = sorted.trimEnd().split("\n");
const isRight = lines.length === LINES && lines.every((line, i) => Number(line) === i);
console.log(`${lines.length} lines came back ${isRight ? "sorted" : "WRONG"}`);
process.exitCode = isRight ? 0 : 1;
