/** What this process has open, by Linux's /proc; elsewhere by /dev/fd, where numbers alone stand. */
import { existsSync, fstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

const CLOSE_ON_EXEC = 0o2000000;

const tellsFiles = existsSync("/proc/self/fd");
const FOLDER = tellsFiles ? "/proc/self/fd" : "/dev/fd";

function fileOf(fd: number): string {
  return tellsFiles ? readlinkSync(`${FOLDER}/${fd}`) : `inode ${fstatSync(fd).ino}`;
}

/** What each open descriptor of the process is, of all its threads. */
export function openFiles(): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync(FOLDER)) {
    try {
      found.set(Number(name), fileOf(Number(name)));
    } catch {
      // The descriptor that the folder was read with is closed by now.
    }
  }
  return found;
}

/** What is open beside what was; a runtime may have closed something of its own meanwhile. */
export function openedSince(before: ReadonlyMap<number, string>): readonly string[] {
  const known = [...before.values()];
  return [...openFiles().values()].filter((file) => {
    const place = known.indexOf(file);
    if (place !== -1) known.splice(place, 1);
    return place === -1;
  });
}

/** Whether a descriptor is closed in a program that this one starts. */
export function isCloseOnExec(fd: number): boolean {
  const [, octal = ""] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1")) ?? [];
  return (Number.parseInt(octal, 8) & CLOSE_ON_EXEC) !== 0;
}

/** How many epoll instances and how many eventfds, which notifiers are, the process has open. */
export function kernelObjects(): { epolls: number; eventfds: number } {
  const files = [...openFiles().values()];
  return {
    epolls: files.filter((file) => file === "anon_inode:[eventpoll]").length,
    eventfds: files.filter((file) => file.startsWith("anon_inode:[eventfd")).length,
  };
}
