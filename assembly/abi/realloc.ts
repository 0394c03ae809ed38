/**
 * The canonical ABI's allocator: `cabi_realloc`.
 *
 * It knows no failure, so what is asked for in the ordinary course of things has room of its own: lists that an import
 * returns land in the kernel's, so that no wait allocates, and a batch of changes for `apply` in one here, if it is not
 * longer than a kernel's batch.
 */
import { BATCH, landingFor } from "../kernel";
import { allocate, release } from "../memory";

const CHANGE_BYTES: u32 = 32;

const batch = memory.data(1024 * 32, 8);
let isBatchTaken: bool = false;

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("cabi_realloc")
export function realloc(old: usize, oldSize: u32, alignment: u32, size: u32): usize {
  if (size == 0) return alignment;
  const landing = landingFor(size);
  if (landing != 0) return landing;
  if (oldSize == 0 && size <= BATCH * CHANGE_BYTES && !isBatchTaken) {
    isBatchTaken = true;
    return batch;
  }
  const block = allocate(size);
  if (block == 0) unreachable();
  if (oldSize != 0) {
    memory.copy(block, old, min(oldSize, size));
    giveBack(old, oldSize);
  }
  return block;
}

/** Gives back what `realloc` answered to whoever calls an export. */
export function giveBack(block: usize, size: u32): void {
  if (block == batch) isBatchTaken = false;
  else release(block, size);
}
