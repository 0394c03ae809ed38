/** What builds the reference: that nothing undocumented and no dead link gets through. TypeDoc itself is not tested. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

interface Item {
  readonly path: string;
  readonly documentation: string;
  readonly members?: readonly Item[];
}

interface Wit {
  readonly interfaces: readonly (Item & { readonly items: readonly Item[] })[];
  readonly worlds: readonly (Item & { readonly import: readonly string[]; readonly export: readonly string[] })[];
}

const root = dirname(createRequire(import.meta.url).resolve("lio-poller/package.json"));
const { readWit } = (await import(join(root, "scripts/reference/wit.mjs"))) as {
  readWit(source: string): Promise<Wit>;
};
const { pagesOf } = (await import(join(root, "scripts/reference/pages.mjs"))) as {
  pagesOf(wit: Wit, beginning: string): Map<string, string>;
};
const { brokenLinks } = (await import(join(root, "scripts/reference/links.mjs"))) as {
  brokenLinks(pages: Map<string, string>): string[];
};

const SOURCE = `package a:b@1.0.0;

/// What others use.
interface types {
    /// So many bytes.
    type bytes = u64;
}

/// A house.
interface house {
    use types.{bytes};

    // Not documentation.
    /// A door, of \`bytes\`.
    record door {
        /// Its height.
        height: bytes,
        /// What is behind it.
        behind: option<list<u8>>
    }

    /// Locks.
    flags locks { /// One.
        one, /// Two.
        two }

    /// What can happen: see \`door.height\`.
    variant event {
        /// It was opened.
        opened(door),
        /// Nothing.
        nothing,
    }

    /// Someone who opens doors.
    resource guest {
        /// Lets one in.
        create: static func() -> result<guest, event>;
        /// Opens one.
        open: func(
            door: door,
        ) -> tuple<u32, bytes>;
    }

    /// Counts the doors, as \`guest.open\` does.
    count: func(locks: locks) -> u32;
}

/// A town.
world town {
    import types;
    export house;
}
`;

describe("the reference's reader of WIT", () => {
  it("finds every item, as jco does, with what is said about it", async () => {
    const { interfaces, worlds } = await readWit(SOURCE);
    const items = interfaces.flatMap((one) => one.items.flatMap((item) => [item, ...(item.members ?? [])]));
    assert.deepEqual(
      items.map(({ path, documentation }) => [path, documentation]),
      [
        ["types.bytes", "So many bytes."],
        ["house.door", "A door, of `bytes`."],
        ["house.door.height", "Its height."],
        ["house.door.behind", "What is behind it."],
        ["house.locks", "Locks."],
        ["house.locks.one", "One."],
        ["house.locks.two", "Two."],
        ["house.event", "What can happen: see `door.height`."],
        ["house.event.opened", "It was opened."],
        ["house.event.nothing", "Nothing."],
        ["house.guest", "Someone who opens doors."],
        ["house.guest.create", "Lets one in."],
        ["house.guest.open", "Opens one."],
        ["house.count", "Counts the doors, as `guest.open` does."],
      ],
    );
    assert.deepEqual(
      worlds.map(({ path, import: imports, export: exports }) => [path, imports, exports]),
      [["town", ["types"], ["house"]]],
    );
  });

  const documented = [...SOURCE.matchAll(/\/\/\/ (.*)/g)].map(([, text]) => text as string);
  for (const text of documented) {
    it(`refuses the text if "${text}" is not said`, async () => {
      await assert.rejects(readWit(SOURCE.replace(`/// ${text}`, "")), /^Error: not documented: [a-z.]+$/);
    });
  }

  it("refuses statements that it does not know, so that none is passed over", async () => {
    const included = SOURCE.replace("import types;", "include other;");
    await assert.rejects(readWit(included), /cannot tell of: "include other"/);
    const gated = SOURCE.replace("record door", "@since(version = 1.0.0) record door");
    await assert.rejects(readWit(gated), /cannot tell of: "@since/);
    await assert.rejects(readWit(`${SOURCE}use other:one/two@1.0.0;`), /cannot tell of: "use other/);
  });

  it("refuses types that no function uses, and that jco therefore knows nothing of", async () => {
    const unused = SOURCE.replace("count: func(locks: locks)", "count: func()");
    await assert.rejects(
      readWit(unused),
      /not used by any function: house\.locks, house\.locks\.one, house\.locks\.two$/,
    );
  });

  it("refuses what jco does not accept", async () => {
    await assert.rejects(readWit(SOURCE.replace("opened(door)", "opened(window)")), /window/);
  });
});

describe("the reference's pages of WIT", () => {
  it("are one for each interface and world, with links on types and on names that can mean one item only", async () => {
    const pages = pagesOf(await readWit(SOURCE), "Begin.");
    assert.deepEqual(
      [...pages.keys()],
      ["index.md", "wit.md", "interface-types.md", "interface-house.md", "world-town.md"],
    );
    const house = pages.get("interface-house.md")!;
    for (const part of [
      "## door\n",
      "A door, of [`bytes`](./interface-types.md#bytes).",
      "- <code>behind: option&lt;list&lt;u8>></code>: What is behind it.",
      '- <code>height: <a href="./interface-types.md#bytes">bytes</a></code>: Its height.',
      "see [`door.height`](./interface-house.md#door).",
      "### guest.open\n",
      'open: func(door: <a href="./interface-house.md#door">door</a>) -> tuple&lt;u32, <a',
      "as [`guest.open`](./interface-house.md#guestopen) does.",
    ]) {
      assert.ok(house.includes(part), `${part}\n\nis not in\n\n${house}`);
    }
  });
});

describe("the reference's check of links", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "reference-"));
    writeFileSync(join(folder, "file.txt"), "");
  });
  after(() => rmSync(folder, { recursive: true }));

  const broken = (html: string): string[] => {
    const [page, other] = [join(folder, "page.html"), join(folder, "other.html")];
    const pages = new Map([
      [page, html],
      [other, '<h2 class="title" id="here">'],
    ]);
    return brokenLinks(pages).map((found) => found.replace(`${page}: `, ""));
  };

  it("accepts files, anchors of pages, and other hosts, which it does not ask", () => {
    const links = [
      "file.txt",
      "./other.html#here",
      "other.html",
      "",
      "#",
      "#own",
      "https://nowhere.invalid/#x",
      "//x/y",
    ];
    assert.deepEqual(broken(`<p id="own">${links.map((link) => `<a class="x" href="${link}">`).join("")}`), []);
  });

  it("finds files and anchors that are not there, each once, in links and in what pages are made of", () => {
    const links = ["gone.txt", "other.html#gone", "#gone", "file.txt#here", "../other.html#here"];
    assert.deepEqual(
      broken(
        links
          .map((link) => `<a href="${link}">`)
          .join("")
          .repeat(2),
      ),
      links,
    );
    assert.deepEqual(broken('<script defer src="gone.js"></script><img src="gone.png">'), ["gone.js", "gone.png"]);
  });
});
