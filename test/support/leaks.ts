/** Whether anything that was opened is open still, on every system that tests run on. */
import { Events, Interest, Poller } from "lio-poller";
import { close, socketpair } from "lio-poller/io";
import { openFiles } from "./descriptors.js";
import { native } from "./internals.js";

/**
 * Notes what is open now. The function that it returns tells, whenever it is called, what has been opened since and is
 * open still.
 *
 * @param ofTheSystem so many handles more are nobody's: MinGW's mutexes open one when threads first contend for them
 */
export function watchLeaks(ofTheSystem = 0): () => readonly string[] {
  return native.io.openHandles === undefined ? watchDescriptors() : watchHandles(native.io.openHandles, ofTheSystem);
}

function watchDescriptors(): () => readonly string[] {
  const before = openFiles();
  return () => [...openFiles()].filter(([fd]) => !before.has(fd)).map(([fd, file]) => `${fd} (${file})`);
}

/** Windows tells a process how many handles it has, and no more. */
function watchHandles(count: () => number, ofTheSystem: number): () => readonly string[] {
  openWhatStays();
  const before = count();
  return () => {
    const more = count() - before;
    return more > ofTheSystem ? [`${more} handles`] : [];
  };
}

let isOpen = false;

/** Uses everything once: what the system opens for that, it keeps. */
function openWhatStays(): void {
  if (isOpen) return;
  isOpen = true;
  const [fd, peer] = socketpair();
  using poller = new Poller();
  poller.notify();
  poller.add(fd, 1, Interest.WRITABLE);
  poller.wait(new Events(1));
  close(fd);
  close(peer);
}
