/** A regular file that is new and empty. Nobody can seek in it, so its reader is always at its end. */
import { type Condition, Description, type Filter, type Filtered, IN, OUT, type Polled } from "./description.js";
import type { Particulars } from "./kqueue-flavours.js";
import type { Refusal } from "./refusals.js";

class RegularFile extends Description implements Polled, Filtered {
  /** Its I/O never waits, so epoll_ctl(2) refuses it with EPERM. */
  readonly pollable = false;

  poll(): number {
    return IN | OUT;
  }

  attach(filter: Filter, { exceptOnOthers }: Particulars): Refusal | undefined {
    return filter === "except" ? exceptOnOthers : undefined;
  }

  /**
   * EVFILT_READ "returns when the file pointer is not at the end of file", in every kqueue(2). EVFILT_WRITE "is not
   * supported for vnodes" there; the kernels take it nevertheless and find it true, such as filt_vfswrite() of FreeBSD's
   * sys/kern/vfs_subr.c.
   */
  evaluate(filter: Filter): Condition {
    return { active: filter === "write", end: false, amount: 0n };
  }

  read(): number {
    return 0;
  }

  write(buffer: Uint8Array): number {
    return buffer.length;
  }
}

/** Makes an open regular file. */
export function createRegularFile(): Description & Polled & Filtered {
  return new RegularFile();
}
