/**
 * `npm run check:component`: prints the WIT of every component that was built, and fails if one imports anything but its
 * kernel and the clock, is larger than it may be, or differs from what the sources give when they are built again.
 */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildComponent, checkImports, kernels, MOST_BYTES } from "./component.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

for (const kernel of await kernels()) {
  const name = `dist/${kernel}.component.wasm`;
  const built = await readFile(join(root, name));
  console.log(await checkImports(built, kernel));
  const { component } = await buildComponent(kernel);
  if (Buffer.compare(built, component) !== 0) throw new Error(`${name} is not what the sources give: build it again`);
  console.log(`${name}: ${built.length} bytes of at most ${MOST_BYTES}; built twice, it is the same to the byte`);
}
