/** add, modify and delete, one at a time. */
import { EBADF, EEXIST, ENOENT, ENOMEM } from "../errors";
import { KEEP_MODE, Poller, add, modify, remove } from "../poller";
import { changesMade, closeFd, heldMask, kernelObjects, refuse, refuseCreate, setReady } from "./kernel";
import { equal, test } from "./report";
import { IN, LEVEL, ONESHOT, OUT, READ, WRITE, begin, end, keyOf, poll, poller, readinessAt } from "./world";

export function testOperations(): void {
  test("a poller whose kernel object cannot be made leaves nothing behind");
  refuseCreate(ENOMEM);
  equal(Poller.create(), ENOMEM);
  equal(kernelObjects, 0);
  refuseCreate(0);

  begin("a descriptor is added once");
  equal(add(poller, 5, 50, READ, ONESHOT), 0);
  equal(add(poller, 5, 51, READ, ONESHOT), EEXIST);
  equal(poller.count, 1);
  setReady(5, IN);
  equal(poll(), 1);
  equal(keyOf(0), 50);
  end();

  begin("a number below 0 never reaches the kernel");
  equal(add(poller, -1, 1, READ, ONESHOT), EBADF);
  equal(modify(poller, -1, 1, READ, KEEP_MODE), EBADF);
  equal(remove(poller, -1), EBADF);
  equal(changesMade, 0);
  end();

  begin("what is not registered cannot be modified or deleted");
  equal(modify(poller, 5, 1, READ, KEEP_MODE), ENOENT);
  equal(remove(poller, 5), ENOENT);
  equal(changesMade, 0);
  end();

  begin("a refused add registers nothing");
  refuse(5, ENOMEM);
  equal(add(poller, 5, 1, READ, ONESHOT), ENOMEM);
  equal(poller.count, 0);
  equal(remove(poller, 5), ENOENT);
  end();

  begin("a refused modify leaves the registration as it was");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  refuse(5, ENOMEM);
  equal(modify(poller, 5, 2, WRITE, KEEP_MODE), ENOMEM);
  refuse(5, 0);
  setReady(5, IN | OUT);
  equal(poll(), 1);
  equal(keyOf(0), 1);
  equal(readinessAt(0), READ);
  end();

  begin("fault 1: a narrower modify disarms the other direction");
  equal(add(poller, 5, 1, READ | WRITE, ONESHOT), 0);
  equal(modify(poller, 5, 1, READ, KEEP_MODE), 0);
  setReady(5, OUT);
  equal(poll(), 0);
  end();

  begin("fault 4: a number that was closed and used again can be added without a delete");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  closeFd(5);
  refuse(5, 0);
  equal(add(poller, 5, 2, READ, ONESHOT), 0);
  equal(poller.count, 1);
  setReady(5, IN);
  equal(poll(), 1);
  equal(keyOf(0), 2);
  end();

  begin("fault 5: a closed descriptor is deleted once with success");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  closeFd(5);
  equal(remove(poller, 5), 0);
  equal(remove(poller, 5), ENOENT);
  equal(poller.count, 0);
  end();

  begin("a delete that the kernel refuses for another reason changes nothing");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  refuse(5, ENOMEM);
  equal(remove(poller, 5), ENOMEM);
  equal(poller.count, 1);
  refuse(5, 0);
  equal(remove(poller, 5), 0);
  end();

  begin("what the kernel knows and nobody else does is taken over by an add");
  equal(add(poller, 5, 1, READ, ONESHOT), 0);
  refuse(5, EBADF);
  equal(remove(poller, 5), 0);
  refuse(5, 0);
  equal(add(poller, 5, 2, READ, ONESHOT), 0);
  setReady(5, IN);
  equal(poll(), 1);
  equal(keyOf(0), 2);
  end();

  begin("a modify without a mode keeps the mode");
  equal(add(poller, 5, 1, READ, LEVEL), 0);
  equal(modify(poller, 5, 1, WRITE, KEEP_MODE), 0);
  equal(heldMask(5), OUT);
  setReady(5, OUT);
  equal(poll(), 1);
  equal(poll(), 1);
  end();
}
