/** wait: one-shot without calls, deadlines, fairness, and what cannot be silenced. */
import { EBADF, EINVAL, ENOMEM } from "../errors";
import { KEEP_MODE, add, modify, notify, remove } from "../poller";
import { ERROR, REFUSED } from "../readiness";
import { wait } from "../wait";
import { time } from "./clock";
import { changesMade, closeFd, haunt, heldMask, kernelObjects, refuse, refuseCreate, setReady, waits } from "./kernel";
import { equal, holds } from "./report";
import {
  HUP,
  IN,
  LEVEL,
  ONESHOT,
  OUT,
  READ,
  WRITE,
  begin,
  end,
  events,
  isTold,
  keyOf,
  poll,
  poller,
  readinessAt,
} from "./world";

const MILLISECOND: u64 = 1_000_000;

export function testWaits(): void {
  begin("a wait with room for no event is refused", 0);
  equal(wait(poller, events, true, 0), EINVAL);
  end();

  begin("a wait takes as long as it says, whatever wakes it in between");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  setReady(5, IN);
  equal(poll(), 1);
  const before = time;
  equal(poll(10 * MILLISECOND), 0);
  equal(time - before, 10 * MILLISECOND);
  end();

  begin("arming again before the next wait takes no call");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  setReady(5, IN);
  for (let i = 0; i < 10; i++) {
    equal(poll(), 1);
    equal(modify(poller, 5, i, READ, KEEP_MODE), 0);
  }
  equal(changesMade, 1);
  equal(poller.rearmsLeftOut, 10);
  end();

  begin("what was not armed again is silenced by the next wait, and told again after a modify");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  setReady(5, IN);
  equal(poll(), 1);
  equal(poll(MILLISECOND), 0);
  equal(changesMade, 2);
  equal(poll(MILLISECOND), 0);
  equal(changesMade, 2);
  equal(modify(poller, 5, 2, READ, KEEP_MODE), 0);
  equal(changesMade, 2);
  equal(poll(), 1);
  equal(keyOf(0), 2);
  equal(changesMade, 3);
  end();

  begin("who is late once and again is armed with the kernel's one-shot flag, at one call an event");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  setReady(5, IN);
  for (let i = 0; i < 4; i++) {
    equal(poll(), 1);
    equal(poll(), 0);
    equal(modify(poller, 5, 1, READ, KEEP_MODE), 0);
  }
  const early = changesMade;
  for (let i = 0; i < 10; i++) {
    equal(poll(), 1);
    equal(poll(), 0);
    equal(modify(poller, 5, 1, READ, KEEP_MODE), 0);
  }
  equal(changesMade - early, 10);
  end();

  begin("who is in time again is believed again");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  setReady(5, IN);
  for (let i = 0; i < 4; i++) {
    equal(poll(), 1);
    equal(poll(), 0);
    equal(modify(poller, 5, 1, READ, KEEP_MODE), 0);
  }
  for (let i = 0; i < 4; i++) {
    equal(poll(), 1);
    equal(modify(poller, 5, 1, READ, KEEP_MODE), 0);
  }
  const settled = changesMade;
  for (let i = 0; i < 10; i++) {
    equal(poll(), 1);
    equal(modify(poller, 5, 1, READ, KEEP_MODE), 0);
  }
  equal(changesMade, settled);
  end();

  begin("a disarm that is queued and then a modify do not lose the arm", 1);
  equal(add(poller, 5, 5, READ, ONESHOT), 0);
  equal(add(poller, 6, 6, READ, ONESHOT), 0);
  setReady(5, IN);
  equal(poll(), 1);
  setReady(6, IN);
  setReady(5, 0);
  equal(poll(), 1);
  equal(keyOf(0), 6);
  equal(modify(poller, 5, 5, READ, KEEP_MODE), 0);
  setReady(5, IN);
  equal(poll(), 1);
  equal(keyOf(0), 5);
  end();

  begin("no interest is silent, even with a hang-up");
  equal(add(poller, 5, 1, 0, ONESHOT), 0);
  setReady(5, HUP);
  equal(poll(MILLISECOND), 0);
  const swallowed = waits;
  equal(poll(MILLISECOND), 0);
  equal(waits - swallowed, 1);
  end();

  begin("level-triggered is told at every wait");
  equal(add(poller, 5, 1, WRITE, LEVEL), 0);
  setReady(5, OUT);
  for (let i = 0; i < 3; i++) equal(poll(), 1);
  equal(changesMade, 1);
  end();

  begin("level-triggered, the kernel is asked after 64 events, and nothing is lost by that");
  equal(add(poller, 5, 1, WRITE, LEVEL), 0);
  setReady(5, OUT);
  for (let i = 0; i < 1000; i++) equal(poll(), 1);
  equal(changesMade, 1 + 1000 / 64);
  equal(poller.rebuilds, 0);
  end();

  begin("level-triggered, what has been closed and goes on is left behind with its kernel object after 64 events");
  equal(add(poller, 5, 5, WRITE, LEVEL), 0);
  equal(add(poller, 6, 6, READ, LEVEL), 0);
  setReady(5, OUT);
  refuse(5, EBADF);
  let ghosts: u32 = 0;
  for (let i = 0; i < 200; i++) ghosts += poll();
  equal(ghosts, 64);
  equal(poller.rebuilds, 1);
  equal(kernelObjects, 1);
  setReady(6, IN);
  equal(poll(), 1);
  equal(keyOf(0), 6);
  equal(remove(poller, 5), 0);
  end();

  begin("level-triggered, what the kernel cannot be asked about for another reason goes on");
  equal(add(poller, 5, 5, WRITE, LEVEL), 0);
  setReady(5, OUT);
  refuse(5, ENOMEM);
  for (let i = 0; i < 200; i++) equal(poll(), 1);
  equal(poller.rebuilds, 0);
  refuse(5, 0);
  end();

  begin("fault 21: with more ready than room, successive waits reach every descriptor", 3);
  for (let fd = 0; fd < 10; fd++) {
    equal(add(poller, fd, fd, READ, ONESHOT), 0);
    setReady(fd, IN);
  }
  let told: u32 = 0;
  for (let i = 0; i < 4; i++) told += poll();
  equal(told, 10);
  end();

  begin("what is silent keeps nothing from being told, however little room there is", 1);
  for (let fd = 0; fd < 8; fd++) {
    equal(add(poller, fd, fd, READ, ONESHOT), 0);
    setReady(fd, IN);
  }
  for (let fd = 0; fd < 8; fd++) equal(poll(), 1);
  equal(add(poller, 100, 100, READ, ONESHOT), 0);
  setReady(100, IN);
  equal(poll(), 1);
  equal(keyOf(0), 100);
  end();

  begin("a deferred change that is refused is told as an event, once");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  setReady(5, IN);
  equal(poll(), 1);
  equal(poll(), 0);
  equal(modify(poller, 5, 9, READ, KEEP_MODE), 0);
  closeFd(5);
  equal(poll(), 1);
  equal(keyOf(0), 9);
  equal(readinessAt(0), READ | ERROR | REFUSED);
  equal(poll(), 0);
  equal(modify(poller, 5, 9, READ, KEEP_MODE), EBADF);
  equal(remove(poller, 5), 0);
  end();

  begin("refusals that find no room are told by the next wait", 1);
  for (let fd = 0; fd < 3; fd++) {
    equal(add(poller, fd, fd, READ, ONESHOT), 0);
    setReady(fd, IN);
  }
  for (let fd = 0; fd < 3; fd++) equal(poll(), 1);
  equal(poll(), 0);
  for (let fd = 0; fd < 3; fd++) {
    equal(modify(poller, fd, fd, READ, KEEP_MODE), 0);
    closeFd(fd);
  }
  let refusals: u32 = 0;
  for (let i = 0; i < 3; i++) refusals += poll();
  equal(refusals, 3);
  equal(poll(), 0);
  end();

  begin("what cannot be silenced is left behind with its kernel object");
  equal(add(poller, 5, 5, READ, ONESHOT), 0);
  equal(add(poller, 6, 6, READ, ONESHOT), 0);
  setReady(5, IN);
  equal(poll(), 1);
  refuse(5, EBADF);
  const calls = waits;
  equal(poll(50 * MILLISECOND), 0);
  equal(poller.rebuilds, 1);
  holds(waits - calls < 10);
  equal(kernelObjects, 1);
  setReady(6, IN);
  equal(poll(), 1);
  equal(keyOf(0), 6);
  equal(remove(poller, 5), 0);
  end();

  begin("events of a registration that has gone end with a new kernel object");
  equal(add(poller, 6, 6, READ, ONESHOT), 0);
  haunt(5, 3);
  const first = waits;
  equal(poll(50 * MILLISECOND), 0);
  equal(poller.rebuilds, 1);
  holds(waits - first < 10);
  setReady(6, IN);
  equal(poll(), 1);
  holds(isTold(6));
  end();

  begin("without a new kernel object the wait says why");
  haunt(5, 3);
  refuseCreate(ENOMEM);
  equal(wait(poller, events, true, 50 * MILLISECOND), ENOMEM);
  refuseCreate(0);
  equal(poll(MILLISECOND), 0);
  equal(poller.rebuilds, 1);
  end();

  begin("a notification ends one wait, however many there were");
  for (let i = 0; i < 3; i++) equal(notify(poller), 0);
  equal(wait(poller, events, false, 0), 0);
  equal(events.count, 0);
  const start = time;
  equal(poll(MILLISECOND), 0);
  equal(time - start, MILLISECOND);
  end();

  begin("fault 19: a notification takes no event's room", 1);
  equal(add(poller, 5, 5, READ, ONESHOT), 0);
  setReady(5, IN);
  equal(notify(poller), 0);
  equal(poll(), 1);
  equal(keyOf(0), 5);
  end();

  begin("a mask of the interest is held while it is wanted, and one event's worth of nothing after");
  equal(add(poller, 5, 5, READ, ONESHOT), 0);
  equal(heldMask(5), 0x2001);
  setReady(5, IN);
  equal(poll(), 1);
  equal(heldMask(5), 0x2001);
  equal(poll(MILLISECOND), 0);
  equal(heldMask(5), 0x40000000);
  end();

  // The last one: there is no time left after it.
  begin("a timeout beyond the end of time is one");
  setReady(5, 0);
  equal(poll(u64.MAX_VALUE), 0);
  end();
}
