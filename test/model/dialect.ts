/** What differs from kernel to kernel, as far as the contract lets it: see the table in the README of `test/contract`. */
import { Interest, type Kernel } from "lio-poller";
import {
  SimulatedAfd,
  SimulatedEpoll,
  SimulatedKqueue,
  type EventOrder,
  type KqueueFlavour,
  type SimulatedIo,
  type VirtualClock,
} from "lio-poller/sim";

/** A simulated kernel, whichever. */
export interface SimulatedKernel extends Kernel {
  readonly clock: VirtualClock;
  readonly io: SimulatedIo;
  /** How many kernel objects, and how many notifiers if it counts them, are open. */
  readonly instances: number;
  readonly notifiers?: number;
  order?: EventOrder | undefined;
}

/** Of an event, in the order of `readiness` in `wit/poller.wit`. */
export const READABLE = 1;
export const WRITABLE = 2;
export const PRIORITY = 4;
export const READ_CLOSED = 8;
export const HANG_UP = 16;
export const ERROR = 32;
export const REFUSED = 128;

/** What a program can open. */
export type FileKind = "regular" | "eventfd" | "pipe" | "socketpair" | "tcpPair";

export interface Dialect {
  readonly name: string;
  /** What programs open, and what they ask for: where a kernel has more to say, `test/contract` asks it. */
  readonly kinds: readonly FileKind[];
  readonly interests: number;
  /** The modes that programs use, by their numbers, as often as they are here: 0 to 3, of which 2 and 3 are edges. */
  readonly modes: readonly number[];
  readonly hasEdges: boolean;
  /** What an add of a file answers that is not polled. */
  readonly unpollable: string;
  /** A registration ends with the number, even if the file lives on by a duplicate. */
  readonly endsWithNumber: boolean;
  /** An edge tells what has arisen; else all that is true. */
  readonly edgesByDirection: boolean;
  /**
   * The kernel watches by requests, each of which ends when there is something to tell: what is told was true at some
   * moment since the request was made.
   */
  readonly completes: boolean;
  /** A change is several of the kernel's, so that a kernel that refuses one of them leaves it open what it holds. */
  readonly changesInSteps: boolean;
  /** EINVAL of a change of what is registered says that its number is the kernel object's own by now: it was closed. */
  readonly isInvalidItself: boolean;
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
  kinds: [
    "regular",
    "eventfd",
    "eventfd",
    "pipe",
    "pipe",
    "socketpair",
    "socketpair",
    "socketpair",
    "tcpPair",
    "tcpPair",
  ],
  interests: 7,
  modes: [0, 1, 2, 3],
  hasEdges: true,
  unpollable: "EPERM",
  endsWithNumber: false,
  edgesByDirection: false,
  completes: false,
  changesInSteps: false,
  isInvalidItself: true,
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

/** kqueue reports by filter; `RDHUP` and `HUP` stand for the ends of what each direction's filter watches for. */
function kqueue(flavour: KqueueFlavour, hasEventFds: boolean): Dialect {
  return {
    name: `kqueue-${flavour}`,
    kinds: [...(hasEventFds ? (["eventfd"] as const) : []), "socketpair", "socketpair", "tcpPair"],
    interests: Interest.READABLE | Interest.WRITABLE,
    modes: [0, 1, 2, 3],
    hasEdges: true,
    unpollable: "EPERM",
    endsWithNumber: true,
    edgesByDirection: true,
    completes: false,
    changesInSteps: true,
    isInvalidItself: false,
    create: () => new SimulatedKqueue({ flavour }),

    readiness(bits, interest) {
      const reads = (interest & Interest.READABLE) !== 0 && (bits & IN) !== 0;
      const writes = (interest & Interest.WRITABLE) !== 0 && (bits & OUT) !== 0;
      const isReadEnd = reads && (bits & RDHUP) !== 0;
      const isWriteEnd = writes && (bits & HUP) !== 0;
      let readiness = 0;
      if (reads) readiness |= READABLE;
      if (writes) readiness |= WRITABLE;
      if (isReadEnd) readiness |= READ_CLOSED;
      if (isWriteEnd) readiness |= HANG_UP;
      if ((isReadEnd || isWriteEnd) && (bits & ERR) !== 0) readiness |= ERROR;
      return readiness;
    },
  };
}

/** AFD of Windows polls sockets alone, knows no edges, and says in the words of `ABORT` that a connection was reset. */
const afd: Dialect = {
  name: "afd",
  kinds: ["regular", "socketpair", "socketpair", "socketpair", "tcpPair", "tcpPair"],
  interests: 7,
  modes: [0, 1, 0, 3, 0, 1, 2, 1],
  hasEdges: false,
  unpollable: "ENOTSOCK",
  endsWithNumber: false,
  edgesByDirection: false,
  completes: true,
  changesInSteps: false,
  isInvalidItself: false,
  create: () => new SimulatedAfd(),

  readiness(bits, interest) {
    if (interest === Interest.NONE) return 0;
    if (bits & ERR) return (interest & (READABLE | WRITABLE)) | READ_CLOSED | HANG_UP | ERROR;
    let readiness = 0;
    const isDisconnected = (bits & (RDHUP | HUP)) !== 0;
    if (interest & Interest.READABLE && (isDisconnected || bits & IN)) readiness |= READABLE;
    if (interest & Interest.READABLE && isDisconnected) readiness |= READ_CLOSED;
    if (interest & Interest.WRITABLE && bits & OUT) readiness |= WRITABLE;
    if (interest & Interest.PRIORITY && bits & PRI) readiness |= PRIORITY;
    return readiness;
  },
};

/** The kernels that are proved. */
export const proved: readonly Dialect[] = [
  epoll,
  kqueue("freebsd", true),
  kqueue("netbsd", true),
  kqueue("openbsd", false),
  kqueue("dragonfly", false),
  kqueue("macos", false),
  afd,
];

/** The same by name. */
export const dialects: Readonly<Record<string, Dialect>> = Object.fromEntries(
  proved.map((dialect) => [dialect.name, dialect]),
);
