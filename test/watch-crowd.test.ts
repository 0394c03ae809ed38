/**
 * Very many that wait for one descriptor: joining, leaving, aborting and expiring take the same time for each, which is
 * seen by the work that is done (issue 13, 7).
 */
import assert from "node:assert/strict";
import { Interest, type PollerError, type Ready, readable, watch, writable } from "lio-poller";
import { idle, ONE, until } from "./support/deliveries.js";
import { close, eventfd, read, socketpair, write } from "./support/files.js";
import { built } from "./support/internals.js";
import { countCalls } from "./support/shared-poller.js";

const { READABLE, WRITABLE } = Interest;
const { Registration } = await built<typeof import("../dist/loop/registration.js")>("loop/registration.js");
const MANY = 20_000;
const room = new Uint8Array(4096);

describe("very many that wait for one descriptor", () => {
  let fds: number[];
  const open = (initial = 0): number => {
    const fd = eventfd(initial);
    fds.push(fd);
    return fd;
  };

  beforeEach(() => (fds = []));
  afterEach(() => fds.forEach((fd) => close(fd)));

  it("join and leave with the same work for each, which does not look at the others", () => {
    let looks = 0;
    /** Counts whatever is read of it. */
    const taker = (i: number): never =>
      new Proxy(
        { interest: [READABLE, WRITABLE][i % 2], stays: i % 3 === 0, place: undefined, order: 0 },
        {
          get: (target, name) => {
            looks++;
            return Reflect.get(target, name) as unknown;
          },
        },
      ) as never;
    const registration = new Registration(1, 1);
    const takers = Array.from({ length: MANY }, (_, i) => taker(i));
    const most = (act: (each: never) => void): number => {
      let greatest = 0;
      for (const each of takers) {
        looks = 0;
        act(each);
        greatest = Math.max(greatest, looks);
      }
      return greatest;
    };
    const joining = most((each) => {
      registration.add(each);
      assert.notEqual(registration.interest, 0);
    });
    assert.ok(joining < 10, `${joining} looks to join`);
    const leaving = most((each) => {
      registration.remove(each);
      assert.equal(registration.isStaying, registration.isStaying);
    });
    assert.ok(leaving < 10, `${leaving} looks to leave`);
    assert.ok(registration.isEmpty);
    assert.equal(registration.interest, 0);
  });

  it("are looked at only if they are concerned", () => {
    const registration = new Registration(1, 1);
    let looks = 0;
    for (let i = 0; i < MANY; i++) {
      registration.add({
        interest: i === 7 ? WRITABLE : READABLE,
        stays: false,
        place: undefined,
        get order() {
          looks++;
          return i;
        },
        set order(_) {},
      } as never);
    }
    looks = 0;
    const concerned = registration.concerned({ writable: true } as Ready);
    assert.deepEqual([concerned.length, looks], [1, 0]);
  });

  it("are all served, in the order in which they came, with one change of the kernel's for each at most", async () => {
    const fd = open();
    const order: number[] = [];
    const promises: Promise<unknown>[] = [];
    const changes = countCalls("modify", () => {
      for (let i = 0; i < MANY; i++) promises.push(readable(fd).then(() => order.push(i)));
    });
    assert.ok(changes < MANY);
    write(fd, ONE);
    await Promise.all(promises);
    assert.deepEqual(
      order,
      Array.from({ length: MANY }, (_, i) => i),
    );
  });

  it("are all ended by one signal, which has one listener of ours and warns of nothing", async () => {
    const fd = open();
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    const controller = new AbortController();
    const { signal } = controller;
    const listens = { added: 0, removed: 0 };
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...values: never[]) => {
      listens.added++;
      Reflect.apply(addEventListener, signal, values);
    };
    signal.removeEventListener = (...values: never[]) => {
      listens.removed++;
      Reflect.apply(removeEventListener, signal, values);
    };
    const others = [open(), open()];
    const promises = Array.from({ length: MANY }, (_, i) => readable([fd, ...others][i % 3]!, { signal }));
    watch(fd, READABLE, () => assert.fail("called"), { signal });
    const step = watch(fd, READABLE, { signal }).next();
    assert.deepEqual(listens, { added: 1, removed: 0 });
    const deletes = countCalls("delete", () => controller.abort("enough"));
    assert.equal(deletes, 3);
    assert.deepEqual(listens, { added: 1, removed: 1 });
    for (const result of await Promise.allSettled([...promises, step])) {
      assert.equal(result.status === "rejected" && (result.reason as Error).cause, "enough");
    }
    await idle(2);
    process.off("warning", note);
    assert.deepEqual(warnings, []);
  });

  it("have one listener of ours again when others wait with the same signal later", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    for (let i = 0; i < 3; i++) assert.ok((await readable(open(1), { signal })).readable);
    const promise = readable(open(), { signal });
    controller.abort();
    await assert.rejects(promise, { name: "AbortError" });
  });

  it("all expire, each by a timer of its own", async () => {
    const fd = open();
    const promises = Array.from({ length: MANY }, () => readable(fd, { timeout: 1 }));
    const codes = new Set<string>();
    for (const result of await Promise.allSettled(promises)) {
      codes.add(result.status === "rejected" ? (result.reason as PollerError).code : "ready");
    }
    assert.deepEqual([...codes], ["ETIMEDOUT"]);
  });

  it("do not slow down those who wait for the other direction", async () => {
    const [left, right] = socketpair();
    fds.push(left, right);
    let told = 0;
    const readers = Array.from({ length: MANY }, () => readable(left).then(() => told++));
    for (let i = 0; i < 1000; i++) assert.ok((await writable(left)).writable);
    assert.equal(told, 0);
    write(right, ONE);
    await Promise.all(readers);
    assert.equal(told, MANY);
  });

  it("are all rejected when their descriptor is closed", async () => {
    const fd = eventfd(0);
    const promises = Array.from({ length: MANY }, () => readable(fd));
    const seen: unknown[] = [];
    for (let i = 0; i < 1000; i++) watch(fd, READABLE, ({ errorCode }) => seen.push(errorCode));
    close(fd);
    for (const result of await Promise.allSettled(promises)) assert.equal(result.status, "rejected");
    await until(() => seen.length === 1000);
    assert.deepEqual(new Set(seen), new Set(["EBADF"]));
  });

  it("as callbacks are each called, and each may end itself", async () => {
    const fd = open(1);
    let calls = 0;
    for (let i = 0; i < MANY; i++) {
      const watching = watch(fd, READABLE, () => {
        calls++;
        watching[Symbol.dispose]();
      });
    }
    await until(() => calls >= MANY);
    await idle(2);
    assert.equal(calls, MANY);
    read(fd, room);
  });
});
