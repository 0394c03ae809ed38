/** What Linux itself says is registered with an epoll instance. See proc_pid_fdinfo(5). */
import { readFileSync } from "node:fs";

/** The descriptors that are registered, in ascending order; a number that stands for two files is there twice. */
export function registeredWith(epoll: number): readonly number[] {
  const info = readFileSync(`/proc/self/fdinfo/${epoll}`, "utf8");
  return [...info.matchAll(/^tfd:\s*(\d+)/gm)].map(([, fd]) => Number(fd)).toSorted((one, other) => one - other);
}
