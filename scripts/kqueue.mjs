import { buildAddon } from "./native.mjs";
for (const [name, f] of [
  ["kqueue", []],
  ["kqueue-macos", ["-DKQUEUE_EMULATION_MACOS"]],
]) {
  const flags = ["-O2", "-Itest/kqueue", "-pthread", ...f];
  console.log(
    await buildAddon(name, flags, (sources) => [
      ...sources.filter((source) => source !== "host/kernels/epoll.cc"),
      ...["kqueue", "filters", "addon"].map((name) => `test/kqueue/${name}.cc`),
    ]),
  );
}
