/**
 * A new kernel object in place of one that reports what cannot be silenced.
 *
 * Which descriptors still are the files that were registered, the old object tells: deleting succeeds only for those.
 */
import { OK, isEnded } from "./errors";
import * as kernel from "./kernel";
import { Poller } from "./poller";
import { FIRED, PAGE_ENTRIES, REGISTERED, Registration, entryAt, numberOf } from "./registrations";

/** Moves every live registration to a new kernel object. Answers an error if there can be none; nothing changes then. */
export function rebuild(poller: Poller): u32 {
  let error = kernel.create();
  if (error != OK) return error;
  const created = kernel.created;
  if (poller.notifier != 0) error = kernel.attachNotifier(poller.notifier - 1, created);
  if (error != OK) {
    kernel.close(created);
    return error;
  }
  const old = poller.handle;
  poller.handle = created;
  for (let page: u32 = 0; page < poller.pages; page++) {
    const entries = poller.entriesOf(page);
    if (entries == 0) continue;
    takeOut(poller, page, entries, old);
    putIn(poller, page, entries);
  }
  kernel.close(old);
  // A notification that only the old kqueue knew of would be lost with it. An eventfd's is its own, and was attached with it.
  if (kernel.CLOSING_ENDS && poller.notifier != 0) kernel.notify(poller.notifier - 1);
  poller.rebuilds++;
  poller.strayEvents = 0;
  poller.unruly = false;
  return OK;
}

/** A page is never more than a batch. */
function takeOut(poller: Poller, page: u32, entries: usize, handle: u32): void {
  for (let place: u32 = 0; place < PAGE_ENTRIES; place++) {
    const entry = entryAt(entries, place);
    if (isHeld(entry)) kernel.stageDelete(numberOf(page, place), entry.applied, entry.generation);
  }
  const count = kernel.submit(handle);
  poller.changes += count;
  for (let i: u32 = 0; i < count; i++) {
    const error = kernel.verdict(i);
    if (error != OK) leave(poller, kernel.stagedFd(i), isEnded(error) ? OK : error);
  }
}

/** Gives up a registration that cannot be moved, and tells its user why, unless its file is gone. */
function leave(poller: Poller, fd: i32, error: u32): void {
  const entry = poller.find(fd)!;
  entry.applied = kernel.isReported(error) ? kernel.REPORTED : kernel.ABSENT;
  if (error == OK || entry.state & FIRED) return;
  entry.error = error;
  poller.enqueue(fd, entry);
}

function putIn(poller: Poller, page: u32, entries: usize): void {
  for (let place: u32 = 0; place < PAGE_ENTRIES; place++) {
    const entry = entryAt(entries, place);
    if (!isHeld(entry)) continue;
    entry.applied =
      entry.state & FIRED ? kernel.silenced(entry.applied) : kernel.armed(entry.interest, entry.mode, entry.isLate);
    kernel.stageAdd(numberOf(page, place), kernel.ABSENT, entry.applied, entry.generation);
  }
  const count = kernel.submit(poller.handle);
  poller.changes += count;
  for (let i: u32 = 0; i < count; i++) {
    const error = kernel.verdict(i);
    if (error != OK) leave(poller, kernel.stagedFd(i), error);
  }
}

function isHeld(entry: Registration): bool {
  return (entry.state & REGISTERED) != 0 && entry.applied != kernel.ABSENT;
}
