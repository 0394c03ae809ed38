/**
 * Lets those who wait for a descriptor know that `lio-poller/io` closes it in this thread. Neither side imports the other,
 * so that `lio-poller/io` works without a poller.
 */

/** What is called around a close. Neither may throw, nor call back into a program. */
export interface CloseListener {
  /** The descriptor is about to be closed. That can still fail. */
  closing(fd: number): void;
  /** The number is free, or another file's. */
  closed(fd: number): void;
}

let listener: CloseListener | undefined;

/** Has a listener called around every close, in place of an earlier one. */
export function listenForCloses(replacement: CloseListener): void {
  listener = replacement;
}

/** To be called before a descriptor is closed. */
export function closing(fd: number): void {
  listener?.closing(fd);
}

/** To be called after a descriptor was closed. */
export function closed(fd: number): void {
  listener?.closed(fd);
}
