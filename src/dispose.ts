/**
 * The keys by which `using` and `await using` end an object. Node before 20.4 has none, nor have contexts of `node:vm` in
 * Node before 24; there a program, or its compiler's helper, brings them, before this package is loaded or after.
 *
 * The build gives the component's JavaScript the same fallback: see `scripts/component.mjs`.
 */

/** `Symbol.dispose`, or what polyfills usually take. */
export const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");

/** `Symbol.asyncDispose`, or what polyfills usually take. */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");

/** Ends what a component has made, by the key that there was when the component was instantiated. */
export function disposeOf(lifted: object): void {
  const { [dispose]: end = (lifted as Disposable)[Symbol.dispose] } = lifted as Partial<Disposable>;
  end.call(lifted);
}

/**
 * Has a class's objects end by a key that was brought after this package was loaded, and that is another one. To be called
 * for each object, whose `using` must find it.
 */
export function adoptKeys(prototype: object): void {
  if (Symbol.dispose !== dispose) adoptKey(prototype, dispose, Symbol.dispose);
  if (Symbol.asyncDispose !== asyncDispose) adoptKey(prototype, asyncDispose, Symbol.asyncDispose);
}

function adoptKey(prototype: object, known: symbol, brought: symbol | undefined): void {
  if (brought === undefined || Object.hasOwn(prototype, brought)) return;
  const method = Object.getOwnPropertyDescriptor(prototype, known);
  if (method !== undefined) Object.defineProperty(prototype, brought, method);
}
