/** The native loops that the benchmarks compare with: see `native/peers.cc`. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export interface Peers {
  create(): number;
  control(epoll: number, operation: number, fd: number, events: number): number;
  level(epoll: number, turns: number, capacity: number): number;
  oneshot(epoll: number, turns: number, capacity: number): number;
  late(epoll: number, turns: number, capacity: number): number;
  close(fd: number): number;
}

export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLLIN = 0x1;
export const EPOLLRDHUP = 0x2000;
export const EPOLLONESHOT = 0x40000000;

const require = createRequire(import.meta.url);

/** The project's own folder. */
export const root = dirname(require.resolve("lio-poller/package.json"));

export const peers = require(join(root, "bench/native/build/Release/peers.node")) as Peers;
