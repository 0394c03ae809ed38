/** Whether anything that was opened is open still, on every system that tests run on. */
import { openFiles } from "./descriptors.js";
import { native } from "./internals.js";

/** Notes what is open now. The function that it returns tells, whenever it is called, what has been opened since and is open still. */
export function watchLeaks(): () => readonly string[] {
  return native.io.openHandles === undefined ? watchDescriptors() : watchHandles(native.io.openHandles);
}

function watchDescriptors(): () => readonly string[] {
  const before = openFiles();
  return () => [...openFiles()].filter(([fd]) => !before.has(fd)).map(([fd, file]) => `${fd} (${file})`);
}

/** Windows tells a process how many handles it has, and no more. */
function watchHandles(count: () => number): () => readonly string[] {
  const before = count();
  return () => {
    const more = count() - before;
    return more > 0 ? [`${more} handles`] : [];
  };
}
