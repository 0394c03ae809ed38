/** `lio-poller watch`: readiness as it happens. */
import { constants, openSync } from "node:fs";
import type { ReadyEvent } from "../events.js";
import { Interest } from "../interest.js";
import { Poller } from "../poller.js";
import { runtime } from "../runtime.js";

export interface WatchSettings {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly priority: boolean;
  readonly json: boolean;
  /** How many lines to print; `Infinity` is legal. */
  readonly count: number;
}

interface Target {
  readonly name: string;
  readonly fd: number;
}

/** The bits that are printed, in this order. */
const BITS = ["readable", "writable", "priority", "readClosed", "hangUp", "error", "refused"] as const;

/** Resolves to the exit code, once there is nothing to watch any more. */
export function watchTargets(names: readonly string[], settings: WatchSettings): Promise<number> {
  return new Promise((resolve) => {
    const poller = new Poller();
    const targets: Target[] = [];
    let printed = 0;
    let failed = 0;
    const interest = interestOf(settings);
    const end = (): void => {
      poller.close();
      resolve(failed > 0 ? 1 : 0);
    };

    for (const name of names) {
      try {
        const fd = open(name, settings.writable);
        // Each change is told once: nothing is read here that could end a readiness.
        poller.add(fd, targets.length, interest, { mode: "edge" });
        targets.push({ name, fd });
      } catch (error) {
        failed++;
        console.error(`lio-poller: ${name}: ${reason(error as NodeJS.ErrnoException)}`);
      }
    }
    let left = targets.length;
    if (left === 0) {
      end();
      return;
    }
    poller.attach((events) => {
      for (const event of events) {
        const target = targets[event.key as number] as Target;
        console.log(settings.json ? jsonOf(target, event) : lineOf(target, event));
        // Not every kernel tells a hang-up to somebody who only reads.
        if (event.hangUp || (event.readClosed && !settings.writable)) {
          poller.delete(target.fd);
          left--;
        }
        if (++printed >= settings.count || left === 0) {
          end();
          return;
        }
      }
    });
  });
}

function interestOf({ readable, writable, priority }: WatchSettings): Interest {
  const asked =
    (readable ? Interest.READABLE : 0) | (writable ? Interest.WRITABLE : 0) | (priority ? Interest.PRIORITY : 0);
  return asked === Interest.NONE ? Interest.READABLE : asked;
}

/** A number is a descriptor that is open; anything else is opened, without waiting for another end. */
function open(name: string, forWriting: boolean): number {
  if (/^\d+$/.test(name)) return Number(name);
  if (runtime.name === "deno") throw new Error("Deno opens no descriptors: name one that is open, by its number");
  const access = forWriting ? constants.O_RDWR : constants.O_RDONLY;
  return openSync(name, access | constants.O_NONBLOCK | constants.O_NOCTTY);
}

function reason({ code = "", message }: NodeJS.ErrnoException): string {
  const words: Record<string, string> = {
    EPERM: "regular files and folders cannot be polled",
    EBADF: "the descriptor is not open",
    ENOENT: "there is no such file",
    EACCES: "permission denied",
    ENOTSUP: "this system's kernel tells what is ready, and not when that changes",
    ENXIO: "a socket in the file system cannot be opened",
    EEXIST: "it was named twice",
    ERR_OUT_OF_RANGE: "a descriptor's number is below 2147483648",
  };
  const known = words[code];
  return known === undefined ? message : `${known} (${code})`;
}

function lineOf({ name }: Target, event: ReadyEvent): string {
  return [name, ...BITS.filter((bit) => event[bit])].join(" ");
}

function jsonOf({ name, fd }: Target, event: ReadyEvent): string {
  const bits = Object.fromEntries(BITS.map((bit) => [bit, event[bit]]));
  return JSON.stringify({ time: new Date().toISOString(), target: name, fd, ...bits });
}
