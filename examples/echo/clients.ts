/**
 * The clients' process, which main.ts starts: it runs the job of its only argument and reports over IPC.
 *
 * It exits with 1 if a client failed. It ends as well when the other process does, however that happens.
 */
import { Client } from "./client.js";
import type { Job, Report } from "./job.js";

/** Milliseconds between reports. */
const REPORT_INTERVAL = 100;

function main(job: Job): void {
  // Ctrl-C reaches both processes. The other one decides what becomes of it.
  process.on("SIGINT", () => {});
  process.on("disconnect", () => process.exit(1));

  const began = performance.now();
  let open = job.clients;
  const onOver = (): void => {
    if (--open > 0) return;
    clearInterval(timer);
    finish(reportOf(clients, performance.now() - began), clients);
  };
  const clients = Array.from({ length: job.clients }, (_, i) => new Client(i, job, onOver));
  // Tells that the process has started.
  send(reportOf(clients, 0));
  const timer = setInterval(
    () => {
      for (const client of clients) client.checkProgress();
      if (open > 0) send(reportOf(clients, performance.now() - began));
    },
    Math.min(REPORT_INTERVAL, job.timeout * 250),
  );
}

/** A report that nobody reads any more is no mistake: without a callback it would be thrown as one. */
function send(report: Report, onSent: () => void = () => {}): void {
  process.send!(report, onSent);
}

function reportOf(clients: readonly Client[], elapsed: number): Report {
  const report = { connected: 0, finished: 0, failed: 0, messages: 0, bytes: 0, elapsed };
  for (const { connected, state, messages, bytes } of clients) {
    if (connected) report.connected++;
    if (state === "finished") report.finished++;
    if (state === "failed") report.failed++;
    report.messages += messages;
    report.bytes += bytes;
  }
  return report;
}

function finish(report: Report, clients: readonly Client[]): void {
  const failures = clients.flatMap(({ failure }) => failure ?? []);
  process.exitCode = failures.length === 0 ? 0 : 1;
  process.removeAllListeners("disconnect");
  send({ ...report, failures }, () => process.disconnect());
}

const argument = process.argv[2];
if (process.send === undefined || argument === undefined) {
  console.error("This is a part of the echo example: main.js starts it.");
  process.exitCode = 2;
} else {
  main(JSON.parse(argument) as Job);
}
