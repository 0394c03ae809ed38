/**
 * `npm run portability`: one component, several hosts. Runs the contract on Node and, in Python, on wasmtime, and prints
 * what each host did with each scenario.
 *
 * Relies on a build (`scripts/ready.mjs` makes one), on Python 3.11 or newer, and on pip, which installs what
 * `examples/hosts/python/requirements.txt` names into `out/portability/` and nowhere else.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const usage = `Usage: npm run portability [-- [--help] [--python COMMAND]]

Runs every scenario of the contract on Node with the real epoll, on Node with the simulated one, and in Python on
wasmtime, and prints a table of them.

  --python  the Python that hosts the component, 3.11 or newer (default: python3)

  ✓  passed
  ✗  failed, or not run; what happened is printed below the table
  –  left out; why is printed below the table

The exit code is 1 if a scenario failed, or if the hosts do not agree on one.
`;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const component = join(root, "dist/epoll.component.wasm");
const coreModules = join(root, "dist/component/epoll");
const compiledContract = join(root, "out/test/contract");
const pythonHost = join(root, "examples/hosts/python");
const requirements = join(pythonHost, "requirements.txt");
const environment = join(root, "out/portability");

const PYTHON = "Python, wasmtime";

async function main() {
  const { values } = parseArgs({
    options: { help: { type: "boolean" }, python: { type: "string", default: "python3" } },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const digest = checkBuild();
  console.log(`dist/epoll.component.wasm\nSHA-256 ${digest}\n`);
  const python = preparePython(values.python);
  const { scenarios, columns } = await runOnNode();
  columns.set(PYTHON, await runOnPython(python, digest, scenarios.length));
  return report(scenarios, columns);
}

/** The component's digest. Fails if Node would run anything that is not in it. */
function checkBuild() {
  if (!existsSync(component) || !existsSync(compiledContract)) throw new Error("run npm run build first");
  const bytes = readFileSync(component);
  const cores = readdirSync(coreModules).filter((name) => name.endsWith(".wasm"));
  // jco takes the component apart for engines that know core modules only; these must be its own.
  const strangers = cores.filter((name) => !bytes.includes(readFileSync(join(coreModules, name))));
  if (cores.length === 0 || strangers.length > 0) {
    throw new Error(`dist/component/epoll is not of dist/epoll.component.wasm (${strangers}): run npm run build`);
  }
  return createHash("sha256").update(bytes).digest("hex");
}

/** How to start a Python that has what the host needs: a command and its environment. */
function preparePython(command) {
  const wanted = readFileSync(requirements, "utf8");
  const stamp = join(environment, "requirements.txt");
  const done = existsSync(stamp) && readFileSync(stamp, "utf8") === `${command}\n${wanted}`;
  if (!done) {
    console.error("> installing wasmtime into out/portability");
    rmSync(environment, { recursive: true, force: true });
    install(command);
    writeFileSync(stamp, `${command}\n${wanted}`);
  }
  const own = join(environment, "venv/bin/python");
  if (existsSync(own)) return { command: own, env: process.env };
  return { command, env: { ...process.env, PYTHONPATH: join(environment, "packages") } };
}

function install(command) {
  const venv = join(environment, "venv");
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements];
  if (spawnSync(command, ["-m", "venv", venv], { stdio: "ignore" }).status === 0) {
    return run(join(venv, "bin/python"), ...pip);
  }
  // Debian's python3 can make no venv with pip in it unless python3-venv is installed: it lacks ensurepip.
  rmSync(venv, { recursive: true, force: true });
  run(command, ...pip, "--target", join(environment, "packages"));
}

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { stdio: ["ignore", 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`"${[command, ...args].join(" ")}" failed`);
}

/** Runs the contract on every kernel that the Node package has here; a column for each. */
async function runOnNode() {
  const load = (name) => import(join(compiledContract, `${name}.js`));
  const [contract, runner, watchdogs, worlds] = await Promise.all(
    ["scenarios", "runner", "watchdog", "worlds"].map(load),
  );
  const scenarios = contract.loadAll();
  const columns = new Map();
  for (const column of worlds.columns(await watchdogs.startWatchdog())) {
    console.error(`> Node, ${column.name}`);
    const cells = scenarios.map((scenario) => [scenario.name, runScenario(contract, runner, column, scenario)]);
    columns.set(`Node, ${column.name}`, new Map(cells));
  }
  return { scenarios, columns };
}

function runScenario(contract, runner, column, scenario) {
  const steps = contract.stepsOn(column, scenario);
  if ("leftOut" in steps) return { sign: "–", reason: steps.leftOut };
  try {
    runner.run(column.open(), scenario.name, steps);
    return { sign: "✓" };
  } catch (error) {
    return { sign: "✗", reason: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * Runs the contract in Python. Its lines are the component's digest, one for each scenario, and a sum, which is not
 * relied on: a scenario without a line has not been run.
 */
async function runOnPython({ command, env }, digest, total) {
  console.error(`> ${PYTHON}`);
  const child = spawn(command, ["-B", join(pythonHost, "contract.py"), "--component", component], {
    env: { ...env, PYTHONIOENCODING: "utf-8" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  const cells = new Map();
  let loaded;
  for await (const line of createInterface({ input: child.stdout })) {
    const [, sign, name, reason] = /^([✓✗–]) (\w+)(?:: (.*))?$/u.exec(line) ?? [];
    if (name !== undefined) cells.set(name, { sign, reason });
    loaded ??= /^component ([0-9a-f]{64})$/.exec(line)?.[1];
  }
  const code = await exit;
  if (loaded !== digest) throw new Error(`Python loaded another component: ${loaded ?? "none"}`);
  const failed = [...cells.values()].some(({ sign }) => sign === "✗");
  if (code !== 0 && !failed && cells.size === total) throw new Error(`Python ended with ${code}`);
  return cells;
}

/** Prints the table and the sum; returns the exit code. */
function report(scenarios, columns) {
  const hosts = [...columns.keys()];
  const width = Math.max(...scenarios.map(({ name }) => name.length));
  const line = (name, cells) =>
    [name.padEnd(width), ...cells.map((cell, index) => cell.padEnd(hosts[index].length))].join("  ").trimEnd();
  const notes = [];
  const counts = { "✓": 0, "✗": 0, "–": 0 };
  let differing = 0;
  console.log(line("", hosts));
  for (const { name } of scenarios) {
    const cells = hosts.map((host) => columns.get(host).get(name) ?? { sign: "✗", reason: "not run" });
    const signs = cells.map(({ sign }) => sign);
    console.log(line(name, signs));
    for (const sign of signs) counts[sign]++;
    // What a host has no means for says nothing about the component.
    if (new Set(signs.filter((sign) => sign !== "–")).size !== 1) differing++;
    cells.forEach(({ sign, reason }, index) => {
      if (reason !== undefined) notes.push(`${sign} ${name}, ${hosts[index]}: ${reason}`);
    });
  }
  if (notes.length > 0) console.log(["", ...notes].join("\n"));
  console.log(`\n${scenarios.length} scenarios on ${hosts.length} hosts; the hosts differ on ${differing}`);
  const leftOut = counts["–"] > 0 ? `, ${counts["–"]} left out` : "";
  console.log(`${counts["✓"]} passed, ${counts["✗"]} failed${leftOut}`);
  return counts["✗"] > 0 || differing > 0 || counts["✓"] === 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`portability: ${error.message}`);
  process.exitCode = 1;
}
