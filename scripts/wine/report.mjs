/** What the suites of `suites.mjs` came to, under Wine or on Windows. */

/** Why a suite failed, or `undefined`. A program that ends early without a word has not passed. */
export function verdict({ expects = [] }, failure, output) {
  if (failure !== undefined) return failure;
  const missing = expects.find((text) => !output.includes(text));
  return missing === undefined ? undefined : `it did not print "${missing}"`;
}

/** Prints the table, and what failed; returns the exit code. */
export function report(results) {
  const failed = results.filter(({ failure }) => failure !== undefined);
  for (const { where, name, failure, output } of failed) {
    console.log(`--- ${name}, ${where}: ${failure}\n${output.trimEnd()}\n`);
  }
  const width = Math.max(...results.map(({ name }) => name.length));
  for (const { where, name, failure, output, seconds } of results) {
    const sign = failure === undefined ? "✓" : "✗";
    const told = failure ?? output.trimEnd().split("\n").at(-1).trim();
    console.log(`${sign}  ${where.padEnd(7)}  ${name.padEnd(width)}  ${seconds.toFixed(1).padStart(5)} s  ${told}`);
  }
  console.log(`\n${results.length - failed.length} passed, ${failed.length} failed`);
  return failed.length > 0 || results.length === 0 ? 1 : 0;
}
