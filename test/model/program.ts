/**
 * Random programs: steps that make and use files, change pollers and wait, carried out on a poller and on its model side
 * by side.
 *
 * A step is a few random words, which name what there is at that moment: the third open descriptor, the second timer. So
 * a program that lost some of its steps is still a program, and can be shrunk.
 */
import { Events, Poller, PollerError, type Change, type Key, type Mode } from "lio-poller";
import { FaultyKernel, randomFaults, type FaultSource, type RandomFaults } from "lio-poller/sim";
import { instanceFor } from "../support/internals.js";
import { Random } from "../support/random.js";
import { REFUSED, type Dialect, type FileKind, type SimulatedKernel } from "./dialect.js";
import { File, Files } from "./files.js";
import { Difference, LEVEL, Model, MOST_HAUNTING, type Answer, type Refusal, type Told } from "./model.js";

/** What is done, the seeds of its details, and of the faults in it, of which 0 is none. */
export type Step = readonly [action: number, a: number, b: number, c: number, faults: number];

/** A program: what is allowed to happen in it, and its steps. */
export interface Program {
  readonly weather: number;
  readonly steps: readonly Step[];
}

/** The weather: what a program's world is like, one bit each. */
export const FAULTS = 1;
/** Descriptors are closed and their numbers used again while they are registered. */
export const DISORDER = 2;
/** Events come in any order. */
export const SHUFFLED = 4;
export const MOST_WEATHER = 7;

const MODES: readonly (Mode | undefined)[] = ["oneshot", "level", "edge", "edge-oneshot"];
const ROOMS = [1, 2, 3, 4, 8, 16, 32, 16];
const TIMEOUTS = [0, 0, 0, 0, 0.5, 1, 5, 20];
const MOST_FILES = 24;
const MOST_POLLERS = 3;
/** More calls of the kernel than this in one step are no progress. */
const MOST_CALLS = 600;

/** A poller beside its model. */
interface Pair {
  readonly poller: Poller;
  readonly model: Model;
}

type Action = (a: number, b: number, c: number) => string;

/** A kernel with pollers, files and what is true of them. One program after the other can run in it. */
export class World {
  readonly kernel: SimulatedKernel;
  readonly faulty: FaultyKernel;
  /** Steps carried out. */
  steps = 0;

  readonly #dialect: Dialect;
  readonly #events = new Map<number, Events>();
  readonly #bytes: () => number;
  readonly #baseline: number;
  #files = new Files();
  #pairs: Pair[] = [];
  #weather = 0;
  #nextKey = 0;

  // Of the step under way.
  #faults: RandomFaults | undefined;
  #calls = 0;
  #errors = new Set<string>();
  #refusals: Refusal[] = [];
  #cut = false;
  #failed = false;
  #delay = 0n;
  #happened = 0;
  #waiting: Model | undefined;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
    this.kernel = dialect.create();
    this.faulty = new FaultyKernel(this.kernel, this.#source);
    for (const room of new Set([0, ...ROOMS])) this.#events.set(room, new Events(room));
    using poller = new Poller({ kernel: this.faulty });
    // Room is made at the first wait, and stays.
    for (const [room, events] of this.#events) answerOf(() => poller.wait(events, { timeout: 0 }), room);
    const instance = instanceFor(this.faulty);
    this.#bytes = instance.bytesInUse;
    poller.close();
    this.#baseline = this.#bytes();
  }

  /** Runs a program from nothing to nothing. Throws what is wrong; the world is of no use then. */
  run({ weather, steps }: Program, tell?: (line: string) => void): void {
    this.begin(weather);
    steps.forEach((step, index) => {
      const line = (what: string): void => tell?.(`${index}: ${what}`);
      try {
        line(this.step(step));
      } catch (error) {
        line(`${nameOf(step)}: ${String(error)}; ${this.trouble}`);
        throw error;
      }
    });
    this.end();
  }

  begin(weather: number): void {
    this.#weather = weather;
    this.#nextKey = 0;
    this.kernel.order = weather & SHUFFLED ? (count) => new Random(this.#calls * 31 + count).below(count) : undefined;
    this.#pairs = [this.#pair()];
  }

  /** Ends what a program has left, and checks that nothing else is left. */
  end(): void {
    this.#startStep(0);
    for (const { poller, model } of this.#pairs) {
      judgeCounts(poller, model);
      poller.close();
    }
    this.#pairs = [];
    while (this.kernel.clock.pending > 0) this.kernel.clock.step();
    for (const number of this.#files.numbers) this.kernel.io.close(number);
    this.#files = new Files();
    const { instances, notifiers = 0 } = this.kernel;
    const bytes = this.#bytes() - this.#baseline;
    if (instances + notifiers + bytes === 0) return;
    throw new Difference(`left behind: ${instances} kernel objects, ${notifiers} notifiers, ${bytes} bytes`);
  }

  /** Carries out a step, and answers it in words. */
  step([action, a, b, c, faults]: Step): string {
    this.steps++;
    this.#startStep(this.#weather & FAULTS ? faults : 0);
    const name = nameOf([action, a, b, c, faults]);
    const what = this.actions[name](a, b, c);
    this.#doubt();
    // A deletion that the kernel made nothing of, whatever it said, leaves something that goes on reporting.
    for (const { operation, fd } of this.#refusals) {
      if (operation !== "delete") continue;
      for (const { model } of this.#pairs) model.left(fd, this.#files.at(fd));
    }
    return `${name} ${what}`;
  }

  /** A change of which a step was refused leaves it open what the kernel holds. */
  #doubt(): void {
    if (!this.#dialect.changesInSteps) return;
    for (const { fd } of this.#refusals) for (const { model } of this.#pairs) model.doubted(fd);
  }

  /** What went wrong in the kernel in the last step, in words. */
  get trouble(): string {
    const refused = this.#refusals.map(({ operation, fd, error }) => `${operation} ${fd}: ${error}`);
    const parts = [
      ...this.#errors,
      ...refused,
      this.#cut ? "cut short" : "",
      this.#delay > 0n ? `${this.#delay} ns` : "",
    ];
    return parts.filter((part) => part !== "").join(", ") || "no faults";
  }

  readonly actions = {
    open: ((a) => {
      if (this.#files.numbers.length >= MOST_FILES) return "nothing";
      const { io } = this.kernel;
      const kind = this.#dialect.kinds[a % this.#dialect.kinds.length] as FileKind;
      if (kind === "regular") return `${kind} ${this.#name(io.regular(), new File(false))}`;
      if (kind === "eventfd") return `${kind} ${this.#name(io.eventfd((a >>> 8) % 2), new File(true))}`;
      const [one, other] = [new File(true), new File(true)];
      one.peer = other;
      other.peer = one;
      const numbers = io[kind]();
      this.#name(numbers[0], one);
      this.#name(numbers[1], other);
      return `${kind} ${numbers.join(" ")}`;
    }) as Action,

    write: ((a, b) => this.#transfer("write", this.#open(a), b)) as Action,
    read: ((a, b) => this.#transfer("read", this.#open(a), b)) as Action,

    urgent: ((a, b) => {
      const fd = this.#open(a);
      const { io } = this.kernel;
      const call = b % 3 === 0 ? () => io.receiveUrgent(fd) : () => io.sendUrgent(fd, b % 256);
      return `${b % 3 === 0 ? "take" : "send"} ${fd}: ${this.#use(fd, call)}`;
    }) as Action,

    shutdown: ((a, b) => {
      const fd = this.#open(a);
      const how = (["read", "write", "both"] as const)[b % 3] as "read";
      return `${fd} ${how}: ${this.#use(fd, () => this.kernel.io.shutdown(fd, how))}`;
    }) as Action,

    close: ((a) => this.#close(this.#open(a))) as Action,

    dup: ((a, b) => {
      // Onto another number, sometimes: what that one named is closed.
      const onto = b % 4 === 0 && this.#weather & DISORDER ? this.#open(b >>> 2) : undefined;
      return this.#dup(this.#open(a), onto);
    }) as Action,

    add: ((a, b, c) => {
      const { poller, model } = this.#pick(a);
      const fd = this.#target(model, a >>> 4, 3);
      const [key, interest, mode] = [this.#key(b), this.#interest(b >>> 8), this.#mode(c)];
      const options = { mode: MODES[mode] as Mode };
      const answer = answerOf(() => poller.add(fd, key, interest, mode === 0 && c & 8 ? undefined : options));
      this.#judge("add", answer, model.add(fd, this.#files.at(fd), mode), ["EEXIST"]);
      if (answer === "ok") model.added(fd, this.#files.at(fd) ?? NO_FILE, key, interest, mode);
      else model.asked(fd);
      return `${this.#pairs.findIndex((pair) => pair.model === model)} ${fd} key ${key} interest ${interest} mode ${mode}: ${answer}`;
    }) as Action,

    modify: ((a, b, c) => {
      const { poller, model } = this.#pick(a);
      const fd = this.#target(model, a >>> 4, 12);
      const known = model.registrations.get(fd);
      // Arming again is what modify is for, so most change nothing else.
      const interest = known !== undefined && c & 48 ? known.interest : this.#interest(b >>> 8);
      const mode = c & 12 ? undefined : this.#mode(c);
      const key = this.#key(b);
      const options = mode === undefined ? undefined : { mode: MODES[mode] as Mode };
      const answer = answerOf(() => poller.modify(fd, key, interest, options));
      this.#judge("modify", answer, model.modify(fd, this.#files.at(fd), interest, mode), []);
      if (answer === "ok") model.modified(fd, this.#files.at(fd), key, interest, mode);
      return `${fd} key ${key} interest ${interest} mode ${mode ?? "kept"}: ${answer}`;
    }) as Action,

    delete: ((a) => {
      const { poller, model } = this.#pick(a);
      const fd = this.#target(model, a >>> 4, 12);
      const answer = answerOf(() => poller.delete(fd));
      this.#judge("delete", answer, model.remove(fd), []);
      if (answer === "ok") model.removed(fd);
      return `${fd}: ${answer}`;
    }) as Action,

    apply: ((a, b) => {
      const { poller, model } = this.#pick(a);
      const random = new Random(b);
      const changes = Array.from({ length: random.below(7) }, () => this.#change(model, random));
      const verdicts = poller.apply(changes);
      const answers = changes.map((change, index) => {
        const answer = verdicts[index]?.code ?? "ok";
        // What is deleted in the same batch need not be modified before.
        const isDeleted = changes.slice(index + 1).some(({ op, fd }) => op === "delete" && fd === change.fd);
        this.#applied(model, change, answer, isDeleted);
        return `${change.op} ${change.fd}: ${answer}`;
      });
      return answers.join(", ");
    }) as Action,

    wait: ((a, b, c) => this.#wait(this.#pick(a), b, c)) as Action,

    /**
     * Closes what is level-triggered while a duplicate of it lives, and waits more often than such a ghost may be told.
     * Faults are for the last wait.
     */
    haunt: ((a, b, c) => {
      if (c % 8 !== 0 || !(this.#weather & DISORDER)) return "nothing";
      const pair = this.#pick(a);
      const levels = [...pair.model.registrations.values()].filter(({ mode, certain }) => mode === LEVEL && certain);
      const fd = levels[b % levels.length]?.fd;
      if (fd === undefined) return "nothing";
      const duplicate = this.#dup(fd, undefined);
      this.#close(fd);
      const faults = this.#faults;
      this.#faults = undefined;
      for (let i = 0; i < MOST_HAUNTING; i++) {
        this.#calls = 0;
        this.#wait(pair, b, 0);
      }
      this.#faults = faults;
      this.#calls = 0;
      return `${duplicate}, then closed; ${this.#wait(pair, b, 0)}`;
    }) as Action,

    notify: ((a) => {
      const { poller, model } = this.#pick(a);
      const answer = answerOf(() => poller.notify());
      this.#judge("notify", answer, ["ok"], []);
      if (answer === "ok") model.notified = "yes";
      return answer;
    }) as Action,

    addTimer: ((a, b, c) => {
      const { poller, model } = this.#pick(a);
      const key = timerKey(b);
      const { delay, period } = timesOf(c);
      const answer = answerOf(() => poller.addTimer(key, delay, { repeat: period }));
      this.#judge("addTimer", answer, [model.addTimer(key)], []);
      const due = this.kernel.clock.now() + nanoseconds(delay);
      if (answer === "ok") model.timers.set(key, { due, period: nanoseconds(period), armed: true });
      return `${key} in ${delay} ms, every ${period}: ${answer}`;
    }) as Action,

    modifyTimer: ((a, b, c) => {
      const { poller, model } = this.#pick(a);
      const key = timerKey(b);
      const { delay, period } = timesOf(c);
      const keeps = (c & 1) === 0;
      const answer = answerOf(() => poller.modifyTimer(key, delay, keeps ? undefined : { repeat: period }));
      this.#judge("modifyTimer", answer, [model.modifyTimer(key)], []);
      const due = this.kernel.clock.now() + nanoseconds(delay);
      const kept = model.timers.get(key)?.period ?? 0n;
      if (answer === "ok") model.timers.set(key, { due, period: keeps ? kept : nanoseconds(period), armed: true });
      return `${key} in ${delay} ms, every ${keeps ? "as before" : period}: ${answer}`;
    }) as Action,

    deleteTimer: ((a, b) => {
      const { poller, model } = this.#pick(a);
      const key = timerKey(b);
      const answer = answerOf(() => poller.deleteTimer(key));
      this.#judge("deleteTimer", answer, [model.modifyTimer(key)], []);
      model.timers.delete(key);
      return `${key}: ${answer}`;
    }) as Action,

    /** To the very moment of a timer, just before or just after it, or anywhere. */
    advance: ((a, b) => {
      const { model } = this.#pick(a);
      const due = [...model.timers.values()].find(({ armed }) => armed)?.due;
      const now = this.kernel.clock.now();
      const span = due === undefined || b % 4 === 3 ? BigInt(b % 3_000_000) : due - now + BigInt((b % 3) - 1);
      if (span <= 0n) return "nothing";
      this.kernel.clock.advance(Number(span) / 1e6);
      return `${span} ns`;
    }) as Action,

    /** Something happens to a file later, so that it can happen in the middle of a wait. */
    later: ((a, b, c) => {
      const milliseconds = (c % 8) / 2;
      const fd = this.#open(a);
      this.kernel.clock.after(milliseconds, () => {
        this.#happened++;
        if (b % 8 === 0 && this.#weather & DISORDER) this.#close(fd);
        else this.#transfer(b % 3 === 0 ? "read" : "write", fd, b >>> 3);
      });
      return `${fd} in ${milliseconds} ms`;
    }) as Action,

    replace: ((a, b) => {
      if (b % 4 !== 0) return "nothing";
      if (this.#pairs.length === MOST_POLLERS) {
        const [{ poller, model }] = this.#pairs.splice(a % MOST_POLLERS, 1) as [Pair];
        judgeCounts(poller, model);
        poller.close();
        return "closed";
      }
      const answer = answerOf(() => void this.#pairs.push(this.#pair()));
      this.#judge("create", answer, ["ok"], []);
      return `made: ${answer}`;
    }) as Action,

    count: ((a) => {
      const { poller, model } = this.#pick(a);
      judgeCounts(poller, model);
      return "as it should be";
    }) as Action,
  };

  // ---- Faults ------------------------------------------------------------------------------------------------------

  #startStep(faults: number): void {
    this.#calls = 0;
    this.#happened = 0;
    this.#cut = false;
    this.#failed = false;
    this.#delay = 0n;
    if (this.#errors.size > 0) this.#errors.clear();
    if (this.#refusals.length > 0) this.#refusals = [];
    this.#faults =
      faults === 0 ? undefined : randomFaults({ seed: faults, rate: [0.3, 0.5, 0.8, 1][faults % 4] as number });
  }

  /** What goes wrong in the step under way, noted for the model. */
  readonly #source: FaultSource = (call) => {
    if (++this.#calls > MOST_CALLS) throw new Difference("a step makes calls of the kernel without end");
    // However bad a kernel, not for ever.
    if (this.#faults === undefined || this.#calls > 12) return undefined;
    const faults = this.#faults(call);
    if (faults === undefined) return undefined;
    for (const fault of faults) {
      switch (fault.kind) {
        case "error":
          this.#errors.add(fault.error);
          if (call.name === "wait") this.#cut = true;
          // So is one whose kernel object cannot be replaced.
          if (this.#waiting !== undefined && fault.error !== "EINTR") this.#failed = true;
          break;
        case "change": {
          const change = call.changes[fault.index] as (typeof call.changes)[number];
          const error = this.#meaningOf(change.operation, fault.error);
          this.#errors.add(error);
          // The request has ended, or is about to.
          if (change.operation === "cancel" && fault.error === "ENOENT") break;
          this.#refusals.push({ operation: change.operation, fd: change.fd, error });
          break;
        }
        case "spurious":
        case "partial":
          this.#cut = true;
          break;
        case "delay":
          // Elsewhere nobody could say whether what happened meanwhile came before or after the kernel's verdict.
          if (this.#waiting === undefined && call.name !== "now") return undefined;
          this.#delay += nanoseconds(fault.milliseconds);
          break;
        case "notify":
          if (call.notify !== undefined && this.#waiting !== undefined) this.#waiting.notified = "yes";
          break;
      }
    }
    return faults;
  };

  #meaningOf(operation: string, error: string): string {
    return error === "EINVAL" && operation !== "add" && this.#dialect.isInvalidItself ? "EBADF" : error;
  }

  /** Holds an answer against those that are right: the model's, or what a fault explains. */
  #judge(what: string, answer: Answer, right: readonly Answer[], also: readonly Answer[]): void {
    if (right.includes(answer)) return;
    const isLost = this.#dialect.changesInSteps && ["ok", "EEXIST", "ENOENT", "EBADF"].includes(answer);
    if (this.#errors.size > 0 && (this.#errors.has(answer) || also.includes(answer) || isLost)) return;
    throw new Difference(`${what} answered ${answer}, not ${right.join(" or ")}`);
  }

  // ---- Pollers -----------------------------------------------------------------------------------------------------

  #pair(): Pair {
    const poller = new Poller({ kernel: this.faulty });
    return { poller, model: new Model(this.#dialect, (file) => file.bits(this.kernel.io)) };
  }

  #pick(a: number): Pair {
    return this.#pairs[(a >>> 28) % this.#pairs.length] as Pair;
  }

  #key(b: number): Key {
    const key = this.#nextKey++;
    if (b % 8 === 0) return 2n ** 64n - 1n - BigInt(key);
    return b % 8 === 1 ? key * 2 ** 32 : key;
  }

  #mode(c: number): number {
    const { modes } = this.#dialect;
    return modes[c % modes.length] as number;
  }

  /** Reading is what most want. */
  #interest(b: number): number {
    return ([1, 1, 3, 2, 1, 3, 0, 7, 1, 5, 1, 3][b % 12] as number) & this.#dialect.interests;
  }

  /** A descriptor for a change: so many times of 16 a registered one, else an open one or none at all. */
  #target(model: Model, a: number, registered: number): number {
    if (a % 16 < registered && model.registrations.size > 0) {
      return [...model.registrations.keys()][(a >>> 4) % model.registrations.size] as number;
    }
    if (a % 64 === 63) return [-1, 999, 0, 2 ** 31 - 1][(a >>> 6) % 4] as number;
    return this.#open(a >>> 4);
  }

  #change(model: Model, random: Random): Change {
    const word = random.word();
    const fd = this.#target(model, random.word(), 8);
    if (word % 4 === 0) return { op: "delete", fd };
    const change = { fd, key: this.#key(word >>> 8), interest: this.#interest(word >>> 16) };
    const mode = MODES[(word >>> 4) % 6];
    return { op: word % 4 === 1 ? "modify" : "add", ...change, ...(mode === undefined ? {} : { mode }) };
  }

  #applied(model: Model, change: Change, answer: Answer, isDeleted: boolean): void {
    const { op, fd } = change;
    const file = this.#files.at(fd);
    if (op === "delete") {
      this.#judge("delete", answer, model.remove(fd), []);
      if (answer === "ok") model.removed(fd);
      return;
    }
    const mode = change.mode === undefined ? undefined : MODES.indexOf(change.mode);
    if (op === "add") {
      this.#judge("add", answer, model.add(fd, file, mode ?? 0), ["EEXIST"]);
      if (answer === "ok") model.added(fd, file ?? NO_FILE, change.key, change.interest, mode ?? 0);
      else model.asked(fd);
    } else {
      const right = model.modify(fd, file, change.interest, mode);
      const isJoined = isDeleted && model.registrations.has(fd);
      this.#judge("modify", answer, isJoined ? [...right, "ok"] : right, ["ENOENT"]);
      if (answer === "ok") model.modified(fd, file, change.key, change.interest, mode);
    }
  }

  #wait({ poller, model }: Pair, b: number, c: number): string {
    const { clock } = this.kernel;
    const start = clock.now();
    // What is due by now happens before a wait looks.
    while (clock.step(start));
    const room = b % 64 === 63 ? 0 : (ROOMS[b % 8] as number);
    const events = this.#events.get(room) as Events;
    const hurried = model.isHurried(start);
    // Without end only where something is certain to end it.
    const isCalm = this.#faults === undefined && clock.pending === 0;
    const isTimed = [...model.timers.values()].some(({ armed }) => armed);
    const isEndless = c % 8 === 7 && (isTimed || (hurried && isCalm));
    const timeout = isEndless ? undefined : (TIMEOUTS[c % 8] as number);

    this.#waiting = model;
    let answer: Answer;
    try {
      answer = answerOf(() => poller.wait(events, timeout === undefined ? undefined : { timeout }));
    } finally {
      this.#waiting = undefined;
    }
    const told = answer === "ok" ? toldBy(events) : [];
    this.#doubt();
    model.waited({
      room,
      timeout: timeout === undefined ? undefined : nanoseconds(timeout),
      start,
      end: clock.now(),
      hurried,
      answer,
      told,
      errors: this.#errors,
      refusals: this.#refusals,
      cut: this.#cut,
      failed: this.#failed,
      delay: this.#delay,
      blurred: this.#delay > 0n && this.#happened > 0,
    });
    const keys = told.map(({ key, readiness, expirations }) => `${key}${expirations ? "t" : ""}/${readiness}`);
    return `room ${room} for ${timeout ?? "ever"} ms: ${answer} [${keys.join(" ")}] after ${clock.now() - start} ns`;
  }

  // ---- Files -------------------------------------------------------------------------------------------------------

  /** An open descriptor, or -1 if there is none. */
  #open(a: number): number {
    const { numbers } = this.#files;
    return numbers.length === 0 ? -1 : (numbers[a % numbers.length] as number);
  }

  #name(number: number, file: File): number {
    this.#files.name(number, file);
    for (const { model } of this.#pairs) model.named(number, file);
    return number;
  }

  #transfer(how: "read" | "write", fd: number, b: number): string {
    const size = [8, 1, 100, 8, 5000, 8, 250_000, 8][b % 8] as number;
    const buffer = how === "read" ? READ : WRITTEN.subarray(0, size);
    return `${fd}, ${size} bytes: ${this.#use(fd, () => this.kernel.io[how](fd, buffer))}`;
  }

  /** Does something to a file, and lets the models see what came of it. */
  #use(fd: number, call: () => unknown): Answer {
    const file = this.#files.at(fd);
    if (file === undefined) return "nothing";
    const answer = answerOf(call);
    this.#stir(file);
    return answer;
  }

  #stir(file: File): void {
    for (const stirred of [file, file.peer]) {
      if (stirred === undefined) continue;
      stirred.stirs++;
      for (const { model } of this.#pairs) model.stirred(stirred);
    }
  }

  #dup(fd: number, onto: number | undefined): string {
    const file = this.#files.at(fd);
    if (file === undefined || this.#files.numbers.length >= MOST_FILES) return "nothing";
    if (onto === fd || onto === -1) return "nothing";
    const number = this.kernel.io.dup(fd, onto);
    if (onto !== undefined) this.#forget(onto);
    return `${fd} to ${this.#name(number, file)}`;
  }

  #close(fd: number): string {
    if (fd === -1 || this.#files.at(fd) === undefined) return "nothing";
    // Delete before close, as the README says, where there is order.
    if (!(this.#weather & DISORDER)) {
      for (const { poller, model } of this.#pairs) {
        if (!model.registrations.has(fd)) continue;
        if (this.#waiting !== undefined) return "nothing";
        const answer = answerOf(() => poller.delete(fd));
        this.#judge("delete", answer, ["ok"], []);
        if (answer !== "ok") return `${fd} not, for it is registered: ${answer}`;
        model.removed(fd);
      }
    }
    this.kernel.io.close(fd);
    this.#forget(fd);
    return String(fd);
  }

  #forget(fd: number): void {
    const file = this.#files.forget(fd);
    if (file === undefined) return;
    for (const { model } of this.#pairs) if (model.registrations.has(fd)) model.closed(fd, file);
    if (!file.isOpen) this.#stir(file);
  }
}

/** What a number names that is not open: a kernel that lies can have it registered. */
const NO_FILE = new File(true);

const WRITTEN = new Uint8Array(250_000);
WRITTEN[0] = 1;
const READ = new Uint8Array(300_000);

/** How often each is done, of what there is to do. */
const WEIGHTS: Readonly<Record<keyof World["actions"], number>> = {
  open: 5,
  write: 8,
  read: 6,
  urgent: 2,
  shutdown: 1,
  close: 3,
  dup: 2,
  add: 10,
  modify: 14,
  delete: 4,
  apply: 5,
  wait: 22,
  haunt: 1,
  notify: 2,
  addTimer: 3,
  modifyTimer: 2,
  deleteTimer: 1,
  advance: 3,
  later: 3,
  replace: 1,
  count: 1,
};
export const ACTIONS = Object.entries(WEIGHTS).flatMap(([name, weight]) =>
  Array<keyof World["actions"]>(weight).fill(name as keyof World["actions"]),
);

function nameOf([action]: Step): keyof World["actions"] {
  return ACTIONS[action % ACTIONS.length] as keyof World["actions"];
}

function answerOf(call: () => unknown, room = 1): Answer {
  try {
    call();
    return "ok";
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (!(error instanceof PollerError) || code === "ERR_POLLER_TRAPPED")
      throw error instanceof Error && error.cause instanceof Difference ? error.cause : error;
    if (room === 0 && code !== "EINVAL") throw error;
    return error.code;
  }
}

function judgeCounts(poller: Poller, model: Model): void {
  const { registrations, timers } = poller.stats();
  if (registrations === model.registrations.size && timers === model.timers.size) return;
  throw new Difference(
    `${registrations} registrations and ${timers} timers, not ${model.registrations.size} and ${model.timers.size}`,
  );
}

function toldBy(events: Events): Told[] {
  const told: Told[] = [];
  for (const event of events) {
    const { key, errorCode, expirations } = event;
    const flags = [event.readable, event.writable, event.priority, event.readClosed, event.hangUp, event.error];
    let readiness = event.refused ? REFUSED : 0;
    flags.forEach((flag, place) => {
      if (flag) readiness |= 1 << place;
    });
    told.push({ key, readiness, errorCode, expirations });
  }
  return told;
}

function timerKey(b: number): Key {
  return b % 7 === 6 ? 2n ** 64n - 1n : b % 7;
}

function timesOf(c: number): { delay: number; period: number } {
  const delay = [0, 0.5, 1, 2.5, 5, 20, 0.000001, 100][c % 8] as number;
  const period = [0, 0, 0, 1, 0.3, 7, 0.000001, 0][(c >>> 3) % 8] as number;
  return { delay, period };
}

function nanoseconds(milliseconds: number): bigint {
  return BigInt(Math.round(milliseconds * 1e6));
}
