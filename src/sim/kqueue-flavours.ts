/**
 * In what the kqueues of FreeBSD, NetBSD, OpenBSD, DragonFly and macOS differ, as far as the simulation goes. The manual is
 * each system's kqueue(2); where it is silent, the file of the kernel is named.
 */
import type { Refusal } from "./refusals.js";

/** A system whose kqueue can be simulated. */
export type KqueueFlavour = "freebsd" | "netbsd" | "openbsd" | "dragonfly" | "macos";

/** What is particular to one of them. */
export interface Particulars {
  /** Whether there is eventfd(2). */
  readonly hasEventFds: boolean;

  /** Whether there is EVFILT_EXCEPT: "Takes a descriptor as the identifier" in the manuals that have it. */
  readonly hasExcept: boolean;

  /**
   * Whether EVFILT_EXCEPT also reports the end of what can be read: "If the read direction of the socket has shutdown,
   * then the filter also sets EV_EOF" under EVFILT_EXCEPT in macOS's manual.
   */
  readonly exceptTellsEnd: boolean;

  /** Why EVFILT_EXCEPT is refused for what is no socket: pipe_kqfilter() in sys_pipe.c. */
  readonly exceptOnOthers: Refusal;

  /** Whether either end of a pipe can be read and written: pipe(2), "bidirectional". */
  readonly hasTwoWayPipes: boolean;

  /**
   * Why EVFILT_WRITE cannot be added to a pipe whose other end is closed, if it cannot: pipe_kqfilter() in sys_pipe.c.
   * OpenBSD's attaches it, because it "now always indicates a pending event", and so does macOS's, lest a race break its
   * users.
   */
  readonly writeWithoutReader: Refusal | undefined;

  /**
   * Whether the EVFILT_WRITE knotes of a pipe become EV_ONESHOT when its other end is closed, so that they end with the
   * event that tells it: "Make sure cleared knotes disappear soon" in knlist_cleardel() of FreeBSD's kern_event.c, which
   * pipeclose() calls.
   */
  readonly endsWriteKnotes: boolean;

  /**
   * Why a change other than EV_ADD is refused for a number that is not open. XNU's kevent_register() looks for the knote,
   * the others for the descriptor first.
   */
  readonly closedWithoutAdd: Refusal;

  /** Whether EV_ENABLE and EV_DISABLE set `udata` as EV_ADD does: kqueue_register() of kern_event.c. */
  readonly everyChangeSetsData: boolean;

  /**
   * When a change of a knote that there is runs its filter, so that an edge can be reported again: always; if it is enabled
   * then; or if it is added or enabled by it.
   */
  readonly evaluates: "always" | "enabled" | "enabling";

  /** What EV_ENABLE and EV_DISABLE in one change do: FreeBSD's kqueue_register() refuses, XNU's lets EV_DISABLE win. */
  readonly enableAndDisable: "refused" | "enable" | "disable";

  /** Whether a knote with both EV_CLEAR and EV_DISPATCH is cleared only: kqueue_scan() of NetBSD's kern_event.c. */
  readonly clearExcludesDispatch: boolean;
}

export const FLAVOURS: Readonly<Record<KqueueFlavour, Particulars>> = {
  freebsd: {
    hasEventFds: true,
    hasExcept: false,
    exceptTellsEnd: false,
    exceptOnOthers: "invalid-argument",
    hasTwoWayPipes: true,
    writeWithoutReader: "broken-pipe",
    endsWriteKnotes: true,
    closedWithoutAdd: "bad-descriptor",
    everyChangeSetsData: true,
    evaluates: "enabled",
    enableAndDisable: "refused",
    clearExcludesDispatch: false,
  },
  netbsd: {
    hasEventFds: true,
    hasExcept: false,
    exceptTellsEnd: false,
    exceptOnOthers: "invalid-argument",
    hasTwoWayPipes: false,
    writeWithoutReader: "bad-descriptor",
    endsWriteKnotes: false,
    closedWithoutAdd: "bad-descriptor",
    everyChangeSetsData: true,
    evaluates: "always",
    enableAndDisable: "enable",
    clearExcludesDispatch: true,
  },
  openbsd: {
    hasEventFds: false,
    hasExcept: true,
    exceptTellsEnd: false,
    exceptOnOthers: "invalid-argument",
    hasTwoWayPipes: true,
    writeWithoutReader: undefined,
    endsWriteKnotes: false,
    closedWithoutAdd: "bad-descriptor",
    everyChangeSetsData: false,
    evaluates: "enabling",
    enableAndDisable: "enable",
    clearExcludesDispatch: false,
  },
  dragonfly: {
    hasEventFds: false,
    hasExcept: true,
    exceptTellsEnd: false,
    exceptOnOthers: "not-supported",
    hasTwoWayPipes: true,
    writeWithoutReader: "broken-pipe",
    endsWriteKnotes: false,
    closedWithoutAdd: "bad-descriptor",
    everyChangeSetsData: true,
    evaluates: "always",
    enableAndDisable: "enable",
    clearExcludesDispatch: false,
  },
  macos: {
    hasEventFds: false,
    hasExcept: true,
    exceptTellsEnd: true,
    exceptOnOthers: "invalid-argument",
    hasTwoWayPipes: false,
    writeWithoutReader: undefined,
    endsWriteKnotes: false,
    closedWithoutAdd: "not-found",
    everyChangeSetsData: true,
    evaluates: "always",
    enableAndDisable: "disable",
    clearExcludesDispatch: false,
  },
};
