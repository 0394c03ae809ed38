/**
 * Unix datagram sockets: messages of another process, each of which arrives whole.
 *
 *     node out/examples/descriptors/datagram.js
 */
import { spawn } from "node:child_process";
import { Interest, watch } from "lio-poller";
import { close, read, socketpair, write, WOULD_BLOCK } from "lio-poller/io";

const [ours, theirs] = socketpair("datagram");
const SENDER = `
import socket
sensor = socket.socket(fileno=3)
sensor.setblocking(True)
sensor.recv(16)
for reading in (20.5, 21.0, 21.25):
    sensor.send(b"%.2f degrees" % reading)
sensor.send(b"end")
`;
spawn("python3", ["-c", SENDER], { stdio: ["ignore", "inherit", "inherit", theirs] });
close(theirs);

write(ours, Buffer.from("go"));
const room = Buffer.alloc(1024);
const watching = watch(ours, Interest.READABLE, () => {
  for (let length = read(ours, room); length !== WOULD_BLOCK; length = read(ours, room)) {
    const message = room.toString("utf8", 0, length);
    if (message === "end" || length === 0) {
      watching[Symbol.dispose]();
      close(ours);
      return;
    }
    console.log(message);
  }
});
