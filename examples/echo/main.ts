/**
 * `npm start`: a TCP echo server on the poller, and a few hundred clients that check what it says.
 *
 *   main.ts ─ options.ts, run.ts ┬ server.ts            the server: read this one first
 *                                ├ client-process.ts ── clients.ts, client.ts      the other process
 *                                └ progress.ts, summary.ts
 */
import { HELP, type Options, parseOptions, UsageError } from "./options.js";
import { run } from "./run.js";
import { EchoServer } from "./server.js";

/** What a shell reports for a program that the signal ended. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGPIPE: 141 } as const;

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const interruption = new AbortController();
  const interrupt = (signal: keyof typeof EXIT_CODES): void => interruption.abort(signal);
  // Once: if ending took too long, a second Ctrl-C would end it at once.
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  // Node ignores SIGPIPE, so a reader that is gone, as in `npm start | head`, shows as an error of stdout.
  process.stdout.on("error", () => interrupt("SIGPIPE"));

  const succeeded = await serve(options, interruption.signal);
  if (interruption.signal.aborted) return EXIT_CODES[interruption.signal.reason as keyof typeof EXIT_CODES];
  return succeeded ? 0 : 1;
}

async function serve(options: Options, signal: AbortSignal): Promise<boolean | undefined> {
  const { kernel, ...job } = options;
  const server = new EchoServer(kernel === undefined ? {} : { kernel });
  try {
    process.stdout.write(`echoing on 127.0.0.1:${server.port}\n`);
    return await run(server, job, { output: process.stdout, errors: process.stderr, signal });
  } finally {
    server.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`echo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
