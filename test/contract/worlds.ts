/** The worlds that the contract is run in: this machine's kernel, and the simulated ones. */
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Kernel, type KernelName, notify, platformKernels, Poller } from "lio-poller";
import * as io from "lio-poller/io";
import { type KqueueFlavour, SimulatedAfd, SimulatedEpoll, SimulatedKqueue } from "lio-poller/sim";
import { monotonic } from "../support/internals.js";
import { hasExcept, keventCalls } from "../support/kqueue.js";
import { watchLeaks } from "../support/leaks.js";
import type { Lacks } from "./format.js";
import type { Column, World } from "./world.js";
import type { Watchdog } from "./watchdog.js";

/** The columns of the table. The watchdog is told of every wait: a poller that spins never returns from a simulated one. */
export function columns(watchdog: Watchdog): readonly Column[] {
  return [
    ...platformKernels.map((kernel) => ({
      name: kernel,
      kernel,
      lacks: kernel === "kqueue" && !hasExcept ? lacksExcept : {},
      open: () => openReal(kernel, watchdog),
    })),
    {
      name: "simulated epoll",
      kernel: "epoll",
      lacks: simulatedLacks,
      open: () => openSimulated(watchdog),
    },
    ...flavours.map((flavour): Column => ({
      name: `simulated kqueue, ${flavour}`,
      kernel: "kqueue",
      lacks: ["freebsd", "netbsd"].includes(flavour) ? { ...simulatedLacks, ...lacksExcept } : simulatedLacks,
      open: () => openOn(watchdog, new SimulatedKqueue({ flavour })),
    })),
    { name: "simulated AFD", kernel: "iocp", lacks: simulatedLacks, open: () => openOn(watchdog, new SimulatedAfd()) },
  ];
}

export const flavours: readonly KqueueFlavour[] = ["freebsd", "netbsd", "openbsd", "dragonfly", "macos"];

const lacksExcept: Lacks = {
  "interest.priority": "this system has no EVFILT_EXCEPT, without which priority is ENOTSUP",
};

function openReal(kernel: KernelName, watchdog: Watchdog): World {
  // What the first poller of a process opens for all of them, such as the component, is no leak.
  new Poller({ kernel }).close();
  return {
    io: { ...io, tcp: openTcp, regular: openRegular },
    virtualTime: false,
    now: monotonic,
    pass,
    createPoller: () => new Poller({ kernel }),
    notifier: (poller) => {
      const notifier = poller.notifier();
      return () => notify(notifier);
    },
    calls(poller) {
      const { kernelWaits, changes, rebuilds } = poller.stats();
      // A rebuild creates one kernel object and closes another.
      return (keventCalls?.() ?? kernelWaits + changes) + 2 * rebuilds;
    },
    blocking: (what) => watchdog.watch(what),
    leaks: watchLeaks(),
  };
}

export const simulatedLacks: Lacks = {
  listen: "a simulated kernel has no addresses",
  notifier: "a simulated kernel belongs to one thread, so its pollers have no notifiers",
};

/** @param around puts another kernel around the simulated one, on which the pollers are */
export function openSimulated(watchdog: Watchdog, around = (simulated: SimulatedEpoll): Kernel => simulated): World {
  const simulated = new SimulatedEpoll();
  return openOn(watchdog, simulated, around(simulated));
}

type Simulated = SimulatedEpoll | SimulatedKqueue | SimulatedAfd;

function openOn(watchdog: Watchdog, simulated: Simulated, kernel: Kernel = simulated): World {
  return {
    io: { ...io, ...simulated.io, tcp: simulated.io.tcpPair },
    virtualTime: true,
    now: () => simulated.clock.now(),
    pass: (milliseconds) => simulated.clock.advance(milliseconds),
    createPoller: () => new Poller({ kernel }),
    notifier: () => {
      throw new Error("the column says that there are none");
    },
    calls: () => Object.values(simulated.calls).reduce((sum: number, count: number) => sum + count, 0),
    blocking: (what) => watchdog.watch(what),
    leaks: () => [
      ...(simulated.instances === 0 ? [] : [`${simulated.instances} ${simulated.name} instances`]),
      ...(simulated.descriptors === 0 ? [] : [`${simulated.descriptors} descriptors`]),
    ],
  };
}

/** Blocks this thread. */
function pass(milliseconds: number): void {
  const end = process.hrtime.bigint() + BigInt(Math.ceil(milliseconds * 1e6));
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  for (let left = end - process.hrtime.bigint(); left > 0n; left = end - process.hrtime.bigint()) {
    Atomics.wait(nobody, 0, 0, Number(left) / 1e6);
  }
}

function openTcp(): [number, number] {
  const listener = io.listen({ host: "127.0.0.1", port: 0 });
  try {
    const client = io.connect(io.localAddress(listener));
    let server = io.accept(listener);
    while (server === io.WOULD_BLOCK) {
      pass(1);
      server = io.accept(listener);
    }
    return [server, client];
  } finally {
    io.close(listener);
  }
}

function openRegular(): number {
  const folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
  try {
    return openSync(join(folder, "regular"), "w+");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
