"""An echo server over TCP on the component, and clients in threads that check every byte that
comes back.

The server is one thread that never blocks but in ``Poller.wait``. Its registrations are one-shot:
it reads and writes until the kernel says that it would block, and arms again for what it needs
next.
"""

from __future__ import annotations

import argparse
import random
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from wasmtime import Engine
from wasmtime.component import Component

from poller import Interest, Poller, Runtime

COMPONENT = Path(__file__).resolve().parents[3] / "dist" / "epoll.component.wasm"
ACCEPT = 2**64 - 1
"""The listener's key. Connections have their descriptors'."""

MOST_PENDING = 65536
"""Bytes that may wait for a client to take them. Beyond it nothing is read from that client."""

PATIENCE = 30.0
"""Seconds of silence after which something is wrong."""


@dataclass
class Connection:
    """One client, and what it has not taken yet."""

    socket: socket.socket
    pending: bytearray = field(default_factory=bytearray)
    ended: bool = False

    def wants(self) -> set[Interest]:
        """What to wait for; nothing means that the connection is over."""
        wanted: set[Interest] = {"writable"} if self.pending else set()
        if not self.ended and len(self.pending) < MOST_PENDING:
            wanted.add("readable")
        return wanted

    def move(self) -> None:
        """Takes in and gives back what is possible without blocking."""
        self._read()
        self._write()

    def _read(self) -> None:
        while not self.ended and len(self.pending) < MOST_PENDING:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return
            self.ended = not data
            self.pending += data

    def _write(self) -> None:
        while self.pending:
            try:
                del self.pending[: self.socket.send(self.pending)]
            except BlockingIOError:
                return


class Server:
    """Echoes until so many connections have come and gone."""

    def __init__(self, poller: Poller, listener: socket.socket) -> None:
        self._poller = poller
        self._listener = listener
        self._connections: dict[int, Connection] = {}
        self.served = 0

    def serve(self, runtime: Runtime, connections: int) -> None:
        """Blocks until all are served.

        Raises ``TimeoutError`` if nothing happens for ``PATIENCE`` seconds.
        """
        self._poller.add(self._listener, ACCEPT, {"readable"}, "level")
        with runtime.events(64) as events:
            while self.served < connections:
                if self._poller.wait(events, PATIENCE) == 0:
                    raise TimeoutError(
                        f"{len(self._connections)} connections are open, and nothing happens"
                    )
                for event in events:
                    self._accept() if event.key == ACCEPT else self._serve(event.key)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setblocking(False)
        self._connections[client.fileno()] = Connection(client)
        self._poller.add(client, client.fileno(), {"readable"})

    def _serve(self, key: int) -> None:
        connection = self._connections[key]
        try:
            connection.move()
        except ConnectionError:
            connection.pending.clear()
            connection.ended = True
        wanted = connection.wants()
        if wanted:
            return self._poller.modify(key, key, wanted)
        self._poller.delete(key)
        self._connections.pop(key).socket.close()
        self.served += 1


class Client(threading.Thread):
    """Sends messages, each after the echo of the one before, and checks every byte."""

    def __init__(self, address: tuple[str, int], seed: int, messages: int) -> None:
        super().__init__(name=f"client {seed}")
        self._address = address
        self._random = random.Random(seed)
        self._messages = messages
        self.echoed = 0
        self.bytes = 0
        self.failure: str | None = None

    def run(self) -> None:
        try:
            with socket.create_connection(self._address, PATIENCE) as connection:
                for number in range(self._messages):
                    self._exchange(connection, number)
        except OSError as error:
            self.failure = f"{self.name}: {error!r}"

    def _exchange(self, connection: socket.socket, number: int) -> None:
        message = self._random.randbytes(self._random.randint(1, 4096))
        connection.sendall(message)
        echo = bytearray()
        while len(echo) < len(message):
            data = connection.recv(len(message) - len(echo))
            if not data:
                raise ConnectionError(
                    f"message {number} ended after {len(echo)} of {len(message)} bytes"
                )
            echo += data
        if echo != message:
            raise ConnectionError(f"message {number} came back changed")
        self.echoed += 1
        self.bytes += len(echo)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Echoes messages over TCP on the component, and checks every byte."
    )
    parser.add_argument(
        "--clients",
        type=int,
        default=40,
        help="threads, each with a connection; default: %(default)s",
    )
    parser.add_argument(
        "--messages", type=int, default=100, help="of each client; default: %(default)s"
    )
    parser.add_argument("--component", type=Path, default=COMPONENT, help="default: %(default)s")
    options = parser.parse_args()

    engine = Engine()
    runtime = Runtime(Component.from_file(engine, str(options.component)), engine)
    with (
        runtime.poller() as poller,
        socket.create_server(("127.0.0.1", 0), backlog=options.clients) as listener,
    ):
        listener.setblocking(False)
        address = listener.getsockname()
        clients = [Client(address, seed, options.messages) for seed in range(options.clients)]
        start = time.monotonic()
        for client in clients:
            client.start()
        Server(poller, listener).serve(runtime, options.clients)
        for client in clients:
            client.join()
        return summarize(clients, options.messages, time.monotonic() - start, poller.statistics())


def summarize(clients: list[Client], messages: int, seconds: float, counts: dict[str, int]) -> int:
    """Prints what happened, and returns the exit code."""
    for client in clients:
        if client.failure is not None:
            print(client.failure)
    echoed = sum(client.echoed for client in clients)
    wanted = len(clients) * messages
    total = sum(client.bytes for client in clients)
    print(f"{echoed} of {wanted} messages, {total} bytes, all compared, in {seconds:.1f} s")
    print(f"{counts['waits']} waits, {counts['events']} events")
    print(f"{counts['changes']} changes sent to the kernel, {counts['rearms-left-out']} left out")
    print("passed" if echoed == wanted else "failed")
    return 0 if echoed == wanted else 1


if __name__ == "__main__":
    sys.exit(main())
