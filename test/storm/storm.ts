/**
 * Workers and processes that end at moments drawn by seed, in whatever their pollers are doing then. Every one has had an
 * event by that moment; none may crash, hang or leave a descriptor behind.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { Worker } from "node:worker_threads";
import { command, programPath } from "../support/child.js";
import { openedSince, openFiles } from "../support/descriptors.js";
import { Random } from "../support/random.js";
import { closeDescriptors, type Descriptors, openDescriptors, type State, STATES } from "./states.js";

/** How it ends: by its parent's will, by its own, or, for `"none"`, not of its own accord. */
export type Ending = "exit" | "exit in callback" | "throw" | "none";

export interface Orders {
  readonly state: State;
  readonly ending: Ending;
  /** Milliseconds from the first event to the end. */
  readonly delay: number;
  /** The process ends while a worker of its own is in the state. */
  readonly isInWorker: boolean;
  /** A worker's; a process has its own. */
  readonly fds?: Descriptors;
}

/** How often each state met each ending. */
export type Tally = Map<string, number>;

const LONGEST_DELAY = 12;
/** Ends what hangs; no verdict on what is slow. */
const PATIENCE = 60_000;
const AT_ONCE = 6;
const EXIT_CODE = 7;

const states = Object.keys(STATES) as State[];

function draw(random: Random, isWorker: boolean): Orders {
  const state = random.pick(states);
  const delay = random.below(LONGEST_DELAY * 1000) / 1000;
  const isInWorker = !isWorker && random.below(3) === 0;
  // A loop that does not turn can be ended from outside only.
  if (!isInWorker && !STATES[state]) return { state, ending: "none", delay, isInWorker };
  const endings: Ending[] = isInWorker ? ["exit", "throw", "none"] : ["exit", "exit in callback", "throw", "none"];
  let ending = random.pick(endings);
  // This state has one event only.
  if (state === "idle" && ending === "exit in callback") ending = "exit";
  return { state, ending, delay, isInWorker };
}

/** Runs so many workers. @throws if one does not end as it should, or something is left of them */
export async function runWorkers(count: number, seed: number): Promise<Tally> {
  await oneWorker({ state: "firing", ending: "exit", delay: 0, isInWorker: false });
  const before = openFiles();
  const tally = await runAll(count, seed, true, oneWorker);
  assert.deepEqual(openedSince(before), [], "descriptors were left open");
  return tally;
}

/** Runs so many processes. @throws if one does not end as it should */
export function runProcesses(count: number, seed: number): Promise<Tally> {
  return runAll(count, seed, false, oneProcess);
}

async function runAll(
  count: number,
  seed: number,
  isWorker: boolean,
  runOne: (orders: Orders) => Promise<void>,
): Promise<Tally> {
  const random = new Random(seed);
  const all = Array.from({ length: count }, () => draw(random, isWorker));
  const tally: Tally = new Map();
  const next = async (): Promise<void> => {
    for (let orders = all.pop(); orders !== undefined; orders = all.pop()) {
      await withPatience(runOne(orders), orders);
      const { state, ending, isInWorker } = orders;
      const what = `${isInWorker ? "worker in a process: " : ""}${state}, ${ending === "none" ? "ended" : ending}`;
      tally.set(what, (tally.get(what) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  return tally;
}

async function withPatience(running: Promise<void>, orders: Orders): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it hangs: ${JSON.stringify(orders)}`)), PATIENCE);
  });
  await Promise.race([running, patience]);
  clearTimeout(timer);
}

async function oneWorker(orders: Orders): Promise<void> {
  const { ending, delay } = orders;
  const fds = openDescriptors();
  const worker = new Worker(programPathUrl(), { workerData: { ...orders, fds } });
  const errors: string[] = [];
  let delivered = false;
  worker.on("error", ({ message }) => errors.push(message));
  worker.once("message", () => {
    delivered = true;
    if (ending === "none") setTimeout(() => void worker.terminate(), delay);
  });
  const code = await new Promise<number>((resolve) => worker.once("exit", resolve));
  closeDescriptors(fds);
  const expected = ending === "none" || ending === "throw" ? 1 : EXIT_CODE;
  const thrown = ending === "throw" ? ["the storm throws"] : [];
  assert.deepEqual({ code, errors, delivered }, { code: expected, errors: thrown, delivered: true }, text(orders));
}

async function oneProcess(orders: Orders): Promise<void> {
  const { ending, delay } = orders;
  const [name, values] = command(programPath("storm"), [JSON.stringify(orders)]);
  const child = spawn(name, values, { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data: Buffer) => {
    if (stdout === "" && ending === "none") setTimeout(() => child.kill("SIGTERM"), delay);
    stdout += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (...how) => resolve(how));
  });
  const expected = ending === "none" ? [null, "SIGTERM"] : [ending === "throw" ? 1 : EXIT_CODE, null];
  const found = { code, signal, stdout };
  assert.deepEqual(found, { code: expected[0], signal: expected[1], stdout: "delivered\n" }, text(orders) + stderr);
  if (ending === "throw") assert.match(stderr, /the storm throws/);
}

function programPathUrl(): URL {
  return new URL("../programs/storm.js", import.meta.url);
}

function text(orders: Orders): string {
  return `${JSON.stringify(orders)}\n`;
}
