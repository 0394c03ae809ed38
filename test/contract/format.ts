/**
 * The contract's scenarios: what a file of them may hold, and the check that holds them to it.
 *
 * The files are pure data, so that a host in another language runs the same ones; README.md says what each field means.
 * A typing mistake in data would make a scenario weaker without anybody noticing. So whatever is not known here is
 * refused, with its place in the file.
 */
export const modes = ["oneshot", "level", "edge", "edge-oneshot"] as const;
export const interests = ["readable", "writable", "priority"] as const;
export const bits = ["readable", "writable", "priority", "readClosed", "hangUp", "error", "refused"] as const;
export const kernels = ["epoll", "kqueue", "iocp"] as const;
export const hosts = ["127.0.0.1", "::1"] as const;

export type Mode = (typeof modes)[number];
export type InterestName = (typeof interests)[number];
export type Bit = (typeof bits)[number];
export type KernelName = (typeof kernels)[number];

/** A descriptor by the name that an earlier step gave it, or a raw number. */
export type Descriptor = string | number;

/** Any unsigned 64-bit number; a decimal string where it is not a safe integer. */
export type Key = number | string;

/** A moment that an earlier step named, or one so many milliseconds later, or earlier if below 0. */
export interface Moment {
  readonly of: string;
  readonly plus?: number;
}

/** What one registration must report. */
export interface ExpectedReadiness {
  readonly key: Key;
  /** The bits that must be set. All others must not be. */
  readonly is: readonly Bit[];
  /** Bits about which the contract is silent: set or not, both pass. */
  readonly may?: readonly Bit[];
  /** The error's name. Without it the event must not name one. */
  readonly errorCode?: string;
}

/** What one timer must report. */
export interface ExpectedTimer {
  readonly key: Key;
  /** How often it has expired since it was last reported. */
  readonly expirations: number;
  /**
   * The period of one that repeats, in milliseconds. Where time is real, one expiration more may have come for each
   * period that has begun since the moment until which the wait lasts.
   */
  readonly every?: number;
}

export type ExpectedEvent = ExpectedReadiness | ExpectedTimer;

interface Labelled {
  /** What a difference calls this step by. */
  readonly label?: string;
}

interface OnPoller extends Labelled {
  /** The poller that is meant, as a `poller` step named it. Without it: the one that every scenario has. */
  readonly poller?: string;
  /** How many system calls the poller may make during the step. */
  readonly maxCalls?: number;
}

interface CanFail {
  /** The code of the error that the operation must fail with. Without it the operation must succeed. */
  readonly error?: string;
}

interface Registers {
  readonly fd: Descriptor;
  readonly key: Key;
  /** None at all is legal: registered, and silent. */
  readonly interest: readonly InterestName[];
  readonly mode?: Mode;
}

/** When a timer is due: exactly one of both. */
interface Due {
  /** Milliseconds from the step on, fractions allowed. */
  readonly after?: number;
  readonly deadline?: Moment;
}

interface Arms extends Due {
  readonly key: Key;
  /** The period in milliseconds; 0 ends it. Without it an added timer has none, and a modified one keeps its own. */
  readonly repeat?: number;
}

type Add = { readonly op: "add" } & Registers & CanFail;
type Modify = { readonly op: "modify" } & Registers & CanFail;
type Delete = { readonly op: "delete"; readonly fd: Descriptor } & CanFail;
export type Change = Add | Modify | Delete;

export interface WaitStep extends OnPoller, CanFail {
  readonly do: "wait";
  /** Milliseconds, fractions allowed; `null` waits for ever. */
  readonly timeout?: number | null;
  /** Instead of a timeout: when the wait ends. */
  readonly deadline?: Moment;
  /** How many events there is room for; 16 if not said. */
  readonly room?: number;
  /** The events, all of them, in any order. Without any, the whole timeout must have passed. */
  readonly expect?: readonly ExpectedEvent[];
  /** The pool that the events must be in. Each one is taken out of it. */
  readonly from?: string;
  /** With `from`: how many events there must be. Without it any number passes. */
  readonly count?: number;
  /** With `from`: events that were taken out earlier may be reported again. */
  readonly again?: boolean;
  /** The wait is ended by a notify: it returns no events, before the timeout. */
  readonly woken?: boolean;
  /** When the wait returns at the earliest; on a virtual clock, exactly. */
  readonly until?: Moment;
}

export type Step =
  | ({ readonly do: "socketpair"; readonly as: readonly [string, string] } & Labelled)
  | ({ readonly do: "tcp"; readonly as: readonly [string, string] } & Labelled)
  | ({ readonly do: "listen"; readonly as: string; readonly host: (typeof hosts)[number] } & Labelled)
  | ({ readonly do: "connect"; readonly to: string; readonly as: string } & Labelled)
  | ({ readonly do: "accept"; readonly fd: string; readonly as: string } & Labelled)
  | ({ readonly do: "pendingError"; readonly fd: string; readonly error?: string } & Labelled)
  | ({ readonly do: "pipe"; readonly as: readonly [readEnd: string, writeEnd: string] } & Labelled)
  | ({ readonly do: "eventfd"; readonly as: string } & Labelled)
  | ({ readonly do: "regular"; readonly as: string } & Labelled)
  | ({ readonly do: "dup"; readonly fd: string; readonly as: string; readonly onto?: string } & Labelled)
  | ({ readonly do: "close"; readonly fd: string } & Labelled)
  | ({ readonly do: "shutdown"; readonly fd: string; readonly how: "read" | "write" | "both" } & Labelled)
  | ({
      readonly do: "write";
      readonly fd: string;
      readonly text?: string;
      readonly counter?: number;
      readonly fill?: true;
    } & Labelled)
  | ({
      readonly do: "read";
      readonly fd: string;
      readonly room?: number;
      readonly text?: string;
      readonly count?: number;
      readonly drain?: true;
    } & Labelled)
  | ({ readonly do: "sendUrgent"; readonly fd: string; readonly text: string } & Labelled)
  | ({ readonly do: "receiveUrgent"; readonly fd: string; readonly text: string } & Labelled)
  | ({ readonly do: "poller"; readonly as: string } & Labelled)
  | ({ readonly do: "add" } & Registers & OnPoller & CanFail)
  | ({ readonly do: "modify" } & Registers & OnPoller & CanFail)
  | ({ readonly do: "delete"; readonly fd: Descriptor } & OnPoller & CanFail)
  | ({ readonly do: "apply"; readonly changes: readonly Change[] } & OnPoller)
  | ({ readonly do: "addTimer" } & Arms & OnPoller & CanFail)
  | ({ readonly do: "modifyTimer" } & Arms & OnPoller & CanFail)
  | ({ readonly do: "deleteTimer"; readonly key: Key } & OnPoller & CanFail)
  | ({ readonly do: "notifier"; readonly as: string } & OnPoller)
  | ({ readonly do: "notify"; readonly notifier?: string } & OnPoller)
  | ({ readonly do: "closePoller" } & OnPoller)
  | ({ readonly do: "moment"; readonly as: string } & Labelled)
  | ({ readonly do: "pass"; readonly milliseconds: number } & Labelled)
  | ({ readonly do: "registrations"; readonly expect: number } & OnPoller)
  | ({ readonly do: "timers"; readonly expect: number } & OnPoller)
  | ({ readonly do: "events"; readonly room: number } & Labelled)
  | ({ readonly do: "pool"; readonly as: string; readonly events: readonly ExpectedEvent[] } & Labelled)
  | ({ readonly do: "drained"; readonly pool: string } & Labelled)
  | ({ readonly do: "repeat"; readonly times: number; readonly steps: readonly Step[] } & Labelled)
  | WaitStep;

/** A kernel on which the contract says something else, and why. */
export interface Difference {
  readonly kernels: readonly KernelName[];
  readonly reason: string;
  /** The scenario cannot be run there. */
  readonly leftOut?: true;
  /** The steps that take the place of the labelled ones. */
  readonly replace?: Readonly<Record<string, Step>>;
}

/**
 * The steps, such as `"eventfd"`, the fields of steps, such as `"dup.onto"`, the modes, such as `"mode.edge"`, and the
 * interests, such as `"interest.priority"`, that cannot be carried out, and why. Scenarios with one of them are left out.
 */
export type Lacks = Readonly<Record<string, string>>;

/** A bit about which the contract is silent on a kernel, and why. */
export interface Untold {
  readonly bit: Bit;
  /** It is told all the same if the event has this one. */
  readonly unless?: Bit;
  readonly reason: string;
}

/** What holds for a kernel in all scenarios. */
export interface KernelFacts {
  readonly lacks: Lacks;
  readonly untold: readonly Untold[];
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly source: string;
  readonly steps: readonly Step[];
  readonly differences?: readonly Difference[];
}

/** Data that is not a list of scenarios, with the place of the mistake. */
export class FormatError extends Error {
  override readonly name = "FormatError";

  constructor(at: string, message: string) {
    super(`${at}: ${message}`);
  }
}

/**
 * Checks what a file holds.
 *
 * @param file names the file in messages
 * @throws FormatError at the first thing that is not as README.md says
 */
export function checkScenarios(data: unknown, file: string): readonly Scenario[] {
  const list = listOf(checkScenario)(data, file);
  if (list.length === 0) throw new FormatError(file, "holds no scenario");
  const names = new Set<string>();
  for (const { name } of list) {
    if (names.has(name)) throw new FormatError(file, `two scenarios are named ${name}`);
    names.add(name);
  }
  return list;
}

/**
 * Checks what the file about kernels holds.
 *
 * @throws FormatError at the first thing that is not as README.md says
 */
export function checkKernels(data: unknown, file: string): Readonly<Record<KernelName, KernelFacts>> {
  const bit = oneOf(bits);
  const facts = record<KernelFacts>({
    lacks: checkLacks,
    untold: listOf(record<Untold>({ bit, unless: optional(bit), reason: text })),
  });
  return record<Readonly<Record<KernelName, KernelFacts>>>({ epoll: facts, kqueue: facts, iocp: facts })(data, file);
}

function checkLacks(value: unknown, at: string): Lacks {
  const lacks = mapOf(text)(value, at);
  for (const place of Object.keys(lacks)) {
    const [kind = "", field, ...more] = place.split(".");
    const named: readonly (string | undefined)[] = kind === "mode" ? modes : kind === "interest" ? interests : [];
    if (more.length === 0 && named.includes(field)) continue;
    const shape = Object.hasOwn(stepShapes, kind) ? stepShapes[kind as Step["do"]] : {};
    const exists = Object.hasOwn(stepShapes, kind) && (field === undefined || Object.hasOwn(shape, field));
    if (!exists || more.length > 0) throw new FormatError(at, `${place} is no step and no field of one`);
  }
  return lacks;
}

/** Returns the value as what it must be, or throws. */
type Check<T> = (value: unknown, at: string) => T;
/** One check per field; `optional` where the field may be missing. */
type Shape<T> = { readonly [K in keyof T]-?: Check<T[K]> };
/** What an object is until its first field has told which shape it must have. */
type Loose = Readonly<Record<string, unknown>>;

function checkScenario(value: unknown, at: string): Scenario {
  const named = nameOf(value) ?? at;
  const scenario = record<Scenario>({
    name: pattern(/^[a-z][a-z0-9_]*$/, "lower-case words joined by _"),
    title: pattern(/^[A-Z].*[^.]$/, "a sentence, without its full stop"),
    source: pattern(/^(lio test \d+|fault \d+|known test: .+|design: .+)$/, "a test, a fault, or a rule of the design"),
    steps: notEmpty(listOf(checkStep)),
    differences: optional(listOf(checkDifference)),
  })(value, named);
  if (!scenario.steps.some(expectsSomething)) throw new FormatError(named, "expects nothing, so it cannot fail");
  checkLabels(scenario, named);
  return scenario;
}

function nameOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("name" in value)) return undefined;
  return typeof value.name === "string" ? value.name : undefined;
}

/** Steps that only have to succeed do not count: a poller that does nothing passes those. */
function expectsSomething(step: Step): boolean {
  switch (step.do) {
    case "wait":
    case "registrations":
    case "timers":
    case "drained":
    case "events":
      return true;
    case "add":
    case "modify":
    case "delete":
    case "addTimer":
    case "modifyTimer":
    case "deleteTimer":
      return step.error !== undefined;
    case "apply":
      return step.changes.some((change) => change.error !== undefined);
    case "repeat":
      return step.steps.some(expectsSomething);
    default:
      return false;
  }
}

function checkLabels(scenario: Scenario, at: string): void {
  const labels = scenario.steps.map((step) => step.label).filter((label) => label !== undefined);
  if (new Set(labels).size !== labels.length) throw new FormatError(at, "a label names two steps");
  const replaced = new Set((scenario.differences ?? []).flatMap(({ replace }) => Object.keys(replace ?? {})));
  for (const label of replaced) {
    if (!labels.includes(label)) throw new FormatError(at, `no step is labelled ${label}`);
  }
  for (const label of labels) {
    if (!replaced.has(label)) throw new FormatError(at, `the label ${label} is of no use to a difference`);
  }
}

function checkDifference(value: unknown, at: string): Difference {
  const difference = record<Difference>({
    kernels: notEmpty(listOf(oneOf(kernels))),
    reason: text,
    leftOut: optional(literally(true)),
    replace: optional(mapOf(checkStep)),
  })(value, at);
  exactlyOne(difference, ["leftOut", "replace"], at);
  return difference;
}

function checkStep(value: unknown, at: string): Step {
  if (typeof value !== "object" || value === null || !("do" in value)) throw new FormatError(at, "is not a step");
  const kind = oneOf(Object.keys(stepShapes) as Step["do"][])(value.do, `${at}.do`);
  const step = record<Loose>({ do: text, ...stepShapes[kind] })(value, `${at} (${kind})`) as unknown as Step;
  checkTogether(step, `${at} (${kind})`);
  return step;
}

/** What concerns several fields of a step. */
function checkTogether(step: Step, at: string): void {
  switch (step.do) {
    case "write":
      return exactlyOne(step, ["text", "counter", "fill"], at);
    case "read":
      return exactlyOne(step, ["text", "count", "drain"], at);
    case "repeat":
      if (step.steps.some((inner) => inner.do === "repeat")) throw new FormatError(at, "repeats cannot be nested");
      return;
    case "addTimer":
    case "modifyTimer":
      return exactlyOne(step, ["after", "deadline"], at);
    case "notify":
      return atMostOne(step, ["poller", "notifier"], at);
    case "wait":
      return checkWait(step, at);
    default:
      return;
  }
}

function checkWait(step: WaitStep, at: string): void {
  exactlyOne(step, ["timeout", "deadline"], at);
  exactlyOne(step, ["expect", "from", "error", "woken"], at);
  if (step.from === undefined && (step.count !== undefined || step.again !== undefined)) {
    throw new FormatError(at, "count and again belong to from");
  }
  if (step.expect?.length === 0 && step.timeout === null) {
    throw new FormatError(at, "expects no events of a wait for ever, which could not return");
  }
  if (step.expect?.some((event) => "every" in event) && step.until === undefined) {
    throw new FormatError(at, "expects a timer that repeats, and does not say until when");
  }
}

/** A # stands for the number of the repetition. */
const name = pattern(/^[a-z][A-Za-z0-9#]*$/, "a name");
const text: Check<string> = pattern(/^[^]+$/, "text");
const character = pattern(/^[ -~]$/, "one ASCII character");
const errorCode = pattern(/^E[A-Z0-9]+$/, "an error's name, such as EBADF");
const count = number("a count", (value) => Number.isSafeInteger(value) && value >= 0);
const atLeastOne = number("a count from 1 on", (value) => Number.isSafeInteger(value) && value >= 1);
const milliseconds = number("milliseconds, 0 or more", (value) => value >= 0);
const period = number("milliseconds, more than 0", (value) => value > 0);
const difference = number("milliseconds", Number.isFinite);
const moment = record<Moment>({ of: name, plus: optional(difference) });

const label = { label: optional(name) };
const onPoller = { ...label, poller: optional(name), maxCalls: optional(count) };
const canFail = { error: optional(errorCode) };
const registers = {
  fd: descriptor,
  key,
  interest: distinct(listOf(oneOf(interests))),
  mode: optional(oneOf(modes)),
};
const arms = { key, after: optional(milliseconds), deadline: optional(moment), repeat: optional(milliseconds) };
const changeShapes: { readonly [K in Change["op"]]: Shape<Omit<Extract<Change, { op: K }>, "op">> } = {
  add: { ...registers, ...canFail },
  modify: { ...registers, ...canFail },
  delete: { fd: descriptor, ...canFail },
};
const stepShapes: { readonly [K in Step["do"]]: Shape<Omit<Extract<Step, { do: K }>, "do">> } = {
  socketpair: { as: pairOf(name), ...label },
  tcp: { as: pairOf(name), ...label },
  listen: { as: name, host: oneOf(hosts), ...label },
  connect: { to: name, as: name, ...label },
  accept: { fd: name, as: name, ...label },
  pendingError: { fd: name, error: optional(errorCode), ...label },
  pipe: { as: pairOf(name), ...label },
  eventfd: { as: name, ...label },
  regular: { as: name, ...label },
  dup: { fd: name, as: name, onto: optional(name), ...label },
  close: { fd: name, ...label },
  shutdown: { fd: name, how: oneOf(["read", "write", "both"] as const), ...label },
  write: {
    fd: name,
    text: optional(text),
    counter: optional(atLeastOne),
    fill: optional(literally(true)),
    ...label,
  },
  read: {
    fd: name,
    room: optional(atLeastOne),
    text: optional(text),
    count: optional(count),
    drain: optional(literally(true)),
    ...label,
  },
  sendUrgent: { fd: name, text: character, ...label },
  receiveUrgent: { fd: name, text: character, ...label },
  poller: { as: name, ...label },
  add: { ...registers, ...canFail, ...onPoller },
  modify: { ...registers, ...canFail, ...onPoller },
  delete: { fd: descriptor, ...canFail, ...onPoller },
  apply: { changes: listOf(checkChange), ...onPoller },
  addTimer: { ...arms, ...canFail, ...onPoller },
  modifyTimer: { ...arms, ...canFail, ...onPoller },
  deleteTimer: { key, ...canFail, ...onPoller },
  notifier: { as: name, ...onPoller },
  notify: { notifier: optional(name), ...onPoller },
  closePoller: onPoller,
  moment: { as: name, ...label },
  pass: { milliseconds, ...label },
  registrations: { expect: count, ...onPoller },
  timers: { expect: count, ...onPoller },
  events: { room: count, ...label },
  pool: { as: name, events: notEmpty(listOf(expectedEvent)), ...label },
  drained: { pool: name, ...label },
  repeat: { times: atLeastOne, steps: notEmpty(listOf(checkStep)), ...label },
  wait: {
    timeout: optional((value, at) => (value === null ? null : milliseconds(value, at))),
    deadline: optional(moment),
    room: optional(count),
    expect: optional(listOf(expectedEvent)),
    from: optional(name),
    count: optional(count),
    again: optional(literally(true)),
    woken: optional(literally(true)),
    until: optional(moment),
    ...canFail,
    ...onPoller,
  },
};

function checkChange(value: unknown, at: string): Change {
  if (typeof value !== "object" || value === null || !("op" in value)) throw new FormatError(at, "is not a change");
  const op = oneOf(Object.keys(changeShapes) as Change["op"][])(value.op, `${at}.op`);
  return record<Loose>({ op: text, ...changeShapes[op] })(value, `${at} (${op})`) as unknown as Change;
}

function expectedEvent(value: unknown, at: string): ExpectedEvent {
  if (typeof value === "object" && value !== null && "expirations" in value) return expectedTimer(value, at);
  const event = record<ExpectedReadiness>({
    key,
    is: notEmpty(distinct(listOf(oneOf(bits)))),
    may: optional(notEmpty(distinct(listOf(oneOf(bits))))),
    errorCode: optional(errorCode),
  })(value, at);
  if (event.may?.some((bit) => event.is.includes(bit))) throw new FormatError(at, "a bit that must be set is in may");
  return event;
}

function expectedTimer(value: unknown, at: string): ExpectedTimer {
  return record<ExpectedTimer>({ key, expirations: atLeastOne, every: optional(period) })(value, at);
}

function descriptor(value: unknown, at: string): Descriptor {
  return typeof value === "number" ? number("a descriptor", Number.isInteger)(value, at) : name(value, at);
}

function key(value: unknown, at: string): Key {
  if (typeof value === "number") return count(value, at);
  const digits = pattern(/^([0-9]*#|[0-9]+)$/, "a key")(value, at);
  if (digits.includes("#")) return digits;
  const exact = BigInt(digits);
  if (exact <= BigInt(Number.MAX_SAFE_INTEGER)) throw new FormatError(at, "a safe integer is written as a number");
  if (exact > 0xffff_ffff_ffff_ffffn) throw new FormatError(at, "does not fit in 64 bits");
  return digits;
}

function record<T extends object>(shape: Shape<T>): Check<T> {
  const checks = shape as Readonly<Record<string, Check<unknown>>>;
  return (value, at) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new FormatError(at, "is no object");
    for (const field of Object.keys(value)) {
      if (!Object.hasOwn(checks, field)) throw new FormatError(at, `has an unknown field ${field}`);
    }
    for (const [field, check] of Object.entries(checks)) {
      check((value as Readonly<Record<string, unknown>>)[field], `${at}.${field}`);
    }
    return value as T;
  };
}

function mapOf<T>(check: Check<T>): Check<Readonly<Record<string, T>>> {
  return (value, at) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new FormatError(at, "is no object");
    for (const [entry, inner] of Object.entries(value)) check(inner, `${at}.${entry}`);
    return value as Readonly<Record<string, T>>;
  };
}

function listOf<T>(check: Check<T>): Check<readonly T[]> {
  return (value, at) => {
    if (!Array.isArray(value)) throw new FormatError(at, "is not a list");
    return value.map((item, index) => check(item, `${at}[${index}]`));
  };
}

function pairOf<T>(check: Check<T>): Check<readonly [T, T]> {
  return (value, at) => {
    const [first, second, ...more] = listOf(check)(value, at);
    if (first === undefined || second === undefined || more.length > 0) throw new FormatError(at, "is not a pair");
    return [first, second];
  };
}

function notEmpty<T>(check: Check<readonly T[]>): Check<readonly T[]> {
  return (value, at) => {
    const list = check(value, at);
    if (list.length === 0) throw new FormatError(at, "is empty");
    return list;
  };
}

function distinct<T>(check: Check<readonly T[]>): Check<readonly T[]> {
  return (value, at) => {
    const list = check(value, at);
    if (new Set(list).size !== list.length) throw new FormatError(at, "says something twice");
    return list;
  };
}

/** The `never` cast: a missing field and one that is `undefined` cannot be told apart by a check. */
function optional<T>(check: Check<T>): Check<never> {
  return (value, at) => (value === undefined ? undefined : check(value, at)) as never;
}

function literally<T>(expected: T): Check<T> {
  return (value, at) => {
    if (value !== expected) throw new FormatError(at, `can only be ${JSON.stringify(expected)}`);
    return expected;
  };
}

function oneOf<T extends string>(allowed: readonly T[]): Check<T> {
  return (value, at) => {
    const found = allowed.find((item) => item === value);
    if (found === undefined) throw new FormatError(at, `${JSON.stringify(value)} is none of ${allowed.join(", ")}`);
    return found;
  };
}

function pattern(expression: RegExp, what: string): Check<string> {
  return (value, at) => {
    if (typeof value !== "string" || !expression.test(value)) {
      throw new FormatError(at, `${JSON.stringify(value)} is not ${what}`);
    }
    return value;
  };
}

function number(what: string, accept: (value: number) => boolean): Check<number> {
  return (value, at) => {
    if (typeof value !== "number" || !accept(value))
      throw new FormatError(at, `${JSON.stringify(value)} is not ${what}`);
    return value;
  };
}

function exactlyOne(value: object, fields: readonly string[], at: string): void {
  const there = fields.filter((field) => Object.hasOwn(value, field));
  if (there.length !== 1) throw new FormatError(at, `must have exactly one of ${fields.join(", ")}`);
}

function atMostOne(value: object, fields: readonly string[], at: string): void {
  const there = fields.filter((field) => Object.hasOwn(value, field));
  if (there.length > 1) throw new FormatError(at, `must have at most one of ${fields.join(", ")}`);
}
