/** Another order of a list, by a seed. */
import { Sequence } from "./faults.js";

export class Shuffle {
  readonly #random: Sequence;

  constructor(seed: number) {
    this.#random = new Sequence(seed);
  }

  /** Puts the list into another order, every one equally likely. */
  apply(list: unknown[]): void {
    for (let left = list.length; left > 1; left--) {
      const other = this.#random.below(left);
      [list[left - 1], list[other]] = [list[other], list[left - 1]];
    }
  }
}
