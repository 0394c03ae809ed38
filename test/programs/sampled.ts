/** Prints what is taken of a hundred items, and of twenty seeds, in this environment. */
import { sampled, sampledSeeds } from "../support/sample.js";

const items = Array.from({ length: 100 }, (_, index) => index);
console.log(
  JSON.stringify([sampled("items", items, 10), sampledSeeds("programs", 7, 20, 3), sampled("few", [1, 2], 2)]),
);
