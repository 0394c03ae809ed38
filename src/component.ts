/**
 * Instances of the components, and the canonical ABI for the calls that are made often.
 *
 * jco instantiates the component and serves the rare calls. What it generates costs microseconds a call, so the often
 * used ones go to the core module's exports directly, with flat arguments, and read their results from its memory as
 * the canonical ABI lays them out.
 */
import { readFileSync } from "node:fs";
import { type ComponentName, components } from "./components.js";
import { pollerError, type PollerError } from "./errors.js";
import type { Kernel, OpenKernel } from "./kernel.js";

/** A resource of the component: jco's object, and what the component knows it by. */
export interface Resource<T> {
  readonly lifted: T;
  readonly representation: number;
}

type Root = ReturnType<(typeof components)[ComponentName]>;
export type LiftedPoller = Root["poller"]["Poller"]["prototype"];
export type LiftedEvents = Root["poller"]["Events"]["prototype"];

const POLLER = "lio:poller/poller@0.1.0";

/** The core exports that are called directly. Each returns where its result lies. */
type CoreExports = {
  readonly memory: WebAssembly.Memory;
  readonly cabi_realloc: (old: number, oldSize: number, alignment: number, size: number) => number;
} & {
  readonly [
    Name in "add" | "modify" | "delete" | "apply" | "wait" | "notify" as `${typeof POLLER}#[method]poller.${Name}`
  ]: Instance[Name];
} & {
  readonly [Name in "read" as `${typeof POLLER}#[method]events.${Name}`]: Instance[Name];
} & {
  readonly [Name in "applied" as `cabi_post_${typeof POLLER}#[method]poller.apply`]: Instance[Name];
};

/** No call runs. */
export const IDLE = 0;
/** A call runs. */
export const BUSY = 1;
/** The component trapped: it must not be called again. */
export const TRAPPED = 2;

/** One instance of a component, on one kernel. */
export class Instance {
  /** `IDLE`, `BUSY` or `TRAPPED`. */
  state: typeof IDLE | typeof BUSY | typeof TRAPPED = IDLE;

  // The views of memory; a memory that has grown leaves them with length 0.
  bytes: Uint8Array;
  words: Uint32Array;

  readonly add: (poller: number, fd: number, key: bigint, interest: number, mode: number) => number;
  readonly modify: (poller: number, fd: number, key: bigint, interest: number, hasMode: number, mode: number) => number;
  readonly delete: (poller: number, fd: number) => number;
  readonly apply: (poller: number, changes: number, length: number) => number;
  readonly applied: (result: number) => void;
  readonly wait: (poller: number, events: number, hasTimeout: number, timeout: bigint) => number;
  readonly notify: (poller: number) => number;
  readonly read: (events: number) => number;
  readonly allocate: (bytes: number) => number;

  readonly #kernel: OpenKernel;
  readonly #root: Root;
  readonly #memory: WebAssembly.Memory;
  #representation = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel.open();
    let core: CoreExports | undefined;
    const instantiateCore = (module: WebAssembly.Module, imports: WebAssembly.Imports = {}): WebAssembly.Instance => {
      const { exports } = new WebAssembly.Instance(module, this.#watchResources(imports));
      if (!("cabi_realloc" in exports)) return { exports };
      core = exports as unknown as CoreExports;
      return { exports: this.#guardDestructors(exports) };
    };
    const imports: Record<string, object> = { "lio:poller/types": {} };
    for (const [name, functions] of Object.entries(this.#kernel.imports)) imports[`lio:poller/${name}`] = functions;
    const { name } = kernel;
    this.#root = components[name]((path) => coreModule(name, path), imports as never, instantiateCore);

    if (core === undefined) throw new Error("the component has no core module that exports its allocator");
    const { memory, cabi_realloc } = core;
    this.#memory = memory;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.add = core[`${POLLER}#[method]poller.add`];
    this.modify = core[`${POLLER}#[method]poller.modify`];
    this.delete = core[`${POLLER}#[method]poller.delete`];
    this.apply = core[`${POLLER}#[method]poller.apply`];
    this.applied = core[`cabi_post_${POLLER}#[method]poller.apply`];
    this.wait = core[`${POLLER}#[method]poller.wait`];
    this.notify = core[`${POLLER}#[method]poller.notify`];
    this.read = core[`${POLLER}#[method]events.read`];
    this.allocate = (bytes) => cabi_realloc(0, 0, 8, bytes);
  }

  /** Makes a poller in this instance. @throws jco's error, whose payload is the error code. */
  createPoller(): Resource<LiftedPoller> {
    const lifted = this.#root.poller.Poller.create();
    return { lifted, representation: this.#representation };
  }

  /** Makes room for events in this instance. @throws jco's error, whose payload is the error code. */
  createEvents(capacity: number): Resource<LiftedEvents> {
    const lifted = this.#root.poller.Events.create(capacity);
    return { lifted, representation: this.#representation };
  }

  /** Makes the views anew if memory has grown. */
  refresh(): void {
    if (this.bytes.length !== 0) return;
    this.bytes = new Uint8Array(this.#memory.buffer);
    this.words = new Uint32Array(this.#memory.buffer);
  }

  /**
   * Ends the instance after something was thrown out of it. What its core was doing is half done, whether a trap or an
   * import threw, so nothing of it is used again; its descriptors are closed.
   */
  trapped(cause: unknown): PollerError {
    this.state = TRAPPED;
    this.#kernel.close();
    return pollerError("ERR_POLLER_TRAPPED", "The poller's component failed, and its pollers are closed", { cause });
  }

  /** Keeps jco, which drops resources that were collected, from calling an instance that has trapped. */
  #guardDestructors(exports: WebAssembly.Exports): WebAssembly.Exports {
    const guarded = Object.entries(exports).map(([name, value]) => {
      if (!name.includes("#[dtor]") || typeof value !== "function") return [name, value] as const;
      const destroy = (representation: number): void => {
        if (this.state !== TRAPPED) value(representation);
      };
      return [name, destroy] as const;
    });
    return Object.fromEntries(guarded);
  }

  /** Notes by which representation the component knows the resource that it makes: jco keeps that to itself. */
  #watchResources(imports: WebAssembly.Imports): WebAssembly.Imports {
    const exported = imports[`[export]${POLLER}`];
    if (exported === undefined) return imports;
    const watched = Object.entries(exported).map(([name, create]) => {
      if (!name.startsWith("[resource-new]") || typeof create !== "function") return [name, create] as const;
      const noting = (representation: number): number => {
        this.#representation = representation;
        return create(representation) as number;
      };
      return [name, noting] as const;
    });
    return { ...imports, [`[export]${POLLER}`]: Object.fromEntries(watched) };
  }
}

const coreModules = new Map<string, WebAssembly.Module>();

function coreModule(component: ComponentName, path: string): WebAssembly.Module {
  const url = new URL(`./component/${component}/${path}`, import.meta.url);
  let module = coreModules.get(url.href);
  if (module === undefined) {
    module = new WebAssembly.Module(readFileSync(url));
    coreModules.set(url.href, module);
  }
  return module;
}

const instances = new WeakMap<Kernel, Instance>();

/** The instance for a kernel: one per thread, made on first use, and made anew if it trapped. */
export function instanceFor(kernel: Kernel): Instance {
  const known = instances.get(kernel);
  if (known !== undefined && known.state !== TRAPPED) return known;
  const instance = new Instance(kernel);
  instances.set(kernel, instance);
  return instance;
}
