/** The command line of the echo example. */
import { parseArgs } from "node:util";
import { type KernelName, platformKernels } from "lio-poller";

export interface Options {
  readonly clients: number;
  readonly messages: number;
  readonly size: number;
  readonly timeout: number;
  readonly kernel: KernelName | undefined;
}

/** The command line is wrong; the message says how. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const DEFAULTS = { clients: "300", messages: "800", size: "1024", timeout: "10" };

export const HELP = `Usage: npm start -- [OPTION…]

Runs a TCP echo server on the poller, and clients in another process that send
messages to it and check every byte that comes back.

  --clients N     connections at the same time (default ${DEFAULTS.clients})
  --messages N    messages that each client sends, one after the other
                  (default ${DEFAULTS.messages})
  --size N        bytes per message (default ${DEFAULTS.size})
  --timeout S     seconds after which a client to which nothing comes hangs
                  (default ${DEFAULTS.timeout})
  --kernel NAME   ${platformKernels.join(", ")} (default ${platformKernels[0]})
  --help          this text

Exits with 0 if every byte came back as it was sent, with 1 if one did not, or a
client hangs or dies, with 2 if an option is wrong, and with 130 after Ctrl-C.
`;

/**
 * @returns the options, or `undefined` if help is wanted
 * @throws UsageError
 */
export function parseOptions(args: readonly string[]): Options | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const clients = integer("clients", values.clients, 50_000);
  const size = integer("size", values.size, 2 ** 24);
  // Every client keeps a message in memory.
  if (clients * size > 2 ** 30) throw new UsageError("--clients times --size must be at most 1 GiB");
  return {
    clients,
    messages: integer("messages", values.messages, 1e9),
    size,
    timeout: duration("timeout", values.timeout),
    kernel: kernelName(values.kernel),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        clients: { type: "string", default: DEFAULTS.clients },
        messages: { type: "string", default: DEFAULTS.messages },
        size: { type: "string", default: DEFAULTS.size },
        timeout: { type: "string", default: DEFAULTS.timeout },
        kernel: { type: "string" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function integer(name: string, text: string, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  throw new UsageError(`--${name} must be an integer from 1 to ${most}, not "${text}"`);
}

function duration(name: string, text: string): number {
  const value = Number(text);
  if (/^\d*\.?\d+$/.test(text) && value > 0 && value <= 86_400) return value;
  throw new UsageError(`--${name} must be a number of seconds above 0, at most 86400, not "${text}"`);
}

function kernelName(name: string | undefined): KernelName | undefined {
  if (name === undefined) return undefined;
  const kernel = platformKernels.find((known) => known === name);
  if (kernel !== undefined) return kernel;
  throw new UsageError(`--kernel must be one of ${platformKernels.join(", ")}, not "${name}"`);
}
