/** Tells turns of the event loop apart, so that callbacks come once in a turn. Nothing in a runtime says where one ends. */
import { setImmediate } from "node:timers";
import type { PollPhase } from "../attachment.js";

/** As it is at the import: fake timers that come later leave this one alone. */
const immediately = setImmediate;
/** After so many collections a turn is taken to be over, for fake timers may have been there before the import. */
const MOST_PASSED_OVER = 8;

let turn = 0;
let isWatched = false;

function currentTurn(): number {
  if (!isWatched) {
    isWatched = true;
    immediately(endTurn);
  }
  return turn;
}

function endTurn(): void {
  isWatched = false;
  turn++;
}

/** The turns in which the callbacks of one registration were called. */
export class Turns {
  #phase: PollPhase | undefined;
  #turn = -1;
  #passedOver = 0;

  /** Whether what was collected in this phase is the first of a turn. If so, the callbacks are to be called. */
  isNext(phase: PollPhase): boolean {
    const isNext = phase === "wake" ? this.#isNextByThread() : this.#isNextInLoop(phase);
    this.#passedOver = isNext ? 0 : this.#passedOver + 1;
    return isNext;
  }

  /**
   * libuv collects at most once in a turn in each of two phases. The same phase again is another turn. So is the second
   * time that the other one comes.
   */
  #isNextInLoop(phase: PollPhase): boolean {
    if (this.#phase !== undefined && phase !== this.#phase && this.#passedOver === 0) return false;
    this.#phase = phase;
    return true;
  }

  /** A thread may wake the loop several times in a turn: Bun and Deno go on as long as there are calls from threads. */
  #isNextByThread(): boolean {
    const now = currentTurn();
    if (now === this.#turn && this.#passedOver < MOST_PASSED_OVER) return false;
    this.#turn = now;
    return true;
  }
}
