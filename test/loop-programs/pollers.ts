/** Pollers of a program's own, attached to the loop and taken off it again. */
import { Events, type Kernel, type Mode, Poller, PollerError, type ReadyEvent } from "lio-poller";
import type { Worker } from "node:worker_threads";
import { isReady, untruth } from "./files.js";
import { Watched, type World } from "./world.js";

/** Timers up to this are waited for, in milliseconds. */
const SOON = 100;

class Registration extends Watched {
  isArmed = true;
  /** Events when the program became quiet, and now. */
  eventsBefore = 0;
  events = 0;

  constructor(
    readonly owner: OwnPoller,
    fd: number,
    interest: number,
    public mode: Mode,
  ) {
    super(owner.world, fd, interest);
  }

  get name(): string {
    return `registration (${this.mode}${this.isArmed ? "" : ", fired"}) in ${this.owner.name}`;
  }

  owes(): boolean {
    if (!this.owner.isAttached || this.isDoubtful || this.file === undefined) return false;
    return this.isArmed && isReady(this.file, this.interest) && this.events === this.eventsBefore;
  }

  keepsLoop(): boolean {
    return !this.isDoubtful && this.owner.keepsLoop;
  }
}

class Timer extends Watched {
  isArmed = true;

  constructor(
    readonly owner: OwnPoller,
    readonly due: number,
    readonly isSoon: boolean,
  ) {
    super(owner.world, -1, 0);
  }

  get name(): string {
    return `timer due at ${this.due} in ${this.owner.name}`;
  }

  owes(): boolean {
    return this.isArmed && this.isSoon && this.owner.isAttached;
  }

  keepsLoop(): boolean {
    return this.isArmed && this.owner.keepsLoop;
  }
}

/** A notification that no callback has come for. */
class Notification extends Watched {
  constructor(readonly owner: OwnPoller) {
    super(owner.world, -1, 0);
  }

  get name(): string {
    return `notification of ${this.owner.name}`;
  }

  owes(): boolean {
    return this.owner.isAttached;
  }

  keepsLoop(): boolean {
    return false;
  }
}

export class OwnPoller {
  readonly name: string;
  isAttached = false;
  #isReferenced = true;
  #isClosed = false;
  #wasNotified = false;
  #attachments = 0;
  readonly #poller: Poller;
  readonly #events = new Events(64);
  readonly #byFd = new Map<number, Registration>();
  readonly #byKey = new Map<number, Registration>();
  readonly #timers = new Map<number, Timer>();
  #notification: Notification | undefined;

  constructor(
    readonly world: World,
    kernel: Kernel | undefined,
    readonly act: (poller: OwnPoller, events: readonly ReadyEvent[]) => void,
  ) {
    this.name = `poller #${++world.lastId}`;
    this.#poller = kernel === undefined ? new Poller() : new Poller({ kernel });
    world.note(`make ${this.name}`);
  }

  get keepsLoop(): boolean {
    return this.isAttached && this.#isReferenced;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The numbers that are registered. */
  get registered(): readonly number[] {
    return [...this.#byFd.keys()];
  }

  add(fd: number, interest: number, mode: Mode): void {
    const old = this.#byFd.get(fd);
    const registration = new Registration(this, fd, interest, mode);
    const code = this.#attempt(`add ${registration}`, ["EEXIST", "EBADF", "EPERM"], () => {
      this.#poller.add(fd, registration.id, interest, { mode });
    });
    const isDoubtful = old !== undefined && old.isDoubtful;
    const expected = registration.file === undefined ? "EBADF" : registration.file.kind === "memory" ? "EPERM" : "done";
    const isRight = old !== undefined && !isDoubtful ? code === "EEXIST" : code === expected;
    if (!isRight && !(isDoubtful && code === "EEXIST")) this.world.fail(`add of ${registration}: ${code}`);
    if (code !== "done") return;
    if (old !== undefined) this.#forget(old);
    this.#byFd.set(fd, registration);
    this.#byKey.set(registration.id, registration);
    this.world.start(registration);
  }

  /** Arms again as it was. */
  rearm(fd: number): void {
    this.modify(fd, this.#byFd.get(fd)?.interest ?? 0, undefined);
  }

  /** Arms again, perhaps otherwise. */
  modify(fd: number, interest: number, mode: Mode | undefined): void {
    const old = this.#byFd.get(fd);
    if (old === undefined) return;
    const registration = new Registration(this, fd, interest, mode ?? old.mode);
    const code = this.#attempt(`modify to ${registration}`, ["EBADF", "ENOENT", "EPERM"], () => {
      this.#poller.modify(fd, registration.id, interest, mode === undefined ? {} : { mode });
    });
    if (code !== "done") {
      if (!old.isDoubtful) this.world.fail(`modify of ${old}: ${code}`);
      return;
    }
    this.#forget(old);
    // A number that means something else now may be armed without a word.
    registration.isDoubtful = old.isDoubtful;
    this.#byFd.set(fd, registration);
    this.#byKey.set(registration.id, registration);
    this.world.start(registration);
  }

  delete(fd: number): void {
    const old = this.#byFd.get(fd);
    const code = this.#attempt(`delete ${old ?? fd}`, old === undefined ? ["ENOENT"] : [], () => {
      this.#poller.delete(fd);
    });
    if (old !== undefined) this.#forget(old);
    else if (code !== "ENOENT") this.world.fail(`delete of ${fd}, which is not registered: ${code}`);
  }

  addTimer(milliseconds: number): void {
    const timer = new Timer(this, this.#poller.now() + milliseconds, milliseconds <= SOON);
    this.#attempt(`add ${timer}`, [], () => this.#poller.addTimer(timer.id, milliseconds));
    this.#timers.set(timer.id, timer);
    this.world.start(timer);
  }

  deleteTimer(): void {
    const [key, timer] = this.#timers.entries().next().value ?? [];
    if (key === undefined || timer === undefined) return;
    this.#attempt(`delete ${timer}`, [], () => this.#poller.deleteTimer(key));
    this.#timers.delete(key);
    this.world.live.delete(timer);
  }

  notify(worker: Worker | undefined): void {
    this.#wasNotified = true;
    if (this.#notification === undefined) this.world.start((this.#notification = new Notification(this)));
    this.#attempt(`notify ${this.name}${worker ? " from a worker" : ""}`, [], () => {
      if (worker === undefined) this.#poller.notify();
      else worker.postMessage(this.#poller.notifier());
    });
  }

  attach(): void {
    const isAttached = this.isAttached;
    const attachment = this.#attachments + 1;
    const code = this.#attempt(`attach ${this.name}`, isAttached ? ["ERR_POLLER_ATTACHED"] : [], () => {
      this.world.context.run(attachment, () => this.#poller.attach((events) => this.#called(attachment, events)));
    });
    if (isAttached) {
      if (code === "done") this.world.fail(`${this.name} was attached twice`);
      return;
    }
    this.#attachments = attachment;
    this.isAttached = true;
  }

  detach(): void {
    this.#attempt(`detach ${this.name}`, [], () => this.#poller.detach());
    this.isAttached = false;
  }

  refer(keeps: boolean): void {
    this.#attempt(`${keeps ? "ref" : "unref"} ${this.name}`, [], () => {
      if (keeps) this.#poller.ref();
      else this.#poller.unref();
    });
    this.#isReferenced = keeps;
  }

  /** Waits by itself, which does not block. */
  wait(): void {
    const code = this.#attempt(`wait of ${this.name}`, this.isAttached ? ["ERR_POLLER_ATTACHED"] : [], () => {
      this.#poller.wait(this.#events, { timeout: 0 });
    });
    if (this.isAttached && code === "done") this.world.fail(`${this.name} has waited, and is attached`);
    if (code === "done") this.#take(this.#events.toArray());
  }

  /** Ends all registrations and timers. */
  clear(): void {
    for (const fd of this.registered) this.delete(fd);
    while (this.#timers.size > 0) this.deleteTimer();
    this.#forgetNotification();
  }

  close(): void {
    this.#attempt(`close ${this.name}`, [], () => this.#poller.close());
    this.#isClosed = true;
    this.isAttached = false;
    for (const watched of [...this.#byFd.values(), ...this.#timers.values()]) this.world.live.delete(watched);
    this.#forgetNotification();
    this.#byFd.clear();
    this.#byKey.clear();
    this.#timers.clear();
  }

  becomeQuiet(): void {
    for (const registration of this.#byFd.values()) registration.eventsBefore = registration.events;
  }

  #forgetNotification(): void {
    if (this.#notification !== undefined) this.world.live.delete(this.#notification);
    this.#notification = undefined;
  }

  #forget(registration: Registration): void {
    this.#byFd.delete(registration.fd);
    this.#byKey.delete(registration.id);
    this.world.live.delete(registration);
  }

  #attempt(what: string, allowed: readonly string[], call: () => void): string {
    this.world.note(what);
    try {
      this.world.call(call);
      return "done";
    } catch (error) {
      const { code } = error as PollerError;
      if (!(error instanceof PollerError) || !allowed.includes(code)) this.world.fail(`${what}: ${error}`);
      return code;
    }
  }

  #called(attachment: number, events: Events): void {
    const taken = events.toArray();
    this.world.note(`call ${this.name}: ${taken.map(({ key }) => `#${key}`).join(" ")}`);
    if (!this.isAttached || this.#attachments !== attachment) this.world.fail(`${this.name} was called, detached`);
    if (this.world.context.getStore() !== attachment) this.world.fail(`${this.name} was called in another's context`);
    if (taken.length === 0 && !this.#wasNotified) this.world.fail(`${this.name} was called without an event`);
    this.#take(taken);
    this.world.calledBack(this.name, () => this.act(this, taken));
  }

  /** Holds events against what is registered. */
  #take(events: readonly ReadyEvent[]): void {
    this.#forgetNotification();
    const seen = new Set<unknown>();
    for (const event of events) {
      if (seen.has(event.key)) this.world.fail(`#${event.key} was told twice in one batch`);
      seen.add(event.key);
      if (event.timer) this.#expired(Number(event.key), event);
      else this.#ready(Number(event.key), event);
    }
  }

  #expired(key: number, event: ReadyEvent): void {
    const timer = this.#timers.get(key);
    if (timer === undefined || !timer.isArmed) return this.world.fail(`timer #${key} has expired, and is not armed`);
    timer.isArmed = false;
    if (this.#poller.now() < timer.due) this.world.fail(`${timer} came early`);
    if (event.expirations !== 1) this.world.fail(`${timer} expired ${event.expirations} times`);
  }

  #ready(key: number, event: ReadyEvent): void {
    const registration = this.#byKey.get(key);
    if (registration === undefined) return this.world.fail(`#${key} was told after its end`);
    if (!registration.isArmed) this.world.fail(`${registration} was told a second time`);
    registration.events++;
    if (registration.mode !== "level") registration.isArmed = false;
    if (registration.isDoubtful || registration.file === undefined) return;
    const wrong = event.errorCode ?? untruth(registration.file, event);
    if (wrong !== undefined) this.world.fail(`${registration} was told what is not true: ${wrong}`);
  }
}
