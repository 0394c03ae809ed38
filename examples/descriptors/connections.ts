/**
 * Ten thousand TCP connections at once on one attached poller, each of which sends a message and gets it back; the
 * clients are another process.
 *
 *     node out/examples/descriptors/connections.js [COUNT]
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Events, Interest, Poller, readable, writable } from "lio-poller";
import { accept, close, connect, listen, localAddress, pendingError, read, write, WOULD_BLOCK } from "lio-poller/io";

const HOST = "127.0.0.1";
const LISTENER = 0;
const room = Buffer.alloc(64);

/** Accepts so many connections, and echoes only when all of them stand. */
function serve(count: number): void {
  const listener = listen({ host: HOST, port: 0 }, { backlog: 4096 });
  const poller = new Poller();
  const connections: number[] = [];
  const began = poller.now();
  let echoed = 0;

  const takeConnections = (): void => {
    for (let fd = accept(listener); fd !== WOULD_BLOCK; fd = accept(listener)) connections.push(fd);
    poller.modify(listener, LISTENER, Interest.READABLE);
    if (connections.length < count) return;
    console.log(`${connections.length} connections stand`);
    const changes = connections.map((fd) => ({ op: "add", fd, key: fd, interest: Interest.READABLE }) as const);
    for (const error of poller.apply(changes)) if (error) throw error;
    clients.send("go");
  };

  const echo = (fd: number): void => {
    const length = read(fd, room);
    if (length > 0) {
      write(fd, room, 0, length);
      poller.modify(fd, fd, Interest.READABLE);
      return;
    }
    poller.delete(fd);
    close(fd);
    if (++echoed < count) return;
    const { waits, events } = poller.stats();
    console.log(`${echoed} were echoed, ${events} events in ${waits} waits, ${Math.round(poller.now() - began)} ms`);
    poller.close();
    close(listener);
  };

  poller.attach((events: Events) => {
    for (const { key } of events) if (key === LISTENER) takeConnections();
    for (const { key } of events) if (key !== LISTENER) echo(Number(key));
  });
  poller.add(listener, LISTENER, Interest.READABLE);
  const { port } = localAddress(listener) as { port: number };
  const clients = fork(fileURLToPath(import.meta.url), [String(count), String(port)]);
  clients.on("exit", (code) => {
    if (code !== 0) process.exit(1);
  });
}

/** One client: connects, says what it is told when all are connected, and reads it back. */
async function client(port: number, message: Buffer, everybody: Promise<unknown>): Promise<void> {
  const fd = connect({ host: HOST, port });
  await writable(fd);
  const error = pendingError(fd);
  if (error) throw error;
  await everybody;
  write(fd, message);
  await readable(fd);
  const length = read(fd, room);
  if (!room.subarray(0, Math.max(0, length)).equals(message)) throw new Error("something else came back");
  close(fd);
}

const [count = "10000", port] = process.argv.slice(2);
if (port === undefined) {
  serve(Number(count));
} else {
  const everybody = new Promise((resolve) => process.once("message", resolve));
  const clients: Promise<void>[] = [];
  for (let i = 0; i < Number(count); i++) {
    clients.push(client(Number(port), Buffer.from(`message ${i}`), everybody));
    // In portions, or the listener's queue would overflow and some be late by seconds.
    if (i % 500 === 499) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await Promise.all(clients);
  process.disconnect();
}
