/** The numbers of `host/errors_windows.h` against the Node that runs. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { getSystemErrorMap } from "node:util";
import { root } from "../support/internals.js";

describe("the error numbers of Windows", () => {
  const header = readFileSync(join(root, "host/errors_windows.h"), "utf8");
  const numbers = [...header.matchAll(/^ {2}k(\w+) = (\d+),$/gm)];

  it("are those that Node gives the names", () => {
    assert.ok(numbers.length >= 39, `${numbers.length} found`);
    for (const [, name, number] of numbers) assert.equal(getSystemErrorMap().get(-Number(number))?.[0], name);
  });
});
