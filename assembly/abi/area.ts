/** Where the results of exports lie until the next call: no call runs while another does. */
import { OK, storeError } from "../errors";

/** As large as the largest result, `statistics`. */
export const area = memory.data(64, 8);

/** Where a result lies that says that a call failed. */
export function failed(error: u32): usize {
  store<u32>(area, 1);
  storeError(area + 4, error);
  return area;
}

/** Where a result lies that has a value. */
export function done(value: u32): usize {
  store<u32>(area, 0);
  store<u32>(area, value, 4);
  return area;
}

/** Where a result lies that has no value but perhaps an error. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function outcome(error: u32): usize {
  if (error != OK) return failed(error);
  store<u32>(area, 0);
  return area;
}
