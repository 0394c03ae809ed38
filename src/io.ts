/**
 * Descriptors to poll: creating them, moving bytes through them, and closing them. These are thin covers over the
 * system calls of the same names, for programs and tests that have no other way to a raw descriptor. They keep no
 * state; who creates a descriptor closes it.
 *
 * Every descriptor is created non-blocking and close-on-exec, so that no call here blocks unless `setNonBlocking` has
 * said otherwise. A failed call throws a {@link PollerError} with the kernel's `code`, Node's negative `errno`, and the
 * name of the function here as `syscall`. Wrong arguments throw before anything happens: `ERR_INVALID_ARG_TYPE`,
 * `ERR_OUT_OF_RANGE` or `ERR_INVALID_ARG_VALUE`. An `fd` is an integer below 2^31; one that is not open, or is below
 * zero, is `EBADF`. Whatever creates a descriptor can meet the limits of the process (`EMFILE`) and of the system
 * (`ENFILE`, `ENOMEM`, `ENOBUFS`).
 *
 * On Windows a descriptor is a SOCKET, an integer up to 2^53 - 1. What is no socket cannot be made there (`ENOTSUP`),
 * and a handle of another kind is `ENOTSOCK`.
 *
 * @module lio-poller/io
 */
import { isIP } from "node:net";
import { isUint8Array } from "node:util/types";
import { closed, closing } from "./closing.js";
import { invalidType, invalidValue, outOfRange, systemError, systemErrorNumber, type PollerError } from "./errors.js";
import { native } from "./native.js";

const { io } = native;
const EAGAIN = systemErrorNumber("EAGAIN");
const EBADF = systemErrorNumber("EBADF");

/** What `read`, `write` and `accept` return when the descriptor is not ready. */
export const WOULD_BLOCK = -1;

/**
 * Where a socket listens or connects to: a TCP port (0 to 65535), or a Unix socket in the file system. `host` is a
 * literal IPv4 or IPv6 address, a link-local one with its zone (`fe80::1%eth0`); names are not resolved.
 */
export type Address =
  | {
      /** A literal address; to listen on all, `"0.0.0.0"` or `"::"`. */
      host: string;
      /** From 0 to 65535. */
      port: number;
    }
  | {
      /** The path of the socket's file. */
      path: string;
    };

/**
 * Makes a pipe: pipe(2). Not on Windows.
 *
 * @throws {PollerError} `EMFILE`, `ENFILE`, `ENOTSUP`.
 */
export function pipe(): [readEnd: number, writeEnd: number] {
  const pair = new Float64Array(2);
  succeed(io.pipe(pair), "pipe");
  return descriptors(pair);
}

/**
 * Makes two Unix sockets that are connected to each other: socketpair(2). On Windows they are TCP or UDP sockets of
 * 127.0.0.1, which nobody else can join; making them takes longer than elsewhere if somebody tries.
 *
 * @param type `"stream"` unless said; `"datagram"` keeps the boundaries of messages.
 * @throws {PollerError} `EMFILE`, `ENFILE`.
 */
export function socketpair(type: "stream" | "datagram" = "stream"): [number, number] {
  checkChoice("type", type, ["stream", "datagram"]);
  const pair = new Float64Array(2);
  succeed(io.socketpair(type === "datagram", pair), "socketpair");
  return descriptors(pair);
}

/**
 * Makes a counter: eventfd(2). Reading takes its value, 8 bytes in the machine's order, and sets it to zero; writing
 * 8 bytes adds to it. Linux, FreeBSD and NetBSD.
 *
 * @param initial The counter's value, 0 unless said, to 2^32 - 1.
 * @returns The descriptor.
 * @throws {PollerError} `EMFILE`, `ENFILE`, `ENOTSUP`.
 */
export function eventfd(initial = 0): number {
  checkInteger("initial", initial, 0, 0xffff_ffff);
  return succeed(io.eventfd(initial), "eventfd");
}

/**
 * Makes a stream socket that listens: socket(2), bind(2), listen(2).
 *
 * TCP sockets get `SO_REUSEADDR`, except on Windows, where it would let others take the port; port 0 takes any free
 * one, which `localAddress` tells. Whether an IPv6 wildcard takes IPv4 as well is the system's setting. A Unix socket's
 * file is created here and stays when the socket is closed: removing it is the caller's, and while it is there its path
 * is in use.
 *
 * @param options.backlog How many connections may wait to be accepted, 0 to 2^31 - 1, 511 unless said; the system may
 *   have a lower limit.
 * @returns The descriptor.
 * @throws {PollerError} `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`; `EINVAL` for a zone that does not exist; with a path
 *   also `ENAMETOOLONG` (Linux: more than 107 bytes), `ENOENT`, `ENOTDIR`; `ENOTSUP` on Windows.
 */
export function listen(address: Address, options: { backlog?: number } = {}): number {
  const target = checkAddress(address);
  const backlog = checkBacklog(options);
  const result = io.listen(target.hostOrPath, target.port, backlog);
  return result >= 0 ? result : fail(result, "listen", describe(target));
}

/**
 * The address that a socket is bound to: getsockname(2). The path of a Unix socket that is not bound is empty; that of
 * an abstract one begins with a NUL.
 *
 * @throws {PollerError} `EBADF`, `ENOTSOCK`; `EAFNOSUPPORT` if the socket is neither TCP, UDP nor Unix.
 */
export function localAddress(fd: number): Address {
  checkFd(fd, "localAddress");
  const address = {};
  succeed(io.localAddress(fd, address), "localAddress");
  return address as Address;
}

/**
 * Takes the next connection of a listening socket: accept4(2).
 *
 * @returns A descriptor, or `WOULD_BLOCK` if no connection waits.
 * @throws {PollerError} `EBADF`, `ENOTSOCK`, `EINVAL` (not listening), `EMFILE`, `ENFILE`; `ECONNABORTED`, and on
 *   Linux any error of the network, if the connection ended before it was taken: accept again.
 */
export function accept(fd: number): number {
  checkFd(fd, "accept");
  return succeedOrWouldBlock(io.accept(fd), "accept");
}

/**
 * Makes a stream socket and starts to connect it: socket(2), connect(2).
 *
 * @returns A descriptor whose connection may still be in progress: wait until it is writable, then ask
 *   `pendingError` how it ended.
 * @throws {PollerError} What is known at once, for instance `ECONNREFUSED`, `ENETUNREACH`, `EADDRNOTAVAIL`, `EINVAL`
 *   for a zone that does not exist; with a path `ENOENT`, `EACCES`, `ENAMETOOLONG` (Linux: more than 107 bytes), and
 *   `EAGAIN` while the listener's backlog is full, of which no readiness tells the end; `ENOTSUP` on Windows.
 */
export function connect(address: Address): number {
  const target = checkAddress(address);
  const result = io.connect(target.hostOrPath, target.port);
  return result >= 0 ? result : fail(result, "connect", describe(target));
}

/**
 * Takes the error that is pending on a socket: `SO_ERROR` of getsockopt(2). Asking consumes it.
 *
 * @returns How a connect has failed, or what has happened to a connection since, such as `ECONNREFUSED` or
 *   `ECONNRESET`; `undefined` if nothing has.
 * @throws {PollerError} `EBADF`, `ENOTSOCK`.
 */
export function pendingError(fd: number): PollerError | undefined {
  checkFd(fd, "pendingError");
  const errno = succeed(io.pendingError(fd), "pendingError");
  return errno === 0 ? undefined : systemError(errno, "pendingError");
}

/**
 * Reads what is there: read(2). Blocks only if the descriptor has been made blocking.
 *
 * @param offset Where in the buffer the bytes go, 0 unless said.
 * @param length How many bytes at most, the rest of the buffer unless said. A length of 0 returns 0, which then does
 *   not mean the end of the file.
 * @returns The count of bytes, 0 at the end of the file, or `WOULD_BLOCK`.
 * @throws {PollerError} `EBADF` (also: not open for reading), `ECONNRESET`, `ENOTCONN`, `EISDIR`, `EIO`; `EINVAL` for
 *   an eventfd and fewer than 8 bytes.
 */
export function read(fd: number, buffer: Uint8Array, offset?: number, length?: number): number {
  checkFd(fd, "read");
  const start = checkOffset(buffer, offset);
  const count = checkLength(buffer, start, length);
  return succeedOrWouldBlock(io.read(fd, buffer, start, count), "read");
}

/**
 * Writes what fits: send(2) for a socket, else write(2). Blocks only if the descriptor has been made blocking. Never
 * raises SIGPIPE, whatever the program does with that signal.
 *
 * @param offset Where in the buffer the bytes begin, 0 unless said.
 * @param length How many bytes at most, the rest of the buffer unless said.
 * @returns The count of bytes taken, which may be less than `length`, or `WOULD_BLOCK`.
 * @throws {PollerError} `EBADF` (also: not open for writing), `EPIPE` (nobody will read), `ECONNRESET`, `ENOTCONN`,
 *   `ENOSPC`, `EIO`; `EMSGSIZE` for a datagram that is too long; `EINVAL` for an eventfd and fewer than 8 bytes.
 */
export function write(fd: number, buffer: Uint8Array, offset?: number, length?: number): number {
  checkFd(fd, "write");
  const start = checkOffset(buffer, offset);
  const count = checkLength(buffer, start, length);
  return succeedOrWouldBlock(io.write(fd, buffer, start, count), "write");
}

/**
 * Sends one byte as urgent data, which its receiver's `Interest.PRIORITY` reports: send(2) with `MSG_OOB`. TCP
 * keeps one urgent byte at a time. Never raises SIGPIPE.
 *
 * @param byte 0 to 255.
 * @returns 1, or `WOULD_BLOCK`.
 * @throws {PollerError} `EBADF`, `ENOTSOCK`, `EPIPE`, `ECONNRESET`, `ENOTCONN`; `ENOTSUP` if this kind of socket has no
 *   urgent data, as Unix ones have none but on newer Linux.
 */
export function sendUrgent(fd: number, byte: number): number {
  checkFd(fd, "sendUrgent");
  checkInteger("byte", byte, 0, 255);
  return succeedOrWouldBlock(io.sendUrgent(fd, byte), "sendUrgent");
}

/**
 * Takes the urgent byte, wherever in the stream it is: recv(2) with `MSG_OOB`. Never blocks. Whoever reads past its place
 * instead has passed it over.
 *
 * @returns The byte, or `WOULD_BLOCK` if it is announced and has not arrived.
 * @throws {PollerError} `EBADF`, `ENOTSOCK`; `EINVAL` if there is none; `ENOTCONN`; `ENOTSUP` as {@link sendUrgent}.
 */
export function receiveUrgent(fd: number): number {
  checkFd(fd, "receiveUrgent");
  return succeedOrWouldBlock(io.receiveUrgent(fd), "receiveUrgent");
}

/**
 * Ends one direction of a connection, or both, without closing the descriptor: shutdown(2).
 *
 * @throws {PollerError} `EBADF`, `ENOTSOCK`, `ENOTCONN`.
 */
export function shutdown(fd: number, how: "read" | "write" | "both"): void {
  checkFd(fd, "shutdown");
  succeed(io.shutdown(fd, checkChoice("how", how, ["read", "write", "both"])), "shutdown");
}

/**
 * Lets calls on a descriptor block, or not: `O_NONBLOCK` of fcntl(2). The flag is shared with the descriptor's
 * duplicates, in other processes too.
 *
 * @throws {PollerError} `EBADF`.
 */
export function setNonBlocking(fd: number, enabled: boolean): void {
  checkFd(fd, "setNonBlocking");
  if (typeof enabled !== "boolean") throw invalidType("enabled", "of type boolean", enabled);
  succeed(io.setNonBlocking(fd, enabled), "setNonBlocking");
}

/**
 * Duplicates a descriptor: another number for the same open file, close-on-exec, and blocking or not as the original,
 * whose flag it shares.
 *
 * @param onto The number to take, as dup3(2): what was open there is closed first, its errors unheard, and pending waits
 *   for it end as {@link close} says. Not on Windows. Default: the lowest free number.
 * @returns The new number.
 * @throws {PollerError} `EBADF` (also: `onto` is below zero or beyond the limit of the process), `EMFILE`; `EINVAL` if
 *   `onto` is `fd`; `EBUSY` if another thread is just opening `onto`; `ENOTSUP`.
 */
export function dup(fd: number, onto?: number): number {
  checkFd(fd, "dup");
  if (onto === undefined) return succeed(io.dup(fd), "dup");
  checkFd(onto, "dup", "onto");
  const result = succeed(io.dupOnto(fd, onto), "dup");
  closed(onto);
  return result;
}

/**
 * Closes a descriptor: close(2). Its number is free afterwards even if this throws, unless the error is `EBADF`, so
 * closing is never to be tried again. Delete a descriptor from its poller first.
 *
 * Pending waits of this thread for the descriptor, by `readable` and `writable`, reject with `EBADF` at once. Callbacks and
 * iterations of `watch` end with it too, callbacks in a later turn of the event loop. Nothing ends if this throws `EBADF`.
 *
 * @throws {PollerError} `EBADF`; `EIO`, `ENOSPC`, `EDQUOT` if earlier writes to a file turn out to have failed.
 */
export function close(fd: number): void {
  checkFd(fd, "close");
  closing(fd);
  const result = io.close(fd);
  if (result !== -EBADF) closed(fd);
  succeed(result, "close");
}

// Results

function succeed(result: number, syscall: string): number {
  return result >= 0 ? result : fail(result, syscall);
}

function succeedOrWouldBlock(result: number, syscall: string): number {
  if (result >= 0) return result;
  return result === -EAGAIN ? WOULD_BLOCK : fail(result, syscall);
}

function fail(result: number, syscall: string, detail?: string): never {
  throw systemError(-result, syscall, detail);
}

function descriptors(pair: Float64Array): [number, number] {
  return [pair[0]!, pair[1]!];
}

/** An address as the native functions take it. */
interface NativeAddress {
  readonly hostOrPath: string;
  readonly port: number;
}

/** The port of an address that is a path. */
const NO_PORT = -1;

function describe({ hostOrPath, port }: NativeAddress): string {
  if (port === NO_PORT) return hostOrPath;
  return isIP(hostOrPath) === 6 ? `[${hostOrPath}]:${port}` : `${hostOrPath}:${port}`;
}

// Arguments. What is called once per event does no more than a comparison or two when all is well.

const MAXIMUM_INT32 = 0x7fff_ffff;
const LARGEST_DESCRIPTOR = io.largestDescriptor ?? MAXIMUM_INT32;

/** Passes every 32-bit integer: the kernel itself says EBADF to those below zero. */
function checkFd(fd: unknown, syscall: string, name = "fd"): void {
  if (typeof fd === "number" && (fd | 0) === fd) return;
  refuseFd(fd, syscall, name);
}

function refuseFd(fd: unknown, syscall: string, name: string): void {
  if (typeof fd !== "number") throw invalidType(name, "of type number", fd);
  if (Number.isInteger(fd) && fd < 0) throw systemError(EBADF, syscall);
  if (Number.isInteger(fd) && fd <= LARGEST_DESCRIPTOR) return;
  throw outOfRange(name, `an integer <= ${LARGEST_DESCRIPTOR}`, fd);
}

function checkInteger(name: string, value: unknown, minimum: number, maximum: number): void {
  if (typeof value !== "number") throw invalidType(name, "of type number", value);
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return;
  throw outOfRange(name, `an integer >= ${minimum} and <= ${maximum}`, value);
}

function checkOffset(buffer: Uint8Array, offset: number | undefined): number {
  // instanceof is the quicker question, but knows only this realm's arrays.
  if (!(buffer instanceof Uint8Array) && !isUint8Array(buffer)) {
    throw invalidType("buffer", "an instance of Uint8Array", buffer);
  }
  if (offset === undefined) return 0;
  checkInteger("offset", offset, 0, buffer.length);
  return offset;
}

function checkLength(buffer: Uint8Array, offset: number, length: number | undefined): number {
  const room = buffer.length - offset;
  if (length === undefined) return room;
  checkInteger("length", length, 0, room);
  return length;
}

/** The place of a value among the choices. */
function checkChoice(name: string, value: unknown, choices: readonly string[]): number {
  if (typeof value !== "string") throw invalidType(name, "of type string", value);
  const place = choices.indexOf(value);
  if (place >= 0) return place;
  throw invalidValue(name, `one of ${choices.map((choice) => JSON.stringify(choice)).join(", ")}`, value);
}

function checkBacklog(options: { backlog?: number }): number {
  if (typeof options !== "object" || options === null) throw invalidType("options", "of type object", options);
  const { backlog = 511 } = options;
  checkInteger("options.backlog", backlog, 0, MAXIMUM_INT32);
  return backlog;
}

function checkAddress(address: Partial<Record<"host" | "port" | "path", unknown>>): NativeAddress {
  if (typeof address !== "object" || address === null) throw invalidType("address", "of type object", address);
  const { host, port, path } = address;
  if (path === undefined) return { hostOrPath: checkHost(host), port: checkPort(port) };
  if (host === undefined && port === undefined) return { hostOrPath: checkPath(path), port: NO_PORT };
  throw invalidValue("address", "a host with a port, or a path, not both", address);
}

function checkHost(host: unknown): string {
  if (typeof host !== "string") throw invalidType("address.host", "of type string", host);
  if (isIP(host) === 0) throw invalidValue("address.host", "a literal IPv4 or IPv6 address", host);
  return host;
}

function checkPort(port: unknown): number {
  checkInteger("address.port", port, 0, 65535);
  return port as number;
}

function checkPath(path: unknown): string {
  if (typeof path !== "string") throw invalidType("address.path", "of type string", path);
  // To Linux these would be an address of its own choice, and an abstract or a shortened name: see unix(7).
  if (path === "" || path.includes("\0"))
    throw invalidValue("address.path", "neither empty nor with a NUL in it", path);
  return path;
}
