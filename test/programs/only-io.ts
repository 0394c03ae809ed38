/** A process that uses `lio-poller/io` alone: no component is compiled for that. */
const { Module } = WebAssembly;
WebAssembly.Module = class extends Module {
  constructor(bytes: BufferSource) {
    super(bytes);
    console.log("compiled");
  }
} as typeof Module;
const { close, dup, pipe } = await import("lio-poller/io");
const [readEnd, writeEnd] = pipe();
if (process.platform !== "win32") dup(readEnd, writeEnd);
close(readEnd);
close(writeEnd);
console.log("closed");
console.log("passed");
