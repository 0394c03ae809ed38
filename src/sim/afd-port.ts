/**
 * One completion port of the simulated Windows, with the requests that AFD has of it. A request ends once, with the events
 * that hold at that moment, and its completion is queued; nobody waits for anything in between.
 */
import { type Description, ERR, HUP, IN, OUT, type Polled, PRI, RDHUP, type Watcher } from "./description.js";
import type { Descriptors } from "./descriptors.js";

/** The operations in the order of `operation` in `wit/iocp.wit`. */
export const OPERATIONS = ["add", "arm", "cancel", "remove"] as const;
export type Operation = (typeof OPERATIONS)[number];

/** Why a call is refused, in the words of `error-code` in `wit/types.wit`. */
export type Refusal = "bad-descriptor" | "already-exists" | "not-found" | "invalid-argument" | "not-a-socket";

export const RECEIVE = 0x1;
export const RECEIVE_EXPEDITED = 0x2;
export const SEND = 0x4;
export const DISCONNECT = 0x8;
export const ABORT = 0x10;
export const LOCAL_CLOSE = 0x20;

/** Requests that one AFD handle may be given: more would make cancelling slow, which is the component's to avoid. */
const GROUP_SIZE = 32;

/** `token` as jco spells it. */
export interface Token {
  readonly slot: number;
  readonly generation: number;
}

/** `change` as jco spells it. */
export interface Change {
  readonly operation: Operation;
  readonly events: number;
  readonly socket: bigint;
  readonly group: number;
  readonly token: Token;
}

/** `completion` as jco spells it. The model knows no sockets that fail to connect, nor requests that fail. */
export interface Completion {
  readonly token: Token;
  readonly events: number;
  readonly error: undefined;
}

type AfdFile = Description & Polled;

/** What AFD would say of a socket. */
function eventsOf(file: AfdFile): number {
  const bits = file.poll();
  let events = 0;
  // A connection that was reset is aborted, whatever has arrived.
  if (bits & ERR) return ABORT;
  if (bits & IN && !(bits & RDHUP)) events |= RECEIVE;
  if (bits & RDHUP) events |= RECEIVE | DISCONNECT;
  if (bits & HUP) events |= DISCONNECT;
  if (bits & PRI) events |= RECEIVE_EXPEDITED;
  if (bits & OUT) events |= SEND;
  return events;
}

/** What a slot watches, and its request, if one is under way. */
class Slot implements Watcher {
  socket: bigint | undefined;
  /** What that was when it was added. */
  added: AfdFile | undefined;
  /** What completions of its requests bear. */
  generation = 0;
  group = 0;
  /** The completion of the last request is queued: its memory is not free for another one. */
  isQueued = false;
  readonly #port: Port;
  #description: AfdFile | undefined;
  #events = 0;
  #token: Token | undefined;

  constructor(port: Port) {
    this.#port = port;
  }

  get isPending(): boolean {
    return this.#description !== undefined;
  }

  arm(description: AfdFile, events: number, token: Token): void {
    this.#description = description;
    this.#events = events;
    this.#token = token;
    description.watch(this);
    this.wake();
  }

  wake(): void {
    const description = this.#description;
    if (description === undefined) return;
    const events = eventsOf(description) & this.#events;
    if (events !== 0) this.#end(events);
  }

  /** Its watchers are gone from the description already. */
  released(): void {
    this.#description = undefined;
    this.socket = undefined;
    this.#complete(LOCAL_CLOSE);
  }

  cancel(): void {
    this.#end(0);
  }

  /** Ends the request without a completion, as the end of its port does. */
  forget(): void {
    this.#description?.unwatch(this);
    this.#description = undefined;
  }

  #end(events: number): void {
    this.forget();
    this.#complete(events);
  }

  #complete(events: number): void {
    this.isQueued = true;
    this.#port.push({ token: this.#token as Token, events, error: undefined }, this);
  }
}

/** Who a completion has to be given back to once it is taken. */
interface Sender {
  isQueued: boolean;
}

export class Port {
  readonly #descriptors: Descriptors<AfdFile>;
  readonly #slots: Slot[] = [];
  #groups = 0;
  readonly #queue: { readonly completion: Completion; readonly sender: Sender }[] = [];

  constructor(descriptors: Descriptors<AfdFile>) {
    this.#descriptors = descriptors;
  }

  /** How many requests are under way, or have ended without being taken. */
  get requests(): number {
    return this.#slots.filter((slot) => slot.isPending || slot.isQueued).length;
  }

  /** Makes one change. Returns why it is refused, or nothing. */
  change({ operation, events, socket, group, token }: Change): Refusal | undefined {
    if (operation === "add") return this.#add(events, socket, group, token);
    const slot = this.#slots[token.slot];
    if (slot === undefined) return "invalid-argument";
    switch (operation) {
      case "arm":
        return this.#arm(slot, events, token);
      case "cancel":
        if (!slot.isPending) return "not-found";
        slot.cancel();
        return undefined;
      case "remove":
        slot.socket = undefined;
        if (slot.isPending) slot.cancel();
        return undefined;
    }
  }

  #add(events: number, socket: bigint, group: number, token: Token): Refusal | undefined {
    if (token.slot > this.#slots.length || group > this.#groups) return "invalid-argument";
    const slot = (this.#slots[token.slot] ??= new Slot(this));
    this.#groups = Math.max(this.#groups, group + 1);
    const description = this.#descriptors.find(Number(socket));
    if (description === undefined) return "bad-descriptor";
    if (!description.pollable) return "not-a-socket";
    const others = this.#slots.filter((other) => other !== slot && other.socket !== undefined && other.group === group);
    if (others.length >= GROUP_SIZE) throw new Error(`more than ${GROUP_SIZE} sockets in one group`);
    if (slot.isPending) slot.cancel();
    if (events !== 0 && slot.isQueued) return "already-exists";
    slot.socket = socket;
    slot.added = description;
    slot.generation = token.generation;
    slot.group = group;
    return events === 0 ? undefined : this.#arm(slot, events, token);
  }

  #arm(slot: Slot, events: number, token: Token): Refusal | undefined {
    if (slot.socket === undefined) return "not-found";
    if (slot.isPending || slot.isQueued) return "already-exists";
    const description = this.#descriptors.find(Number(slot.socket));
    if (description === undefined) return "bad-descriptor";
    if (description !== slot.added) return "not-found";
    slot.generation = token.generation;
    slot.arm(description, events, token);
    return undefined;
  }

  push(completion: Completion, sender: Sender): void {
    this.#queue.push({ completion, sender });
  }

  /** Takes the oldest completions, as many as there is room for. */
  take(capacity: number): Completion[] {
    return this.#queue.splice(0, capacity).map(({ completion, sender }) => {
      sender.isQueued = false;
      return completion;
    });
  }

  /** The events of a completion that has not been taken; else 0, unless the socket is another by now. */
  peek(index: number): number {
    const slot = this.#slots[index];
    // One of an earlier request is about another socket, perhaps.
    const queued = this.#queue.find(
      ({ completion: { token } }) => token.slot === index && token.generation === slot?.generation,
    );
    const events = queued?.completion.events ?? 0;
    if (slot?.socket === undefined) return events;
    return this.#descriptors.find(Number(slot.socket)) === slot.added ? events : events | LOCAL_CLOSE;
  }

  close(): void {
    for (const slot of this.#slots) slot.forget();
  }
}

/** A way to wake a port: notifications before one of them is taken are one. */
export class PortNotifier implements Sender {
  isQueued = false;
  #wasNotified = false;
  #port: Port | undefined;
  #token: Token | undefined;

  attach(port: Port, token: Token): Refusal | undefined {
    if (this.#port !== undefined) return "already-exists";
    this.#port = port;
    this.#token = token;
    if (this.#wasNotified) this.notify();
    return undefined;
  }

  notify(): void {
    this.#wasNotified = true;
    if (this.isQueued || this.#port === undefined || this.#token === undefined) return;
    this.isQueued = true;
    this.#port.push({ token: this.#token, events: 0, error: undefined }, this);
  }
}
