/** What a run came to, in lines of a name and its figures. */
import type { PollerStats } from "lio-poller";
import type { Job, Report } from "./job.js";
import { count, mebibytes, ratio, seconds } from "./numbers.js";
import type { ServerCounts } from "./server.js";

/** @param stats the poller's, whose events and waits include those that found nothing but the end of a connection */
export function summary(job: Job, report: Report, counts: ServerCounts, stats: PollerStats): string {
  const rearms = stats.rearmsMade + stats.rearmsLeftOut;
  const time = report.elapsed / 1000;
  const lines = [
    ["connections", `${count(counts.accepted)} accepted, ${count(counts.failed)} failed at the server`],
    ["clients", `${count(report.finished)} of ${count(job.clients)} finished, ${count(report.failed)} failed`],
    ["messages", `${count(report.messages)} of ${count(job.clients * job.messages)} came back, every byte checked`],
    ["bytes", `${count(report.bytes)} came back; the server wrote ${count(counts.bytesWritten)}`],
    ["partial writes", `${count(counts.partialWrites)} times bytes had to wait for the client`],
    ["events", `${count(stats.events)}, ${ratio(stats.events, stats.waits).toFixed(1)} per wait`],
    ["waits", `${count(stats.waits)}; the kernel was asked to wait ${count(stats.kernelWaits)} times`],
    [
      "re-arming",
      `${count(stats.rearmsMade)} system calls made, ${count(stats.rearmsLeftOut)} left out${share(stats.rearmsLeftOut, rearms)}`,
    ],
    ["changes", `${count(stats.changes)} system calls in all to add, change and delete`],
    [
      "throughput",
      `${count(ratio(report.messages, time))} messages/s, ${mebibytes(ratio(report.bytes, time))}/s each way`,
    ],
    ["elapsed", seconds(report.elapsed)],
  ] as const;
  return lines.map(([name, figures]) => `${name.padEnd(16)}${figures}\n`).join("");
}

function share(part: number, whole: number): string {
  return whole === 0 ? "" : ` (${((100 * part) / whole).toFixed(1)} %)`;
}
