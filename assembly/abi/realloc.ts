/**
 * The canonical ABI's allocator: `cabi_realloc`.
 *
 * Lists that an import returns land in the kernel's own room, so that no wait allocates; lists that an export takes get
 * a block, which the export gives back.
 */
import { landingFor } from "../kernel";
import { allocate, release } from "../memory";

// @ts-ignore: top-level decorators are AssemblyScript's
@wit("cabi_realloc")
export function realloc(old: usize, oldSize: u32, alignment: u32, size: u32): usize {
  if (size == 0) return alignment;
  const landing = landingFor(size);
  if (landing != 0) return landing;
  const block = allocate(size);
  // The canonical ABI knows no failure here.
  if (block == 0) unreachable();
  if (oldSize != 0) {
    memory.copy(block, old, min(oldSize, size));
    release(old, oldSize);
  }
  return block;
}
