/** Numbers as people read them. */

/** `1234567.8` as `1,234,568`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** `part` as a share of `whole`, or 0. */
export function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

/** Bytes in MiB. */
export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** Milliseconds in seconds. */
export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}
