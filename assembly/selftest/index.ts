/**
 * The core's self-test: the whole core but for its calls, on a scripted kernel. It needs WASI's fd_write and proc_exit,
 * and nothing else, so that any WASI host can run it.
 */
import "../abi/abort";
import { testBatches } from "./batches";
import { testMemory } from "./memory";
import { testOperations } from "./operations";
import { testPure } from "./pure";
import { finish } from "./report";
import { testTimers } from "./timers";
import { testWaits } from "./waits";

export function _start(): void {
  testPure();
  testMemory();
  testOperations();
  testBatches();
  testTimers();
  testWaits();
  finish();
}
