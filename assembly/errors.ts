/**
 * Error codes in one word.
 *
 *   0                     no error
 *   0xE0000000 | tag      a named case of the `error-code` variant of wit/types.wit, by its tag
 *   any other value       `other`, by the host's number
 *
 * Kernels number their errors from 1 up, and Windows from 0xC0000000 and 0x80000000; none reaches 0xE0000000, which
 * NTSTATUS leaves to applications.
 */

/** No error. */
export const OK: u32 = 0;

const NAMED: u32 = 0xe0000000;
const OTHER_TAG: u32 = 20;

export const EBADF: u32 = NAMED | 0;
export const EEXIST: u32 = NAMED | 1;
export const ENOENT: u32 = NAMED | 2;
export const EPERM: u32 = NAMED | 3;
export const EINVAL: u32 = NAMED | 5;
export const ENOMEM: u32 = NAMED | 6;
export const EINTR: u32 = NAMED | 11;
export const ENOTSUP: u32 = NAMED | 12;
export const EPIPE: u32 = NAMED | 15;

/** Reads an `error-code` from memory: the tag at +0, `other`'s number at +4. */
export function loadError(at: usize): u32 {
  const tag: u32 = load<u8>(at);
  return tag == OTHER_TAG ? load<u32>(at, 4) : NAMED | tag;
}

/** Writes an `error-code` to memory. */
export function storeError(at: usize, error: u32): void {
  const named = error >> 8 == NAMED >> 8;
  store<u32>(at, named ? error & 0xff : OTHER_TAG);
  store<u32>(at, named ? 0 : error, 4);
}

/** Whether the kernel says that what it was to change is no longer there. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function isGone(error: u32): bool {
  return error == EBADF || error == ENOENT;
}

/**
 * Whether the kernel, refusing to delete, says that there is nothing to delete: the number names no file any more, or
 * another one, of a kind perhaps that cannot be polled at all.
 */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function isEnded(error: u32): bool {
  return isGone(error) || error == EPERM;
}
