/**
 * Reads WIT: every interface and world, every item in them, and what is said about each.
 *
 * The documentation is in the text alone, which is why it is parsed here: jco's output keeps none of it. What jco makes
 * of the same text is held against the result, so that no item is forgotten. Of the language, what `wit/` uses is known;
 * anything else is an error, so that nothing is passed over.
 */
import { componentEmbed, componentNew, componentWit, print } from "@bytecodealliance/jco";

const NAME = "[a-z][a-z0-9-]*";

/**
 * @returns `{ name, interfaces, worlds }`: the package's name with its version, and what is in it, in the text's order
 * @throws an error that tells every item without documentation, or what of the text or of jco's view of it does not fit
 */
export async function readWit(source) {
  const wit = parse(source);
  const items = wit.interfaces.flatMap((one) => [one, ...one.items, ...one.items.flatMap(({ members }) => members)]);
  const silent = [...items, ...wit.worlds].filter(({ documentation }) => documentation === "");
  if (silent.length > 0) throw new Error(`not documented: ${silent.map(({ path }) => path).join(", ")}`);
  await checkItems(source, wit);
  for (const world of wit.worlds) await checkWorld(source, world);
  return wit;
}

/** Statements with the documentation before them and the block behind them, as far as that goes without knowing any. */
function statements(tokens) {
  const found = [];
  let documentation = [];
  let words = [];
  let open = 0;
  const end = (block) => {
    if (words.length > 0) found.push({ documentation: documentation.join("\n"), text: spaced(words), block });
    documentation = [];
    words = [];
  };
  for (const [word, comment] of tokens) {
    if (word.startsWith("//")) {
      if (words.length > 0) throw new Error(`a comment inside of "${spaced(words)}"`);
      if (comment !== undefined) documentation.push(comment);
    } else if (open === 0 && (word === ";" || word === ",")) {
      end();
    } else if (open === 0 && word === "}") {
      end();
      return found;
    } else if (open === 0 && word === "{" && !words.at(-1)?.endsWith(".")) {
      end(statements(tokens));
    } else {
      if ("({<".includes(word)) open++;
      if (")}>".includes(word)) open--;
      words.push(word);
    }
  }
  end();
  return found;
}

function spaced(words) {
  return words
    .join(" ")
    .replaceAll(/ ?([(<{]) ?/g, "$1")
    .replaceAll(/(?: ,)? ([)>},])/g, "$1");
}

function parse(source) {
  const wit = { name: "", interfaces: [], worlds: [] };
  const tokens = source.matchAll(/\/\/\/ ?(.*)|\/\/.*|->|[{}()<>,;]|[^\s{}()<>,;]+/g);
  for (const { documentation, text, block } of statements(tokens)) {
    const [, keyword, name] = /^(package|interface|world) (\S+)$/.exec(text) ?? [];
    if (keyword === "package") wit.name = name;
    else if (keyword === "interface") wit.interfaces.push({ path: name, documentation, ...interfaceOf(name, block) });
    else if (keyword === "world") wit.worlds.push({ path: name, documentation, ...worldOf(block) });
    else throw notKnown(text);
  }
  return wit;
}

function interfaceOf(path, block) {
  const items = [];
  const uses = new Map();
  for (const { documentation, text, block: inner } of block) {
    const [, from, names] = /^use (\S+)\.\{(.*)\}$/.exec(text) ?? [];
    if (from !== undefined) {
      for (const name of names.split(", ")) uses.set(name, from);
      continue;
    }
    const [, name] =
      new RegExp(`^(?:type|record|flags|enum|variant|resource) (${NAME})(?: = .*)?$`).exec(text) ??
      new RegExp(`^(${NAME}): func.*$`).exec(text) ??
      [];
    if (name === undefined) throw notKnown(text);
    const item = { path: `${path}.${name}`, name, documentation, text };
    items.push({ ...item, members: (inner ?? []).map((member) => memberOf(item.path, member)) });
  }
  return { items, uses };
}

/** A field, a flag, a case, or a resource's function. */
function memberOf(path, { documentation, text, block }) {
  const [, name] = new RegExp(`^(${NAME})(?:: .*|\\(.*\\))?$`).exec(text) ?? [];
  if (name === undefined || block !== undefined) throw notKnown(text);
  return { path: `${path}.${name}`, name, documentation, text };
}

function worldOf(block) {
  const world = { import: [], export: [] };
  for (const { text, block: inner } of block) {
    const [, direction, name] = new RegExp(`^(import|export) (${NAME})$`).exec(text) ?? [];
    if (direction === undefined || inner !== undefined) throw notKnown(text);
    world[direction].push(name);
  }
  return world;
}

function notKnown(text) {
  return new Error(`WIT that the reference cannot tell of: "${text}"`);
}

/** Fails unless jco finds the very same items in the interfaces: each in one that is imported, whole, by a world. */
async function checkItems(source, { interfaces }) {
  const imports = interfaces.map(({ path }) => `import ${path};`).join(" ");
  const text = await print(await componentOf(`${source}\nworld all-of-it { ${imports} }`, "all-of-it"));
  const theirs = itemsIn(text);
  const items = interfaces.flatMap((one) => one.items);
  const ours = [...items, ...items.flatMap(({ members }) => members)].map(({ path }) => path);
  const forgotten = theirs.filter((path) => !ours.includes(path));
  if (forgotten.length > 0) throw new Error(`known to jco, but not found in the text: ${forgotten.join(", ")}`);
  // jco leaves out types that nothing uses, which should not be there.
  const unknown = ours.filter((path) => !theirs.includes(path));
  if (unknown.length > 0) throw new Error(`not known to jco, or not used by any function: ${unknown.join(", ")}`);
}

/** Fails unless jco finds the imports and exports of a world; it adds the interfaces that those use. */
async function checkWorld(source, world) {
  const text = await componentWit(await componentOf(source, world.path));
  for (const direction of ["import", "export"]) {
    const theirs = [...text.matchAll(new RegExp(`^  ${direction} .*/(.*)@.*;$`, "gm"))].map(([, name]) => name);
    const missing = world[direction].filter((name) => !theirs.includes(name));
    if (missing.length > 0) throw new Error(`world ${world.path}: jco knows no ${direction} of ${missing.join(", ")}`);
    world[direction] = theirs;
  }
}

/** A component that does nothing, with all that a world says. */
async function componentOf(witSource, world) {
  return componentNew(await componentEmbed({ dummy: true, witSource, world }), []);
}

/**
 * The items of a component's imports, from its text format, in which each interface is a type: on a line each, types by
 * their numbers and then what has which name. A type that is the alias of another interface's has been used, not defined.
 */
function itemsIn(text) {
  const items = [];
  let path = "";
  let types = new Map();
  for (const line of text.split("\n")) {
    if (line.startsWith("  (core module")) break;
    const [, start] = /^ {2}\(type \$ty-.*\/(.*)@/.exec(line) ?? [];
    if (start !== undefined) {
      path = start;
      types = new Map();
    }
    const [, type, defined] = /^ {6}\(type \(;(\d+);\) (.*)\)$/.exec(line) ?? [];
    if (type !== undefined) types.set(type, defined);
    const [, name, number] = /^ {6}\(export \(;\d+;\) "(.*?)" \((?:type \(eq (\d+)\)|.*)/.exec(line) ?? [];
    if (name === undefined) continue;
    if (number === undefined) items.push(`${path}.${name.replace(/^\[(?:static|method)\]/, "")}`);
    else if (types.has(number)) items.push(`${path}.${name}`, ...membersIn(types.get(number), `${path}.${name}`));
  }
  return items;
}

function membersIn(type, path) {
  const [, names] = /^\((?:flags|enum) (.*)\)$/.exec(type) ?? [];
  const members = names === undefined ? type.matchAll(/\((?:field|case) "(.*?)"/g) : names.matchAll(/"(.*?)"/g);
  return [...members].map(([, name]) => `${path}.${name}`);
}
