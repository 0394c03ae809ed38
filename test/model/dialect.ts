/** What differs from kernel to kernel, as far as the contract lets it: see the table in the README of `test/contract`. */
import { Interest, type Kernel } from "lio-poller";
import { SimulatedEpoll, type EventOrder, type SimulatedIo, type VirtualClock } from "lio-poller/sim";

/** A simulated kernel, whichever. */
export interface SimulatedKernel extends Kernel {
  readonly clock: VirtualClock;
  readonly io: SimulatedIo;
  /** How many kernel objects, and how many notifiers, are open. */
  readonly instances: number;
  readonly notifiers: number;
  order?: EventOrder | undefined;
}

/** Of an event, in the order of `readiness` in `wit/poller.wit`. */
export const READABLE = 1;
export const WRITABLE = 2;
export const PRIORITY = 4;
export const READ_CLOSED = 8;
export const HANG_UP = 16;
export const ERROR = 32;

export interface Dialect {
  readonly name: string;
  create(): SimulatedKernel;
  /** What an event tells someone with this interest of a file with these bits of poll(2); 0 if there is none. */
  readiness(bits: number, interest: number): number;
}

const IN = 0x1;
const PRI = 0x2;
const OUT = 0x4;
const ERR = 0x8;
const HUP = 0x10;
const RDHUP = 0x2000;

const epoll: Dialect = {
  name: "epoll",
  create: () => new SimulatedEpoll(),

  readiness(bits, interest) {
    if (interest === Interest.NONE) return 0;
    let heard = ERR | HUP;
    if (interest & Interest.READABLE) heard |= IN | RDHUP;
    if (interest & Interest.WRITABLE) heard |= OUT;
    if (interest & Interest.PRIORITY) heard |= PRI;
    const seen = bits & heard;

    let directions = 0;
    if (seen & (IN | RDHUP | HUP | ERR)) directions |= READABLE;
    if (seen & (OUT | ERR)) directions |= WRITABLE;
    if (seen & PRI) directions |= PRIORITY;
    directions &= interest;
    if (seen & (RDHUP | HUP)) directions |= READ_CLOSED;
    if (seen & HUP) directions |= HANG_UP;
    if (seen & ERR) directions |= ERROR;
    return directions;
  },
};

/** The kernels that are proved, by name. */
export const dialects: Readonly<Record<string, Dialect>> = { epoll };
