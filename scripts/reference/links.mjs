/** Whether what pages link to is there: files, and the anchors in them. Nothing is fetched. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { inflateSync } from "node:zlib";

/**
 * The links that lead nowhere, each behind the page that it is on. Links to other hosts are not looked at.
 *
 * @param pages HTML by the absolute paths of its files
 */
export function brokenLinks(pages) {
  const anchors = new Map([...pages].map(([path, html]) => [path, attributes(html, "id")]));
  const reaches = (path, link) => {
    const [file, anchor] = link.split("#").map(decodeURIComponent);
    const target = file === "" ? path : resolve(dirname(path), file);
    if (!existsSync(target) && !pages.has(target)) return false;
    return !anchor || (anchors.get(target)?.has(anchor) ?? false);
  };
  return [...pages].flatMap(([path, html]) => {
    const links = [...attributes(html, "href|src")].filter((link) => !/^(?:[a-z][a-z0-9+.-]*:|\/\/)/i.test(link));
    return links.filter((link) => !reaches(path, link)).map((link) => `${path}: ${link}`);
  });
}

function attributes(html, names) {
  const found = html.matchAll(new RegExp(`<[a-z][^<>]*?\\s(?:${names})="([^"]*)"`, "gi"));
  return new Set([...found].map(([, value]) => value.replaceAll("&amp;", "&")));
}

/** What TypeDoc has built, and for each of its scripts a page of what that makes links of. */
export function builtPages(folder) {
  const files = readdirSync(folder, { recursive: true }).filter((file) => /\.(?:html|svg)$/.test(file));
  const pages = new Map(files.map((file) => [join(folder, file), readFileSync(join(folder, file), "utf8")]));
  for (const script of ["navigation", "search", "hierarchy"]) {
    const [, data] = /^window\.\w+ = "(.*)"/.exec(readFileSync(join(folder, `assets/${script}.js`), "utf8"));
    const links = inflateSync(Buffer.from(data, "base64"))
      .toString()
      .matchAll(/"(?:path|url)":"(.*?)"/g);
    pages.set(join(folder, script), [...links].map(([, link]) => `<a href="${link}">`).join("\n"));
  }
  return pages;
}

/** The Markdown of a repository as HTML, its headings with the anchors that are usual there. */
export function markdownPages(root, { MarkdownIt, Slugger }) {
  const markdown = new MarkdownIt({ html: true });
  return new Map(markdownFiles(root).map((path) => [path, rendered(markdown, new Slugger(), path)]));
}

function rendered(markdown, slugger, path) {
  const tokens = markdown.parse(readFileSync(path, "utf8"), {});
  for (const [index, token] of tokens.entries()) {
    if (token.type !== "heading_open") continue;
    const words = tokens[index + 1].children.map(({ content }) => content);
    token.attrSet("id", slugger.slug(words.join("")));
  }
  return markdown.renderer.render(tokens, markdown.options, {});
}

/** Not what was installed or built. */
function markdownFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory())
      return /^(?:\..*|node_modules|build|dist|out.*)$/.test(entry.name) ? [] : markdownFiles(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}
