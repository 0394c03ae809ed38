#!/usr/bin/env node
/** The command `lio-poller`. Errors are one line each; whoever wants a stack trace writes a program. */
import { parseArgs } from "node:util";

const USAGE = `Usage: lio-poller watch [--readable] [--writable] [--priority] [--count N]
                        [--json] PATH|FD…
       lio-poller doctor [--json]
       lio-poller --help

watch   prints a line whenever one of these becomes ready: a FIFO, a device, a
        terminal, by its path; or an open descriptor, by its number. It reads
        nothing. Ends when all of them have hung up, or after so many lines.

  --readable, --writable, --priority   what to watch for (default: --readable)
  --count N                            end after N lines
  --json                               lines of JSON

doctor  tells what this system offers, and whether polling works on it.

Exit codes: 0 all is well; 1 something could not be watched, or a check failed;
2 wrong usage.
`;

const FAILED = 1;
const WRONG_USAGE = 2;

class UsageError extends Error {}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parsed(args);
  const [command, ...targets] = positionals;
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  // Loaded here, because the addon may be what is wrong.
  if (command === "watch") {
    if (targets.length === 0) throw new UsageError("watch needs a path or a descriptor");
    const { watchTargets } = await import("./cli/watch.js");
    return watchTargets(targets, { ...values, count: countOf(values.count) });
  }
  if (command === "doctor") {
    if (targets.length > 0) throw new UsageError("doctor takes no arguments");
    const { doctor } = await import("./cli/doctor.js");
    return doctor(values.json);
  }
  throw new UsageError(command === undefined ? "a command is needed" : `there is no command "${command}"`);
}

function parsed(args: string[]) {
  const flag = { type: "boolean", default: false } as const;
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        help: { ...flag, short: "h" },
        json: flag,
        readable: flag,
        writable: flag,
        priority: flag,
        count: { type: "string" },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function countOf(text: string | undefined): number {
  if (text === undefined) return Infinity;
  if (!/^[1-9]\d*$/.test(text)) throw new UsageError("--count must be a positive integer");
  return Number(text);
}

// Whoever reads the output may have had enough of it.
process.stdout.on("error", () => process.exit());

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(`lio-poller: ${(error as Error).message}${isUsage ? '\nTry "lio-poller --help".' : ""}`);
  process.exitCode = isUsage ? WRONG_USAGE : FAILED;
}
