import { buildAddon } from "./native.mjs";
const flags = ["-O2", "-Itest/kqueue", "-pthread"];
console.log(await buildAddon("kqueue", flags, (sources) => [...sources.filter((source) => source !== "host/kernels/epoll.cc"), ...["kqueue", "filters", "calls"].map((name) => `test/kqueue/${name}.cc`)]));
