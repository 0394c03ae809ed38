/** `lio-poller doctor`: what this system offers, and whether polling works on it. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { release } from "node:os";
import { runtime } from "../runtime.js";

interface Check {
  readonly name: string;
  /** Why it failed. */
  readonly error?: string;
}

/** Prints a report. Resolves to the exit code. */
export async function doctor(json: boolean): Promise<number> {
  const facts: Record<string, string> = {
    "lio-poller": packageVersion(),
    runtime: `${runtime.name} ${runtime.version}`,
    platform: `${process.platform}-${process.arch}, ${release()}`,
    ...limits(),
  };
  const checks: Check[] = [];
  try {
    const found = await polling(checks);
    Object.assign(facts, found);
  } catch (error) {
    checks.push({ name: "the native addon loads", error: (error as Error).message });
  }
  const isWell = checks.every(({ error }) => error === undefined);
  if (json) console.log(JSON.stringify({ ...facts, checks, isWell }));
  else print(facts, checks);
  return isWell ? 0 : 1;
}

function print(facts: Readonly<Record<string, string>>, checks: readonly Check[]): void {
  for (const [name, value] of Object.entries(facts)) console.log(`${name.padEnd(18)} ${value}`);
  console.log();
  for (const { name, error } of checks) console.log(`${error === undefined ? "ok    " : "FAILED"} ${name}`);
  for (const { name, error } of checks) if (error !== undefined) console.log(`\n${name}: ${error}`);
}

function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

function limits(): Record<string, string> {
  const found: Record<string, string> = {};
  const { stdout } = spawnSync("sh", ["-c", "ulimit -n; ulimit -Hn"], { encoding: "utf8" });
  const [soft, hard] = (stdout ?? "").split("\n");
  if (soft) found["open files"] = `${soft}, at most ${hard}`;
  try {
    found["epoll watches"] = readFileSync("/proc/sys/fs/epoll/max_user_watches", "utf8").trim();
  } catch {
    // Not Linux.
  }
  return found;
}

/** Checks what the package does, and tells by which means. */
async function polling(checks: Check[]): Promise<Record<string, string>> {
  const { Events, Interest, Poller, platformKernels, readable } = await import("../index.js");
  const { close, read, socketpair, write } = await import("../io.js");
  checks.push({ name: "the native addon loads" });

  const check = async (name: string, works: () => unknown): Promise<void> => {
    try {
      if ((await works()) !== true) throw new Error("it does not do what it should");
      checks.push({ name });
    } catch (error) {
      checks.push({ name, error: (error as Error).message });
    }
  };
  let delivery = "none";
  // What every system has.
  const [readEnd, writeEnd] = socketpair();
  const room = new Uint8Array(16);
  await check("a wait reports what is ready, and nothing else", () => {
    using poller = new Poller();
    const events = new Events(4);
    poller.add(readEnd, 7, Interest.READABLE);
    if (poller.wait(events, { timeout: 0 }) !== 0) return false;
    write(writeEnd, room);
    return poller.wait(events, { timeout: 1000 }) === 1 && events.toArray()[0]?.key === 7;
  });
  await check("a timer expires, and not early", () => {
    using poller = new Poller();
    const began = poller.now();
    poller.addTimer(1, 2);
    return poller.wait(new Events(1), { timeout: 1000 }) === 1 && poller.now() - began >= 2;
  });
  await check("a notification ends a wait", () => {
    using poller = new Poller();
    poller.notify();
    const began = poller.now();
    return poller.wait(new Events(1), { timeout: 10_000 }) === 0 && poller.now() - began < 10_000;
  });
  await check("the event loop is told", async () => {
    using poller = new Poller();
    poller.attach(() => {});
    delivery = poller.delivery ?? delivery;
    const ready = await readable(readEnd, { timeout: 1000 });
    return ready.readable && read(readEnd, room) === 16;
  });
  close(readEnd);
  close(writeEnd);
  return { kernel: platformKernels.join(", ") || "none", delivery };
}
