/** The platform's kernel, some of whose functions do something else when a test wants it. */
import type { CanonicalOptions, Kernel } from "lio-poller";
import { platformKernel } from "./internals.js";
import { WrappedKernel, type Call } from "./wrapped-kernel.js";

/** What to do instead of a core function. */
export type Instead = (call: Call, flat: never[], options: CanonicalOptions) => ReturnType<Call>;

/** This platform's kernel, until one of its functions is replaced. */
export class ReplaceableKernel extends WrappedKernel {
  readonly #replaced: Map<string, Instead>;

  constructor(inner: Kernel = platformKernel(undefined)) {
    const replaced = new Map<string, Instead>();
    super(inner, (name, call, options) => (...flat) => {
      const instead = replaced.get(name);
      return instead === undefined ? call(...flat) : instead(call, flat, options);
    });
    this.#replaced = replaced;
  }

  replace(name: string, instead: Instead): void {
    this.#replaced.set(name, instead);
  }

  restore(): void {
    this.#replaced.clear();
  }
}
