/** Kernels made of other kernels, to watch what a component does with them, or to have them misbehave. */
import type { CanonicalOptions, CoreFunction, ImportedFunction, Kernel, KernelName, OpenKernel } from "lio-poller";
import { cabiLower } from "./internals.js";

/** A core function whose arguments nobody looks at. */
export type Call = (...flat: never[]) => number | bigint | void;

/** What stands in for a core function, such as `"wait"`, of an instance with this memory. */
export type Around = (name: string, call: Call, options: CanonicalOptions) => Call;

/** A kernel like another one, each of whose core functions goes through `around` when it is bound. */
export class WrappedKernel implements Kernel {
  readonly name: KernelName;
  /** How often instances were opened, and how often closed because they trapped. */
  opened = 0;
  closed = 0;

  readonly #inner: Kernel;
  readonly #around: Around;

  constructor(inner: Kernel, around: Around) {
    this.name = inner.name;
    this.#inner = inner;
    this.#around = around;
  }

  open(): OpenKernel {
    this.opened++;
    const inner = this.#inner.open();
    const imports = Object.entries(inner.imports).map(([name, functions]) => [name, this.#wrapAll(functions)]);
    return {
      imports: Object.fromEntries(imports) as OpenKernel["imports"],
      ...(inner.deliver && { deliver: inner.deliver }),
      close: () => {
        this.closed++;
        inner.close();
      },
    };
  }

  #wrapAll(functions: Readonly<Record<string, ImportedFunction>>): Record<string, ImportedFunction> {
    return Object.fromEntries(Object.entries(functions).map(([name, call]) => [name, this.#wrap(name, call)]));
  }

  #wrap(name: string, lifted: ImportedFunction): ImportedFunction {
    const lower = lifted[cabiLower];
    if (lower === undefined) throw new Error(`${name} has no core function`);
    const wrapped = (options: CanonicalOptions): CoreFunction => this.#around(name, lower(options) as Call, options);
    return Object.assign(
      (): never => {
        throw new Error(`${name} was lifted`);
      },
      { [cabiLower]: wrapped },
    );
  }
}

/** A kernel like another one that tells how large the linear memory of its component instance is. */
export class MeasuredKernel extends WrappedKernel {
  readonly #seen: { memory: CanonicalOptions["memory"] };

  constructor(inner: Kernel, around: Around = (_name, call) => call) {
    const seen: { memory: CanonicalOptions["memory"] } = { memory: undefined };
    super(inner, (name, call, options) => {
      if (options.memory !== undefined) seen.memory = options.memory;
      return around(name, call, options);
    });
    this.#seen = seen;
  }

  /** Bytes of the memory of the instance that was opened last. */
  get bytes(): number {
    if (this.#seen.memory === undefined) throw new Error("no instance was opened");
    return this.#seen.memory.buffer.byteLength;
  }
}
