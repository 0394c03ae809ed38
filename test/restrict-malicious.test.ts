/**
 * A component that is out for more than it was granted, on a restricted kernel: `malicious/component.wat` says what it
 * can do, each test what it does. What the kernel then has registered, Linux itself is asked.
 */
import assert from "node:assert/strict";
import { restrict, type RestrictPolicy } from "lio-poller";
import { close, dup, eventfd } from "lio-poller/io";
import { AREA, LIST, Malicious, MISCHIEF, PAGE, type Refused } from "./malicious/component.js";
import { openFiles, openedSince } from "./support/descriptors.js";
import { Random } from "./support/random.js";

/** The discriminants of `error-code`. */
const EBADF = 0;
const EEXIST = 1;
const ENOENT = 2;
const EPERM = 3;
const ENOSPC = 7;
const EMFILE = 8;

describe("a malicious component on a restricted kernel", () => {
  let before: ReadonlyMap<number, string>;
  let granted: number;
  let second: number;
  let prey: number;
  let component: Malicious;
  let handle: number;
  const others: Malicious[] = [];

  beforeEach(() => {
    before = openFiles();
    [granted, second, prey] = [eventfd(1), eventfd(1), eventfd(1)];
    start({ fds: [granted, second] });
  });

  afterEach(() => {
    component.close();
    for (const other of others.splice(0)) other.close();
    for (const fd of [granted, second, prey]) close(fd);
    assert.deepEqual(openedSince(before), []);
  });

  function start(policy: RestrictPolicy): void {
    component?.close();
    component = new Malicious(restrict("epoll", policy));
    handle = component.create();
  }

  const registered = (): readonly number[] => component.registered(handle);

  it("adds, changes and deletes what it was granted", () => {
    assert.deepEqual(component.control(handle, [["add", granted]]), []);
    assert.deepEqual(registered(), [granted]);
    assert.deepEqual(component.wait(handle, [["add", second]]), { slots: [granted, second] });
    assert.deepEqual(
      component.control(handle, [
        ["modify", granted],
        ["delete", second],
      ]),
      [],
    );
    assert.deepEqual(registered(), [granted]);
  });

  for (const operation of ["add", "modify", "delete"] as const) {
    it(`cannot ${operation} what it was not granted, by control or by the changes of a wait`, () => {
      assert.deepEqual(component.control(handle, [[operation, prey]]), [[0, EPERM]]);
      assert.deepEqual(component.wait(handle, [[operation, prey]]), { refused: [[0, EPERM]] });
      assert.deepEqual(registered(), []);
    });
  }

  it("cannot reach a descriptor by a number that is none", () => {
    for (const fd of [-1, -(2 ** 31), 2 ** 31 - 1, ~prey]) {
      assert.deepEqual(component.control(handle, [["add", fd]]), [[0, EPERM]]);
    }
    assert.deepEqual(registered(), []);
  });

  it("cannot hide what it was not granted among what it was", () => {
    const changes = Array.from({ length: 1500 }, (_, index) => {
      const [operation, fd] = (
        [
          ["add", granted],
          ["add", prey],
          ["delete", granted],
          ["delete", granted],
          ["modify", prey],
        ] as const
      )[index % 5]!;
      return [operation, fd] as const;
    });
    const expected = changes.flatMap((_, index): Refused[] =>
      index % 5 === 3 ? [[index, ENOENT]] : index % 5 === 1 || index % 5 === 4 ? [[index, EPERM]] : [],
    );
    assert.deepEqual(component.control(handle, changes), expected);
    assert.deepEqual(component.wait(handle, changes), { refused: expected });
    assert.deepEqual(registered(), []);
  });

  it("gets no wait if a change was refused", () => {
    component.control(handle, [["add", granted]]);
    assert.deepEqual(
      component.wait(handle, [
        ["add", second],
        ["add", prey],
      ]),
      { refused: [[1, EPERM]] },
    );
    assert.deepEqual(registered(), [granted, second]);
  });

  it("has handles of its own only: neither those of others nor raw descriptors", () => {
    const other = new Malicious(restrict("epoll", { fds: [granted, prey] }));
    others.push(other);
    // The other one has a handle that this one lacks.
    other.create();
    const foreign = other.create();
    const raw = [...openFiles()].filter(([, file]) => file === "anon_inode:[eventpoll]").map(([fd]) => fd);
    assert.ok(raw.length >= 3);
    for (const stranger of [foreign, ...raw, -1, 2 ** 31, handle + 2 ** 16]) {
      assert.deepEqual(component.control(stranger, [["add", granted]]), [[0, EBADF]]);
      assert.deepEqual(component.wait(stranger, [["add", granted]]), { refused: [[0, EBADF]] });
      assert.deepEqual(component.wait(stranger), { error: EBADF });
      component.exports.close(stranger);
    }
    assert.deepEqual([registered(), other.registered(foreign)], [[], []]);
  });

  it("cannot use a handle that it has closed", () => {
    component.control(handle, [["add", granted]]);
    component.exports.close(handle);
    assert.deepEqual(component.control(handle, [["add", granted]]), [[0, EBADF]]);
  });

  it("traps at pointers and lengths outside its memory, with nothing done", () => {
    component.write([["add", granted]]);
    const { exports } = component;
    for (const pointer of [PAGE, PAGE - 16, PAGE - 4, -4, -(2 ** 31), 1, LIST + 2]) {
      assert.throws(() => exports.control(handle, pointer, 1, AREA), RangeError, `changes at ${pointer}`);
      assert.throws(() => exports.wait(handle, pointer, 1, AREA), RangeError, `a wait's changes at ${pointer}`);
    }
    for (const length of [PAGE, 3265, -1, 2 ** 31 - 1]) {
      assert.throws(() => exports.control(handle, LIST, length, AREA), RangeError, `${length} changes`);
      assert.throws(() => exports.wait(handle, LIST, length, AREA), RangeError, `${length} changes of a wait`);
    }
    for (const area of [PAGE, PAGE - 4, -8, AREA + 1]) {
      assert.throws(() => exports.control(handle, LIST, 1, area), RangeError, `control's area at ${area}`);
      assert.throws(() => exports.wait(handle, LIST, 1, area), RangeError, `wait's area at ${area}`);
      assert.throws(() => exports.create(area), RangeError, `create's area at ${area}`);
    }
    assert.deepEqual(registered(), []);
  });

  it("traps at an operation that there is not", () => {
    for (const operation of [3, 255]) {
      component.exports.change(0, operation, granted);
      assert.throws(() => component.exports.control(handle, LIST, 1, AREA), RangeError);
    }
    assert.deepEqual(registered(), []);
  });

  it("gains nothing from a result that is written over its changes", () => {
    for (let area = LIST - 24; area <= LIST + 40; area += 8) {
      // Were the result read back as changes, the list's length could be an operation and its index a descriptor.
      component.plan(0, { answer: LIST });
      component.write([
        ["add", prey],
        ["add", granted],
        ["add", prey],
      ]);
      component.exports.control(handle, LIST, 3, area);
      component.write([
        ["add", prey],
        ["add", granted],
        ["add", prey],
      ]);
      component.exports.wait(handle, LIST, 3, area);
      assert.deepEqual(registered(), [granted], `an area at ${area}`);
    }
  });

  for (const by of ["control", "wait"] as const) {
    it(`gains nothing from a list that its allocator rewrites during ${by}`, () => {
      component.plan(MISCHIEF.rewrite, { prey, changes: 4 });
      component.write([
        ["add", prey],
        ["add", granted],
        ["add", prey],
        ["add", second],
      ]);
      component.exports[by](handle, LIST, 4, AREA);
      assert.equal(component.exports.allocations.value, 1);
      assert.deepEqual(registered(), [granted, second]);
      // Now there are events to make room for, and no refusals.
      component.write([
        ["modify", granted],
        ["modify", second],
      ]);
      component.exports[by](handle, LIST, 2, AREA);
      assert.deepEqual(registered(), [granted, second]);
    });
  }

  for (const [what, mischief] of Object.entries(MISCHIEF)) {
    if (what === "rewrite" || what === "grow" || what === "trap") continue;
    it(`cannot call ${what} out of its allocator`, () => {
      component.control(handle, [["add", granted]]);
      component.plan(mischief, { handle });
      for (const call of [
        () => component.control(handle, [["add", prey]]),
        () => component.wait(handle, [["add", prey]]),
        () => component.wait(handle),
      ]) {
        assert.throws(call, /called out of its allocator/);
      }
      component.plan(0);
      assert.deepEqual(registered(), [granted]);
      assert.deepEqual(component.wait(handle), { slots: [granted] });
    });
  }

  it("finds its answers in memory that its allocator has grown", () => {
    component.plan(MISCHIEF.grow, { answer: PAGE });
    assert.deepEqual(
      component.control(handle, [
        ["add", prey],
        ["add", granted],
      ]),
      [[0, EPERM]],
    );
    component.plan(MISCHIEF.grow, { answer: 2 * PAGE });
    assert.deepEqual(component.wait(handle), { slots: [granted] });
    assert.equal(component.view.byteLength, 3 * PAGE);
  });

  it("traps if its allocator traps or answers what is outside its memory, with its changes made and counted", () => {
    start({ fds: [granted, second], maxRegistrations: 1 });
    const plans = [
      () => component.plan(MISCHIEF.trap),
      ...[PAGE, PAGE - 4, -4, 2, -(2 ** 31)].map((answer) => () => component.plan(0, { answer })),
    ];
    for (const plan of plans) {
      plan();
      assert.throws(() =>
        component.control(handle, [
          ["add", granted],
          ["add", prey],
        ]),
      );
      assert.deepEqual(registered(), [granted]);
      assert.throws(() => component.wait(handle, [["add", second]]));
      assert.throws(() => component.wait(handle));
      component.plan(0);
      assert.deepEqual(component.control(handle, [["add", second]]), [[0, ENOSPC]]);
      assert.deepEqual(component.control(handle, [["delete", granted]]), []);
    }
  });

  it("cannot get round the limit by garbled verdicts", () => {
    const fds = Array.from({ length: 8 }, () => dup(prey));
    start({ fds, maxRegistrations: 3 });
    // Where verdicts lie over their own list, those read back would say that others failed.
    for (const answer of [AREA, AREA - 8, AREA + 4, LIST, LIST + 20, 32_768]) {
      for (const area of [AREA, LIST, LIST + 12]) {
        component.plan(MISCHIEF.rewrite, { answer, prey: fds[7]!, changes: 20 });
        component.write([
          ["add", fds[0]!],
          ["add", fds[0]!],
          ["modify", fds[6]!],
          ["add", fds[1]!],
          ["delete", fds[5]!],
          ...fds.map((fd) => ["add", fd] as const),
        ]);
        component.exports.control(handle, LIST, 13, area);
        assert.deepEqual(registered(), fds.slice(0, 3));
      }
    }
    for (const fd of fds) close(fd);
  });

  it("can be as many times in the limit as it likes, and not once over it", () => {
    const fds = Array.from({ length: 8 }, () => dup(prey)).toSorted((one, other) => one - other);
    const random = new Random(7);
    start({ fds: fds.slice(1), maxRegistrations: 3 });
    const model = new Set<number>();
    for (let round = 0; round < 500; round++) {
      const changes = Array.from(
        { length: random.below(20) },
        () => [random.pick(["add", "add", "modify", "delete"] as const), random.pick(fds)] as const,
      );
      const expected = changes.flatMap(([operation, fd], index): Refused[] => {
        if (fd === fds[0]) return [[index, EPERM]];
        if (operation === "add") {
          if (model.has(fd)) return [[index, EEXIST]];
          if (model.size === 3) return [[index, ENOSPC]];
          model.add(fd);
          return [];
        }
        if (!model.has(fd)) return [[index, ENOENT]];
        if (operation === "delete") model.delete(fd);
        return [];
      });
      if (random.below(2) === 0) assert.deepEqual(component.control(handle, changes), expected);
      else if (expected.length > 0) assert.deepEqual(component.wait(handle, changes), { refused: expected });
      else assert.ok("slots" in component.wait(handle, changes));
      assert.deepEqual(
        registered(),
        [...model].toSorted((one, other) => one - other),
      );
    }
    for (const fd of fds) close(fd);
  });

  it("makes no more epoll instances than it may, nor after closing what is not its own", () => {
    start({ maxPollers: 2 });
    const files = openFiles().size;
    const further = component.create();
    assert.ok(further >= 0);
    for (const stranger of [-1, 99, further + 1]) component.exports.close(stranger);
    for (let i = 0; i < 5; i++) assert.equal(component.create(), ~EMFILE);
    assert.equal(openFiles().size, files + 1);
    component.exports.close(handle);
    component.exports.close(handle);
    assert.ok(component.create() >= 0);
    assert.equal(component.create(), ~EMFILE);
  });

  it("is told EEXIST by a registration that outlived its descriptor, which counts again from then on", () => {
    start({ maxRegistrations: 1 });
    const fd = dup(prey);
    component.control(handle, [["add", fd]]);
    close(fd);
    assert.deepEqual(component.control(handle, [["delete", fd]]), [[0, EBADF]]);
    dup(prey, fd);
    assert.deepEqual(component.control(handle, [["add", fd]]), [[0, EEXIST]]);
    assert.deepEqual(component.control(handle, [["add", granted]]), [[0, ENOSPC]]);
    close(fd);
  });

  it("holds nothing any more when everything is closed, and has its limits whole again", () => {
    start({ maxPollers: 1, maxRegistrations: 1 });
    component.control(handle, [["add", granted]]);
    component.close();
    assert.deepEqual(component.control(handle, [["add", granted]]), [[0, EBADF]]);
    handle = component.create();
    assert.ok(handle >= 0);
    assert.deepEqual(component.control(handle, [["add", second]]), []);
    assert.deepEqual(registered(), [second]);
  });

  it("does not take the process down with as many changes as its memory holds", () => {
    const { memory } = component.exports;
    memory.grow(1023);
    const count = Math.floor((memory.buffer.byteLength - LIST) / 20);
    component.exports.prey.value = prey;
    component.exports.changes.value = count;
    (component.exports as unknown as { rewrite(): void }).rewrite();
    component.plan(0, { answer: PAGE });
    component.exports.control(handle, LIST, count, AREA);
    assert.equal(component.view.getUint32(AREA + 4, true), count);
    assert.deepEqual(registered(), []);
  });

  it("gains nothing from arguments, memory and answers at random", () => {
    const random = new Random(1);
    start({ fds: [granted, second], maxRegistrations: 1, maxPollers: 2 });
    const words = [granted, second, prey, handle, AREA, LIST, 0, 1, 2, 3, 32_768, PAGE - 20, PAGE, -1, 2 ** 31];
    const word = () => (random.below(3) === 0 ? random.word() : random.pick(words));
    let returned = 0;
    for (let round = 0; round < 3000; round++) {
      component.write(
        Array.from(
          { length: 1 + random.below(4) },
          () => [random.pick(["add", "add", "modify", "delete"] as const), random.pick(words)] as const,
        ),
      );
      const mischief = random.below(3) === 0 ? random.below(128) & ~(MISCHIEF.grow | MISCHIEF.close) : 0;
      component.plan(mischief, { answer: word(), prey: word(), handle: word(), changes: random.below(8) });
      const pointer = random.below(4) === 0 ? word() : LIST;
      const length = random.below(8) === 0 ? word() : random.below(6);
      const area = random.below(4) === 0 ? word() : AREA;
      const on = random.below(4) === 0 ? word() : handle;
      try {
        random.pick([
          () => component.exports.control(on, pointer, length, area),
          () => component.exports.wait(on, pointer, length, area),
          () => component.exports.create(area),
        ])();
        returned++;
      } catch (error) {
        assert.ok(error instanceof Error);
      }
      const there = registered();
      assert.ok(there.length <= 1 && !there.includes(prey), `registered: ${there}`);
    }
    assert.ok(returned > 500, `${returned} calls returned`);
    const epolls = [...openFiles().values()].filter((file) => file === "anon_inode:[eventpoll]").length;
    const epollsBefore = [...before.values()].filter((file) => file === "anon_inode:[eventpoll]").length;
    assert.ok(epolls <= epollsBefore + 2);
  });
});
