/** The runtime that this runs in: its name, and what its event loop lets an addon do. */

export type RuntimeName = "node" | "deno" | "bun";

/** Deno and Bun both pretend to be Node as well. */
export const runtime: { readonly name: RuntimeName; readonly version: string } = find();

function find(): typeof runtime {
  const { bun, deno, node } = process.versions as Record<string, string | undefined>;
  if (bun !== undefined) return { name: "bun", version: bun };
  if ("Deno" in globalThis || deno !== undefined) return { name: "deno", version: deno ?? "unknown" };
  return { name: "node", version: node ?? "unknown" };
}

/** Whether an addon may watch descriptors with the runtime's own loop: see `host/descriptor_delivery.cc`. */
export const loopWatchesDescriptors = runtime.name === "node";
