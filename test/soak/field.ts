/**
 * The soak's slots as the polling thread knows them: what is registered, what is wanted, and what was read.
 *
 * Every event is held against that: of a registration that is gone it is a ghost, of a one-shot registration that has
 * fired it is a double, and so it is if there is nothing to read. Every byte must be the next one of its stream.
 */
import { constants } from "node:os";
import { Interest, type Events, type Mode, type Poller } from "lio-poller";
import { close, dup, eventfd, pipe, read, socketpair } from "lio-poller/io";
import { Random } from "../support/random.js";
import { byteAt, kindOf, type SharedSlots } from "./shared.js";

const MODES: readonly Mode[] = ["oneshot", "oneshot", "level", "edge", "edge-oneshot"];
const GENERATIONS = 2 ** 24;
const { EMFILE } = constants.errno;

interface Slot {
  fd: number;
  /** The other end, which is `fd` for a counter, and -1 if it was closed. */
  peer: number;
  generation: number;
  mode: Mode;
  isWanted: boolean;
  hasFired: boolean;
  /** Bytes, or what the counter has given. */
  read: number;
  hasEnded: boolean;
  /** The number of the wait that last reported it. */
  toldAt: number;
}

export interface Findings {
  lost: number;
  doubled: number;
  ghosts: number;
  /** The first ones, in words. */
  readonly notes: string[];
}

export class Field {
  readonly findings: Findings = { lost: 0, doubled: 0, ghosts: 0, notes: [] };
  events = 0;
  bytes = 0;
  operations = 0;

  readonly #poller: Poller;
  readonly #shared: SharedSlots;
  readonly #random: Random;
  readonly #slots: Slot[] = [];
  /** Fired and not armed again yet. */
  readonly #late: number[] = [];
  /** Duplicates of descriptors that were closed and deleted: the kernel goes on watching through them. */
  readonly #orphans: number[] = [];
  readonly #buffer = new Uint8Array(65536);
  readonly #counter = new BigUint64Array(1);
  readonly #counterBytes = new Uint8Array(this.#counter.buffer);
  #waits = 0;

  constructor(poller: Poller, shared: SharedSlots, seed: number) {
    this.#poller = poller;
    this.#shared = shared;
    this.#random = new Random(seed);
    for (let slot = 0; slot < shared.count; slot++) {
      this.#slots.push(closedSlot());
      this.#open(slot);
      this.#register(slot, "add");
    }
  }

  /** How many descriptors there are because of this. */
  get descriptors(): number {
    const ends = this.#slots.reduce((sum, { fd, peer }) => sum + (peer === -1 || peer === fd ? 1 : 2), 0);
    return ends + this.#orphans.length;
  }

  // ---- Events --------------------------------------------------------------------------------------------------------

  /** Checks and serves the events of a wait. */
  serve(events: Events): void {
    this.#waits++;
    for (const { key } of events) this.#serveOne(Number(key));
  }

  #serveOne(key: number): void {
    this.events++;
    const index = Math.floor(key / GENERATIONS);
    const slot = this.#slots[index];
    if (slot === undefined || slot.generation !== key % GENERATIONS) return this.#ghost(`key ${key}`);
    if (!slot.isWanted) return this.#ghost(`${this.#describe(index)}, which wants nothing`);
    if (slot.toldAt === this.#waits) return this.#double(`${this.#describe(index)}, twice in one wait`);
    if (slot.hasFired) return this.#double(`${this.#describe(index)}, which has fired`);
    slot.toldAt = this.#waits;
    if (!this.#readFrom(index, slot)) return this.#ghost(`${this.#describe(index)}, where there is nothing to read`);
    if (!slot.mode.endsWith("oneshot")) return;
    slot.hasFired = true;
    // Most programs arm again at once. Those that do not cost the core a call, and are its harder case.
    if (this.#random.below(8) === 0) this.#late.push(index);
    else this.#register(index, "modify");
  }

  /** Reads a part, or for an edge all that there is. False if there was nothing. */
  #readFrom(index: number, slot: Slot): boolean {
    const all = slot.mode.startsWith("edge");
    let any = false;
    for (;;) {
      const room = all ? this.#buffer.length : 1 + this.#random.below(4096);
      const count = kindOf(index) === "eventfd" ? this.#readCounter(slot) : this.#readStream(index, slot, room);
      if (count === -1) return any;
      any = true;
      if (count === 0) slot.hasEnded = true;
      if (count === 0 || !all) return true;
    }
  }

  #readStream(index: number, slot: Slot, room: number): number {
    const count = read(slot.fd, this.#buffer, 0, room);
    for (let i = 0; i < count; i++) {
      if (this.#buffer[i] === byteAt(slot.read + i, index)) continue;
      this.#lose(`${this.#describe(index)}: byte ${slot.read + i} is not the one that was written`);
      break;
    }
    slot.read += Math.max(0, count);
    this.bytes += Math.max(0, count);
    if (count === 0 && slot.peer !== -1) this.#lose(`${this.#describe(index)} ended, with its peer open`);
    return count;
  }

  #readCounter(slot: Slot): number {
    const count = read(slot.fd, this.#counterBytes);
    if (count === 8) slot.read += Number(this.#counter[0]);
    this.bytes += Math.max(0, count);
    return count;
  }

  // ---- Operations ----------------------------------------------------------------------------------------------------

  /** Does something at random to a slot at random. */
  disturb(): void {
    this.operations++;
    const index = this.#random.below(this.#slots.length);
    switch (this.#random.below(12)) {
      case 0:
        return this.#setWanted(index, false);
      case 1:
      case 2:
        return this.#register(index, "modify");
      case 3:
        this.#poller.delete(this.#at(index).fd);
        return this.#register(index, "add");
      case 4:
        this.#poller.delete(this.#at(index).fd);
        return this.#reopen(index);
      case 5:
        // Without a delete: what is registered goes with the descriptor, and the number may come back at once.
        return this.#reopen(index);
      case 6:
        return this.#closePeer(index);
      case 7:
        return this.#random.below(50) === 0 ? this.#orphan(index) : undefined;
      case 8:
        return this.#duplicateOnto(index);
      default:
        return this.#armLate();
    }
  }

  /** Arms whatever is not, so that everything that is left to read must be reported. */
  armAll(): void {
    this.#late.length = 0;
    for (const [index, slot] of this.#slots.entries()) {
      if (slot.hasEnded) this.#reopen(index);
      else if (!slot.isWanted || slot.hasFired) this.#register(index, "modify");
    }
  }

  /** Counts what was written and is not read, when everything was reported and nobody writes. */
  findLost(): void {
    for (const [index, slot] of this.#slots.entries()) {
      const written = this.#shared.written(index);
      if (written !== slot.read >>> 0) this.#lose(`${this.#describe(index)}: ${written} written, ${slot.read} read`);
      if (slot.peer === -1 && !slot.hasEnded) this.#lose(`${this.#describe(index)}: its end was not told`);
    }
  }

  /** Opens descriptors until there are no more, tries what needs one, and what does not. */
  exhaust(more: () => Poller, limited: (error: unknown) => boolean): void {
    const taken: number[] = [];
    const [first] = this.#slots;
    if (first === undefined) return;
    try {
      for (;;) taken.push(dup(first.fd));
    } catch (error) {
      if ((error as { errno?: number }).errno !== -EMFILE) throw error;
    }
    try {
      more().close();
      this.#lose("a poller could be made without a descriptor");
    } catch (error) {
      if (!limited(error)) throw error;
    } finally {
      for (const fd of taken) close(fd);
    }
  }

  closeAll(): void {
    this.dropOrphans();
    for (const index of this.#slots.keys()) this.#close(index);
  }

  dropOrphans(): void {
    for (const fd of this.#orphans.splice(0)) close(fd);
  }

  #armLate(): void {
    const index = this.#late.pop();
    if (index !== undefined && this.#at(index).hasFired) this.#register(index, "modify");
  }

  #setWanted(index: number, isWanted: boolean): void {
    const slot = this.#at(index);
    slot.isWanted = isWanted;
    slot.hasFired = false;
    this.#poller.modify(slot.fd, this.#key(index), isWanted ? Interest.READABLE : Interest.NONE);
  }

  #register(index: number, operation: "add" | "modify"): void {
    const slot = this.#at(index);
    if (operation === "add") slot.generation++;
    if (this.#random.below(4) === 0 || operation === "add") slot.mode = this.#random.pick(MODES);
    slot.isWanted = true;
    slot.hasFired = false;
    this.#poller[operation](slot.fd, this.#key(index), Interest.READABLE, { mode: slot.mode });
  }

  #reopen(index: number): void {
    this.#close(index);
    this.#open(index);
    this.#register(index, "add");
  }

  #closePeer(index: number): void {
    const slot = this.#at(index);
    if (kindOf(index) === "eventfd" || slot.peer === -1) return;
    this.#shared.lock(index);
    // What was written stays to be read, so that the count stays.
    const written = this.#shared.written(index);
    this.#shared.replace(index, -1);
    this.#shared.addWritten(index, written);
    close(slot.peer);
    slot.peer = -1;
    this.#shared.unlock(index);
  }

  /** Closes a descriptor while a duplicate of it lives, which nothing but a new kernel object can silence. */
  #orphan(index: number): void {
    const slot = this.#at(index);
    this.#orphans.push(dup(slot.fd));
    const { fd } = slot;
    this.#close(index);
    this.#poller.delete(fd);
    this.#open(index);
    this.#register(index, "add");
    if (this.#orphans.length > 20) close(this.#orphans.shift() as number);
  }

  /** Puts another file under a registered number, as dup2(2) does. */
  #duplicateOnto(index: number): void {
    const slot = this.#at(index);
    if (kindOf(index) !== "eventfd") return;
    this.#shared.lock(index);
    const fresh = eventfd();
    dup(fresh, slot.fd);
    close(fresh);
    slot.read = 0;
    this.#shared.replace(index, slot.fd);
    this.#shared.unlock(index);
    this.#register(index, "add");
  }

  #open(index: number): void {
    const slot = this.#at(index);
    this.#shared.lock(index);
    if (kindOf(index) === "eventfd") slot.fd = slot.peer = eventfd();
    else [slot.fd, slot.peer] = kindOf(index) === "pipe" ? pipe() : socketpair();
    slot.read = 0;
    slot.hasEnded = false;
    this.#shared.replace(index, slot.peer);
    this.#shared.unlock(index);
  }

  #close(index: number): void {
    const slot = this.#at(index);
    this.#shared.lock(index);
    this.#shared.replace(index, -1);
    close(slot.fd);
    if (slot.peer !== -1 && slot.peer !== slot.fd) close(slot.peer);
    this.#shared.unlock(index);
  }

  #at(index: number): Slot {
    return this.#slots[index] as Slot;
  }

  #key(index: number): number {
    return index * GENERATIONS + this.#at(index).generation;
  }

  // ---- What was found ------------------------------------------------------------------------------------------------

  #describe(index: number): string {
    const { fd, mode, generation, hasEnded } = this.#at(index);
    return `${kindOf(index)} ${index}, fd ${fd}, ${mode}, generation ${generation}${hasEnded ? ", ended" : ""}`;
  }

  #ghost(note: string): void {
    this.findings.ghosts++;
    this.#note(`ghost: ${note}`);
  }

  #double(note: string): void {
    this.findings.doubled++;
    this.#note(`doubled: ${note}`);
  }

  #lose(note: string): void {
    this.findings.lost++;
    this.#note(`lost: ${note}`);
  }

  #note(note: string): void {
    if (this.findings.notes.length < 20) this.findings.notes.push(note);
  }
}

function closedSlot(): Slot {
  return {
    fd: -1,
    peer: -1,
    generation: 0,
    mode: "oneshot",
    isWanted: false,
    hasFired: false,
    read: 0,
    hasEnded: false,
    toldAt: -1,
  };
}
