/** The platform's own kernel, through the native addon. */
import { components } from "./components.js";
import { prepareCoreModules } from "./core-modules.js";
import { pollerError, systemError } from "./errors.js";
import {
  cabiLower,
  type CoreFunction,
  type Delivery,
  type ImportedFunction,
  type Kernel,
  type KernelName,
  type OpenKernel,
} from "./kernel.js";
import { native, type NativeDelivery, type NativeKernel } from "./native.js";
import { runsNoScript } from "./reentrance.js";
import { loopWatchesDescriptors } from "./runtime.js";

export class PlatformKernel implements Kernel {
  constructor(
    readonly name: KernelName,
    readonly create: new () => NativeKernel,
    /** Whether the event loop may watch its objects by its own means. */
    readonly inLoop = loopWatchesDescriptors,
  ) {}

  open(): OpenKernel {
    const kernel = new this.create();
    const functions = kernel.functions.map((name) => [name, imported(kernel, name)] as const);
    return {
      imports: { [this.name]: Object.fromEntries(functions), clock: { now: CLOCK_NOW } },
      deliver: (handle, wake) => delivered(kernel.deliver(handle, wake, this.inLoop)),
      close: () => kernel.close(),
    };
  }
}

function delivered(delivery: NativeDelivery | number): Delivery {
  if (typeof delivery === "number") throw systemError(-delivery, "attach");
  const { pause } = delivery;
  return Object.assign(delivery, {
    pause(pauses: boolean): void {
      const error = pause(pauses);
      if (error < 0) throw systemError(-error, "attach");
    },
  });
}

/** A function of the addon, which the component calls without anything between. */
function imported(kernel: NativeKernel, name: string): ImportedFunction {
  const lifted = (): never => {
    throw new Error(`${name} has a core function only`);
  };
  return Object.assign(lifted, {
    [cabiLower]: ({ memory, realloc }: Parameters<NonNullable<ImportedFunction[typeof cabiLower]>>[0]) =>
      runsNoScript(quickened(name, kernel.bind(name, memory, realloc))),
  });
}

/**
 * The same function; that which waits in one of JavaScript's. V8 calls a native function from optimised JavaScript by a
 * shorter way than from WebAssembly, which saves a tenth of a wait and more than the step in between costs.
 */
function quickened(name: string, call: CoreFunction): CoreFunction {
  if (name !== "wait") return call;
  const wait = call as (...flat: unknown[]) => number | bigint | void;
  // As many parameters as it has: rest parameters would undo it.
  return (a, b, c, d, e, f, g) => wait(a, b, c, d, e, f, g);
}

const { clock } = native;
const moments = new BigUint64Array(clock.moment);

/** Nanoseconds of the addon's clock, not of the runtime's, which tests replace and which may begin elsewhere. */
export function monotonic(): bigint {
  clock.read();
  return moments[0] as bigint;
}

const CLOCK_NOW: ImportedFunction = Object.assign(monotonic, { [cabiLower]: () => runsNoScript(monotonic) });

const kernels = new Map<KernelName, Kernel>();
for (const [name, create] of Object.entries(native.kernels).toSorted()) {
  if (name in components) kernels.set(name as KernelName, new PlatformKernel(name as KernelName, create));
}

/** The names of the kernels that this platform has; the first is the one that is used unless another is asked for. */
export const platformKernels: readonly KernelName[] = Object.freeze([...kernels.keys()]);

// While there is a descriptor left to read it with.
if (platformKernels[0] !== undefined) prepareCoreModules(platformKernels[0]);

/** The platform's kernel of that name, or its first one. @throws PollerError `ERR_POLLER_UNSUPPORTED` if it has none. */
export function platformKernel(name: string | undefined): Kernel {
  const kernel = name === undefined ? kernels.values().next().value : kernels.get(name as KernelName);
  if (kernel !== undefined) return kernel;
  const there = platformKernels.length === 0 ? "no kernel" : platformKernels.join(", ");
  const wanted = name === undefined ? "a kernel to poll with" : `the kernel "${name}"`;
  throw pollerError(
    "ERR_POLLER_UNSUPPORTED",
    `${process.platform}-${process.arch} does not have ${wanted}; it has ${there}`,
  );
}
