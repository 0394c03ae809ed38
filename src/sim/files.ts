/**
 * The files of a simulated process and the calls that make and use them: `lio-poller/io` without a kernel. Pipes,
 * AF_UNIX and TCP sockets in pairs, eventfds and regular files are modelled; addresses and datagrams are not.
 */
import { isUint8Array } from "node:util/types";
import { invalidType, invalidValue, namedError, outOfRange } from "../errors.js";
import { WOULD_BLOCK, type Description } from "./description.js";
import { DESCRIPTOR_LIMIT, type Descriptors } from "./descriptors.js";

const MAXIMUM_FD = 0x7fff_ffff;
const MAXIMUM_COUNT = 0xffff_ffff;
const MAXIMUM_BYTE = 0xff;

/**
 * System calls on simulated descriptors: the functions of `lio-poller/io` that need no address, with the same
 * arguments, results and errors. Descriptors are numbered from 3, the lowest free first, and are non-blocking from
 * birth. The functions need no `this`.
 *
 * All of them throw Node's `ERR_INVALID_ARG_TYPE` or `ERR_OUT_OF_RANGE` for arguments that cannot be, before anything
 * happens, and a `PollerError` with the kernel's code for what the kernel would refuse: `EBADF` for a descriptor that
 * is not open, `EMFILE` when all 1,048,576 numbers are taken.
 */
export interface SimulatedIo {
  /** Makes a pipe: pipe(2). */
  pipe(): [readEnd: number, writeEnd: number];

  /**
   * Makes two connected AF_UNIX stream sockets: socketpair(2).
   *
   * @throws {PollerError} `ENOTSUP` for `"datagram"`, which is not modelled.
   */
  socketpair(type?: "stream" | "datagram"): [number, number];

  /**
   * Makes an eventfd whose counter starts at `initial`, from 0 to 2³² − 1: eventfd(2).
   *
   * @throws {PollerError} `ENOSYS` where the simulated system has none: on OpenBSD, DragonFly and macOS.
   */
  eventfd(initial?: number): number;

  /**
   * Makes two TCP sockets that are connected to each other. Not part of `lio-poller/io`: on a real kernel `listen`,
   * `connect` and `accept`.
   */
  tcpPair(): [number, number];

  /**
   * Opens a new, empty regular file, which epoll refuses with EPERM and kqueue finds writable and never readable. Reads
   * are at its end; writes go nowhere. Not part of `lio-poller/io`: on a real kernel open any file.
   */
  regular(): number;

  /**
   * Reads into a part of the buffer, by default all of it: read(2). Returns the count, 0 at the end of the file, or
   * `WOULD_BLOCK` (−1).
   *
   * @throws {PollerError} `EBADF` also for the write end of a pipe; `ECONNRESET` once if the peer of a socket closed
   * without reading all; `EINVAL` for fewer than 8 bytes of an eventfd.
   */
  read(fd: number, buffer: Uint8Array, offset?: number, length?: number): number;

  /**
   * Writes a part of the buffer, by default all of it: write(2). Returns the count, which may be less than asked, or
   * `WOULD_BLOCK` (−1).
   *
   * @throws {PollerError} `EBADF` also for the read end of a pipe; `EPIPE` if nobody can read any more; `EINVAL` for
   * other than 8 bytes to an eventfd, or its value 2⁶⁴ − 1.
   */
  write(fd: number, buffer: Uint8Array, offset?: number, length?: number): number;

  /**
   * Sends a byte, 0 to 255, as urgent data: send(2) with MSG_OOB. Returns 1, or `WOULD_BLOCK` (−1).
   *
   * @throws {PollerError} `EPIPE`, `ECONNRESET`; `ENOTSUP` for an AF_UNIX socket, whose urgent data is not modelled;
   * `ENOTSOCK` for anything but a socket.
   */
  sendUrgent(fd: number, byte: number): number;

  /**
   * Takes the urgent byte: recv(2) with MSG_OOB. Returns the byte.
   *
   * @throws {PollerError} `EINVAL` if there is none; `ENOTCONN` after a reset; `ENOTSUP`, `ENOTSOCK` as `sendUrgent`.
   */
  receiveUrgent(fd: number): number;

  /**
   * Ends one direction of a socket, or both: shutdown(2).
   *
   * @throws {PollerError} `ENOTSOCK` for anything but a socket.
   */
  shutdown(fd: number, how: "read" | "write" | "both"): void;

  /**
   * The readiness that holds now, in the bits of poll(2) that epoll(7) has, too: IN 0x1, PRI 0x2, OUT 0x4, ERR 0x8,
   * HUP 0x10, RDHUP 0x2000. Whoever watches the descriptor learns nothing of it. Not part of `lio-poller/io`.
   */
  poll(fd: number): number;

  /**
   * Sets or clears O_NONBLOCK, which duplicates share. A read or write that blocks lets virtual time pass until what
   * was scheduled ends it, and throws if nothing does.
   */
  setNonBlocking(fd: number, enabled: boolean): void;

  /**
   * Duplicates a descriptor: dup(2), or dup3(2) to the number `onto`, which is closed first if it is open.
   *
   * @throws {PollerError} `EINVAL` if both numbers are the same; `EBADF` if `onto` cannot be a descriptor's number.
   */
  dup(fd: number, onto?: number): number;

  /** Closes a descriptor: close(2). */
  close(fd: number): void;
}

/** Makes the files of a kernel's kind. */
export interface Files<File extends Description> {
  /** What a file is ready for now: poll(2). */
  poll(file: File): number;
  pipe(): [reader: File, writer: File];
  socketpair(): [File, File];
  tcpPair(): [File, File];
  /** Throws if the kernel has no eventfds. */
  eventfd(initial: number): File;
  regular(): File;
}

/**
 * Makes the calls on a table of descriptors.
 *
 * @param files What the kernel's files are.
 * @param block Called when a blocking call cannot go on: lets time pass until something has happened, or throws.
 */
export function createIo<File extends Description>(
  files: Files<File>,
  descriptors: Descriptors<File>,
  block: (syscall: string) => void,
): SimulatedIo {
  return {
    pipe: () => addPair(descriptors, files.pipe(), "pipe"),

    socketpair(type = "stream") {
      checkChoice("type", type, ["stream", "datagram"]);
      if (type === "datagram") throw namedError("ENOTSUP", "socketpair", "simulated sockets are streams");
      return addPair(descriptors, files.socketpair(), "socketpair");
    },

    eventfd(initial = 0) {
      checkInteger("initial", initial, 0, MAXIMUM_COUNT);
      return descriptors.add(files.eventfd(initial), "eventfd");
    },

    tcpPair: () => addPair(descriptors, files.tcpPair(), "tcpPair"),

    regular: () => descriptors.add(files.regular(), "regular"),

    read(fd, buffer, offset, length) {
      checkFd("fd", fd);
      const bytes = part(buffer, offset, length);
      return read(descriptors.get(fd, "read"), bytes, block);
    },

    write(fd, buffer, offset, length) {
      checkFd("fd", fd);
      const bytes = part(buffer, offset, length);
      return write(descriptors.get(fd, "write"), bytes, block);
    },

    sendUrgent(fd, byte) {
      checkFd("fd", fd);
      checkInteger("byte", byte, 0, MAXIMUM_BYTE);
      const description = descriptors.get(fd, "sendUrgent");
      let count = description.sendUrgent(byte);
      while (count === WOULD_BLOCK && !description.nonBlocking) {
        block("sendUrgent");
        count = description.sendUrgent(byte);
      }
      return count;
    },

    receiveUrgent(fd) {
      checkFd("fd", fd);
      return descriptors.get(fd, "receiveUrgent").receiveUrgent();
    },

    shutdown(fd, how) {
      checkFd("fd", fd);
      checkChoice("how", how, ["read", "write", "both"]);
      descriptors.get(fd, "shutdown").shutdown(how);
    },

    poll(fd) {
      checkFd("fd", fd);
      return files.poll(descriptors.get(fd, "poll"));
    },

    setNonBlocking(fd, enabled) {
      checkFd("fd", fd);
      if (typeof enabled !== "boolean") throw invalidType("enabled", "of type boolean", enabled);
      descriptors.get(fd, "setNonBlocking").nonBlocking = enabled;
    },

    dup(fd, onto) {
      checkFd("fd", fd);
      if (onto === undefined) return descriptors.add(descriptors.get(fd, "dup"), "dup");

      checkFd("onto", onto);
      if (fd === onto) throw namedError("EINVAL", "dup");
      if (onto < 0 || onto >= DESCRIPTOR_LIMIT) throw namedError("EBADF", "dup");
      descriptors.replace(onto, descriptors.get(fd, "dup"));
      return onto;
    },

    close(fd) {
      checkFd("fd", fd);
      descriptors.close(fd);
    },
  };
}

function addPair<File extends Description>(
  descriptors: Descriptors<File>,
  pair: [File, File],
  syscall: string,
): [number, number] {
  const first = descriptors.add(pair[0], syscall);
  try {
    return [first, descriptors.add(pair[1], syscall)];
  } catch (error) {
    descriptors.close(first);
    throw error;
  }
}

function read(description: Description, bytes: Uint8Array, block: (syscall: string) => void): number {
  let count = description.read(bytes);
  while (count === WOULD_BLOCK && !description.nonBlocking) {
    block("read");
    count = description.read(bytes);
  }
  return count;
}

/** A blocking write goes on until all is written: pipe(7), "PIPE_BUF". */
function write(description: Description, bytes: Uint8Array, block: (syscall: string) => void): number {
  let count = description.write(bytes);
  while (!description.nonBlocking && count < bytes.length) {
    block("write");
    count = Math.max(0, count);
    try {
      count += Math.max(0, description.write(bytes.subarray(count)));
    } catch (error) {
      // An error is kept for the next call if this one has written something.
      if (count > 0) return count;
      throw error;
    }
  }
  return count;
}

function part(buffer: Uint8Array, offset = 0, length?: number): Uint8Array {
  if (!isUint8Array(buffer)) throw invalidType("buffer", "an instance of Uint8Array", buffer);
  checkInteger("offset", offset, 0, buffer.length);
  const rest = buffer.length - offset;
  const count = length === undefined ? rest : length;
  checkInteger("length", count, 0, rest);
  // A view of our own: Node's Buffer is a Uint8Array whose slice() does not copy.
  return new Uint8Array(buffer.buffer, buffer.byteOffset + offset, count);
}

/** Negative numbers pass: no table holds them, so they are EBADF, as every descriptor that is not open. */
function checkFd(name: string, fd: number): void {
  if (typeof fd !== "number") throw invalidType(name, "of type number", fd);
  if (Number.isInteger(fd) && fd <= MAXIMUM_FD) return;
  throw outOfRange(name, `an integer <= ${MAXIMUM_FD}`, fd);
}

function checkInteger(name: string, value: number, minimum: number, maximum: number): void {
  if (typeof value !== "number") throw invalidType(name, "of type number", value);
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return;
  throw outOfRange(name, `an integer >= ${minimum} and <= ${maximum}`, value);
}

function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (typeof value !== "string") throw invalidType(name, "of type string", value);
  if (choices.includes(value)) return;
  throw invalidValue(name, `one of ${choices.map((choice) => JSON.stringify(choice)).join(", ")}`, value);
}
