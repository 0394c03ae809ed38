/**
 * Every public function, its parameters by what they take, and a call of each in which one argument is anything.
 *
 * A name is an export's, `Class#member` for a method, or `object.member` for what an object of the package offers.
 */
import * as main from "lio-poller";
import * as io from "lio-poller/io";
import * as sim from "lio-poller/sim";
import * as type from "./values.js";
import type { Taken } from "./values.js";

/** A parameter, or a property within one: what it takes, and the call. */
export interface Parameter {
  readonly taken: Taken;
  readonly call: (value: never) => unknown;
}

export interface Signature {
  readonly parameters: Readonly<Record<string, Parameter>>;
  /** Calls with what is taken touch nothing but what is simulated, so that they can be made. */
  readonly isHarmless: boolean;
  /** For methods: a call on another receiver. */
  readonly on?: ((receiver: never) => unknown) | undefined;
}

const { Events, FaultyKernel, Poller, SimulatedEpoll, SimulatedKqueue, VirtualClock } = { ...main, ...sim };
const FLAVOURS = ["freebsd", "netbsd", "openbsd", "dragonfly", "macos"];

/** What the calls are made on: one of each, simulated. */
export class Subjects {
  readonly kernel = new SimulatedEpoll();
  readonly poller = new Poller({ kernel: this.kernel });
  readonly events = new Events(4);
  readonly fd = this.kernel.io.eventfd(1);
  readonly other = this.kernel.io.eventfd(1);
  readonly file = this.kernel.io.regular();

  constructor() {
    this.poller.add(this.fd, 1, main.Interest.READABLE, { mode: "level" });
  }

  /** What can be seen of them. */
  state(): unknown {
    const { kernel, poller, events } = this;
    const { clock, calls, instances, notifiers, descriptors } = kernel;
    return [
      poller.stats(),
      { ...calls },
      instances,
      notifiers,
      descriptors,
      clock.now(),
      clock.pending,
      events.toArray(),
    ];
  }
}

const parameter = <Value>(taken: Taken, call: (value: Value) => unknown): Parameter => ({
  taken,
  call: call as Parameter["call"],
});

/** An object that an `open` makes a kernel, which it is not opened to find out. */
const isKernelObject: Taken = (value) => type.shape({ open: type.callable })(value);
const time = type.number(0, Number.MAX_VALUE);
const span = type.number(0, Number.MAX_SAFE_INTEGER);
const options = (properties: Readonly<Record<string, Taken>>): Taken => type.optional(type.shape(properties));
const mode = type.optional(type.choice("oneshot", "level", "edge", "edge-oneshot"));
const deadline = type.optional(type.anyNumber);
const when = type.either(type.number(0), type.shape({ deadline: type.anyNumber }));
const repeat = type.optional(type.number(0));
const limit = type.integer(0, Number.MAX_SAFE_INTEGER);
/** To be watched for something. */
const watched: Taken = (value) => type.interest(value) && value !== 0;
/** Names of kernels are text; that a platform lacks one is another error. */
const kernel = type.either(type.text, isKernelObject);

/** By what it offers: none of the values is one. */
const signal = type.optional(
  type.shape({ aborted: type.flag, addEventListener: type.callable, removeEventListener: type.callable }),
);

/** The parameters of `readable` and `writable`. */
function readiness(ask: typeof main.readable): Signature["parameters"] {
  const timeout = type.optional(type.number(0));
  return {
    fd: parameter(type.fd, (value: number) => ask(value)),
    "fd, with options": parameter(type.fd, (value: number) => ask(value, { timeout: 0 })),
    options: parameter(options({ signal, timeout }), (value: never) => ask(-1, value)),
    "options.signal": parameter(signal, (value: never) => ask(-1, { signal: value, timeout: 0 })),
    "options.timeout": parameter(timeout, (value: never) => ask(-1, { timeout: value })),
  };
}

const add = { op: type.choice("add"), fd: type.fd, key: type.key, interest: type.interest, mode };
const change = type.either(
  type.shape(add),
  type.shape({ ...add, op: type.choice("modify") }),
  type.shape({ op: type.choice("delete"), fd: type.fd }),
);

/** The signatures of the calls on these subjects. */
export function signaturesOf(subjects: Subjects): Readonly<Record<string, Signature>> {
  const { poller, events, fd, other } = subjects;
  const { clock } = subjects.kernel;
  const R = main.Interest.READABLE;
  const pollerMethod = (name: keyof main.Poller, parameters: Signature["parameters"]): Signature => ({
    parameters,
    isHarmless: true,
    on: (receiver) => (poller[name] as () => unknown).call(receiver),
  });
  const harmless = (parameters: Signature["parameters"], on?: Signature["on"]): Signature => ({
    parameters,
    isHarmless: true,
    on,
  });

  const face: Record<string, Signature> = {
    "new Poller": harmless({
      options: parameter(options({ kernel: type.optional(kernel) }), (value: never) => new Poller(value).close()),
      "options.kernel": parameter(type.optional(kernel), (value: never) => new Poller({ kernel: value }).close()),
    }),
    "Poller#add": pollerMethod("add", {
      fd: parameter(type.fd, (value: number) => poller.add(value, 2, R)),
      key: parameter(type.key, (value: main.Key) => poller.add(-1, value, R)),
      interest: parameter(type.interest, (value: number) => poller.add(-1, 2, value)),
      options: parameter(options({ mode }), (value: never) => poller.add(-1, 2, R, value)),
      mode: parameter(mode, (value: never) => poller.add(-1, 2, R, { mode: value })),
    }),
    "Poller#modify": pollerMethod("modify", {
      fd: parameter(type.fd, (value: number) => poller.modify(value, 2, R)),
      key: parameter(type.key, (value: main.Key) => poller.modify(fd, value, R)),
      interest: parameter(type.interest, (value: number) => poller.modify(fd, 2, value)),
      options: parameter(options({ mode }), (value: never) => poller.modify(fd, 2, R, value)),
      mode: parameter(mode, (value: never) => poller.modify(fd, 2, R, { mode: value })),
    }),
    "Poller#delete": pollerMethod("delete", { fd: parameter(type.fd, (value: number) => poller.delete(value)) }),
    "Poller#apply": pollerMethod("apply", {
      changes: parameter(type.listOf(change), (value: never) => poller.apply(value)),
      change: parameter(change, (value: never) => poller.apply([{ op: "add", fd: other, key: 3, interest: R }, value])),
      "change.op": parameter(type.choice("add", "modify", "delete"), (op: never) =>
        poller.apply([{ op, fd: -1, key: 1, interest: R }]),
      ),
      "change.fd": parameter(type.fd, (value: number) => poller.apply([{ op: "delete", fd: value }])),
      "change.key": parameter(type.key, (value: main.Key) =>
        poller.apply([{ op: "modify", fd: -1, key: value, interest: R }]),
      ),
      "change.interest": parameter(type.interest, (value: number) =>
        poller.apply([{ op: "add", fd: -1, key: 1, interest: value }]),
      ),
      "change.mode": parameter(mode, (value: never) =>
        poller.apply([{ op: "modify", fd: -1, key: 1, interest: R, mode: value }]),
      ),
    }),
    "Poller#wait": pollerMethod("wait", {
      events: parameter(type.events, (value: never) => poller.wait(value, { timeout: 0 })),
      options: parameter(
        (value) => options({ timeout: type.optional(type.number(0)), deadline })(value),
        (value: never) => poller.wait(events, value),
      ),
      "options.timeout": parameter(type.optional(type.number(0)), (value: never) =>
        poller.wait(events, { timeout: value }),
      ),
      "options.deadline": parameter(deadline, (value: never) => poller.wait(events, { deadline: value })),
    }),
    "Poller#addTimer": pollerMethod("addTimer", {
      key: parameter(type.key, (value: main.Key) => poller.addTimer(value, 1)),
      when: parameter(when, (value: never) => poller.addTimer(1, value)),
      "when.deadline": parameter(type.anyNumber, (value: number) => poller.addTimer(1, { deadline: value })),
      options: parameter(options({ repeat }), (value: never) => poller.addTimer(1, 1, value)),
      "options.repeat": parameter(repeat, (value: never) => poller.addTimer(1, 1, { repeat: value })),
    }),
    "Poller#modifyTimer": pollerMethod("modifyTimer", {
      key: parameter(type.key, (value: main.Key) => poller.modifyTimer(value, 1)),
      when: parameter(when, (value: never) => poller.modifyTimer(1, value)),
      "when.deadline": parameter(type.anyNumber, (value: number) => poller.modifyTimer(1, { deadline: value })),
      options: parameter(options({ repeat }), (value: never) => poller.modifyTimer(1, 1, value)),
      "options.repeat": parameter(repeat, (value: never) => poller.modifyTimer(1, 1, { repeat: value })),
    }),
    "Poller#deleteTimer": pollerMethod("deleteTimer", {
      key: parameter(type.key, (value: main.Key) => poller.deleteTimer(value)),
    }),
    "Poller#notify": pollerMethod("notify", {}),
    "Poller#notifier": pollerMethod("notifier", {}),
    "Poller#now": pollerMethod("now", {}),
    "Poller#stats": pollerMethod("stats", {}),
    "Poller#close": pollerMethod("close", {}),
    "Poller#attach": pollerMethod("attach", {
      // A simulated kernel cannot wake the loop: what is right is refused for that.
      callback: parameter(type.callable, (value: never) => poller.attach(value)),
      options: parameter(options({ onError: type.optional(type.callable) }), (value: never) =>
        poller.attach(() => {}, value),
      ),
      "options.onError": parameter(type.optional(type.callable), (value: never) =>
        poller.attach(() => {}, { onError: value }),
      ),
    }),
    "Poller#detach": pollerMethod("detach", {}),
    "Poller#ref": pollerMethod("ref", {}),
    "Poller#unref": pollerMethod("unref", {}),
    "Poller#delivery": harmless({}, (receiver) => Reflect.get(Poller.prototype, "delivery", receiver)),
    // What is wrong about their arguments comes as a rejection. What is right would wait for the process's own descriptors.
    readable: { parameters: readiness(main.readable), isHarmless: false },
    writable: { parameters: readiness(main.writable), isHarmless: false },
    watch: harmless({
      fd: parameter(type.fd, (value: number) => main.watch(value, R)),
      interest: parameter(watched, (value: number) => main.watch(-1, value)),
      "interest, with a callback": parameter(watched, (value: number) => main.watch(-1, value, () => undefined)),
      // A callback, or options; a wrong callback is refused as options are.
      options: parameter(type.either(type.callable, options({ signal })), (value: never) => main.watch(-1, R, value)),
      "options, after a callback": parameter(options({ signal }), (value: never) =>
        main.watch(-1, R, () => undefined, value),
      ),
      "callback, before options": parameter(type.callable, (value: never) => main.watch(-1, R, value, {})),
      "options.signal": parameter(signal, (value: never) => main.watch(-1, R, { signal: value })),
      "options.signal, after a callback": parameter(signal, (value: never) =>
        main.watch(-1, R, () => undefined, { signal: value }),
      ),
    }),
    "Poller#fd": harmless({}, (receiver) => Reflect.get(Poller.prototype, "fd", receiver)),
    "new Events": harmless({
      capacity: parameter(type.optional(type.integer(0, 2 ** 26)), (value: never) => new Events(value)),
    }),
    // As Array's own methods it takes whatever can be gone through.
    "Events#toArray": harmless({}),
    "Events#length": harmless({}, (receiver) => Reflect.get(Events.prototype, "length", receiver)),
    notify: harmless({
      notifier: parameter(
        type.shape({ process: type.text, id: type.integer(0, Number.MAX_SAFE_INTEGER) }),
        (value: never) => main.notify(value),
      ),
      "notifier.process": parameter(type.text, (value: never) => main.notify({ process: value, id: 1 })),
      "notifier.id": parameter(type.integer(0, Number.MAX_SAFE_INTEGER), (value: never) =>
        main.notify({ process: "another", id: value }),
      ),
    }),
    restrict: harmless({
      kernel: parameter(
        type.either(type.text, type.shape({ open: type.callable, name: type.choice("epoll") })),
        (value: never) => main.restrict(value, {}),
      ),
      policy: parameter(
        // A property that a policy does not have grants nothing.
        (value) => type.object(value) && isBare(value),
        (value: never) => main.restrict(subjects.kernel, value),
      ),
      "policy.fds": parameter(
        (value) =>
          type.callable(value) || (typeof value !== "string" && type.listOf(type.integer(0, 2 ** 31 - 1))(value)),
        (value: never) => main.restrict(subjects.kernel, { fds: value }),
      ),
      "policy.maxRegistrations": parameter(limit, (value: never) =>
        main.restrict(subjects.kernel, { maxRegistrations: value }),
      ),
      "policy.maxPollers": parameter(limit, (value: never) => main.restrict(subjects.kernel, { maxPollers: value })),
    }),
  };

  const simulated: Record<string, Signature> = {
    "new VirtualClock": harmless({}),
    "VirtualClock#now": harmless({}, (receiver) => VirtualClock.prototype.now.call(receiver)),
    "VirtualClock#pending": harmless({}, (receiver) => Reflect.get(VirtualClock.prototype, "pending", receiver)),
    "VirtualClock#after": harmless(
      {
        milliseconds: parameter(time, (value: number) => clock.after(value, () => undefined)),
        action: parameter(type.callable, (value: () => void) => new VirtualClock().after(1, value)),
      },
      (receiver) => VirtualClock.prototype.after.call(receiver, 1, () => undefined),
    ),
    "VirtualClock#advance": harmless(
      { milliseconds: parameter(time, (value: number) => new VirtualClock().advance(value)) },
      (receiver) => VirtualClock.prototype.advance.call(receiver, 1),
    ),
    "VirtualClock#later": harmless(
      {
        duration: parameter(
          (value) => typeof value === "bigint" && value >= 0n,
          (value: bigint) => clock.later(value),
        ),
      },
      (receiver) => VirtualClock.prototype.later.call(receiver, 1n),
    ),
    "VirtualClock#step": harmless(
      {
        limit: parameter(
          type.optional((value) => typeof value === "bigint"),
          (value: never) => new VirtualClock().step(value),
        ),
      },
      (receiver) => VirtualClock.prototype.step.call(receiver),
    ),
    "VirtualClock#skipTo": harmless(
      {
        moment: parameter(
          (value) => typeof value === "bigint",
          (value: bigint) => new VirtualClock().skipTo(value),
        ),
      },
      (receiver) => VirtualClock.prototype.skipTo.call(receiver, 1n),
    ),
    "new SimulatedEpoll": harmless({}),
    // What it opens on another receiver has functions that throw.
    "SimulatedEpoll#open": harmless({}),
    ...Object.fromEntries(
      ["calls", "instances", "notifiers", "descriptors"].map((name) => [
        `SimulatedEpoll#${name}`,
        harmless({}, (receiver) => Reflect.get(SimulatedEpoll.prototype, name, receiver)),
      ]),
    ),
    "new SimulatedKqueue": harmless({
      options: parameter(
        type.shape({ flavour: type.choice(...FLAVOURS) }),
        (value: never) => new SimulatedKqueue(value),
      ),
      "options.flavour": parameter(type.choice(...FLAVOURS), (flavour: never) => new SimulatedKqueue({ flavour })),
    }),
    "SimulatedKqueue#open": harmless({}),
    "new SimulatedAfd": harmless({}),
    "SimulatedAfd#open": harmless({}),
    ...Object.fromEntries(
      ["calls", "instances", "requests", "descriptors"].map((name) => [
        `SimulatedAfd#${name}`,
        harmless({}, (receiver) => Reflect.get(sim.SimulatedAfd.prototype, name, receiver)),
      ]),
    ),
    ...Object.fromEntries(
      ["calls", "instances", "descriptors"].map((name) => [
        `SimulatedKqueue#${name}`,
        harmless({}, (receiver) => Reflect.get(SimulatedKqueue.prototype, name, receiver)),
      ]),
    ),
    "new FaultyKernel": harmless({
      kernel: parameter(
        type.shape({ open: type.callable, name: type.choice("epoll", "kqueue") }),
        (value: never) => new FaultyKernel(value, () => undefined),
      ),
      source: parameter(type.callable, (value: never) => new FaultyKernel(subjects.kernel, value)),
    }),
    ...Object.fromEntries(
      ["open", "calls", "injected", "documentedErrors"].map((name) => [
        `FaultyKernel#${name}`,
        harmless({}, (receiver) => {
          const member: unknown = Reflect.get(FaultyKernel.prototype, name, receiver);
          return typeof member === "function" ? Reflect.apply(member, receiver, []) : member;
        }),
      ]),
    ),
    randomFaults: harmless({
      options: parameter(type.shape({ seed: type.integer(0, 2 ** 32 - 1) }), (value: never) => sim.randomFaults(value)),
      "options.seed": parameter(type.integer(0, 2 ** 32 - 1), (seed: never) => sim.randomFaults({ seed })),
      "options.rate": parameter(type.optional(type.number(0, 1)), (rate: never) => sim.randomFaults({ seed: 1, rate })),
    }),
    scriptedFaults: harmless({
      script: parameter(type.arrayOf(type.nothing), (value: never) => sim.scriptedFaults(value)),
      "script.call": parameter(type.integer(0, Number.MAX_SAFE_INTEGER), (call: never) =>
        sim.scriptedFaults([{ call, fault: { kind: "notify" } }]),
      ),
      "script.fault": parameter(type.nothing, (fault: never) => sim.scriptedFaults([{ call: 1, fault }])),
      "fault.kind": parameter(type.nothing, (kind: never) => sim.scriptedFaults([{ call: 1, fault: { kind } }])),
      "fault.error": parameter(type.choice("ENOMEM"), (error: never) =>
        sim.scriptedFaults([{ call: 1, fault: { kind: "error", error } }]),
      ),
      "fault.after": parameter(type.optional(span), (after: never) =>
        sim.scriptedFaults([{ call: 1, fault: { kind: "spurious", after } }]),
      ),
      "fault.index": parameter(type.integer(0, Number.MAX_SAFE_INTEGER), (index: never) =>
        sim.scriptedFaults([{ call: 1, fault: { kind: "change", index, error: "EPERM" } }]),
      ),
      "fault.most": parameter(type.integer(1, Number.MAX_SAFE_INTEGER), (most: never) =>
        sim.scriptedFaults([{ call: 1, fault: { kind: "partial", most } }]),
      ),
      "fault.seed": parameter(type.integer(0, Number.MAX_SAFE_INTEGER), (seed: never) =>
        sim.scriptedFaults([{ call: 1, fault: { kind: "shuffle", seed } }]),
      ),
      "fault.milliseconds": parameter(span, (milliseconds: never) =>
        sim.scriptedFaults([{ call: 1, fault: { kind: "delay", milliseconds } }]),
      ),
    }),
    shrink: harmless({
      script: parameter(
        type.arrayOf(() => true),
        (value: never) => sim.shrink(value, () => false),
      ),
      fails: parameter(type.callable, (value: never) => sim.shrink([], value)),
    }),
  };

  const files = {
    ...ioSignatures("io", io, -1, -1, false),
    ...ioSignatures("SimulatedIo", subjects.kernel.io, subjects.fd, subjects.file, true),
  };
  return { ...face, ...simulated, ...files };
}

type Io = Pick<
  typeof io,
  | "pipe"
  | "socketpair"
  | "sendUrgent"
  | "receiveUrgent"
  | "eventfd"
  | "read"
  | "write"
  | "shutdown"
  | "setNonBlocking"
  | "dup"
  | "close"
>;

/** The functions that the platform's descriptors and the simulated ones have in common, and those of either. */
function ioSignatures(
  prefix: string,
  functions: Io & Partial<typeof io> & Partial<sim.SimulatedIo>,
  fd: number,
  file: number,
  isHarmless: boolean,
): Record<string, Signature> {
  const eight = new Uint8Array(8);
  const ofFd = (call: ((fd: number) => unknown) | undefined): Record<string, Parameter> =>
    call === undefined ? {} : { fd: parameter(type.openFd, call) };
  const transfer = (call: Io["read"]): Record<string, Parameter> => ({
    ...ofFd((value) => call(value, eight)),
    buffer: parameter(type.bytes, (value: never) => call(file, value)),
    offset: parameter(type.optional(type.integer(0, 8)), (value: never) => call(file, eight, value)),
    length: parameter(type.optional(type.integer(0, 8)), (value: never) => call(file, eight, 0, value)),
  });
  const kinds = type.optional(type.choice("stream", "datagram"));
  const host = "127.0.0.1";
  const address = type.nothing;
  const table: Record<string, Record<string, Parameter>> = {
    pipe: {},
    socketpair: { type: parameter(kinds, (value: never) => functions.socketpair(value)) },
    eventfd: {
      initial: parameter(type.optional(type.integer(0, 2 ** 32 - 1)), (value: never) => functions.eventfd(value)),
    },
    read: transfer(functions.read),
    write: transfer(functions.write),
    sendUrgent: {
      ...ofFd((value) => functions.sendUrgent(value, 1)),
      byte: parameter(type.integer(0, 255), (value: never) => functions.sendUrgent(fd, value)),
    },
    receiveUrgent: ofFd((value) => functions.receiveUrgent(value)),
    shutdown: {
      ...ofFd((value) => functions.shutdown(value, "both")),
      how: parameter(type.choice("read", "write", "both"), (value: never) => functions.shutdown(fd, value)),
    },
    setNonBlocking: {
      ...ofFd((value) => functions.setNonBlocking(value, true)),
      enabled: parameter(type.flag, (value: never) => functions.setNonBlocking(fd, value)),
    },
    dup: {
      ...ofFd((value) => functions.dup(value)),
      onto: parameter(type.optional(type.openFd), (value: never) => functions.dup(fd, value)),
    },
    close: ofFd((value) => functions.close(value)),
    ...(isHarmless
      ? { regular: {}, tcpPair: {}, poll: ofFd(functions.poll) }
      : {
          listen: {
            address: parameter(address, (value: never) => functions.listen?.(value)),
            "address.host": parameter(type.choice("::1"), (value: never) =>
              functions.listen?.({ host: value, port: 0 }),
            ),
            "address.port": parameter(type.integer(0, 65_535), (port: never) => functions.listen?.({ host, port })),
            "address.path": parameter(isPath, (path: never) => functions.listen?.({ path })),
            options: parameter(options({ backlog: type.optional(type.integer(0, 2 ** 31 - 1)) }), (value: never) =>
              functions.listen?.({ host, port: 0 }, value),
            ),
            "options.backlog": parameter(type.optional(type.integer(0, 2 ** 31 - 1)), (backlog: never) =>
              functions.listen?.({ host, port: 0 }, { backlog }),
            ),
          },
          connect: {
            address: parameter(address, (value: never) => functions.connect?.(value)),
            "address.host": parameter(type.choice("::1"), (value: never) =>
              functions.connect?.({ host: value, port: 1 }),
            ),
            "address.port": parameter(type.integer(0, 65_535), (port: never) => functions.connect?.({ host, port })),
            "address.path": parameter(isPath, (path: never) => functions.connect?.({ path })),
          },
          accept: ofFd(functions.accept),
          localAddress: ofFd(functions.localAddress),
          pendingError: ofFd(functions.pendingError),
        }),
  };
  return Object.fromEntries(
    Object.entries(table).map(([name, parameters]) => [`${prefix}.${name}`, { parameters, isHarmless }]),
  );
}

/** Without a path, an address is a host and a port, of which there are none in these calls. */
function isPath(value: unknown): boolean {
  return typeof value === "string" && value !== "" && !value.includes("\0");
}

function isBare(value: unknown): boolean {
  try {
    return Object.keys(value as object).length === 0 && !("fds" in (value as object));
  } catch {
    return false;
  }
}
