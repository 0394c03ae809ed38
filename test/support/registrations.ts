/** What the epoll instances of this process watch, by Linux's /proc. */
import { readFileSync } from "node:fs";
import { openFiles } from "./descriptors.js";

/** The descriptors that are registered with any epoll instance, or with libuv's when they are libuv's. */
export function registered(): number[] {
  const found: number[] = [];
  for (const [fd, file] of openFiles()) {
    if (file !== "anon_inode:[eventpoll]") continue;
    const information = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
    for (const [, number] of information.matchAll(/^tfd:\s*(\d+)/gm)) found.push(Number(number));
  }
  return found;
}
