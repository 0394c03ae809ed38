/**
 * `npm run differential -- --programs N --seed S`: the same random programs on the real epoll, on the simulated one, and
 * held against poll(2).
 *
 * Descriptors have the same numbers in both worlds, because each is duplicated to the number that the program names. What
 * must be the same after each step: what the call answered or which error it met, and at each wait the events, in any
 * order. What poll(2) says of every open descriptor must be what the simulated one says, and what the real poller reports
 * of level-triggered registrations. A difference is shown with the shortest program that has it.
 *
 *   MUST be given: POLL_ADDON, the path of poll.cc's addon: see scripts/differential.mjs
 */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { Events, Poller, type Kernel, type Mode } from "lio-poller";
import * as realIo from "lio-poller/io";
import { shrink, SimulatedEpoll } from "lio-poller/sim";
import { Random } from "../support/random.js";

type Poll = (fds: Int32Array, events: Int32Array, revents: Int32Array) => number;
type Step = readonly [action: number, a: number, b: number, c: number];
/** The calls that both worlds have. */
type Io = Pick<typeof realIo, "pipe" | "socketpair" | "eventfd" | "read" | "write" | "shutdown" | "dup" | "close">;

const poll = createRequire(import.meta.url)(String(process.env["POLL_ADDON"])) as Poll;
const [IN, PRI, OUT, ERR, HUP, RDHUP] = [0x1, 0x2, 0x4, 0x8, 0x10, 0x2000] as const;
const MODES: readonly Mode[] = ["oneshot", "level", "edge", "edge-oneshot"];
/** The numbers of a program's descriptors begin here, above all that Node has. */
const BASE = 600;
const NUMBERS = 10;
const LONGEST = 80;

/** What a call did, to be compared. */
function outcome(call: () => unknown): unknown {
  try {
    return call() ?? "done";
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (typeof code !== "string" || error instanceof assert.AssertionError) throw error;
    return code;
  }
}

interface Told {
  readonly key: number;
  readonly bits: readonly string[];
}

/** One world: a kernel, its descriptors, and a poller. */
class World {
  readonly poller: Poller;
  readonly open = new Set<number>();
  readonly #events = new Events(64);
  readonly #buffer = new Uint8Array(1 << 20);

  constructor(
    readonly io: Io,
    kernel?: Kernel,
  ) {
    this.poller = new Poller(kernel === undefined ? {} : { kernel });
  }

  /** Makes descriptors, and gives them the numbers that the program wants. */
  make(kind: number, first: number, second: number): void {
    const made = kind === 0 ? this.io.pipe() : kind === 1 ? this.io.socketpair() : [this.io.eventfd(kind - 2)];
    made.forEach((fd, index) => {
      this.duplicate(fd, index === 0 ? first : second);
      this.io.close(fd);
    });
  }

  duplicate(fd: number, onto: number): unknown {
    const answer = outcome(() => this.io.dup(fd, onto));
    if (typeof answer === "number") this.open.add(onto);
    return answer;
  }

  close(fd: number): unknown {
    this.open.delete(fd);
    return outcome(() => this.io.close(fd));
  }

  read(fd: number, length: number): unknown {
    return outcome(() => this.io.read(fd, this.#buffer, 0, length));
  }

  /** Until there is nothing: how much there was. */
  drain(fd: number): unknown {
    return outcome(() => {
      let sum = 0;
      for (;;) {
        const count = this.io.read(fd, this.#buffer);
        if (count <= 0) return [sum, count];
        sum += count;
      }
    });
  }

  wait(): readonly Told[] {
    this.poller.wait(this.#events, { timeout: 0 });
    const names = ["readable", "writable", "priority", "readClosed", "hangUp", "error", "refused"] as const;
    const told = this.#events.toArray().map((event) => ({
      key: Number(event.key),
      bits: [...names.filter((name) => event[name]), String(event.errorCode)],
    }));
    return told.toSorted((one, other) => one.key - other.key);
  }

  end(): void {
    for (const fd of this.open) this.io.close(fd);
    this.open.clear();
    this.poller.close();
  }
}

/** A level-triggered registration, which every wait must report as poll(2) does. */
interface Level {
  readonly key: number;
  readonly interest: number;
}

/** Runs a program in both worlds. Throws at the first difference. */
class Run {
  readonly #simulated = new SimulatedEpoll();
  readonly #worlds: readonly [World, World];
  readonly #level = new Map<number, Level>();
  /** The numbers whose registration was added for the file that they name now. */
  readonly #added = new Set<number>();
  #nextKey = 1;
  steps = 0;

  constructor() {
    this.#worlds = [new World(realIo), new World(this.#simulated.io, this.#simulated)];
  }

  run(program: readonly Step[], tell?: (line: string) => void): void {
    try {
      for (const step of program) {
        const line = this.#step(step);
        this.steps++;
        tell?.(line);
        this.#comparePoll();
      }
    } finally {
      for (const world of this.#worlds) world.end();
    }
    assert.equal(this.#simulated.descriptors, 0);
  }

  /** Does the same in both worlds, and answers what it was. */
  #both(what: string, call: (world: World) => unknown): string {
    const [real, simulated] = this.#worlds.map(call);
    assert.deepEqual(simulated, real, `${what}: simulated, then real`);
    return `${what}: ${JSON.stringify(real)}`;
  }

  #step([action, a, b, c]: Step): string {
    const fd = BASE + (a % NUMBERS);
    const other = BASE + (b % NUMBERS);
    switch (action % 16) {
      case 0:
      case 1: {
        this.#forget(fd);
        if (c % 4 < 2) this.#forget(other);
        return this.#both(`open ${c % 4} as ${fd}, ${other}`, (world) => outcome(() => world.make(c % 4, fd, other)));
      }
      case 2:
      case 3:
        return this.#both(`write ${fd}`, (world) => outcome(() => world.io.write(fd, word(1 + (b % 3)))));
      case 4:
        return this.#both(`read ${fd}`, (world) => world.read(fd, 8 + (b % 64)));
      case 5:
        return this.#both(`drain ${fd}`, (world) => world.drain(fd));
      case 6:
        this.#forget(fd);
        return this.#both(`close ${fd}`, (world) => world.close(fd));
      case 7: {
        if (fd !== other && this.#worlds[0].open.has(fd)) this.#forget(other);
        return this.#both(`dup ${fd} onto ${other}`, (world) => world.duplicate(fd, other));
      }
      case 8: {
        const how = (["read", "write", "both"] as const)[b % 3] ?? "both";
        return this.#both(`shutdown ${fd} ${how}`, (world) => outcome(() => world.io.shutdown(fd, how)));
      }
      case 9:
      case 10:
        return this.#change("add", fd, b, c);
      case 11:
      case 12:
        return this.#change("modify", fd, b, c);
      case 13:
        this.#forget(fd);
        return this.#both(`delete ${fd}`, (world) => outcome(() => world.poller.delete(fd)));
      case 14:
        return this.#both("notify", (world) => outcome(() => world.poller.notify()));
      default:
        return this.#wait();
    }
  }

  #change(operation: "add" | "modify", fd: number, interest: number, mode: number): string {
    const key = this.#nextKey++;
    const chosen = MODES[mode % 4] as Mode;
    const text = `${operation} ${fd}, key ${key}, interest ${interest % 8}, ${chosen}`;
    const told = this.#both(text, (world) =>
      outcome(() => world.poller[operation](fd, key, interest % 8, { mode: chosen })),
    );
    if (!told.endsWith('"done"')) return told;
    // A re-arm that needs no call cannot see that the number names another file by now, and is documented to say so.
    if (operation === "add" && this.#worlds[0].open.has(fd)) this.#added.add(fd);
    this.#level.delete(fd);
    if (chosen === "level" && this.#added.has(fd)) this.#level.set(fd, { key, interest: interest % 8 });
    return told;
  }

  /** A number means something else from now on, or nothing. */
  #forget(fd: number): void {
    this.#added.delete(fd);
    this.#level.delete(fd);
  }

  #wait(): string {
    let events: readonly Told[] = [];
    // Poll first: a wait may disarm what was not armed again, but makes nothing ready.
    const expected = new Map([...this.#level].map(([fd, level]) => [level.key, expectedBits(this.#poll(fd), level)]));
    const line = this.#both("wait", (world) => (events = world.wait()));
    for (const [key, bits] of expected) {
      const told = events.find((event) => event.key === key);
      assert.deepEqual(told?.bits ?? [], bits, `key ${key}: what the poller reports, then what poll(2) says`);
    }
    return line;
  }

  #poll(fd: number): number {
    const revents = new Int32Array(1);
    poll(Int32Array.of(fd), Int32Array.of(IN | PRI | OUT | RDHUP), revents);
    return revents[0] as number;
  }

  #comparePoll(): void {
    for (const fd of this.#worlds[0].open) {
      assert.equal(this.#simulated.io.poll(fd), this.#poll(fd), `poll of ${fd}: simulated, then real`);
    }
  }
}

function word(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

/** What poll(2)'s bits mean to somebody with an interest: the table of the README, once more. */
function expectedBits(bits: number, { interest }: Level): readonly string[] {
  if (interest === 0) return [];
  const asked = (interest & 1 ? IN | RDHUP : 0) | (interest & 2 ? OUT : 0) | (interest & 4 ? PRI : 0) | ERR | HUP;
  const seen = bits & asked;
  if (seen === 0) return [];
  const is = {
    readable: (interest & 1) !== 0 && (seen & (IN | RDHUP | HUP | ERR)) !== 0,
    writable: (interest & 2) !== 0 && (seen & (OUT | ERR)) !== 0,
    priority: (interest & 4) !== 0 && (seen & PRI) !== 0,
    readClosed: (seen & (RDHUP | HUP)) !== 0,
    hangUp: (seen & HUP) !== 0,
    error: (seen & ERR) !== 0,
  };
  return [...Object.entries(is).flatMap(([name, holds]) => (holds ? [name] : [])), "undefined"];
}

function programOf(seed: number): readonly Step[] {
  const random = new Random(seed);
  const steps = Array.from({ length: 10 + random.below(LONGEST) }, (): Step => {
    return [random.word(), random.word(), random.word(), random.word()];
  });
  return [[0, 0, 1, 0], [0, 2, 3, 1], [0, 4, 4, 2], ...steps];
}

function differenceOf(program: readonly Step[], tell?: (line: string) => void): unknown {
  try {
    new Run().run(program, tell);
    return undefined;
  } catch (error) {
    return error;
  }
}

const { values } = parseArgs({ options: { programs: { type: "string" }, seed: { type: "string" } } });
const programs = Number(values.programs ?? 2000);
const first = Number(values.seed ?? Date.now() % 2 ** 31);
let steps = 0;
let differences = 0;
for (let seed = first; seed < first + programs; seed++) {
  const program = programOf(seed);
  const difference = differenceOf(program);
  steps += program.length;
  if (difference === undefined) continue;
  differences++;
  const short = shrink(program, (some) => differenceOf(some) !== undefined);
  console.error(`seed ${seed}, ${short.length} steps:`);
  console.error(differenceOf(short, (line) => console.error(`  ${line}`)));
  break;
}
console.log(`differential: ${steps} steps in ${programs} programs from seed ${first}: ${differences} differences`);
process.exitCode = differences > 0 ? 1 : 0;
