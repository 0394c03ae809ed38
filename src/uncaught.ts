/** Errors that callbacks throw: they become uncaught exceptions, whatever has been replaced by fake timers. */
import { MessageChannel } from "node:worker_threads";
import { native } from "./native.js";
import { runtime } from "./runtime.js";

/**
 * Reports an error as an uncaught exception, soon after the code that runs now has returned, and after the errors that
 * were reported before.
 */
export const reportUncaught: (error: unknown) => void = runtime.name === "deno" ? reportInTurn : reportInContinuation;

/**
 * Of all that runs later, fake timers leave the continuations of promises alone, as the engine runs those itself. An error
 * thrown there would be a rejection, so the addon tells the runtime.
 */
async function reportInContinuation(error: unknown): Promise<void> {
  await undefined;
  native.reportUncaught(error);
}

const errors: unknown[] = [];
let channel: MessageChannel | undefined;

/**
 * Deno ends with "Uncaught null" if that happens while it calls the addon's callback, of which continuations are part. So
 * there a message brings it into a turn of its own. The open port keeps the process alive until then.
 */
function reportInTurn(error: unknown): void {
  errors.push(error);
  channel ??= opened();
  channel.port1.postMessage(undefined);
}

function opened(): MessageChannel {
  const { port1, port2 } = new MessageChannel();
  port2.on("message", () => {
    const error = errors.shift();
    if (errors.length === 0) {
      port1.close();
      channel = undefined;
    }
    native.reportUncaught(error);
  });
  return { port1, port2 };
}
