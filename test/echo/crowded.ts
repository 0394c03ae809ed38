/**
 * The echo server in a process that has no descriptor left: `echo-server.test.ts` runs this with a low limit.
 *
 * Prints, as JSON, what the server said of itself at each stage.
 */
import { close, connect, dup } from "lio-poller/io";
import { EchoServer } from "../../examples/echo/server.js";

/** Lets the server do all that it can; the last turns have nothing to do, and count what they report all the same. */
function settle(server: EchoServer): object {
  for (let i = 0; i < 20; i++) server.turn(5);
  let idleEvents = 0;
  for (let i = 0; i < 10; i++) idleEvents += server.turn(1);
  return { accepted: server.counts.accepted, open: server.connections, shortage: server.shortage?.code, idleEvents };
}

/** Takes every descriptor that is left. */
function takeAll(fd: number): number[] {
  const taken: number[] = [];
  try {
    for (;;) taken.push(dup(fd));
  } catch {
    return taken;
  }
}

/** The code of what a turn throws. */
function refusal(server: EchoServer): string | undefined {
  try {
    server.turn(1000);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

function stages(): object {
  const server = new EchoServer();
  const [first, ...others] = Array.from({ length: 3 }, () => connect({ host: "127.0.0.1", port: server.port }));
  if (first === undefined) throw new Error("there is no client");
  // Not the listener's own: a duplicate of a client would keep its connection open.
  const taken = takeAll(others[0]!);
  close(taken.pop()!);
  const roomForOne = settle(server);
  // This frees two descriptors: the client's own, and the server's.
  close(first);
  const roomForAll = settle(server);
  return { roomForOne, roomForAll };
}

function roomForNone(): object {
  const server = new EchoServer();
  const client = connect({ host: "127.0.0.1", port: server.port });
  takeAll(client);
  return { roomForNone: refusal(server) };
}

console.log(JSON.stringify({ ...(process.argv[2] === "none" ? roomForNone() : stages()) }));
