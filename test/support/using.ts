/** What the tests' own `using` needs where the runtime has no key for it: Node before 20.4. */
for (const name of ["dispose", "asyncDispose"] as const) {
  if (Symbol[name] === undefined) Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) });
}
