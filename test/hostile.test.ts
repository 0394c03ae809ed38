/**
 * Every public function with every kind of wrong argument, from a table that must name every export: it is refused by
 * Node's codes before anything happens. And every kind of right one is taken.
 */
import assert from "node:assert/strict";
import * as main from "lio-poller";
import { Events, Interest, Poller, PollerError } from "lio-poller";
import * as io from "lio-poller/io";
import * as sim from "lio-poller/sim";
import { signaturesOf, Subjects } from "./hostile/signatures.js";
import { inWords, THROWING, VALUES } from "./hostile/values.js";
import { openFiles } from "./support/descriptors.js";

/** Exports that need no entry, each with its reason. */
const EXEMPT: Readonly<Record<string, string>> = {
  "new PollerError": "an error of the user's own making, with whatever is in it, as an Error",
};

const CODES = ["ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_VALUE", "ERR_OUT_OF_RANGE"];

/** What is wrong with how a call met a value that it does not take; `undefined` if nothing is. */
async function complaintOf(
  call: (value: never) => unknown,
  value: unknown,
  parameter: string,
): Promise<string | undefined> {
  try {
    await call(value as never);
    return "was taken";
  } catch (error) {
    if (THROWING.includes(value) && error instanceof TypeError) return undefined;
    if (!(error instanceof TypeError || error instanceof RangeError)) return `threw ${String(error)}`;
    const { code } = error as { code?: unknown };
    if (!CODES.includes(code as string)) return `threw ${error.name} with code ${String(code)}: ${error.message}`;
    // By the parameter's name, or the property's; of a list, the item's.
    const [name = parameter] = parameter.split(",");
    const parts = name.split(".").map((part) => part.replace(/s$/, ""));
    return parts.some((part) => error.message.includes(part)) ? undefined : `is not named by "${error.message}"`;
  }
}

/** What is wrong with how a call met a value that it takes: it may fail, but not because of the value. */
async function objectionTo(call: () => unknown): Promise<string | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    const isFailure =
      error instanceof PollerError && error.code !== "ERR_POLLER_TRAPPED" && error.code !== "ERR_POLLER_BUSY";
    return isFailure ? undefined : `threw ${String(error)}`;
  }
}

/** The names of all that a module offers that can be called, or read off an object of it. */
function callables(prefix: string, module: object): string[] {
  return Object.entries(module).flatMap(([name, value]): string[] => {
    if (typeof value !== "function") return [];
    if (!/^class\b/.test(Function.prototype.toString.call(value))) return [`${prefix}${name}`];
    const members = Object.getOwnPropertyNames(value.prototype).filter((member) => member !== "constructor");
    return [`new ${name}`, ...members.map((member) => `${name}#${member}`)];
  });
}

describe("a hostile user", () => {
  const names = Object.keys(signaturesOf(new Subjects()));

  it("finds no public function that the table does not know", () => {
    const offered = [
      ...callables("", main),
      ...callables("io.", io),
      ...callables("", sim),
      ...callables("SimulatedIo.", new sim.SimulatedEpoll().io),
    ];
    const known = new Set([...names, ...Object.keys(EXEMPT)]);
    assert.deepEqual(
      offered.filter((name) => !known.has(name)),
      [],
    );
    assert.deepEqual(
      [...known].filter((name) => !offered.includes(name)),
      [],
    );
  });

  let refused = 0;
  for (const name of names) {
    it(`is refused by ${name}, whatever argument is wrong`, async () => {
      const subjects = new Subjects();
      const { parameters } = signaturesOf(subjects)[name] ?? assert.fail();
      const before = subjects.state();
      const open = openFiles().size;
      for (const [parameter, { taken, call }] of Object.entries(parameters)) {
        for (const value of VALUES) {
          if (taken(value)) continue;
          const complaint = await complaintOf(call, value, parameter);
          assert.equal(complaint, undefined, `${name}: ${inWords(value)} as "${parameter}" ${complaint}`);
          refused++;
        }
      }
      assert.deepEqual(subjects.state(), before, "nothing has happened");
      assert.equal(openFiles().size, open, "no descriptor was opened or closed");
    });
  }

  for (const name of names.filter((other) => signaturesOf(new Subjects())[other]?.isHarmless)) {
    it(`finds ${name} to take what it says that it takes`, async () => {
      for (const parameter of Object.keys(signaturesOf(new Subjects())[name]?.parameters ?? {})) {
        const { taken, call } = signaturesOf(new Subjects())[name]?.parameters[parameter] ?? assert.fail();
        for (const value of VALUES) {
          if (THROWING.includes(value) || !taken(value)) continue;
          const objection = await objectionTo(() => call(value as never));
          assert.equal(objection, undefined, `${name}: ${inWords(value)} as "${parameter}" ${objection}`);
        }
      }
    });
  }

  it("cannot call a method on what it is not a method of", () => {
    const subjects = new Subjects();
    const before = subjects.state();
    for (const [name, { on }] of Object.entries(signaturesOf(subjects))) {
      if (on === undefined) continue;
      const [owner] = name.split("#");
      const prototype = ({ ...main, ...sim } as unknown as Record<string, { prototype: object }>)[owner as string]
        ?.prototype;
      for (const receiver of [undefined, null, 1, {}, Object.create(prototype ?? {}), new Proxy(subjects.poller, {})]) {
        if (owner !== "Poller" && receiver instanceof Poller) continue;
        assert.throws(() => on(receiver as never), TypeError, `${name} on ${inWords(receiver)}`);
      }
    }
    assert.deepEqual(subjects.state(), before);
  });

  it("cannot alter what is shared", () => {
    for (const shared of [Interest, main.platformKernels]) assert.ok(Object.isFrozen(shared));
    assert.throws(() => (main.platformKernels as string[]).push("another"), TypeError);
  });

  it("met hundreds of refusals", () => {
    assert.ok(refused > 6000, `${refused}`);
    console.log(`    ${refused} wrong arguments refused, by ${names.length} functions`);
  });
});

describe("a buffer that lies", () => {
  function lying(length: number): Uint8Array {
    return Object.defineProperty(new Uint8Array(8), "length", { value: length });
  }

  const transfers: Readonly<
    Record<string, (fd: number, buffer: Uint8Array, offset?: number, length?: number) => number>
  > = {
    read: io.read,
    write: io.write,
  };
  for (const [name, transfer] of Object.entries(transfers)) {
    it(`about its length is found out by ${name}, before memory that is not its own is touched`, () => {
      const [one, other] = io.socketpair();
      io.write(other, new Uint8Array(4096).fill(7));
      for (const attempt of [
        () => transfer(one, lying(1_000_000)),
        () => transfer(one, lying(4096), 2048, 8),
        () => transfer(one, lying(4096), 0, 4096),
      ]) {
        // Refused, or no more than there really is.
        let count = 0;
        try {
          count = attempt();
        } catch (error) {
          const isRefusal = error instanceof PollerError && error.code === "EINVAL";
          assert.ok(isRefusal || error instanceof RangeError || error instanceof TypeError, String(error));
        }
        assert.ok(count <= 8, `${count} bytes`);
      }
      io.close(one);
      io.close(other);
    });

    it(`and has been detached, or has shrunk, is an error or no bytes to ${name}`, () => {
      const [one, other] = io.socketpair();
      io.write(other, new Uint8Array(64));
      const detached = new Uint8Array(8);
      structuredClone(detached.buffer, { transfer: [detached.buffer] });
      assert.equal(transfer(one, detached), 0);
      assert.throws(() => transfer(one, detached, 0, 8), RangeError);
      const Resizable = ArrayBuffer as unknown as new (
        size: number,
        options: object,
      ) => ArrayBuffer & { resize(to: number): void };
      const shrunk = new Resizable(64, { maxByteLength: 64 });
      const view = new Uint8Array(shrunk, 32, 32);
      shrunk.resize(16);
      assert.equal(transfer(one, view), 0);
      const shared = new Uint8Array(new SharedArrayBuffer(8));
      let count = 0;
      try {
        count = transfer(one, shared);
      } catch (error) {
        assert.ok(error instanceof TypeError || error instanceof PollerError, String(error));
      }
      assert.ok(count <= 8);
      io.close(one);
      io.close(other);
    });
  }

  it("is never the poller's: what a wait brought cannot be written to", () => {
    const subjects = new Subjects();
    const events = new Events(4);
    subjects.poller.wait(events);
    assert.throws(() => Object.assign(events, { length: 100 }), TypeError);
    assert.equal([...events].length, 1);
  });
});
