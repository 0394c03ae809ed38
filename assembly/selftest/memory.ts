/** Blocks, the slab, and the room for events. */
import { allocate, inUse, release } from "../memory";
import { EventBuffer, writeEvent } from "../readiness";
import { Registrations } from "../registrations";
import { equal, holds, test } from "./report";

function emptySlab(): Registrations {
  const at = allocate(offsetof<Registrations>());
  memory.fill(at, 0, offsetof<Registrations>());
  return changetype<Registrations>(at);
}

export function testMemory(): void {
  test("blocks do not overlap, and a released one is used again");
  const a = allocate(100);
  const b = allocate(100);
  holds(b >= a + 100 || a >= b + 100);
  release(a, 100);
  equal(allocate(128), a);
  release(a, 128);
  release(b, 100);

  test("what cannot be had is answered with 0, and changes nothing");
  const before = inUse();
  equal(allocate(0x80000001), 0);
  equal(allocate(0xffffffff), 0);
  equal(inUse(), before);

  test("all that was allocated is given back");
  equal(inUse(), 0);

  test("the slab finds what it was given, over pages and directories");
  const slab = emptySlab();
  for (let shift = 0; shift < 21; shift++) holds(slab.find(1 << shift) == null || slab.find(1 << shift)!.key == 0);
  for (let shift = 0; shift < 21; shift++) slab.ensure(1 << shift)!.key = shift + 7;
  for (let shift = 0; shift < 21; shift++) equal(slab.find(1 << shift)!.key, shift + 7);

  test("the slab answers null for a page that was never made, and for numbers beyond it");
  holds(slab.find(3000) == null);
  holds(slab.find(0x7fffffff) == null);

  test("a cleared slab has given everything back");
  slab.clear();
  holds(slab.find(0) == null);
  release(changetype<usize>(slab), offsetof<Registrations>());
  equal(inUse(), 0);

  test("events are written one after the other, and their room is given back");
  const buffer = EventBuffer.create(3)!;
  equal(buffer.count, 0);
  buffer.end = writeEvent(buffer.end, u64.MAX_VALUE, 1);
  buffer.pushRefusal(5, 2, 6);
  equal(buffer.count, 2);
  equal(load<u64>(buffer.first), u64.MAX_VALUE);
  equal(load<u8>(buffer.first, 16), 1);
  equal(load<u8>(buffer.first, 20), 0);
  equal(load<u64>(buffer.first + 32), 5);
  equal(load<u8>(buffer.first + 32, 16), 2 | 32 | 128);
  equal(load<u8>(buffer.first + 32, 20), 1);
  buffer.destroy();
  equal(inUse(), 0);

  test("room for no event, and room for too many, are both answered");
  const none = EventBuffer.create(0)!;
  equal(none.capacity, 0);
  none.destroy();
  holds(EventBuffer.create((1 << 26) + 1) == null);
  equal(inUse(), 0);
}
