/**
 * Where `assembly/` can be changed mechanically, and into what: one operator, one constant, one condition or one statement
 * at a time, found in the syntax tree that AssemblyScript's own parser makes.
 *
 * Left out is what cannot change behaviour, or can do so only beyond it: type arguments, decorators, and the sizes of
 * static memory, which larger than needed do nothing and smaller overlap.
 */
import { NodeKind, Parser } from "assemblyscript";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const OPERATORS = {
  "<": ["<=", ">="],
  "<=": ["<", ">"],
  ">": [">=", "<="],
  ">=": [">", "<"],
  "==": ["!="],
  "!=": ["=="],
  "+": ["-"],
  "-": ["+"],
  "*": ["+"],
  "/": ["*"],
  "<<": [">>"],
  ">>": ["<<"],
  "&": ["|"],
  "|": ["&"],
  "^": ["&"],
  "&&": ["||"],
  "||": ["&&"],
  "+=": ["-="],
  "-=": ["+="],
  "|=": ["&="],
  "&=": ["|="],
  "<<=": [">>="],
  "++": ["--"],
  "--": ["++"],
};

/** The files of the core that a kernel's component is made of. */
export function coreFiles(kernel) {
  const names = (folder) => readdirSync(join(root, folder)).filter((name) => name.endsWith(".ts"));
  const common = ["assembly", "assembly/abi"].flatMap((folder) => names(folder).map((name) => `${folder}/${name}`));
  // The names of what is exported, and of the kernel, hold no code.
  const empty = ["assembly/index.ts", "assembly/kernel.ts"];
  return [...common.filter((file) => !empty.includes(file)), `assembly/kernels/${kernel}.ts`];
}

/** A change of one place: `{ file, from, to, text, line, context, what, nth }`, the nth such change of its line. */
export function sitesOf(file) {
  const source = readFileSync(join(root, file), "utf8");
  const parser = new Parser();
  parser.parseFile(source, file, true);
  const sites = [];
  const lineOf = (at) => source.slice(0, at).split("\n").length;
  const add = (from, to, text) => {
    const line = lineOf(from);
    const what = `${source.slice(from, to).replaceAll(/\s+/g, " ")} → ${text.replaceAll(/\s+/g, " ") || "nothing"}`;
    const context = source.split("\n")[line - 1].trim();
    const nth = sites.filter((other) => other.line === line && other.what === what).length + 1;
    sites.push({ file, from, to, text, line, context, what, nth });
  };
  const textOf = ({ range }) => source.slice(range.start, range.end);

  function operator(left, right) {
    const between = source.slice(left, right);
    const [sign] = between.match(/[-+*/<>=!&|^]+/) ?? [];
    if (sign === undefined) return;
    const from = left + between.indexOf(sign);
    for (const other of OPERATORS[sign] ?? []) add(from, from + sign.length, other);
  }

  function negate(condition) {
    add(condition.range.start, condition.range.end, `!(${textOf(condition)})`);
  }

  function visit(node) {
    switch (node.kind) {
      case NodeKind.Binary:
        operator(node.left.range.end, node.right.range.start);
        break;
      case NodeKind.UnaryPostfix:
        operator(node.operand.range.end, node.range.end);
        break;
      case NodeKind.UnaryPrefix:
        if (textOf(node).startsWith("!")) add(node.range.start, node.operand.range.start, "");
        if (textOf(node).startsWith("~")) add(node.range.start, node.operand.range.start, "");
        if (/^[-+]{2}/.test(textOf(node))) operator(node.range.start, node.operand.range.start);
        break;
      case NodeKind.Literal:
        literal(node);
        break;
      case NodeKind.If:
      case NodeKind.Ternary:
        negate(node.condition);
        break;
      case NodeKind.While:
        if (textOf(node.condition) !== "true") negate(node.condition);
        break;
      case NodeKind.Expression:
        if (/^[\w.]+\(|(?<![=<>!])=(?!=)/.test(textOf(node))) add(node.range.start, node.range.end, ";");
        break;
      case NodeKind.Call:
        // The sizes of static memory.
        if (textOf(node).startsWith("memory.data(")) return;
        break;
      default:
    }
    for (const [name, child] of Object.entries(node)) {
      if (["decorators", "type", "typeArguments", "range", "parentNode", "toType"].includes(name)) continue;
      for (const one of Array.isArray(child) ? child : [child]) {
        if (one !== null && typeof one === "object" && one.range && typeof one.kind === "number") visit(one);
      }
    }
  }

  function literal(node) {
    const text = textOf(node);
    if (!/^(0x[\da-f]+|\d+)$/i.test(text)) return;
    const value = BigInt(text);
    add(node.range.start, node.range.end, String(value + 1n));
    if (value > 1n) add(node.range.start, node.range.end, String(value - 1n));
  }

  for (const statement of parser.sources[0].statements) visit(statement);
  return sites;
}

/** The text of a file with one place changed. */
export function changed({ file, from, to, text }) {
  const source = readFileSync(join(root, file), "utf8");
  return source.slice(0, from) + text + source.slice(to);
}
