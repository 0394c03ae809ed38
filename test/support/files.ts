/**
 * `lio-poller/io` as most tests use it: where a system has neither pipes nor eventfds, sockets of pairs stand in for
 * them. An eventfd's stand-in is readable while it has a datagram; that it counts, these tests do not ask.
 */
import { Events, Interest, Poller } from "lio-poller";
import * as io from "lio-poller/io";
import { native } from "./internals.js";
import { forget } from "./registrations.js";

export { dup, read, socketpair } from "lio-poller/io";

/** Where there is none of these. */
const hasSocketsOnly = native.io.openHandles !== undefined;
/** The other end of what stands in for an eventfd. */
const others = new Map<number, number>();
const byte = Uint8Array.of(1);

function standIn(initial = 0): number {
  const [fd, other] = io.socketpair("datagram");
  others.set(fd, other);
  if (initial !== 0) signal(fd);
  return fd;
}

function signal(fd: number): void {
  write(fd, new Uint8Array(new BigUint64Array([1n]).buffer));
  if (!hasSocketsOnly) return;
  // It arrives soon, not at once.
  using poller = new Poller();
  poller.add(fd, 0, Interest.READABLE);
  poller.wait(new Events(1));
  poller.delete(fd);
}

export const eventfd = hasSocketsOnly ? standIn : io.eventfd;

/** An eventfd that has the number of what was closed last. */
export function successorOf(number: number, initial = 0): number {
  const strangers: number[] = [];
  let fd = eventfd(0);
  // Windows gives numbers out in an order of its own.
  const most = hasSocketsOnly ? 1000 : 0;
  while (!hasNumber(fd, number) && strangers.length < most) {
    strangers.push(fd);
    fd = eventfd(0);
  }
  for (const stranger of strangers) close(stranger);
  if (!hasNumber(fd, number)) throw new Error(`${number} was not given out again, but ${fd}`);
  if (initial !== 0) signal(number);
  return number;
}

/** Whether one of a stand-in's ends, which becomes its first, has that number. */
function hasNumber(fd: number, number: number): boolean {
  if (others.get(fd) === number) {
    others.delete(fd);
    others.set(number, fd);
  }
  return fd === number || others.has(number);
}

/** A number that is no open descriptor's, and that none gets soon. */
export function closedNumber(): number {
  if (hasSocketsOnly) return 2 ** 40;
  const fd = eventfd(0);
  close(fd);
  return fd;
}

export const pipe: typeof io.pipe = hasSocketsOnly
  ? () => {
      const [writeEnd, readEnd] = io.socketpair();
      return [readEnd, writeEnd];
    }
  : io.pipe;

/** An eventfd's stand-in gets a datagram, whatever is written to it. */
export function write(fd: number, data: Uint8Array): number {
  const other = others.get(fd);
  return other === undefined ? io.write(fd, data) : io.write(other, byte);
}

export function close(fd: number): void {
  const other = others.get(fd);
  others.delete(fd);
  if (other !== undefined) io.close(other);
  io.close(fd);
  forget(fd);
}
