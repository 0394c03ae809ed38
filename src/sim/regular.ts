/** A regular file that is new and empty. Nobody can seek in it, so its reader is always at its end. */
import { Description, IN, OUT } from "./description.js";

class RegularFile extends Description {
  /** Its I/O never waits, so epoll_ctl(2) refuses it with EPERM. */
  override readonly pollable = false;

  poll(): number {
    return IN | OUT;
  }

  read(): number {
    return 0;
  }

  write(buffer: Uint8Array): number {
    return buffer.length;
  }
}

/** Makes an open regular file. */
export function createRegularFile(): Description {
  return new RegularFile();
}
