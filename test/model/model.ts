/**
 * The contract of a poller, as plainly as it can be said. It has no kernel, no wasm and no cleverness: it knows what was
 * asked for and what is true of the files, and says which answers are right.
 *
 * Most answers are certain. Three things make several right: a descriptor that was closed, or given to another file,
 * behind the poller's back; a kernel that refused something, or lied; and a wait that the kernel ended early. Then the
 * model says what may be, and everything else is as certain as before.
 */
import type { Key } from "lio-poller";
import { ERROR, REFUSED, type Dialect } from "./dialect.js";
import type { File } from "./files.js";

/** `"ok"`, or the code of an error. */
export type Answer = string;

/** What a poller did that no poller may. */
export class Difference extends Error {}

export const ONESHOT = 0;
export const LEVEL = 1;
export const EDGE = 2;
export const EDGE_ONESHOT = 3;

/** How many events a level-triggered registration may have at most whose descriptor is closed, and lives on by a duplicate. */
export const MOST_HAUNTING = 128;

/** What someone asked a poller to watch. */
export interface Registration {
  readonly fd: number;
  file: File;
  key: Key;
  interest: number;
  mode: number;
  /** One event disarms a one-shot registration, and a refusal any, until it is modified. */
  armed: boolean;
  /** The number has named the file all the time, and the kernel has told the truth about it. */
  certain: boolean;
  /** It has ended in the kernel with its number: nothing more is told of it. */
  dead: boolean;
  /** It may be about another file: what is told of it is anyone's guess. */
  vague: boolean;
  /** Edge modes: the readiness that was last seen, and that which arose since it was last told. */
  seen: number;
  owed: number;
  /** Where the kernel completes requests: what has been true of the file since it was last looked at, by poll(2). */
  readonly was: Set<number>;
  /** `File.stirs` when it was last told: an edge can come only of a stir. */
  told: number;
  /** The kernel refused to arm it, and its user was not told yet. */
  refused: boolean;
  /** Waits that had room for it and told others. */
  passedOver: number;
  /** Armed again after a refusal, and not told since: the kernel may not hold it. */
  deferred: boolean;
  /** Events that were told of it since its number ceased to name the file; -Infinity while it names it. */
  haunting: number;
}

export interface Timer {
  due: bigint;
  period: bigint;
  armed: boolean;
}

/** An event, as a wait told it. */
export interface Told {
  readonly key: Key;
  readonly readiness: number;
  readonly errorCode: string | undefined;
  /** How often a timer expired; 0 for a descriptor. */
  readonly expirations: number;
}

/** A change that the kernel refused. */
export interface Refusal {
  readonly operation: string;
  readonly fd: number;
  readonly error: string;
}

/** What is known of a wait that is over. */
export interface Wait {
  readonly room: number;
  readonly timeout: bigint | undefined;
  readonly start: bigint;
  readonly end: bigint;
  /** Something had to be told before the wait began, so that it must not have blocked. */
  readonly hurried: boolean;
  readonly answer: Answer;
  readonly told: readonly Told[];
  /** Errors that the kernel gave for calls and for changes. */
  readonly errors: ReadonlySet<string>;
  /** Changes that the kernel refused. */
  readonly refusals: readonly Refusal[];
  /** The kernel ended a wait early, or did not bring all that there was. */
  readonly cut: boolean;
  /** The kernel failed a wait, which was over then, but for what had been told before. */
  readonly failed: boolean;
  /** How long the thread was not scheduled. */
  readonly delay: bigint;
  /** Things happened while it was not, so that nobody knows what was true when an event was told. */
  readonly blurred: boolean;
}

/** A poller, by its contract. */
export class Model {
  readonly registrations = new Map<number, Registration>();
  readonly timers = new Map<Key, Timer>();
  /** Whether a notification waits to be seen; `"never"` if there was none. */
  notified: "never" | "no" | "maybe" | "yes" = "never";
  /** A closed descriptor may go on reporting through a duplicate, so that the kernel object may be replaced: edges recur, and notifications. */
  disturbed = false;

  /** What the kernel may still have under a number that named the file, which lives on by a duplicate. */
  readonly #remainders = new Map<number, Set<File>>();

  /** Numbers of which nobody knows what the kernel has. */
  readonly #doubts = new Set<number>();

  /** Where the kernel completes requests: how many may have outlived their registrations. */
  #outlived = 0;

  /** @param bits what is true of a file now */
  constructor(
    readonly dialect: Dialect,
    readonly bits: (file: File) => number,
  ) {}

  // ---- Changes: which answers are right, and what follows from one -------------------------------------------------

  /** The kernel decides, by what the number names now. Only what still names the registered file is there already. */
  add(fd: number, file: File | undefined, mode: number): readonly Answer[] {
    if (fd < 0) return ["EBADF"];
    if (!this.#hasMode(mode)) return ["ENOTSUP"];
    if (file === undefined) return ["EBADF"];
    if (!file.pollable) return [this.dialect.unpollable];
    const known = this.registrations.get(fd);
    if (known === undefined) return ["ok"];
    const isDoubtful = this.#isRemainder(fd, file) || (this.dialect.changesInSteps && !known.certain && this.disturbed);
    if (known.file !== file) return isDoubtful ? ["ok", "EEXIST"] : ["ok"];
    return known.certain ? ["EEXIST"] : ["EEXIST", "ok"];
  }

  /** Asking the kernel whether a registration is still there can make it tell an edge anew. */
  asked(fd: number): void {
    const known = this.registrations.get(fd);
    if (known !== undefined && this.dialect.changesInSteps) known.told = -1;
  }

  added(fd: number, file: File, key: Key, interest: number, mode: number): void {
    const armed = {
      armed: true,
      certain: true,
      dead: false,
      vague: false,
      seen: 0,
      owed: 0,
      was: new Set<number>(),
      told: 0,
      refused: false,
      passedOver: 0,
      deferred: false,
      haunting: -Infinity,
    };
    const registration = { fd, file, key, interest, mode, ...armed };
    if (this.registrations.has(fd)) this.#outlived++;
    this.registrations.set(fd, registration);
    this.#arm(registration);
    if (this.#doubts.has(fd)) Object.assign(registration, { certain: false, vague: true });
  }

  /** Ok for whatever is registered. One whose file is gone may be told so, and must if the kernel has to be asked. */
  modify(fd: number, file: File | undefined, interest: number, mode: number | undefined): readonly Answer[] {
    if (fd < 0) return ["EBADF"];
    const known = this.registrations.get(fd);
    if (known === undefined) return ["ENOENT"];
    if (!this.#hasMode(mode ?? known.mode)) return ["ENOTSUP"];
    if (known.certain) return ["ok"];
    if (this.dialect.completes) return ["ok", "EBADF", "ENOENT"];
    if (this.dialect.endsWithNumber) return this.#modifyEnded(known, interest, mode);
    const gone = file === undefined ? ["EBADF"] : file.pollable ? ["ENOENT", "EBADF"] : ["EPERM"];
    // Under this number the kernel may have the file from before, and takes it for what was registered.
    if (this.#isRemainder(fd, file)) return ["ok", ...gone];
    const asks = (interest !== known.interest && interest !== 0) || (mode ?? known.mode) >= EDGE;
    return asks && file !== known.file ? gone : ["ok", ...gone];
  }

  #modifyEnded(
    { interest, mode, dead, vague }: Registration,
    wanted: number,
    given: number | undefined,
  ): readonly Answer[] {
    const asks = dead && !vague && ((wanted & ~interest) !== 0 || (given ?? mode) >= EDGE);
    return asks ? ["EBADF", "ENOENT"] : ["ok", "EBADF", "ENOENT"];
  }

  #hasMode(mode: number): boolean {
    return mode < EDGE || this.dialect.hasEdges;
  }

  modified(fd: number, file: File | undefined, key: Key, interest: number, mode: number | undefined): void {
    const known = this.registrations.get(fd) as Registration;
    if (known.file !== file && this.#isRemainder(fd, file)) known.vague = true;
    const deferred = known.deferred || !known.armed;
    const fresh = { armed: true, refused: false, passedOver: 0, deferred };
    Object.assign(known, { key, interest, mode: mode ?? known.mode, ...fresh });
    this.#arm(known);
  }

  /** Ok once for whatever is registered, be its file open, closed or another's. */
  remove(fd: number): readonly Answer[] {
    if (fd < 0) return ["EBADF"];
    return this.registrations.has(fd) ? ["ok"] : ["ENOENT"];
  }

  removed(fd: number): void {
    this.registrations.delete(fd);
    this.#outlived++;
  }

  #arm(registration: Registration): void {
    registration.seen = this.readiness(registration);
    registration.owed = registration.seen;
    registration.told = registration.file.stirs;
    this.#look(registration);
  }

  /** Notes what is true now, which a request that ends now tells whenever it is taken. */
  #look({ was, file }: Registration): void {
    if (this.dialect.completes && file.isOpen) was.add(this.bits(file));
  }

  // ---- Timers ------------------------------------------------------------------------------------------------------

  addTimer(key: Key): Answer {
    return this.timers.get(key)?.armed === true ? "EEXIST" : "ok";
  }

  modifyTimer(key: Key): Answer {
    return this.timers.has(key) ? "ok" : "ENOENT";
  }

  // ---- What happens to files ---------------------------------------------------------------------------------------

  /** Something was done to a file: what it is ready for anew is owed to the edge modes. */
  stirred(file: File): void {
    for (const registration of this.registrations.values()) {
      if (registration.file !== file) continue;
      this.#look(registration);
      if (registration.mode < EDGE) continue;
      const readiness = this.readiness(registration);
      registration.owed |= readiness & ~registration.seen;
      registration.seen = readiness;
    }
  }

  /** A number no longer names its file, which may live on by another. */
  closed(fd: number, file: File): void {
    const known = this.registrations.get(fd);
    if (known !== undefined && known.file === file) {
      known.certain = false;
      known.haunting = 0;
      known.dead = this.dialect.endsWithNumber;
    }
    if (this.dialect.completes) return;
    if (this.dialect.endsWithNumber) return void this.#doubts.delete(fd);
    this.disturbed = true;
    this.#remains(fd, file);
  }

  /**
   * A number names a file. If the kernel has that file under that number from before, nothing tells it from the one that
   * was registered last: a kernel object that is replaced takes it along.
   */
  named(fd: number, file: File): void {
    const known = this.registrations.get(fd);
    if (known !== undefined && known.file !== file && this.#isRemainder(fd, file)) known.vague = true;
    if (known?.file === file) known.haunting = -Infinity;
  }

  /** The kernel did not delete what it said that it had deleted, or never had. */
  left(fd: number, file: File | undefined): void {
    if (this.dialect.completes) return;
    this.disturbed = true;
    if (file !== undefined && !this.dialect.endsWithNumber) this.#remains(fd, file);
  }

  #remains(fd: number, file: File): void {
    const remainders = this.#remainders.get(fd);
    if (remainders === undefined) this.#remainders.set(fd, new Set([file]));
    else remainders.add(file);
  }

  /** A kernel that refused a part of a change may hold anything of it. */
  doubted(fd: number): void {
    this.#doubts.add(fd);
    const known = this.registrations.get(fd);
    if (known !== undefined) Object.assign(known, { certain: false, vague: true });
    this.disturbed = true;
  }

  #isRemainder(fd: number, file: File | undefined): boolean {
    return file !== undefined && this.#remainders.get(fd)?.has(file) === true;
  }

  // ---- Waiting -----------------------------------------------------------------------------------------------------

  /** What an event of it would tell now. */
  readiness({ file, interest, dead }: Registration): number {
    return file.isOpen && !dead ? this.dialect.readiness(this.bits(file), interest) : 0;
  }

  /** It has something to tell, and nothing is in the way: a wait with room tells it. */
  mustTell(registration: Registration): boolean {
    if (!registration.armed || !registration.certain) return false;
    if (registration.refused) return true;
    const readiness = this.readiness(registration);
    return registration.mode < EDGE ? readiness !== 0 : (readiness & registration.owed) !== 0;
  }

  /** A wait that begins now has a reason not to block. */
  isHurried(now: bigint): boolean {
    if (this.notified === "yes") return true;
    for (const { armed, due } of this.timers.values()) if (armed && due <= now) return true;
    for (const registration of this.registrations.values()) if (this.mustTell(registration)) return true;
    return false;
  }

  /** Judges a wait, and takes note of what it told. */
  waited(wait: Wait): void {
    const { answer, told, room, errors, refusals } = wait;
    const armed = refusals.map(({ fd }) => this.registrations.get(fd)?.armed === true);
    // What cannot be silenced, or moved, makes the poller replace the kernel object. Requests end.
    if (!this.dialect.completes && refusals.some((refusal, index) => this.#replaces(refusal, armed[index] === false))) {
      this.disturbed = true;
    }
    if (answer === "ok") this.#judgeAnswer(wait);
    else if (room === 0 ? answer !== "EINVAL" : answer === "EINTR" || !errors.has(answer))
      throw new Difference(`a wait failed: ${answer}`);
    else if (told.length > 0) throw new Difference("a wait that failed told events");
    refusals.forEach((refusal, index) => this.#refused(refusal, armed[index] as boolean));
  }

  #judgeAnswer(wait: Wait): void {
    const { told, room, refusals } = wait;
    if (room === 0) throw new Difference("a wait without room succeeded");
    if (told.length > room) throw new Difference(`${told.length} events where there is room for ${room}`);

    const silent = new Set<Registration>();
    for (const registration of this.registrations.values()) if (this.mustTell(registration)) silent.add(registration);
    // A refusal that comes at the very end is told by the next wait.
    for (const { fd } of refusals) silent.delete(this.registrations.get(fd) as Registration);

    const others = this.#others();
    this.#judgeTimes(wait);
    const expired = new Set<Key>();
    for (const event of told) {
      if (event.expirations === 0) {
        silent.delete(this.#registrationTold(event, wait, told.length + others >= room));
      } else {
        if (expired.has(event.key)) throw new Difference(`timer ${event.key} was told twice in one wait`);
        expired.add(event.key);
        this.#timerTold(event, wait);
      }
    }
    if (told.length < room) this.#judgeSilence(silent, wait, others);
    this.#seen(wait, others);
  }

  /** What a wait has seen of the notification and of edges that are over. */
  #seen({ told, room, cut, blurred }: Wait, others: number): void {
    if (this.#mayBeNotified) {
      const isSeen = told.length === 0 && !cut && !blurred && !this.disturbed;
      this.notified = isSeen ? "no" : "maybe";
    }
    // What was ready for a moment only is forgotten, unless it was not looked at.
    if (told.length === room || cut) return;
    if (this.dialect.completes) return told.length + others < room ? this.#drained() : undefined;
    for (const registration of this.registrations.values()) {
      if (registration.mode >= EDGE) registration.owed &= this.readiness(registration);
    }
  }

  /** All that had been completed was taken. */
  #drained(): void {
    this.#outlived = 0;
    for (const registration of this.registrations.values()) {
      registration.was.clear();
      this.#look(registration);
    }
  }

  /** Whether a refusal has the kernel object replaced, because something cannot be silenced, moved, or is no longer there. */
  #replaces({ operation, fd, error }: Refusal, wasSilent: boolean): boolean {
    return (
      operation !== "modify" || wasSilent || (isGone(error) && this.#isAsking(operation, this.registrations.get(fd)))
    );
  }

  /** Whether a change of a wait's only asks the kernel whether a registration is there that has been told often. */
  #isAsking(operation: string, known: Registration | undefined): boolean {
    const { completes, endsWithNumber } = this.dialect;
    return operation === "modify" && known?.mode === LEVEL && !known.deferred && !completes && !endsWithNumber;
  }

  /** The kernel refused to arm a registration, of which its user is told, or to silence or to move it. */
  #refused({ operation, fd, error }: Refusal, wasArmed: boolean): void {
    const known = this.registrations.get(fd);
    if (known === undefined) return;
    if (this.#isAsking(operation, known)) {
      if (isGone(error)) known.certain = false;
      else known.haunting = Math.min(0, known.haunting);
      return;
    }
    const isArming = operation === "modify" || this.dialect.completes;
    if (isArming && wasArmed) known.refused = known.armed;
    if (!isArming || isGone(error)) known.certain = false;
  }

  #judgeTimes({ timeout, start, end, hurried, told, delay, blurred, refusals }: Wait): void {
    const passed = end - start;
    if (told.length === 0 && !this.#mayBeNotified && (timeout === undefined || passed < timeout)) {
      throw new Difference(`a wait of ${timeout} ns told nothing after ${passed} ns`);
    }
    const isHurried = hurried && !blurred && refusals.length === 0;
    if (isHurried && passed > delay) throw new Difference(`a wait blocked ${passed} ns with something to tell`);
    if (timeout !== undefined && passed > timeout + delay) {
      throw new Difference(`a wait of ${timeout} ns took ${passed} ns`);
    }
  }

  #timerTold({ key, readiness, expirations }: Told, { start, end }: Wait): void {
    const timer = this.timers.get(key);
    if (timer === undefined || !timer.armed) throw new Difference(`timer ${key} expired, and is not armed`);
    if (readiness !== 0) throw new Difference(`timer ${key} is ready for ${readiness}`);
    if (timer.due > end) throw new Difference(`timer ${key} expired ${timer.due - end} ns early`);
    const count = BigInt(expirations);
    if (timer.period === 0n) {
      if (count !== 1n) throw new Difference(`timer ${key} expired ${count} times`);
      timer.armed = false;
      return;
    }
    const least = timer.due <= start ? (start - timer.due) / timer.period + 1n : 1n;
    const most = (end - timer.due) / timer.period + 1n;
    if (count < least || count > most) {
      throw new Difference(`timer ${key} expired ${count} times, not ${least} to ${most}`);
    }
    timer.due += count * timer.period;
  }

  #registrationTold({ key, readiness, errorCode }: Told, wait: Wait, isFull: boolean): Registration {
    const { errors, blurred, told, cut } = wait;
    const known = [...this.registrations.values()].find((registration) => registration.key === key);
    if (known === undefined) throw new Difference(`an event of nobody: key ${key}`);
    const times = told.filter((event) => event.expirations === 0 && event.key === key).length;
    if (times > 1 && !known.vague) {
      throw new Difference(`key ${key} was told twice in one wait`);
    }
    if (!known.armed) throw new Difference(`key ${key} was told, and is not armed`);

    if ((readiness & REFUSED) !== 0) {
      // By a fault, or because the file is gone.
      const isExplained = errors.has(errorCode ?? "none") || known.refused || !known.certain;
      if (errorCode === undefined || !isExplained) throw new Difference(`key ${key} was refused with ${errorCode}`);
      if (readiness !== (known.interest | ERROR | REFUSED)) {
        throw new Difference(`key ${key}: a refusal that tells ${readiness}`);
      }
      known.armed = false;
      known.refused = false;
      return known;
    }

    const isTrue = this.readiness(known);
    // Where the kernel gives the number of a file's own error, the event bears it, too.
    if (errorCode !== undefined && (readiness & ERROR) === 0) throw new Difference(`key ${key} names ${errorCode}`);
    if (!blurred && !known.vague) {
      if (!this.#isRight(known, readiness, isTrue, cut || isFull)) {
        throw new Difference(`key ${key} is ready for ${isTrue}, and was told ${readiness}`);
      }
      if (readiness === 0) throw new Difference(`key ${key} was told, and is not ready`);
      const isNew = known.owed !== 0 || known.told !== known.file.stirs || this.disturbed;
      if (known.mode >= EDGE && !isNew) throw new Difference(`key ${key} was told an edge twice`);
    }
    if (!known.certain && !known.vague && known.mode === LEVEL && ++known.haunting > MOST_HAUNTING) {
      throw new Difference(`key ${key} was told ${known.haunting} times after its descriptor was closed`);
    }
    known.armed = known.mode === LEVEL || known.mode === EDGE;
    known.deferred = false;
    known.passedOver = 0;
    known.seen = isTrue;
    known.owed &= this.dialect.edgesByDirection ? ~readiness : 0;
    // Of a direction that was left out there may be more to come.
    known.told = blurred || readiness !== isTrue ? -1 : known.file.stirs;
    return known;
  }

  #isRight({ mode, owed, was, interest }: Registration, readiness: number, isTrue: number, isFull: boolean): boolean {
    if (readiness === isTrue) return true;
    for (const bits of was) if (this.dialect.readiness(bits, interest) === readiness) return readiness !== 0;
    if (!this.dialect.edgesByDirection || (readiness & ~isTrue) !== 0) return false;
    // A direction that was told before, or that the kernel did not bring, is left out.
    return isFull || this.disturbed || (mode >= EDGE && (owed & isTrue & ~readiness) === 0);
  }

  /** There was room for more: whatever had to be told and was not is lost. */
  #judgeSilence(silent: ReadonlySet<Registration>, wait: Wait, others: number): void {
    const { start, end, delay, cut, blurred, told, room, failed } = wait;
    if (failed) return;
    for (const [key, { armed, due }] of this.timers) {
      const isLost = armed && (due <= start || (told.length === 0 && due <= end - delay));
      if (isLost) throw new Difference(`timer ${key} was due and was not told`);
    }
    if (cut || blurred) return;
    for (const lost of silent) {
      // The kernel brings no more than there is room for, of what nobody hears of, too. A later wait has the rest.
      const isLater = told.length > 0 && told.length + others >= room && lost.passedOver++ <= this.registrations.size;
      if (!isLater) throw new Difference(`key ${lost.key}, fd ${lost.fd} was ready and was not told`);
    }
  }

  /** A notification may end a wait: one that was not seen, or an old one that a new kernel object reports again. */
  get #mayBeNotified(): boolean {
    return this.notified === "yes" || this.notified === "maybe" || (this.notified === "no" && this.disturbed);
  }

  /** How much the kernel may bring that nobody is told of: the notification, and what is registered and not armed. */
  #others(): number {
    if (this.disturbed) return Infinity;
    let count = this.#mayBeNotified ? 1 : 0;
    // A request that was cancelled ends, too.
    if (this.dialect.completes) return count + this.#outlived + this.registrations.size;
    for (const { armed, interest } of this.registrations.values()) {
      if (!armed || interest === 0) count++;
      // Two events of the kernel's can be one of a registration.
      if (this.dialect.edgesByDirection && (interest & 3) === 3) count++;
    }
    return count;
  }
}

/** Whether the kernel says that the file is no longer there. */
function isGone(error: string): boolean {
  return error === "EBADF" || error === "ENOENT" || error === "EPERM";
}
