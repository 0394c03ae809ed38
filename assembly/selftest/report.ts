/** Tells the results through WASI, which is all that the self-test asks of a host: fd_write and proc_exit. */

// @ts-ignore: top-level decorators are AssemblyScript's
@external("wasi_snapshot_preview1", "fd_write")
declare function fdWrite(fd: u32, vectors: usize, count: u32, written: usize): u32;
// @ts-ignore: top-level decorators are AssemblyScript's
@external("wasi_snapshot_preview1", "proc_exit")
declare function procExit(status: u32): void;

const STDOUT: u32 = 1;

const text = memory.data(256, 8);
const vector = memory.data(12, 8);
let length: u32 = 0;

let title: string = "";
let isWell: bool = true;
let checks: u32 = 0;
let passed: u32 = 0;
let failed: u32 = 0;

function put(part: string): void {
  for (let i = 0; i < part.length && length < 255; i++) store<u8>(text + length++, <u8>part.charCodeAt(i));
}

function putNumber(number: u32): void {
  if (number >= 10) putNumber(number / 10);
  if (length < 255) store<u8>(text + length++, <u8>(48 + (number % 10)));
}

function line(): void {
  store<u8>(text + length++, 10);
  store<u32>(vector, <u32>text);
  store<u32>(vector, length, 4);
  fdWrite(STDOUT, vector, 1, vector + 8);
  length = 0;
}

/** Begins a test; the one before it is over. */
export function test(name: string): void {
  conclude();
  title = name;
  isWell = true;
  checks = 0;
}

/** Holds a value against what it must be. */
export function equal(actual: u64, expected: u64): void {
  checks++;
  if (actual == expected) return;
  isWell = false;
  put("# check ");
  putNumber(checks);
  put(" of the next: ");
  putNumber(<u32>actual);
  put(", not ");
  putNumber(<u32>expected);
  line();
}

/** Holds a condition to be true. */
export function holds(condition: bool): void {
  equal(condition ? 1 : 0, 1);
}

function conclude(): void {
  if (title.length == 0) return;
  // A test that has checked nothing says nothing.
  const isPassed = isWell && checks > 0;
  if (isPassed) passed++;
  else failed++;
  put(isPassed ? "ok " : "not ok ");
  putNumber(passed + failed);
  put(" ");
  put(title);
  line();
}

/** Ends the last test, prints the tally, and ends the program. */
export function finish(): void {
  conclude();
  putNumber(passed);
  put(" passed, ");
  putNumber(failed);
  put(" failed");
  line();
  procExit(failed == 0 && passed > 0 ? 0 : 1);
}
