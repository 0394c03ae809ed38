/**
 * What a scenario runs in: a kernel, its descriptors, its clock, and pollers on it.
 *
 * The runner knows no more of a kernel than this, so that a further one is a further world and nothing else.
 */
import type { Poller } from "lio-poller";
import type * as io from "lio-poller/io";
import type { KernelName, Lacks } from "./format.js";

type Addresses = Pick<typeof io, "listen" | "localAddress" | "connect" | "accept" | "pendingError">;

/** The part of `lio-poller/io` that scenarios use, `tcp` and `regular`. */
export interface WorldIo extends Addresses {
  pipe(): [readEnd: number, writeEnd: number];
  socketpair(): [number, number];
  /** Two TCP sockets that are connected to each other. */
  tcp(): [number, number];
  eventfd(initial?: number): number;
  /** A regular file, open for reading and writing. */
  regular(): number;
  read(fd: number, buffer: Uint8Array): number;
  write(fd: number, buffer: Uint8Array): number;
  sendUrgent(fd: number, byte: number): number;
  receiveUrgent(fd: number): number;
  shutdown(fd: number, how: "read" | "write" | "both"): void;
  dup(fd: number, onto?: number): number;
  close(fd: number): void;
}

/** One scenario's surroundings. Nothing of them is left to the next scenario. */
export interface World {
  readonly io: WorldIo;

  /** Whether the clock stands still while nobody waits, so that a call that blocks can be told from one that does not. */
  readonly virtualTime: boolean;

  /** The clock that waits are measured by, in nanoseconds. */
  now(): bigint;

  /** Lets so many milliseconds pass, at least; on a virtual clock, exactly. */
  pass(milliseconds: number): void;

  createPoller(): Poller;

  /** What ends a wait of the poller by its notifier's name alone, also when the poller is closed. */
  notifier(poller: Poller): () => void;

  /** How many system calls a poller has made so far. */
  calls(poller: Poller): number;

  /** Tells which wait is about to begin, and `undefined` when it has returned. */
  blocking(what: string | undefined): void;

  /** What was opened since the world was, and is open still. */
  leaks(): readonly string[];
}

/** A kind of world: a column of the contract's table. */
export interface Column {
  readonly name: string;
  readonly kernel: KernelName;
  /** What its worlds cannot do though the kernel's systems can. */
  readonly lacks?: Lacks;
  open(): World;
}
