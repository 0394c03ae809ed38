/** What the README says that can be checked: its example, its commands, the size of the component. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { command } from "./support/child.js";

const root = dirname(createRequire(import.meta.url).resolve("lio-poller/package.json"));
const readme = readFileSync(join(root, "README.md"), "utf8");

describe("the README", () => {
  it("begins with an example that is examples/readme.ts, word for word, and runs", () => {
    const [, example] = /```ts\n(.*?)```/s.exec(readme) ?? [];
    assert.equal(example, readFileSync(join(root, "examples/readme.ts"), "utf8"));
    const { stdout } = spawnSync(...command(join(root, "out/examples/readme.js")), { encoding: "utf8" });
    assert.equal(stdout, "5 bytes\n");
  });

  it("names only commands that there are", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
    const named = new Set([...readme.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name]) => name as string));
    assert.ok(named.size > 0);
    for (const name of named) assert.ok(name in scripts, `there is no "npm run ${name}"`);
  });

  it("claims no kernel that is not there (fault 44)", () => {
    const rows = [...readme.matchAll(/^\|[^|]*\|([^|]*)\|[^|]*\|$/gm)].map(([, cell = ""]) => cell);
    const claimed = new Set(rows.flatMap((cell) => cell.match(/\b(epoll|kqueue|iocp)\b/gi) ?? []));
    assert.ok(claimed.has("epoll"));
    for (const kernel of claimed) {
      const name = kernel.toLowerCase();
      for (const file of [`wit/${name}.wit`, `assembly/kernels/${name}.ts`, `host/kernels/${name}.cc`]) {
        assert.ok(existsSync(join(root, file)), `${kernel} is claimed, and there is no ${file}`);
      }
    }
  });

  it("tells the component's size, to the thousand", () => {
    const [, thousands] = /component of (\d+) KB/.exec(readme) ?? [];
    assert.equal(Number(thousands), Math.round(statSync(join(root, "dist/epoll.component.wasm")).size / 1000));
  });
});
