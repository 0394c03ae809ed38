/** A poller by the component and jco alone, without the facade, in the facade's terms. */
import { Interest, type Change, type Kernel, type Mode } from "lio-poller";
import type * as Lifted from "../../dist/component/epoll/interfaces/lio-poller-poller.js";
import { components, modulesOf } from "./internals.js";

/** The component on a kernel. */
export type JcoInstance = ReturnType<(typeof components)["epoll"]>["poller"];

/** Instantiates the component as its users without the facade do. */
export function jcoInstance(kernel: Kernel): JcoInstance {
  const imports = Object.entries(kernel.open().imports).map(([name, functions]) => [`lio:poller/${name}`, functions]);
  const { name } = kernel;
  const all = { "lio:poller/types": {}, ...Object.fromEntries(imports) };
  return components[name](modulesOf(name), all as never).poller;
}

const NAMES: Readonly<Record<string, string>> = {
  "bad-descriptor": "EBADF",
  "already-exists": "EEXIST",
  "not-found": "ENOENT",
  "not-permitted": "EPERM",
  "invalid-argument": "EINVAL",
  "out-of-memory": "ENOMEM",
  "not-supported": "ENOTSUP",
  "broken-pipe": "EPIPE",
  "connection-reset": "ECONNRESET",
};

/** Node's name of an error code of a simulated kernel's. */
export function nodeName({ tag }: Lifted.ErrorCode): string {
  const name = NAMES[tag];
  if (name === undefined) throw new Error(`${tag} is no error of a simulated kernel's`);
  return name;
}

/** Runs a call, and throws a component's error with Node's code. */
function coded<Result>(call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    const { payload } = error as { payload?: Lifted.ErrorCode };
    if (payload === undefined) throw error;
    throw Object.assign(new Error(payload.tag), { code: nodeName(payload) });
  }
}

function flags(interest: Interest): Lifted.Interest {
  return {
    readable: (interest & Interest.READABLE) !== 0,
    writable: (interest & Interest.WRITABLE) !== 0,
    priority: (interest & Interest.PRIORITY) !== 0,
  };
}

function liftedChange(change: Change): Lifted.Change {
  const { op, fd } = change;
  if (op === "delete") return { tag: op, val: BigInt(fd) };
  const { key, interest, mode } = change;
  const registration = { fd: BigInt(fd), key: BigInt(key), interest: flags(interest) };
  if (op === "add") return { tag: op, val: { ...registration, mode: mode ?? "oneshot" } };
  return { tag: op, val: mode === undefined ? registration : { ...registration, mode } };
}

/** Room for events. */
export class JcoRoom {
  readonly events: Lifted.Events;

  constructor(instance: JcoInstance, capacity: number) {
    this.events = instance.Events.create(capacity);
  }

  read(): Lifted.Event[] {
    return this.events.read();
  }
}

export class JcoPoller {
  readonly #poller: Lifted.Poller;

  constructor(instance: JcoInstance) {
    this.#poller = coded(() => instance.Poller.create());
  }

  add(fd: number, key: bigint, interest: Interest, mode: Mode = "oneshot"): void {
    coded(() => this.#poller.add(BigInt(fd), key, flags(interest), mode));
  }

  modify(fd: number, key: bigint, interest: Interest, mode: Mode | undefined): void {
    coded(() => this.#poller.modify(BigInt(fd), key, flags(interest), mode));
  }

  delete(fd: number): void {
    coded(() => this.#poller.delete(BigInt(fd)));
  }

  /** For each change the code of its error, or `undefined`. */
  apply(changes: readonly Change[]): (string | undefined)[] {
    const failures = coded(() => this.#poller.apply(changes.map(liftedChange)));
    const verdicts = changes.map((): string | undefined => undefined);
    for (const { index, error } of failures) verdicts[index] = nodeName(error);
    return verdicts;
  }

  wait(room: JcoRoom, milliseconds: number): number {
    return coded(() => this.#poller.wait(room.events, BigInt(Math.ceil(milliseconds * 1e6))));
  }

  notify(): void {
    coded(() => this.#poller.notify());
  }

  /** Arms a timer that is due at a moment of the kernel's clock. */
  addTimer(key: bigint, due: bigint, period = 0n): void {
    coded(() => this.#poller.addTimer(key, { tag: "at", val: due }, period));
  }

  modifyTimer(key: bigint, due: bigint, period?: bigint): void {
    coded(() => this.#poller.modifyTimer(key, { tag: "at", val: due }, period));
  }

  deleteTimer(key: bigint): void {
    coded(() => this.#poller.deleteTimer(key));
  }

  nextDeadline(): bigint | undefined {
    return coded(() => this.#poller.nextDeadline());
  }

  descriptor(): number {
    return Number(coded(() => this.#poller.descriptor()));
  }

  /** As the facade's `stats`. */
  stats(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.#poller.statistics()).map(([name, count]) => [name, Number(count)]));
  }

  close(): void {
    (this.#poller as unknown as Disposable)[Symbol.dispose]();
  }
}
