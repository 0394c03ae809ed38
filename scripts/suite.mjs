/**
 * `suite.mjs [TEXT [FILE…]]`: the suite in the runtime that runs this, whichever it is: mocha as a library, for its command starts processes of Node's.
 *
 * Of the generated matrices it takes a sample: they ask neither the kernel nor the runtime, and `npm run test:matrices` has
 * all of them. LIO_POLLER_SAMPLE is its seed, or it is drawn.
 *
 * Prints failures as they come, and at last one line, `suite: `, with the counts and the seed as JSON.
 */
import { readdirSync } from "node:fs";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const NO_LIMIT = "the engine's limit of a memory is set by a flag of Node's V8";
const NO_REPL = "it is about Node's REPL, by name";
const NO_INSPECTOR = "it is about the inspector of Node, of another thread";
const NO_DESCRIPTORS = "Deno's fs.openSync tells numbers of its own, which are no descriptors";
const OF_EPOLL = "it is about epoll, by name";
const NO_REBUILD = "a kqueue has forgotten a descriptor that was closed, so that it is never replaced";
const NO_PORT_REBUILD = "a socket that is closed ends its request, so that the port is never replaced";
const NO_EVENTFD = "a kqueue's notifier is an event of its own, and no eventfd";
const NODES_OWN = "npm test is run with Node";
const NO_CLEAN_UP = "Deno runs no addon's clean-up when a worker ends, so its descriptors stay open";

/** Tests that a runtime cannot run, or that a kernel cannot: what their names contain, and why. */
const LEFT_OUT = {
  "node 20.0": [["the command for the tests tells what it left", "the project's mocha needs Node 20.19"]],
  bun: [
    ["the command for the tests", NODES_OWN],
    ["the core's self-test under node:wasi", "Bun's node:wasi lacks what it needs"],
    ["that the engine refuses, long before the last address", NO_LIMIT],
    ["Ctrl-C in Node's REPL", NO_REPL],
    ["whose callback the inspector of Node ends", NO_INSPECTOR],
  ],
  deno: [
    ["the command for the tests", NODES_OWN],
    ["give the errors of files and devices", NO_DESCRIPTORS],
    ["a poller's own descriptors have numbers that programs seldom have", NO_DESCRIPTORS],
    ["The same holds when its number is that of a file that cannot be polled", NO_DESCRIPTORS],
    ["Adding a regular file is EPERM and registers nothing", NO_DESCRIPTORS],
    ["the core's self-test under node:wasi", NO_DESCRIPTORS],
    ["that the engine refuses, long before the last address", NO_LIMIT],
    ["Ctrl-C in Node's REPL", NO_REPL],
    ["whose callback the inspector of Node ends", NO_INSPECTOR],
    ["the contract on epoll A descriptor that cannot be polled fails in a batch", NO_DESCRIPTORS],
    ["platform's kernel, restricted to everything A descriptor that cannot be polled fails", NO_DESCRIPTORS],
    ["examples/descriptors/serial.ts", NO_DESCRIPTORS],
    ["examples/descriptors/fifo.ts", NO_DESCRIPTORS],
    ["the command watch prints a line when a FIFO", NO_DESCRIPTORS],
    ["the command watch prints JSON", NO_DESCRIPTORS],
    ["the command watch tells what it cannot watch", NO_DESCRIPTORS],
    ["the echo program ends with", "a signal ends Deno without its handler being called"],
    ["the echo program is not kept from ending by a Ctrl-C", "a signal ends Deno without its handler being called"],
    ["the echo program exits with 1 when the clients die", "Deno does not tell of the end of a child that was killed"],
    ["called past the checks refuse arguments of wrong types", "Deno's Node-API throws for a BigInt given as a number"],
    ["a thread with open pollers gives their descriptors back", NO_CLEAN_UP],
    ["a thread with open pollers can be terminated", NO_CLEAN_UP],
    ["a storm of endings of workers", NO_CLEAN_UP],
    ["a storm of endings of processes", "of some hundred processes that end while a callback runs, one does not end"],
    ["believes no allocator that answers something else", "Deno's Node-API takes anything for a number"],
  ],
  kqueue: [
    ["tells its own error once by", NO_REBUILD],
    ["EBADF when the number is a file's", "a regular file can be waited for"],
    ["follows its kernel object when that is replaced", NO_REBUILD],
    ["goes on working when the poller has replaced its kernel object", NO_REBUILD],
    ["can be one on a kernel that was restricted", OF_EPOLL],
    ["from its first notification on one eventfd", NO_EVENTFD],
    ["a poller holds nothing that a child would inherit", NO_EVENTFD],
    ["a poller that is dropped gives its descriptors back", NO_EVENTFD],
    ["a thread with open pollers gives their descriptors back", NO_EVENTFD],
    ["is told so by EMFILE", NO_EVENTFD],
    ["can be nested: a poller's descriptor is readable", "what is disabled counts as pending until the next kevent()"],
    ["every argument in range is taken: all interests", "EVFILT_EXCEPT is for sockets, where there is one"],
    ["the command watch tells what it cannot watch", "a regular file can be waited for"],
    ["is kept when there is something to read, in a later turn", "a kqueue tells how many bytes there are"],
    ["is broken at once for what cannot be waited for", "a regular file can be waited for"],
  ],
  iocp: [
    ["tells its own error once by", "no port is ever replaced, and handles are not so few that there are none left"],
    ["needs no system call for a registration that is armed again", "a request ends with its event: another is a call"],
    ["follows its kernel object when that is replaced", NO_PORT_REBUILD],
    ["can be one on a kernel that was restricted", OF_EPOLL],
    ["is kept if it is ready by then, also for no time at all", "a request for what is ready ends soon, not at once"],
    ["is kept at an end and at a hang-up", "a peer that closes ends one direction: only a reset is a hang-up"],
  ],
};
const name = process.versions.bun ? "bun" : "Deno" in globalThis ? "deno" : "node";
// Before any test is loaded.
const sample = (process.env.LIO_POLLER_SAMPLE ??= String(Math.floor(Math.random() * 2 ** 32)));
const { Poller, platformKernels } = await import("lio-poller");
const release = `node ${process.versions.node.split(".", 2).join(".")}`;
const unfit = [name, release, platformKernels[0]].flatMap((each) => LEFT_OUT[each] ?? []);
const leftOut = [];

/** Takes tests out, and notes which and why. */
function leaveOut(suite) {
  suite.tests = suite.tests.filter((test) => {
    const [, reason] = unfit.find(([part]) => test.fullTitle().includes(part)) ?? [];
    if (reason !== undefined) leftOut.push(`${test.fullTitle()}: ${reason}`);
    return reason === undefined;
  });
  for (const each of suite.suites) leaveOut(each);
}

/** A reporter that reports nothing. */
function silent() {}

// Another one than the project's where that is too new for the runtime.
const { default: Mocha } = await import(process.env.SUITE_MOCHA ?? "mocha");
const mocha = new Mocha({ timeout: 180_000, reporter: silent });
const [, , text, ...chosen] = process.argv;
if (text) mocha.fgrep(text);
/**
 * What goes to the end of the stack comes first: once other tests have had asynchronous context followed, Node 20.0 ends when
 * there is no room on the stack to follow it. And what is to be collected, while little else is there. After a hundred other
 * children of a process, Deno has not told of the end of the first of unload's.
 */
const FIRST = ["unload.test.js", "ended.test.js", "watch-trap.test.js", "dropped.test.js"];
const all = readdirSync(join(root, "out/test")).filter((file) => file.endsWith(".test.js"));
const wanted = chosen.length === 0 ? all : chosen.map((file) => `${file}.test.js`);
const files = [...FIRST.filter((file) => wanted.includes(file)), ...wanted.filter((file) => !FIRST.includes(file))];
for (const file of files) mocha.addFile(join(root, "out/test", file));
await mocha.loadFilesAsync();
leaveOut(mocha.suite);

const poller = new Poller();
poller.attach(() => {});
const { delivery } = poller;
poller.close();

let passed = 0;
let failed = 0;
const runner = mocha.run(() => {
  const version = process.versions.bun ?? process.versions.deno ?? process.versions.node;
  console.log(`suite: ${JSON.stringify({ version, delivery, passed, failed, leftOut, sample })}`);
  process.exit(failed === 0 ? 0 : 1);
});
runner.on("pass", () => passed++);
runner.on("fail", (test, error) => {
  failed++;
  console.log(`✗ ${test.fullTitle()}\n${String(error?.stack ?? error).replaceAll(/^/gm, "    ")}`);
});
