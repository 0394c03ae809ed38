/** The pages that TypeDoc does not make by itself: Markdown of what `wit.mjs` has read, a page for each part. */

/** @returns the texts of the pages by the names of their files; `index.md` begins as is said, and leads to the others */
export function pagesOf(wit, beginning) {
  const addresses = addressesOf(wit);
  const parts = [
    ...wit.interfaces.map((one) => ({ ...one, title: `interface ${one.path}`, body: itemsOf(one, addresses) })),
    ...wit.worlds.map((world) => ({ ...world, title: `world ${world.path}`, body: worldOf(world) })),
  ];
  const pages = parts.map(({ path, title, documentation, body }) => {
    const sections = [linked(documentation, path, addresses), ...body];
    return [fileOf(title), `---\ntitle: ${title}\n---\n\n${sections.join("\n\n")}\n`];
  });
  const list = parts.map(({ title, documentation }) => {
    const [summary] = documentation.split("\n\n");
    return `- [${title}](./${fileOf(title)}): ${summary.replaceAll("\n", " ")}`;
  });
  const overview = `The package \`${wit.name}\`:\n\n${list.join("\n")}\n`;
  const children = parts.map(({ title }) => `  - ./${fileOf(title)}\n`);
  return new Map([
    ["index.md", `${beginning}\n${overview}`],
    ["wit.md", `---\ntitle: WIT\nchildren:\n${children.join("")}---\n\n${overview}`],
    ...pages,
  ]);
}

function fileOf(title) {
  return `${title.replace(" ", "-")}.md`;
}

/** Where each item is: under its heading, or that of what it is a member of. TypeDoc's anchors have no dots. */
function addressesOf(wit) {
  const addresses = new Map();
  for (const { path, items } of wit.interfaces) {
    const file = `./${fileOf(`interface ${path}`)}`;
    for (const item of items) {
      addresses.set(item.path, `${file}#${item.name}`);
      for (const { path: member, name } of item.members) {
        addresses.set(member, `${file}#${item.name}${isResource(item) ? name : ""}`);
      }
    }
  }
  return addresses;
}

function isResource({ text }) {
  return text.startsWith("resource ");
}

function itemsOf({ path, items, uses }, addresses) {
  const described = ({ text, documentation }) => [
    `<pre><code>${signature(text, path, uses, addresses)}</code></pre>`,
    linked(documentation, path, addresses),
  ];
  return items.flatMap((item) => {
    const members = isResource(item)
      ? item.members.flatMap((member) => [`### ${item.name}.${member.name}`, ...described(member)])
      : item.members.map(({ text, documentation }) => {
          const told = linked(documentation, path, addresses).replaceAll("\n", "\n  ");
          return `- <code>${signature(text, path, uses, addresses)}</code>: ${told}`;
        });
    return [`## ${item.name}`, ...described(item), ...members];
  });
}

function worldOf(world) {
  return ["import", "export"].flatMap((direction) =>
    world[direction].map((name) => `- ${direction} [${name}](./${fileOf(`interface ${name}`)})`),
  );
}

/** A signature in HTML. Behind the item's own name, names of types are links. */
function signature(text, path, uses, addresses) {
  const [, name, types] = /^([^:=(]*)(.*)$/.exec(text);
  const links = types.replaceAll("<", "&lt;").replaceAll(/(?<![\w-])[a-z][\w-]*(?![\w:-])/g, (word) => {
    const address = addresses.get(`${uses.get(word) ?? path}.${word}`);
    return address === undefined ? word : `<a href="${address}">${word}</a>`;
  });
  return name + links;
}

/** Documentation in which the names of items are links, as far as only one can be meant. */
function linked(documentation, path, addresses) {
  return documentation.replaceAll(/`([a-z][a-z0-9.-]*)`/g, (code, name) => {
    const near = addresses.get(`${path}.${name}`);
    const far = [...addresses.keys()].filter((item) => `.${item}`.endsWith(`.${name}`));
    const address = near ?? (far.length === 1 ? addresses.get(far[0]) : undefined);
    return address === undefined ? code : `[${code}](${address})`;
  });
}
