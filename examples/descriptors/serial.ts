/**
 * A serial line: asks a modem for its name.
 *
 *     node out/examples/descriptors/serial.js [DEVICE]
 *
 * Without a device, one end of a pseudo-terminal pair is the line, and Python plays the modem at the other.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants, openSync } from "node:fs";
import { readable, writable } from "lio-poller";
import { close, read, write } from "lio-poller/io";

const MODEM = `
import os, pty, tty
modem, line = pty.openpty()
tty.setraw(line)
print(os.ttyname(line), flush=True)
heard = b""
while not heard.endswith(b"\\r"):
    heard += os.read(modem, 100)
os.write(modem, b"Example " if heard == b"ATI\\r" else b"ERROR ")
os.write(modem, b"Modem 1\\r\\nOK\\r\\n")
os.read(modem, 1)
`;

const modem =
  process.argv[2] === undefined ? spawn("python3", ["-c", MODEM], { stdio: ["ignore", "pipe", "inherit"] }) : undefined;
const path = modem === undefined ? process.argv[2]! : String((await once(modem.stdout, "data"))[0]).trim();
// Not as this process's controlling terminal.
const line = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);

await writable(line);
write(line, Buffer.from("ATI\r"));
let answer = "";
const room = Buffer.alloc(256);
while (!/(OK|ERROR)\r\n$/.test(answer)) {
  // The answer comes in as many pieces as the line likes.
  await readable(line, { timeout: 5000 });
  answer += room.toString("latin1", 0, Math.max(0, read(line, room)));
}
console.log(
  answer
    .trim()
    .split(/\s*\r\n/)
    .join(" / "),
);
close(line);
modem?.kill();
