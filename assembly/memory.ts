/**
 * The core's memory: blocks of a power of two, each size with a list of its free ones.
 *
 * Sizes are known to whoever releases a block, so none is stored. Unlike AssemblyScript's own allocator it answers 0
 * when the memory cannot grow, so that running out is an error like any other and not a trap.
 */

const SMALLEST_ORDER: u32 = 6;
const PAGE_SIZE: u64 = 65536;

// One head a power of two: the address of the first free block, whose first word is the address of the next.
const freeBlocks = memory.data(32 * sizeof<u32>(), 8);

let top: usize = 0;
let bytesInUse: u32 = 0;

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
function orderOf(size: u32): u32 {
  return size <= 1 << SMALLEST_ORDER ? SMALLEST_ORDER : 32 - clz(size - 1);
}

/** At least `size` bytes, at most 2 GiB, aligned to 16; or 0 if there are none. Their content is arbitrary. */
export function allocate(size: u32): usize {
  const order = orderOf(size);
  if (order > 31) return 0;
  const head = freeBlocks + ((<usize>order) << 2);
  let block = <usize>load<u32>(head);
  if (block != 0) {
    store<u32>(head, load<u32>(block));
  } else {
    block = extend(1 << order);
    if (block == 0) return 0;
  }
  bytesInUse += 1 << order;
  return block;
}

/** Gives back what `allocate(size)` answered. */
export function release(block: usize, size: u32): void {
  const order = orderOf(size);
  const head = freeBlocks + ((<usize>order) << 2);
  store<u32>(block, load<u32>(head));
  store<u32>(head, <u32>block);
  bytesInUse -= 1 << order;
}

/** The sizes of all blocks that were allocated and not released. */
export function inUse(): u32 {
  return bytesInUse;
}

function extend(size: u32): usize {
  if (top == 0) top = (__heap_base + 15) & ~15;
  const end = <u64>top + size;
  // The last byte of 4 GiB is left alone: the end of memory must be an address.
  if (end > u32.MAX_VALUE) return 0;
  const available = <u64>memory.size() * PAGE_SIZE;
  if (end > available) {
    const missing = (end - available + PAGE_SIZE - 1) / PAGE_SIZE;
    if (memory.grow(<i32>missing) < 0) return 0;
  }
  const block = top;
  top = <usize>end;
  return block;
}
