/** A thread of the soak that writes to slots at random, as much as there is room for, until it is stopped. */
import { workerData } from "node:worker_threads";
import { notify } from "lio-poller";
import { write } from "lio-poller/io";
import { Random } from "../support/random.js";
import { byteAt, kindOf, PAUSE, SharedSlots, STOP, type WriterOrders } from "./shared.js";

const { slots: buffer, control: controlBuffer, count, index, seed, notifier } = workerData as WriterOrders;
const slots = new SharedSlots(buffer, count);
/** The order, and how many writers pause. */
const control = new Int32Array(controlBuffer);
const random = new Random(seed + index);
const bytes = new Uint8Array(256);
const counter = new BigUint64Array(1);

function writeTo(slot: number): void {
  slots.lock(slot);
  try {
    const fd = slots.fd(slot);
    if (fd === -1) return;
    const wanted = 1 + random.below(64);
    if (kindOf(slot) === "eventfd") {
      counter[0] = BigInt(wanted);
      if (write(fd, new Uint8Array(counter.buffer)) === 8) slots.addWritten(slot, wanted);
      return;
    }
    const from = slots.written(slot);
    for (let i = 0; i < wanted; i++) bytes[i] = byteAt(from + i, slot);
    const taken = write(fd, bytes, 0, wanted);
    if (taken > 0) slots.addWritten(slot, taken);
  } finally {
    slots.unlock(slot);
  }
}

for (;;) {
  const order = Atomics.load(control, 0);
  if (order === STOP) break;
  if (order === PAUSE) {
    Atomics.add(control, 1, 1);
    Atomics.wait(control, 0, PAUSE);
    Atomics.sub(control, 1, 1);
    continue;
  }
  for (let i = 0; i < 128; i++) writeTo(random.below(count));
  if (random.below(16) === 0) notify(notifier);
  // Lets the other threads have the processor; a new order ends it early.
  Atomics.wait(control, 0, order, 2);
}
