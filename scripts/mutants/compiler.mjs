/** A thread that compiles mutants: compiling takes longer than most of them live. */
import { parentPort } from "node:worker_threads";
import { compileCore, compileSelfTest } from "../component.mjs";

// The optimizer changes no meaning, and takes a second at the level at which the core is shipped.
const OPTIONS = ["--optimizeLevel", "1"];

parentPort.on("message", async ({ kernel, texts, isSelfTest }) => {
  try {
    const wasm = await (isSelfTest ? compileSelfTest(texts, OPTIONS) : compileCore(kernel, texts, OPTIONS));
    parentPort.postMessage({ wasm });
  } catch (error) {
    // Whatever the compiler says of it, or falls over: it is no program.
    parentPort.postMessage({ refused: error.message });
  }
});
