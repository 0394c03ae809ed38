/** Bytes that look random, but are the same for the same seed. */

/** Marsaglia's 32-bit xorshift generator. */
export class PseudoRandom {
  #state: number;

  /** @param seed an integer from 0 to 2^32 - 2; each gives other bytes */
  constructor(seed: number) {
    // The multiplier is odd, so no two seeds meet; the state must not be 0, or it stays 0.
    this.#state = Math.imul(seed + 1, 0x9e3779b9);
  }

  fill(words: Uint32Array): void {
    let state = this.#state;
    for (let i = 0; i < words.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    this.#state = state;
  }
}
