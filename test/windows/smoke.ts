/** The least that must be so on Windows: the package loads, with its addon, and bytes go through a socketpair and back. */
import assert from "node:assert/strict";
import { platformKernels } from "lio-poller";
import { close, read, socketpair, WOULD_BLOCK, write } from "lio-poller/io";

assert.equal(process.platform, "win32");
const [one, two] = socketpair();
const buffer = new Uint8Array(16);

function moves(from: number, to: number, text: string): void {
  assert.equal(write(from, Buffer.from(text)), text.length);
  let count = read(to, buffer);
  // Loopback delivers soon, not at once.
  while (count === WOULD_BLOCK) count = read(to, buffer);
  assert.equal(Buffer.from(buffer.subarray(0, count)).toString(), text);
}

moves(one, two, "there");
moves(two, one, "and back");
close(one);
close(two);
console.log(`Node ${process.version}, kernels: ${platformKernels.join(", ") || "none"}`);
console.log("passed");
