import { buildAddon } from "./native.mjs";
for (const [name, f] of [
  ["kqueue", []],
  ["kqueue-macos", ["-DKQUEUE_EMULATION_MACOS"]],
]) {
  const flags = ["-O2", "-Itest/kqueue", "-pthread", ...f];
  console.log(
    await buildAddon(name, flags, (sources) => [
      ...sources.filter((source) => source !== "host/kernels/epoll.cc"),
      ...["test/kqueue/kqueue.cc", "test/kqueue/filters.cc", "test/kqueue/addon/calls.cc"].map((name) => name),
    ]),
  );
}
