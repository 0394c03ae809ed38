/** The echo example: what its clients notice, and what the program says and exits with. */
import assert from "node:assert/strict";
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { platformKernels } from "lio-poller";
import { ClientProcess } from "../examples/echo/client-process.js";
import type { Job, Report } from "../examples/echo/job.js";
import { Progress } from "../examples/echo/progress.js";
import { run } from "../examples/echo/run.js";
import { EchoServer } from "../examples/echo/server.js";
import { command } from "./support/child.js";

const CLIENTS = fileURLToPath(new URL("../examples/echo/clients.js", import.meta.url));
const PROGRAM = fileURLToPath(new URL("../examples/echo/main.js", import.meta.url));

/** Long enough never to be reached where nothing hangs. */
const UNREACHED = 50;

/** Asks until there is an answer; mocha's own time limit ends it otherwise. */
async function eventually<T>(ask: () => T | undefined): Promise<T> {
  for (;;) {
    const answer = ask();
    if (answer !== undefined) return answer;
    await sleep(10);
  }
}

function childrenOf(pid: number): number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
  return list.split(" ").filter(Boolean).map(Number);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("the echo clients", () => {
  let clients: ClientProcess | undefined;

  afterEach(async () => {
    await clients?.stop();
    clients = undefined;
  });

  /** What the clients find out about a server that treats each connection so. */
  async function verdictOn(
    treat: (socket: Socket, index: number) => void,
    job: Partial<Job> = {},
  ): Promise<{ failures: readonly string[]; report: Report }> {
    let connections = 0;
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {});
      treat(socket, connections++);
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    try {
      const { port } = server.address() as { port: number };
      const running = new ClientProcess({ port, clients: 3, messages: 4, size: 1000, timeout: UNREACHED, ...job });
      clients = running;
      return { failures: await eventually(() => running.verdict()), report: running.report };
    } finally {
      await clients?.stop();
      server.close();
    }
  }

  /** Echoes, with the bytes changed by what is given their position in the connection. */
  function echo(socket: Socket, change: (bytes: Buffer, from: number) => Buffer = (bytes) => bytes): void {
    let from = 0;
    socket.on("data", (bytes) => {
      const { length } = bytes;
      socket.write(change(bytes, from));
      from += length;
    });
    socket.on("end", () => socket.end());
  }

  it("have nothing to say of a faithful server", async () => {
    const { failures, report } = await verdictOn((socket) => echo(socket));
    assert.deepEqual(failures, []);
    const { connected, finished, failed, messages, bytes } = report;
    assert.deepEqual({ connected, finished, failed }, { connected: 3, finished: 3, failed: 0 });
    assert.deepEqual({ messages, bytes }, { messages: 12, bytes: 12_000 });
  });

  it("send bytes of their own, each message others", async () => {
    const heard: Buffer[] = [];
    await verdictOn((socket, index) => {
      heard[index] = Buffer.alloc(0);
      socket.on("data", (bytes) => (heard[index] = Buffer.concat([heard[index]!, bytes])));
      echo(socket);
    });
    const messages = heard.flatMap((bytes) =>
      [0, 1, 2, 3].map((i) => bytes.toString("hex", i * 1000, i * 1000 + 1000)),
    );
    assert.equal(new Set(messages).size, 12);
  });

  it("notice a wrong byte, and say which", async () => {
    const { failures, report } = await verdictOn((socket, index) =>
      echo(socket, (bytes, from) => {
        if (index === 1 && from <= 2500 && 2500 < from + bytes.length) bytes[2500 - from]! ^= 1;
        return bytes;
      }),
    );
    assert.equal(failures.length, 1);
    assert.match(failures[0]!, /^client \d: byte 500 of message 3 came back as 0x[0-9a-f]{2}, and was sent as 0x/);
    assert.match(failures[0]!, /; 2 of 4 messages came back$/);
    assert.deepEqual([report.finished, report.failed], [2, 1]);
  });

  it("notice another client's bytes", async () => {
    const sockets: Socket[] = [];
    const { failures } = await verdictOn(
      (socket, index) => {
        sockets[index] = socket;
        socket.on("data", (bytes) => sockets[1 - index]?.write(bytes));
        socket.on("end", () => socket.end());
      },
      { clients: 2, timeout: 1 },
    );
    assert.equal(failures.length, 2);
    assert.ok(
      failures.some((failure) => /: byte \d of message 1 came back as/.test(failure)),
      failures.join("\n"),
    );
  });

  it("notice a byte too many, even after the last message", async () => {
    const { failures } = await verdictOn((socket) => {
      echo(socket);
      socket.removeAllListeners("end");
      socket.on("end", () => socket.end("x"));
    });
    assert.equal(failures.length, 3);
    for (const failure of failures) assert.match(failure, /: more bytes came back than were sent;/);
  });

  it("notice a connection that ends within a message", async () => {
    const { failures } = await verdictOn((socket, index) => {
      if (index === 0) socket.once("data", (bytes) => socket.end(bytes.subarray(0, -1)));
      else echo(socket);
    });
    assert.equal(failures.length, 1);
    assert.match(failures[0]!, /^client \d: the server closed the connection; 0 of 4 messages came back$/);
  });

  it("notice a connection that ends after whole messages", async () => {
    const { failures } = await verdictOn((socket, index) => {
      if (index === 0) socket.once("data", (bytes) => socket.end(bytes));
      else echo(socket);
    });
    assert.equal(failures.length, 1);
    assert.match(failures[0]!, /^client \d: the server closed the connection; 1 of 4 messages came back$/);
  });

  it("notice a connection that is reset", async () => {
    const { failures } = await verdictOn((socket, index) => {
      if (index === 0) socket.once("data", () => socket.resetAndDestroy());
      else echo(socket);
    });
    assert.equal(failures.length, 1);
    assert.match(failures[0]!, /^client \d: read ECONNRESET; 0 of 4 messages came back$/);
  });

  it("notice that nothing listens", async () => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as { port: number };
    await new Promise((closed) => server.close(closed));
    clients = new ClientProcess({ port, clients: 2, messages: 1, size: 1, timeout: UNREACHED });
    const running = clients;
    const failures = await eventually(() => running.verdict());
    assert.deepEqual(failures, [
      "client 0: connect ECONNREFUSED; 0 of 1 messages came back",
      "client 1: connect ECONNREFUSED; 0 of 1 messages came back",
    ]);
  });

  it("hang when the server never answers, not earlier than allowed, and say which", async () => {
    const began = performance.now();
    const { failures, report } = await verdictOn(
      (socket, index) => {
        if (index === 1) socket.resume();
        else echo(socket);
      },
      { timeout: 1 },
    );
    assert.ok(performance.now() - began >= 1000);
    assert.equal(failures.length, 1);
    assert.match(failures[0]!, /^client \d: hangs: nothing came for 1 s; 0 of 4 messages came back$/);
    assert.equal(report.finished, 2);
  });

  it("hang when the server never ends the connection", async () => {
    const { failures } = await verdictOn(
      (socket) => {
        echo(socket);
        socket.removeAllListeners("end");
      },
      { timeout: 1 },
    );
    assert.equal(failures.length, 3);
    for (const failure of failures) assert.match(failure, /: hangs: .*; 4 of 4 messages came back$/);
  });

  it("are missed when their process is killed", async () => {
    const { failures } = await verdictOn((socket) => {
      socket.once("data", () => process.kill(clients!.pid!, "SIGKILL"));
    });
    assert.deepEqual(failures, ["the clients' process ended before its clients did: SIGKILL"]);
  });

  it("are missed when their process stands still, which can be ended all the same", async () => {
    let stopped = 0;
    const { failures } = await verdictOn(
      (socket) => {
        socket.once("data", () => {
          stopped = clients!.pid!;
          process.kill(stopped, "SIGSTOP");
        });
      },
      { timeout: 0.7 },
    );
    assert.deepEqual(failures, ["the clients' process hangs: no report came for 0.7 s"]);
    assert.ok(stopped > 0);
    assert.equal(isAlive(stopped), false);
  });

  it("end when the process that started them lets go, though a server keeps them", async () => {
    const held: Socket[] = [];
    const server = createServer(
      { allowHalfOpen: true },
      (socket) => void held.push(socket.on("error", () => {}).resume()),
    );
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as { port: number };
    const job: Job = { port, clients: 1, messages: 1, size: 1, timeout: UNREACHED };
    const child = fork(CLIENTS, [JSON.stringify(job)]);
    const exited = once(child, "exit");
    try {
      await eventually(() => held[0]);
      child.disconnect();
      assert.deepEqual(await exited, [1, null]);
    } finally {
      child.kill("SIGKILL");
      held.forEach((socket) => socket.destroy());
      server.close();
    }
  });
});

describe("an echo run", () => {
  async function outcome(
    server: EchoServer,
    job: Partial<Job> = {},
  ): Promise<{ ok: unknown; errors: string; output: string }> {
    let output = "";
    let errors = "";
    try {
      const ok = await run(
        server,
        { clients: 20, messages: 5, size: 100, timeout: UNREACHED, ...job },
        {
          output: { write: (text) => (output += text) },
          errors: { write: (text) => (errors += text) },
          signal: new AbortController().signal,
        },
      );
      return { ok, errors, output };
    } finally {
      server.close();
    }
  }

  it("succeeds without a word of complaint", async () => {
    const { ok, errors } = await outcome(new EchoServer());
    assert.deepEqual({ ok, errors }, { ok: true, errors: "" });
  });

  it("fails when the server changes a byte, and tells the first failures", async () => {
    const answer = (received: Uint8Array): Uint8Array => received.map((byte, i) => (i === 7 ? byte ^ 1 : byte));
    const { ok, errors, output } = await outcome(new EchoServer({ answer }));
    assert.equal(ok, false);
    const lines = errors.trimEnd().split("\n");
    assert.match(lines[0]!, /^echo: client 0: byte 7 of message 1 came back as/);
    assert.equal(lines.length, 11);
    assert.equal(lines[10], "echo: and 10 more clients");
    assert.match(output, /^clients +0 of 20 finished, 20 failed$/m);
  });

  it("fails when the server never answers", async () => {
    const { ok, errors } = await outcome(new EchoServer({ answer: () => new Uint8Array(0) }), {
      clients: 2,
      timeout: 0.5,
    });
    assert.equal(ok, false);
    assert.deepEqual(errors.trimEnd().split("\n"), [
      "echo: client 0: hangs: nothing came for 0.5 s; 0 of 5 messages came back",
      "echo: client 1: hangs: nothing came for 0.5 s; 0 of 5 messages came back",
    ]);
  });
});

describe("the echo program", () => {
  interface Ended {
    readonly code: number | null;
    readonly stdout: string;
    readonly stderr: string;
  }

  /** Starts the program; `meet` is given it and what it has written so far, after every piece. */
  async function program(
    args: readonly string[],
    meet?: (child: ChildProcess, stdout: string) => void,
  ): Promise<Ended> {
    const child = spawn(...command(PROGRAM, args), { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      meet?.(child, stdout);
    });
    const code = await new Promise<number | null>((closed) => child.on("close", closed));
    return { code, stdout, stderr };
  }

  function figures(stdout: string, name: string): number[] {
    const line = stdout.split("\n").find((text) => text.startsWith(`${name} `));
    assert.ok(line, `no line "${name}" in:\n${stdout}`);
    return (line.match(/\d[\d,.]*/g) ?? []).map((text) => Number(text.replaceAll(",", "").replace(/\.$/, "")));
  }

  it("echoes every byte, says so in figures that agree, and exits with 0", async () => {
    const { code, stdout, stderr } = await program(["--clients", "12", "--messages", "30", "--size", "2000"]);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    assert.deepEqual(figures(stdout, "connections"), [12, 0]);
    assert.deepEqual(figures(stdout, "clients"), [12, 12, 0]);
    assert.deepEqual(figures(stdout, "messages"), [360, 360]);
    assert.deepEqual(figures(stdout, "bytes"), [720_000, 720_000]);
    const [events = 0] = figures(stdout, "events");
    const [made, leftOut = 0] = figures(stdout, "re-arming");
    // One event for each message at least, one for each end of a connection, and one to accept.
    assert.ok(events >= 360 + 12 + 1, `${events} events`);
    assert.equal(made, 0);
    // What ends a connection is not armed again.
    assert.equal(leftOut, events - 12);
    // The listener is added; each connection is added and deleted.
    assert.deepEqual(figures(stdout, "changes"), [1 + 2 * 12]);
  });

  it("echoes messages that come in many pieces", async () => {
    const { code, stdout } = await program(["--clients", "3", "--messages", "2", "--size", "3000001"]);
    assert.equal(code, 0);
    assert.deepEqual(figures(stdout, "bytes"), [18_000_006, 18_000_006]);
  });

  it("tells its options", async () => {
    const { code, stdout, stderr } = await program(["--help"]);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    for (const name of ["clients", "messages", "size", "timeout", "kernel", "help"]) {
      assert.match(stdout, new RegExp(`^  --${name}\\b`, "m"));
    }
  });

  const mistakes: readonly [args: string[], message: RegExp][] = [
    [["--clients", "0"], /--clients must be an integer from 1 to 50000, not "0"/],
    [["--clients", "many"], /--clients must be an integer/],
    [["--messages", "1.5"], /--messages must be an integer/],
    [["--messages=-3"], /--messages must be an integer/],
    [["--size", "99999999999"], /--size must be an integer from 1 to 16777216/],
    [["--clients", "65", "--size", "16777216"], /--clients times --size must be at most 1 GiB/],
    [["--size", ""], /--size must be an integer/],
    [["--timeout", "0"], /--timeout must be a number of seconds above 0/],
    [["--timeout", "soon"], /--timeout must be a number of seconds above 0/],
    [["--kernel", "abacus"], /--kernel must be one of .*, not "abacus"/],
    [["--colour"], /--colour/],
    [["stray"], /stray/],
    [["--clients"], /--clients/],
  ];
  for (const [args, message] of mistakes) {
    it(`refuses ${args.join(" ")} in one line, and exits with 2`, async () => {
      const { code, stdout, stderr } = await program(args);
      assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
      assert.match(stderr, /^echo: [^\n]+\n$/);
      assert.match(stderr, message);
    });
  }

  it("takes a kernel by its name", async () => {
    const { code } = await program(["--kernel", platformKernels[0]!, "--clients", "1", "--messages", "1"]);
    assert.equal(code, 0);
  });

  // More than can be echoed while a test runs.
  const endless = ["--clients", "4", "--messages", "1000000000", "--size", "100"];

  /** Acts once, as soon as messages have come back. */
  function onProgress(
    act: (child: ChildProcess, clients: number) => void,
  ): (child: ChildProcess, stdout: string) => void {
    let acted = false;
    return (child, stdout) => {
      if (acted || !/ s {2}[1-9][\d,]* of 4,000,000,000 messages/.test(stdout)) return;
      acted = true;
      act(child, childrenOf(child.pid!)[0]!);
    };
  }

  for (const [signal, expected] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    it(`ends with ${expected} on ${signal}, says how far it came, and leaves no process behind`, async () => {
      let clients = 0;
      const { code, stdout, stderr } = await program(
        endless,
        onProgress((child, pid) => {
          clients = pid;
          child.kill(signal);
        }),
      );
      assert.deepEqual({ code, stderr }, { code: expected, stderr: "" });
      assert.deepEqual(figures(stdout, "clients"), [0, 4, 0]);
      assert.ok(figures(stdout, "messages")[0]! > 0);
      assert.ok(clients > 0);
      assert.equal(isAlive(clients), false);
    });
  }

  it("is not kept from ending by a Ctrl-C that reaches the clients' process first", async () => {
    const { code, stderr } = await program(
      endless,
      onProgress((child, pid) => {
        process.kill(pid, "SIGINT");
        setTimeout(() => child.kill("SIGINT"), 300);
      }),
    );
    assert.deepEqual({ code, stderr }, { code: 130, stderr: "" });
  });

  it("exits with 1 when the clients die", async () => {
    const { code, stderr } = await program(
      endless,
      onProgress((_, pid) => process.kill(pid, "SIGKILL")),
    );
    assert.equal(code, 1);
    assert.equal(stderr, "echo: the clients' process ended before its clients did: SIGKILL\n");
  });

  it("takes the clients along when it is killed itself", async () => {
    let clients = 0;
    const { stderr } = await program(
      endless,
      onProgress((child, pid) => {
        clients = pid;
        child.kill("SIGKILL");
      }),
    );
    assert.equal(stderr, "");
    assert.ok(clients > 0);
    await eventually(() => (isAlive(clients) ? undefined : true));
  });

  it("ends quietly when nobody reads on", async () => {
    let clients = 0;
    const { code, stderr } = await program(
      endless,
      onProgress((child, pid) => {
        clients = pid;
        child.stdout!.destroy();
      }),
    );
    assert.deepEqual({ code, stderr }, { code: 141, stderr: "" });
    assert.ok(clients > 0);
    assert.equal(isAlive(clients), false);
  });
});

describe("the echo program's progress", () => {
  const job: Job = { port: 1, clients: 3, messages: 10, size: 100, timeout: 1 };
  const report: Report = { connected: 3, finished: 1, failed: 0, messages: 12, bytes: 1200, elapsed: 250 };

  function shown(output: { isTTY?: boolean; columns?: number }, ...reports: Report[]): string {
    let text = "";
    const progress = new Progress({ ...output, write: (more) => (text += more) }, job);
    for (const each of reports) progress.show(each);
    progress.clear();
    return text;
  }

  it("is a plain line where there is no terminal", () => {
    assert.equal(shown({}, report), "0.25 s  12 of 30 messages  0.0 MiB  3 connected  1 finished\n");
  });

  it("is written over on a terminal, and wiped off at last", () => {
    const line = "0.25 s  12 of 30 messages  0.0 MiB  3 connected  1 finished";
    assert.equal(shown({ isTTY: true, columns: 100 }, report), `\r\x1b[K${line}\r\x1b[K`);
  });

  it("never fills a terminal's line", () => {
    assert.equal(shown({ isTTY: true, columns: 10 }, report), "\r\x1b[K0.25 s  1\r\x1b[K");
  });

  it("is whole on a terminal that does not know its width", () => {
    assert.match(shown({ isTTY: true, columns: 0 }, report), /1 finished\r/);
  });

  it("tells failures", () => {
    assert.match(shown({}, { ...report, failed: 2 }), /1 finished {2}2 FAILED\n$/);
  });

  it("is not told more often than once in a while, nor before there is any", () => {
    assert.equal(shown({}, { ...report, connected: 0 }), "");
    assert.equal(shown({}, report, report, report).split("\n").length, 2);
  });
});
