/** A kernel without core functions, so that jco lifts and lowers all that crosses; and whose functions can be replaced. */
import type { ImportedFunction, Kernel, KernelName, OpenKernel } from "lio-poller";

/** A kernel like another one, by its plain functions alone. */
export class PlainKernel implements Kernel {
  readonly name: KernelName;
  readonly #inner: Kernel;
  readonly #replaced = new Map<string, ImportedFunction>();

  constructor(inner: Kernel) {
    this.name = inner.name;
    this.#inner = inner;
  }

  /** Has a function, such as `"control"`, do something else from now on. What it throws with a `payload` is an error. */
  replace(name: string, instead: ImportedFunction): void {
    this.#replaced.set(name, instead);
  }

  restore(): void {
    this.#replaced.clear();
  }

  open(): OpenKernel {
    const inner = this.#inner.open();
    const plain = (name: string, call: ImportedFunction): ImportedFunction => {
      return (...lifted) => (this.#replaced.get(name) ?? call)(...lifted);
    };
    const imports = Object.entries(inner.imports).map(([name, functions]) => {
      return [name, Object.fromEntries(Object.entries(functions).map(([key, call]) => [key, plain(key, call)]))];
    });
    return { imports: Object.fromEntries(imports) as OpenKernel["imports"], close: () => inner.close() };
  }
}
