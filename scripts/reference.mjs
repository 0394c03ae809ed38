/**
 * `npm run reference`: the documentation of the public items, made of what the sources say about them, in
 * `out/reference/`. TypeDoc takes `src/`; `wit/` is read here, and added as pages of Markdown.
 *
 * Fails if an item is not documented, if a name in a documentation means nothing, or if a link leads nowhere, in the
 * project's own Markdown too. Relies on a build (`scripts/ready.mjs` makes one), and on npm, which installs what
 * `scripts/reference/package.json` names into `out/reference-tools/` and nowhere else.
 */
import { spawnSync } from "node:child_process";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { witSource } from "./component.mjs";
import { brokenLinks, builtPages, markdownPages } from "./reference/links.mjs";
import { pagesOf } from "./reference/pages.mjs";
import { readWit } from "./reference/wit.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = join(root, "scripts/reference");
const tools = join(root, "out/reference-tools");
const pages = join(root, "out/reference-pages");
const reference = join(root, "out/reference");

async function main() {
  const wit = await readWit(await witSource());
  await writePages(pagesOf(wit, await readFile(join(sources, "index.md"), "utf8")));
  await installTools();
  await rm(reference, { recursive: true, force: true });
  run(process.execPath, join(tools, "node_modules/typedoc/bin/typedoc"), "--options", join(sources, "typedoc.json"));
  await checkLinks();
}

async function writePages(texts) {
  await rm(pages, { recursive: true, force: true });
  await mkdir(pages, { recursive: true });
  for (const [name, text] of texts) await writeFile(join(pages, name), text);
}

/** Installs what the lock names, unless that is there. npm puts the lock of what it has installed into the folder. */
async function installTools() {
  const lock = await readFile(join(sources, "package-lock.json"), "utf8");
  const stamp = join(tools, "installed.json");
  if ((await readFile(stamp, "utf8").catch(() => "")) === lock) return;
  console.error("> installing TypeDoc into out/reference-tools");
  await rm(tools, { recursive: true, force: true });
  await mkdir(tools, { recursive: true });
  for (const name of ["package.json", "package-lock.json"]) await copyFile(join(sources, name), join(tools, name));
  run("npm", "ci", "--prefix", tools, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error");
  await writeFile(stamp, lock);
}

async function checkLinks() {
  const require = createRequire(join(tools, "package.json"));
  const MarkdownIt = require("markdown-it");
  const { default: Slugger } = await import(require.resolve("github-slugger"));
  const built = builtPages(reference);
  const own = markdownPages(root, { MarkdownIt, Slugger });
  const broken = brokenLinks(new Map([...built, ...own]));
  if (broken.length > 0) throw new Error(`links that lead nowhere:\n${broken.join("\n").replaceAll(`${root}/`, "")}`);
  console.log(
    `${relative(root, reference)}: ${built.size} pages; their links, and those of ${own.size} other files, hold`,
  );
}

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`"${[command, ...args].join(" ")}" failed`);
}

try {
  await main();
} catch (error) {
  console.error(`reference: ${error.message}`);
  process.exitCode = 1;
}
