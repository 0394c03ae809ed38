/** npm's `epoll`, installed into out/peers/ when it is first asked for: it is no dependency of the project. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { root } from "./peers.js";

const VERSION = "4.0.2";

/** What is used of it: it declares no types. */
export declare class Epoll {
  static readonly EPOLLIN: number;
  constructor(callback: (error: Error | null, fd: number, events: number) => void);
  add(fd: number, events: number): this;
  remove(fd: number): this;
  close(): void;
}

/** Its class. @throws if it cannot be had */
export function npmEpoll(): typeof Epoll {
  const folder = join(root, "out/peers");
  if (!existsSync(join(folder, "node_modules/epoll/build/Release/epoll.node"))) install(folder);
  return (createRequire(join(folder, "package.json"))("epoll") as { Epoll: typeof Epoll }).Epoll;
}

function install(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies: { epoll: VERSION } }));
  const prefix = dirname(dirname(process.execPath));
  // It is built on the spot, which would download Node's headers.
  const headers = existsSync(join(prefix, "include/node/node_api.h")) ? { npm_config_nodedir: prefix } : {};
  const { status, error } = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    env: { ...process.env, ...headers },
    stdio: ["ignore", 2, 2],
  });
  if (error) throw error;
  if (status !== 0) throw new Error("npm's epoll could not be installed");
}
