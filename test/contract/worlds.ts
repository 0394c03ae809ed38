/** The worlds that the contract is run in: this machine's kernel, and the simulated ones. */
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type KernelName, platformKernels, Poller } from "lio-poller";
import * as io from "lio-poller/io";
import { SimulatedEpoll } from "lio-poller/sim";
import { watchLeaks } from "../support/leaks.js";
import type { Column, World } from "./world.js";
import type { Watchdog } from "./watchdog.js";

/** The columns of the table. The watchdog is told of every wait: a poller that spins never returns from a simulated one. */
export function columns(watchdog: Watchdog): readonly Column[] {
  return [
    ...platformKernels.map((kernel) => ({ name: kernel, kernel, open: () => openReal(kernel, watchdog) })),
    { name: "simulated epoll", kernel: "epoll", open: () => openSimulated(watchdog) },
  ];
}

function openReal(kernel: KernelName, watchdog: Watchdog): World {
  // What the first poller of a process opens for all of them, such as the component, is no leak.
  new Poller({ kernel }).close();
  return {
    io: { ...io, regular: openRegular },
    virtualTime: false,
    now: () => process.hrtime.bigint(),
    createPoller: () => new Poller({ kernel }),
    calls(poller) {
      const { kernelWaits, changes, rebuilds } = poller.stats();
      // A rebuild creates one epoll and closes another.
      return kernelWaits + changes + 2 * rebuilds;
    },
    blocking: (what) => watchdog.watch(what),
    leaks: watchLeaks(),
  };
}

function openSimulated(watchdog: Watchdog): World {
  const simulated = new SimulatedEpoll();
  return {
    io: simulated.io,
    virtualTime: true,
    now: () => simulated.clock.now(),
    createPoller: () => new Poller({ kernel: simulated }),
    calls: () => Object.values(simulated.calls).reduce((sum, count) => sum + count, 0),
    blocking: (what) => watchdog.watch(what),
    leaks: () => [
      ...(simulated.instances === 0 ? [] : [`${simulated.instances} epoll instances`]),
      ...(simulated.descriptors === 0 ? [] : [`${simulated.descriptors} descriptors`]),
    ],
  };
}

function openRegular(): number {
  const folder = mkdtempSync(join(tmpdir(), "lio-poller-"));
  try {
    return openSync(join(folder, "regular"), "w+");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
