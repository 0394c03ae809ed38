/** What depends on nothing: errors in one word, epoll's masks. */
import { EBADF, EINTR, ENOMEM, OK, isGone, loadError, storeError } from "../errors";
import { SPENT, afterEvent, armed, isArmed, isNoisy, modifyAlwaysTells, readinessOf, silenced } from "../kernels/epoll";
import { ERROR, HANG_UP, PRIORITY, READABLE, READ_CLOSED, WRITABLE } from "../readiness";
import { equal, holds, test } from "./report";

const ONESHOT_MODE: u32 = 0;
const LEVEL: u32 = 1;
const EDGE: u32 = 2;
const EDGE_ONESHOT: u32 = 3;

const IN: u32 = 0x1;
const OUT: u32 = 0x4;
const ERR: u32 = 0x8;
const HUP: u32 = 0x10;
const RDHUP: u32 = 0x2000;
const ONESHOT: u32 = 0x40000000;
const ET: u32 = 0x80000000;

const scratch = memory.data(8, 8);

function holdsRoundTrip(error: u32): void {
  storeError(scratch, error);
  equal(loadError(scratch), error);
}

export function testPure(): void {
  test("an error code survives being written and read");
  holdsRoundTrip(EBADF);
  holdsRoundTrip(EINTR);
  holdsRoundTrip(ENOMEM);
  holdsRoundTrip(5);
  holdsRoundTrip(4095);
  holdsRoundTrip(0xc0000005);

  test("a named error is written as its tag, another one as other with its number");
  storeError(scratch, ENOMEM);
  equal(load<u8>(scratch), 6);
  storeError(scratch, 4095);
  equal(load<u8>(scratch), 20);
  equal(load<u32>(scratch, 4), 4095);

  test("only a descriptor that is closed or unknown is gone");
  holds(isGone(EBADF));
  holds(!isGone(ENOMEM));
  holds(!isGone(OK));

  test("a one-shot registration is armed without the kernel's one-shot flag, unless it will be armed late");
  equal(armed(READABLE, ONESHOT_MODE, false), IN | RDHUP);
  equal(armed(READABLE, ONESHOT_MODE, true), IN | RDHUP | ONESHOT);
  equal(armed(WRITABLE, LEVEL, true), OUT);
  equal(armed(WRITABLE, EDGE, true), OUT | ET);
  equal(armed(WRITABLE, EDGE_ONESHOT, false), OUT | ET | ONESHOT);

  test("no interest is held as one event that will be swallowed, in every mode");
  for (let mode: u32 = 0; mode < 4; mode++) {
    equal(armed(0, mode, false), silenced(IN));
    holds(isArmed(silenced(IN), 0, mode));
    holds(isArmed(SPENT, 0, mode));
  }

  test("armed is whatever reports it: with or without the one-shot flag, but not more nor less interest");
  holds(isArmed(IN | RDHUP, READABLE, ONESHOT_MODE));
  holds(isArmed(IN | RDHUP | ONESHOT, READABLE, ONESHOT_MODE));
  holds(!isArmed(IN | RDHUP | ONESHOT, READABLE, LEVEL));
  holds(!isArmed(SPENT, READABLE, ONESHOT_MODE));
  holds(!isArmed(silenced(IN), READABLE, ONESHOT_MODE));
  holds(!isArmed(IN | RDHUP | OUT, READABLE, ONESHOT_MODE));
  holds(!isArmed(OUT, READABLE | WRITABLE, ONESHOT_MODE));
  holds(!isArmed(IN | RDHUP, READABLE, EDGE));

  test("what is armed without the one-shot flag goes on reporting");
  holds(isNoisy(IN | RDHUP));
  holds(!isNoisy(IN | RDHUP | ONESHOT));
  holds(!isNoisy(silenced(IN)));
  holds(!isNoisy(SPENT));

  test("an event spends the one-shot flag");
  equal(afterEvent(IN | ONESHOT, IN), SPENT);
  equal(afterEvent(silenced(IN), IN), SPENT);
  equal(afterEvent(IN, IN), IN);

  test("in the edge modes every modify reaches the kernel");
  holds(!modifyAlwaysTells(ONESHOT_MODE));
  holds(!modifyAlwaysTells(LEVEL));
  holds(modifyAlwaysTells(EDGE));
  holds(modifyAlwaysTells(EDGE_ONESHOT));

  test("directions are told only to who asked for them");
  equal(readinessOf(IN | OUT, READABLE), READABLE);
  equal(readinessOf(IN | OUT, WRITABLE), WRITABLE);
  equal(readinessOf(IN | OUT | 2, READABLE | WRITABLE | PRIORITY), READABLE | WRITABLE | PRIORITY);

  test("on an error or a hang-up the directions asked for are set");
  equal(readinessOf(ERR, READABLE | WRITABLE), READABLE | WRITABLE | ERROR);
  equal(readinessOf(HUP, READABLE), READABLE | READ_CLOSED | HANG_UP);
  equal(readinessOf(HUP | OUT, WRITABLE), WRITABLE | READ_CLOSED | HANG_UP);
  equal(readinessOf(RDHUP, READABLE), READABLE | READ_CLOSED);
}
