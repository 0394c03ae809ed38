/**
 * One registry for the finalizers of a thread, in place of those that jco makes for each instance of a component.
 *
 * In Node before 26, V8 runs no finalizer of anybody any more once a registry is collected after something registered with
 * it, and before its callback has run: V8's one task for callbacks then finds none to call, and is never posted again.
 * Instances come and go with their kernels. Their registries must not.
 */
interface Held {
  readonly owner: WeakRef<LastingRegistry<never>>;
  readonly value: unknown;
}

const registry = new FinalizationRegistry<Held>(({ owner, value }) => owner.deref()?.finalize(value as never));

/** What is used of a `FinalizationRegistry`. It is not kept alive by what is registered with it. */
export class LastingRegistry<T> {
  readonly finalize: (value: T) => void;
  readonly #self = new WeakRef(this);

  constructor(finalize: (value: T) => void) {
    this.finalize = finalize;
  }

  register(target: WeakKey, value: T, token: WeakKey): void {
    registry.register(target, { owner: this.#self, value }, token);
  }

  unregister(token: WeakKey): void {
    registry.unregister(token);
  }
}
