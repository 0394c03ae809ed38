/** The first to wait, with ever more descriptors left of the process's limit: `EMFILE`, and nothing kept, until there are enough. */
import assert from "node:assert/strict";
import { Poller, PollerError, readable } from "lio-poller";
import { close, eventfd } from "lio-poller/io";
import { PASSED } from "../support/child.js";
import { openFiles } from "../support/descriptors.js";

const ready = eventfd(1);
const fillers: number[] = [];
// What is opened once.
new Poller().close();
await new Promise((resolve) => setTimeout(resolve, 1));
openFiles();

let refused = 0;
let isReady = false;
while (!isReady) {
  try {
    while (true) fillers.push(eventfd(0));
  } catch (error) {
    assert.ok(error instanceof PollerError && error.code === "EMFILE", String(error));
  }
  for (let free = 0; free < refused; free++) close(fillers.pop()!);
  try {
    isReady = (await readable(ready)).readable;
  } catch (error) {
    assert.ok(error instanceof PollerError && error.syscall === "readable", String(error));
    assert.equal(error.code, "EMFILE");
    refused++;
  }
  // As many as were left are left.
  if (!isReady) for (let free = 1; free < refused; free++) fillers.push(eventfd(0));
  assert.ok(refused < 20);
}
assert.ok(refused > 0);
console.log(PASSED);
process.exit();
