/**
 * Executes one scenario in one world.
 *
 * Every step is either carried out and checked, or the scenario fails: there is no step that is passed over. Relies on
 * data that `format.ts` has checked.
 */
import assert from "node:assert/strict";
import { Events, Interest, type Change as PollerChange, type Poller, type ReadyEvent } from "lio-poller";
import { type Address, WOULD_BLOCK } from "lio-poller/io";
import type {
  Change,
  Descriptor,
  ExpectedEvent,
  ExpectedTimer,
  InterestName,
  Key,
  Mode,
  Moment,
  Step,
  WaitStep,
} from "./format.js";
import { bits } from "./format.js";
import type { World } from "./world.js";

/** A step that did not do what the contract says. */
export class ContractError extends Error {
  override readonly name = "ContractError";
}

/**
 * Runs the steps, in order, and closes what they opened.
 *
 * Blocks for as long as the steps wait.
 *
 * @param name tells whoever watches over waits which scenario it is
 * @throws ContractError at the first step that fails, or if something is still open at the end
 */
export function run(world: World, name: string, steps: readonly Step[]): void {
  const scene = new Scene(world, name);
  try {
    steps.forEach((step, index) => {
      scene.perform(step, `step ${index + 1}`);
    });
  } finally {
    scene.close();
  }
  const leaks = world.leaks();
  if (leaks.length > 0) throw new ContractError(`left open: ${leaks.join(", ")}`);
}

/** What one event said. `bits` are in the order of `format.ts`. */
interface Reported {
  readonly key: number | bigint;
  readonly bits: readonly string[];
  readonly errorCode: string | undefined;
  /** Of a timer; else 0. */
  readonly expirations: number;
}

interface Pool {
  readonly all: readonly ExpectedEvent[];
  readonly left: ExpectedEvent[];
}

/** What a wait did. */
interface Waited {
  readonly events: readonly Reported[];
  /** By the world's clock, in nanoseconds. */
  readonly start: bigint;
  readonly end: bigint;
}

/** The room that a wait has if it does not say. */
const defaultRoom = 16;
const mainPoller = "";

class Scene {
  readonly #world: World;
  readonly #scenario: string;
  readonly #numbers = new Map<string, number>();
  readonly #open = new Set<number>();
  readonly #pollers = new Map<string, Poller>();
  readonly #pools = new Map<string, Pool>();
  /** Rooms are used again, as programs do, so that a wait that leaves old events behind is noticed. */
  readonly #rooms = new Map<string, Events>();
  /** Where names listen, or listened. */
  readonly #addresses = new Map<string, Address>();
  readonly #notifiers = new Map<string, () => void>();
  /** By the world's clock, in nanoseconds. */
  readonly #moments = new Map<string, bigint>();

  constructor(world: World, name: string) {
    this.#world = world;
    this.#scenario = name;
    this.#pollers.set(mainPoller, world.createPoller());
  }

  close(): void {
    for (const poller of this.#pollers.values()) poller.close();
    for (const fd of this.#open) this.#world.io.close(fd);
    this.#open.clear();
  }

  perform(step: Step, where: string): void {
    if (step.do === "repeat") return this.#repeat(step, where);
    try {
      this.#counted(step);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ContractError(`${where}, ${JSON.stringify(step)}: ${reason}`, { cause });
    }
  }

  #repeat({ times, steps }: Extract<Step, { do: "repeat" }>, where: string): void {
    const turns = steps.map(turnOf);
    for (let turn = 0; turn < times; turn++) {
      turns.forEach((step, index) => {
        this.perform(step(turn), `${where}.${index + 1}, turn ${turn}`);
      });
    }
  }

  /** Holds a step to the number of system calls that it may make. */
  #counted(step: Exclude<Step, { do: "repeat" }>): void {
    if (!("maxCalls" in step) || step.maxCalls === undefined) return this.#perform(step);
    const poller = this.#poller(step);
    const before = this.#world.calls(poller);
    this.#perform(step);
    const made = this.#world.calls(poller) - before;
    assert.ok(made <= step.maxCalls, `${made} system calls instead of ${step.maxCalls} at most`);
  }

  #perform(step: Exclude<Step, { do: "repeat" }>): void {
    const { io } = this.#world;
    switch (step.do) {
      case "socketpair":
        return this.#nameAll(step.as, io.socketpair());
      case "tcp":
        return this.#nameAll(step.as, io.tcp());
      case "listen":
        return this.#listen(step);
      case "connect":
        return this.#name(step.as, io.connect(this.#address(step.to)));
      case "accept":
        return this.#name(step.as, io.accept(this.#number(step.fd)));
      case "pendingError":
        return assert.equal(io.pendingError(this.#number(step.fd))?.code, step.error, "the pending error");
      case "pipe":
        return this.#nameAll(step.as, io.pipe());
      case "eventfd":
        return this.#name(step.as, io.eventfd());
      case "regular":
        return this.#name(step.as, io.regular());
      case "dup":
        return this.#dup(step);
      case "close":
        return this.#closeOne(this.#number(step.fd));
      case "shutdown":
        return io.shutdown(this.#number(step.fd), step.how);
      case "write":
        return this.#write(step);
      case "read":
        return this.#read(step);
      case "sendUrgent":
        return assert.equal(io.sendUrgent(this.#number(step.fd), step.text.charCodeAt(0)), 1, "bytes sent");
      case "receiveUrgent": {
        const byte = io.receiveUrgent(this.#number(step.fd));
        return assert.equal(String.fromCharCode(byte), step.text, "the urgent byte");
      }
      case "poller":
        this.#pollers.set(step.as, this.#world.createPoller());
        return;
      case "add":
      case "modify":
      case "delete":
        return this.#change(step);
      case "apply":
        return this.#apply(this.#poller(step), step.changes);
      case "addTimer":
      case "modifyTimer":
        return this.#arm(step);
      case "deleteTimer":
        return assertVerdict(step.error, () => this.#poller(step).deleteTimer(userKey(step.key)));
      case "notifier":
        this.#notifiers.set(step.as, this.#world.notifier(this.#poller(step)));
        return;
      case "notify":
        return step.notifier === undefined ? this.#poller(step).notify() : this.#notifier(step.notifier)();
      case "closePoller":
        return this.#poller(step).close();
      case "moment":
        this.#moments.set(step.as, this.#world.now());
        return;
      case "pass":
        return this.#world.pass(step.milliseconds);
      case "registrations":
        assert.equal(this.#poller(step).stats().registrations, step.expect, "registrations");
        return;
      case "timers":
        assert.equal(this.#poller(step).stats().timers, step.expect, "timers");
        return;
      case "events":
        assertEmpty(new Events(step.room));
        return;
      case "pool":
        this.#pools.set(step.as, { all: step.events, left: [...step.events] });
        return;
      case "drained":
        assert.deepEqual(this.#pool(step.pool).left, [], "never reported");
        return;
      case "wait":
        return this.#wait(step);
      default:
        throw new ContractError(`unknown step ${JSON.stringify(step satisfies never)}`);
    }
  }

  #nameAll(names: readonly [string, string], fds: readonly [number, number]): void {
    this.#name(names[0], fds[0]);
    this.#name(names[1], fds[1]);
  }

  #listen({ as, host }: Extract<Step, { do: "listen" }>): void {
    const { io } = this.#world;
    this.#name(as, io.listen({ host, port: 0 }));
    this.#addresses.set(as, io.localAddress(this.#number(as)));
  }

  #address(name: string): Address {
    const address = this.#addresses.get(name);
    if (address === undefined) throw new ContractError(`no step has had ${name} listen`);
    return address;
  }

  #name(name: string, fd: number): void {
    assert.notEqual(fd, WOULD_BLOCK, "there is none");
    this.#open.add(fd);
    this.#numbers.set(name, fd);
  }

  /** A name keeps its number when the descriptor is closed: that is how scenarios speak of closed ones. */
  #number(fd: Descriptor): number {
    if (typeof fd === "number") return fd;
    const number = this.#numbers.get(fd);
    if (number === undefined) throw new ContractError(`no step has opened ${fd}`);
    return number;
  }

  #poller(step: { readonly poller?: string }): Poller {
    const poller = this.#pollers.get(step.poller ?? mainPoller);
    if (poller === undefined) throw new ContractError(`no step has made the poller ${step.poller}`);
    return poller;
  }

  #notifier(name: string): () => void {
    const notify = this.#notifiers.get(name);
    if (notify === undefined) throw new ContractError(`no step has asked for the notifier ${name}`);
    return notify;
  }

  #moment({ of, plus = 0 }: Moment): bigint {
    const moment = this.#moments.get(of);
    if (moment === undefined) throw new ContractError(`no step has named the moment ${of}`);
    return moment + nanoseconds(plus);
  }

  /** Milliseconds of the poller's clock, which is the world's. */
  #deadline(moment: Moment): { readonly deadline: number } {
    return { deadline: Number(this.#moment(moment)) / 1e6 };
  }

  #pool(name: string): Pool {
    const pool = this.#pools.get(name);
    if (pool === undefined) throw new ContractError(`no step has made the pool ${name}`);
    return pool;
  }

  #dup(step: Extract<Step, { do: "dup" }>): void {
    const from = this.#number(step.fd);
    if (step.onto === undefined) return this.#name(step.as, this.#world.io.dup(from));
    const onto = this.#number(step.onto);
    assert.equal(this.#world.io.dup(from, onto), onto, "the number that was asked for");
    this.#name(step.as, onto);
  }

  #closeOne(fd: number): void {
    this.#world.io.close(fd);
    this.#open.delete(fd);
  }

  #write(step: Extract<Step, { do: "write" }>): void {
    const { io } = this.#world;
    const fd = this.#number(step.fd);
    if (step.fill) {
      const zeros = new Uint8Array(65536);
      while (io.write(fd, zeros) > 0);
      return;
    }
    const bytes = step.counter === undefined ? new TextEncoder().encode(step.text) : counterBytes(step.counter);
    assert.equal(io.write(fd, bytes), bytes.length, "bytes written");
  }

  #read(step: Extract<Step, { do: "read" }>): void {
    const { io } = this.#world;
    const fd = this.#number(step.fd);
    const buffer = new Uint8Array(step.room ?? 65536);
    if (step.drain) {
      while (io.read(fd, buffer) > 0);
      return;
    }
    const count = io.read(fd, buffer);
    if (step.text === undefined) return assert.equal(count, step.count, "bytes read");
    assert.equal(new TextDecoder().decode(buffer.subarray(0, Math.max(count, 0))), step.text, "text read");
  }

  #change(step: Extract<Step, { do: "add" | "modify" | "delete" }>): void {
    const poller = this.#poller(step);
    const fd = this.#number(step.fd);
    assertVerdict(step.error, () => {
      if (step.do === "delete") return poller.delete(fd);
      return poller[step.do](fd, userKey(step.key), flags(step.interest), options(step.mode));
    });
  }

  #apply(poller: Poller, changes: readonly Change[]): void {
    const verdicts = poller.apply(changes.map((change) => this.#pollerChange(change)));
    assert.equal(verdicts.length, changes.length, "verdicts");
    changes.forEach((change, index) => {
      assert.equal(codeOf(verdicts[index]), change.error, `verdict ${index}`);
    });
  }

  #pollerChange(change: Change): PollerChange {
    const fd = this.#number(change.fd);
    if (change.op === "delete") return { op: "delete", fd };
    const { op, mode } = change;
    return { op, fd, key: userKey(change.key), interest: flags(change.interest), ...options(mode) };
  }

  #arm(step: Extract<Step, { do: "addTimer" | "modifyTimer" }>): void {
    const when = step.deadline === undefined ? (step.after ?? 0) : this.#deadline(step.deadline);
    const repeat = step.repeat === undefined ? {} : { repeat: step.repeat };
    assertVerdict(step.error, () => this.#poller(step)[step.do](userKey(step.key), when, repeat));
  }

  #wait(step: WaitStep): void {
    const poller = this.#poller(step);
    const events = this.#room(step);
    if (step.error !== undefined) return assertVerdict(step.error, () => poller.wait(events, this.#within(step)));
    const waited = this.#measuredWait(poller, events, step);
    this.#checkTime(step, waited);
    if (step.woken) return assert.deepEqual(waited.events, [], "no events");
    if (step.expect !== undefined) return assertAll(this.#asOf(waited.end, step), waited.events);
    this.#checkPool(step, waited.events);
  }

  #within({ timeout, deadline }: WaitStep): { timeout?: number; deadline?: number } {
    if (deadline !== undefined) return this.#deadline(deadline);
    return timeout === undefined || timeout === null ? {} : { timeout };
  }

  /** What may come if it is so late: of a timer that repeats, more expirations. */
  #asOf(end: bigint, { expect = [], until }: WaitStep): readonly Candidate[] {
    return expect.map((event) => {
      if (!("expirations" in event) || event.every === undefined || until === undefined) return event;
      const late = Number(end - this.#moment(until)) / 1e6;
      return { ...event, most: event.expirations + Math.ceil(late / event.every) };
    });
  }

  #room(step: WaitStep): Events {
    const capacity = step.room ?? defaultRoom;
    const known = this.#rooms.get(`${step.poller ?? mainPoller}:${capacity}`);
    if (known !== undefined) return known;
    const events = new Events(capacity);
    assertEmpty(events);
    this.#rooms.set(`${step.poller ?? mainPoller}:${capacity}`, events);
    return events;
  }

  #measuredWait(poller: Poller, events: Events, step: WaitStep): Waited {
    this.#world.blocking(`${this.#scenario}, ${JSON.stringify(step)}`);
    try {
      const start = this.#world.now();
      const count = poller.wait(events, this.#within(step));
      const end = this.#world.now();
      return { events: read(events, count), start, end };
    } finally {
      this.#world.blocking(undefined);
    }
  }

  /**
   * Never earlier is the only timing that decides. A virtual clock stands still for as long as nobody blocks, and no
   * scenario makes anything ready while a wait blocks but by a timer; so there "at once" is exact, and so is a timeout.
   */
  #checkTime(step: WaitStep, { events, start, end }: Waited): void {
    const due = this.#earliestEnd(step, events.length === 0, start);
    assert.ok(end >= due, `returned after ${end - start} ns, ${due - end} ns too early`);
    if (this.#world.virtualTime) assert.equal(end, due > start ? due : start, "the moment at which it returned");
  }

  #earliestEnd({ timeout, deadline, until, woken }: WaitStep, isEmpty: boolean, start: bigint): bigint {
    if (until !== undefined) return this.#moment(until);
    if (!isEmpty || woken) return start;
    if (deadline !== undefined) return this.#moment(deadline);
    return start + nanoseconds(timeout ?? 0);
  }

  #checkPool(step: WaitStep, events: readonly Reported[]): void {
    const pool = this.#pool(step.from ?? "");
    if (step.count !== undefined) assert.equal(events.length, step.count, `events: ${show(events)}`);
    const candidates = step.again ? [...pool.all] : pool.left;
    for (const event of events) {
      take(candidates, event);
      if (step.again) remove(pool.left, event);
    }
  }
}

/** What a step is in each turn of its repetition: the number of the turn stands in the place of every #. */
function turnOf(step: Step): (turn: number) => Step {
  const text = JSON.stringify(step);
  // Most steps are the same in every turn, and some are repeated very often.
  if (!text.includes("#")) return () => step;
  return (turn) => JSON.parse(text.replaceAll("#", String(turn))) as Step;
}

/** As a program writes it: a number where that is exact, else a bigint. */
function userKey(key: Key): number | bigint {
  const exact = BigInt(key);
  return exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(exact) : exact;
}

function flags(interests: readonly InterestName[]): number {
  const values = { readable: Interest.READABLE, writable: Interest.WRITABLE, priority: Interest.PRIORITY };
  return interests.reduce((all, name) => all | values[name], Interest.NONE as number);
}

function options(mode: Mode | undefined): { mode?: Mode } {
  return mode === undefined ? {} : { mode };
}

/** Rounded up, as the poller does: what is not earlier than that is not early. */
function nanoseconds(milliseconds: number): bigint {
  return BigInt(Math.ceil(milliseconds * 1e6));
}

/** An eventfd counts in the machine's own byte order: eventfd(2). */
function counterBytes(counter: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(counter)).buffer);
}

function assertVerdict(expected: string | undefined, operation: () => unknown): void {
  try {
    operation();
  } catch (error) {
    return assert.equal(codeOf(error), expected, `verdict: ${String(error)}`);
  }
  assert.equal(undefined, expected, "verdict");
}

/** The code of a failure of the kernel. Anything else that was thrown is no verdict, and is thrown on. */
function codeOf(error: unknown): string | undefined {
  if (error === undefined) return undefined;
  if (!(error instanceof Error) || !("code" in error) || !("errno" in error)) throw error;
  assert.equal(typeof error.code, "string", "type of the error's code");
  assert.ok(typeof error.errno === "number" && error.errno < 0, "the error's number is Node's, below zero");
  return error.code as string;
}

function assertEmpty(events: Events): void {
  assert.deepEqual(read(events, 0), []);
}

/** What a wait reported, read through the cursor and as plain objects, which must say the same. */
function read(events: Events, count: number): readonly Reported[] {
  const reported: Reported[] = [];
  for (const event of events) reported.push(plain(event));
  assert.deepEqual(events.toArray().map(plain), reported, "toArray() and the cursor");
  assert.equal(reported.length, count, "the count that wait returned");
  return reported;
}

function plain(event: ReadyEvent): Reported {
  const values = event as unknown as Readonly<Record<string, unknown>>;
  for (const bit of [...bits, "timer"]) assert.equal(typeof values[bit], "boolean", `type of ${bit}`);
  const { key, errorCode, expirations, timer, bytes } = event;
  assert.ok(Number.isSafeInteger(bytes) && bytes >= 0, "bytes are a count");
  assert.equal(expirations > 0, timer, "expirations are a timer's");
  return { key, bits: bits.filter((bit) => values[bit]), errorCode, expirations };
}

/** What an event may be: of a timer that repeats, with so many expirations at most. */
type Candidate = ExpectedEvent & { readonly most?: number };

function assertAll(expected: readonly Candidate[], events: readonly Reported[]): void {
  const candidates = [...expected];
  for (const event of events) take(candidates, event);
  assert.deepEqual(candidates, [], `not reported; what was: ${show(events)}`);
}

function take(candidates: Candidate[], event: Reported): void {
  if (remove(candidates, event)) return;
  throw new ContractError(`reported ${show([event])}, of ${JSON.stringify(candidates)}`);
}

function remove(candidates: Candidate[], event: Reported): boolean {
  const found = candidates.findIndex((expected) => fits(expected, event));
  if (found >= 0) candidates.splice(found, 1);
  return found >= 0;
}

function fits(expected: Candidate, event: Reported): boolean {
  if ("expirations" in expected) return fitsTimer(expected, event);
  const allowed: readonly string[] = [...expected.is, ...(expected.may ?? [])];
  return (
    event.key === userKey(expected.key) &&
    event.errorCode === expected.errorCode &&
    event.expirations === 0 &&
    expected.is.every((bit) => event.bits.includes(bit)) &&
    event.bits.every((bit) => allowed.includes(bit))
  );
}

function fitsTimer(expected: ExpectedTimer & { readonly most?: number }, event: Reported): boolean {
  return (
    event.key === userKey(expected.key) &&
    event.errorCode === undefined &&
    event.bits.length === 0 &&
    event.expirations >= expected.expirations &&
    event.expirations <= (expected.most ?? expected.expirations)
  );
}

function show(events: readonly Reported[]): string {
  return JSON.stringify(events, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}
