/** What the pollers of this process watch: by Linux's /proc, or else by what pollers were told. */
import { readFileSync } from "node:fs";
import { Poller } from "lio-poller";
import { openFiles } from "./descriptors.js";

/** Of this thread's pollers, where no kernel tells what it watches. */
const told = new Set<number>();

if (process.platform === "win32") {
  const { add, delete: remove } = Poller.prototype;
  Poller.prototype.add = function (this: Poller, ...values: Parameters<typeof add>): void {
    add.apply(this, values);
    told.add(values[0]);
  };
  Poller.prototype.delete = function (this: Poller, fd: number): void {
    remove.call(this, fd);
    told.delete(fd);
  };
}

/** Has what was told of a descriptor that is closed forgotten. */
export function forget(fd: number): void {
  told.delete(fd);
}

/** The descriptors that are registered with any epoll instance, or with libuv's when they are libuv's. */
export function registered(): number[] {
  if (process.platform === "win32") return [...told];
  const found: number[] = [];
  for (const [fd, file] of openFiles()) {
    if (file !== "anon_inode:[eventpoll]") continue;
    const information = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
    for (const [, number] of information.matchAll(/^tfd:\s*(\d+)/gm)) found.push(Number(number));
  }
  return found;
}
