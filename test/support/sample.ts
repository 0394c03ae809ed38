/**
 * How much of a generated matrix a run takes: `npm test` draws a sample, and `npm run test:matrices` takes all of it.
 *
 * Two variables of the environment say so, both set by `scripts/test.mjs` and `scripts/suite.mjs`. Without them a matrix
 * is whole, so that whatever else runs these files depends on no draw.
 */
import { appendFileSync } from "node:fs";
import { Random } from "./random.js";

/** The seed of the sample; `undefined` for all. An empty one is none, because Deno's children inherit what was taken out. */
const seed = process.env["LIO_POLLER_SAMPLE"] || undefined;
/** The file that is told what was left out, a line each. */
const leftOut = process.env["LIO_POLLER_LEFT_OUT"];

/** Whether matrices are whole. Some assertions hold of a whole matrix only. */
export const isWhole = seed === undefined;

/** So many of the items, in their order; all of them if matrices are whole. */
export function sampled<Item>(what: string, items: readonly Item[], count: number): readonly Item[] {
  if (isWhole || count >= items.length) return items;
  note(what, items.length - count, items.length);
  const random = drawn(what);
  const left = items.map((_, index) => index);
  const taken = Array.from({ length: count }, () => left.splice(random.below(left.length), 1)[0] as number);
  return taken.toSorted((one, other) => one - other).map((index) => items[index] as Item);
}

/** The seeds of random programs: from `first` on, `whole` of them; or so few, drawn from these. */
export function sampledSeeds(what: string, first: number, whole: number, few: number): readonly number[] {
  return sampled(
    what,
    Array.from({ length: whole }, (_, index) => first + index),
    few,
  );
}

/** Numbers that are the same for one matrix in all processes of a run. */
function drawn(what: string): Random {
  let hash = 0;
  for (const letter of `${seed} ${what}`) hash = Math.imul(hash ^ (letter.codePointAt(0) as number), 0x01000193);
  return new Random(hash);
}

function note(what: string, left: number, all: number): void {
  if (leftOut) appendFileSync(leftOut, `${left} of ${all} ${what}\n`);
}
