/** Puts a call before every statement of a file of `assembly/`, by its syntax tree. */
import { NodeKind, Parser } from "assemblyscript";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const DECLARATION = `
// @ts-ignore: top-level decorators are AssemblyScript's
@external("coverage", "hit")
declare function coverageHit(statement: i32): void;
`;

/** The file's text with the calls. Adds `{ file, line }` to `statements` for each; the call gives its place there. */
export function instrument(file, statements) {
  const source = readFileSync(join(root, file), "utf8");
  const parser = new Parser();
  parser.parseFile(source, file, true);
  const edits = [];

  function call(node) {
    statements.push({ file, line: source.slice(0, node.range.start).split("\n").length });
    return `coverageHit(${statements.length - 1});`;
  }

  /** A statement alone in the place of a block gets one. */
  function body(node) {
    if (node === null || node === undefined || node.kind === NodeKind.Block) return;
    const end = source[node.range.end] === ";" ? node.range.end + 1 : node.range.end;
    edits.push([node.range.start, `{ ${call(node)} `], [end, " }"]);
  }

  function visit(node) {
    if (node.kind === NodeKind.Block) {
      for (const statement of node.statements) {
        if (statement.kind !== NodeKind.Block) edits.push([statement.range.start, call(statement)]);
      }
    }
    if (node.kind === NodeKind.If) {
      body(node.ifTrue);
      body(node.ifFalse);
    }
    if ([NodeKind.While, NodeKind.For, NodeKind.Do].includes(node.kind)) body(node.body ?? node.statement);
    for (const [name, child] of Object.entries(node)) {
      if (["decorators", "range", "parentNode"].includes(name)) continue;
      for (const one of Array.isArray(child) ? child : [child]) {
        if (one !== null && typeof one === "object" && one.range && typeof one.kind === "number") visit(one);
      }
    }
  }
  for (const statement of parser.sources[0].statements) visit(statement);

  // From the end, so that places stay what they are; of two at one place the later belongs further out.
  let text = source;
  for (const [at, inserted] of edits
    .map((edit, index) => [...edit, index])
    .toSorted((a, b) => b[0] - a[0] || b[2] - a[2])) {
    text = text.slice(0, at) + inserted + text.slice(at);
  }
  return text + DECLARATION;
}
