/** Both ways of delivery to an event loop, as kernels; and what tests of it need. */
import { setImmediate as turn } from "node:timers/promises";
import type { Kernel } from "lio-poller";
import { native, PlatformKernel, platformKernel } from "./internals.js";

/** The platform's kernel, with a delivery that is not left to the runtime. */
function delivering(inLoop: boolean): Kernel {
  const { name } = platformKernel(undefined);
  return new PlatformKernel(name, native.kernels[name]!, inLoop);
}

const byThread = { way: "thread", kernel: delivering(false) } as const;

/** All that this runtime can do on this system. */
export const deliveries: readonly { readonly way: string; readonly kernel: Kernel }[] =
  "Deno" in globalThis || "bun" in process.versions || process.platform === "win32"
    ? [byThread]
    : [{ way: "uv_poll", kernel: delivering(true) }, byThread];

/** Lets the event loop turn until the condition holds. Whether it ever does, the test's own timeout decides. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

/** As `until`, for what must come about although the event loop blocks again and again. */
export async function untilIdly(holds: () => boolean): Promise<void> {
  while (!holds()) await idle(2);
}

/** Lets the event loop block, and turn as often as it likes, for so many milliseconds at least. */
export function idle(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** The 8 bytes that add 1 to an eventfd. */
export const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);
