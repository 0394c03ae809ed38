"""Runs the contract, ``test/contract/*.json``, on the shipped component and this machine's epoll.

The data and what its fields mean are described in ``test/contract/README.md``. A step is the
method of its name, and its fields are that method's arguments: a field that is not known, or one
that is missing, is refused by Python itself.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import json
import math
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wasmtime import Engine
from wasmtime.component import Component

from poller import Change, Deadline, Event, Events, Poller, Runtime, notify

ROOT = Path(__file__).resolve().parents[3]
COMPONENT = ROOT / "dist" / "epoll.component.wasm"
CONTRACT = ROOT / "test" / "contract"
FILES = ("lio.json", "faults.json", "modes.json", "sockets.json", "timers.json", "notifiers.json")
KERNEL = "epoll"

PATIENCE = 30.0
"""Seconds after which a step is given up. No scenario has a tenth of it as a timeout."""

_BITS = {
    "readable": "readable",
    "writable": "writable",
    "priority": "priority",
    "readClosed": "read-closed",
    "hangUp": "hang-up",
    "error": "error",
    "refused": "refused",
}
# Fields whose names are words of Python's.
_RENAMED = {"as": "names", "from": "pool", "do": "step"}
_OUTCOMES = {"expect", "pool", "woken", "error"}
_TIMER = frozenset({"timer"})
_MAIN = ""


class ContractError(Exception):
    """A step that did not do what the contract says."""


@dataclass(frozen=True)
class Expected:
    """An event that the contract speaks of."""

    key: int
    required: frozenset[str]
    allowed: frozenset[str]
    error: str | None
    amount: tuple[int, int] = (0, 0)
    """Of a timer: how often it must have expired, at least and at most."""

    def fits(self, event: Event) -> bool:
        """Whether an event has the key, the error, all required bits and only allowed ones."""
        error = None if event.errno is None else errno.errorcode[event.errno]
        return (
            event.key == self.key
            and error == self.error
            and self.required <= event.readiness <= self.allowed
            and self.amount[0] <= event.amount <= self.amount[1]
        )


@dataclass
class Pool:
    """Events of which waits do not say which they bring."""

    all: list[Expected]
    left: list[Expected]


class Scene:
    """One scenario's surroundings: its pollers, and its descriptors by name."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._numbers: dict[str, int] = {}
        self._open: set[int] = set()
        self._pollers: dict[str, Poller] = {_MAIN: runtime.poller()}
        self._pools: dict[str, Pool] = {}
        # Rooms are used again, so that a wait that leaves old events behind is noticed.
        self._rooms: dict[tuple[str, int], Events] = {}
        self._notifiers: dict[str, int] = {}
        # Where names listen, or listened.
        self._addresses: dict[str, Any] = {}
        # Nanoseconds of time.monotonic_ns.
        self._moments: dict[str, int] = {}
        self._steps: dict[str, Callable[..., None]] = {
            "socketpair": self.socketpair,
            "tcp": self.tcp,
            "listen": self.listen,
            "connect": self.connect,
            "accept": self.accept,
            "pendingError": self.pending_error,
            "pipe": self.pipe,
            "eventfd": self.eventfd,
            "regular": self.regular,
            "dup": self.dup,
            "close": self.close_one,
            "shutdown": self.shutdown,
            "write": self.write,
            "read": self.read,
            "sendUrgent": self.send_urgent,
            "receiveUrgent": self.receive_urgent,
            "poller": self.poller,
            "add": self.add,
            "modify": self.modify,
            "delete": self.delete,
            "apply": self.apply,
            "addTimer": self.add_timer,
            "modifyTimer": self.modify_timer,
            "deleteTimer": self.delete_timer,
            "notifier": self.notifier,
            "notify": self.notify,
            "closePoller": self.close_poller,
            "moment": self.moment,
            "pass": self.let_pass,
            "registrations": self.registrations,
            "timers": self.timers,
            "events": self.events,
            "pool": self.pool,
            "drained": self.drained,
            "wait": self.wait,
        }

    def perform(self, step: Mapping[str, Any]) -> None:
        """Carries a step out and checks it, and holds it to the system calls that it may make."""
        fields = {_RENAMED.get(name, name): value for name, value in step.items()}
        fields.pop("label", None)
        kind = fields.pop("step")
        most = fields.pop("maxCalls", None)
        if kind not in self._steps:
            raise ContractError(f"unknown step {kind}")
        before = self._runtime.epoll.calls
        self._steps[kind](**fields)
        made = self._runtime.epoll.calls - before
        expect(most is None or made <= most, f"{made} system calls instead of {most} at most")

    def close_pollers(self) -> None:
        for poller in self._pollers.values():
            poller.close()

    def close_descriptors(self) -> None:
        for fd in self._open:
            os.close(fd)
        self._open.clear()

    def socketpair(self, names: list[str]) -> None:
        for name, end in zip(
            names, socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM), strict=True
        ):
            end.setblocking(False)
            self._name(name, end.detach())

    def tcp(self, names: list[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
        for name, end in zip(names, (server, client), strict=True):
            end.setblocking(False)
            self._name(name, end.detach())

    def listen(self, names: str, host: str) -> None:
        listener = socket.create_server((host, 0), family=family(host))
        self._addresses[names] = listener.getsockname()
        listener.setblocking(False)
        self._name(names, listener.detach())

    def connect(self, to: str, names: str) -> None:
        address = self._addresses[to]
        client = socket.socket(family(address[0]))
        client.setblocking(False)
        self._name(names, client.fileno())
        with contextlib.suppress(BlockingIOError):
            client.connect(address)
        client.detach()

    def accept(self, fd: str, names: str) -> None:
        with borrowed(self._number(fd)) as listener:
            server, _ = listener.accept()
        server.setblocking(False)
        self._name(names, server.detach())

    def pending_error(self, fd: str, error: str | None = None) -> None:
        with borrowed(self._number(fd)) as end:
            number = end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        expect(errno.errorcode.get(number) == error, f"the pending error is {number}")

    def pipe(self, names: list[str]) -> None:
        for name, end in zip(names, os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC), strict=True):
            self._name(name, end)

    def eventfd(self, names: str) -> None:
        self._name(names, os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))

    def regular(self, names: str) -> None:
        with tempfile.TemporaryFile() as file:
            self._name(names, os.dup(file.fileno()))

    def dup(self, fd: str, names: str, onto: str | None = None) -> None:
        if onto is None:
            self._name(names, os.dup(self._number(fd)))
        else:
            self._name(names, os.dup2(self._number(fd), self._number(onto), inheritable=False))

    def close_one(self, fd: str) -> None:
        number = self._number(fd)
        os.close(number)
        self._open.discard(number)

    def shutdown(self, fd: str, how: str) -> None:
        hows = {"read": socket.SHUT_RD, "write": socket.SHUT_WR, "both": socket.SHUT_RDWR}
        with borrowed(self._number(fd)) as end:
            end.shutdown(hows[how])

    def write(
        self, fd: str, text: str | None = None, counter: int | None = None, fill: bool = False
    ) -> None:
        number = self._number(fd)
        if fill:
            return until_it_would_block(lambda: os.write(number, bytes(65536)))
        expect((text is None) != (counter is None), "exactly one of text, counter and fill")
        data = text.encode() if text is not None else (counter or 0).to_bytes(8, sys.byteorder)
        written = os.write(number, data)
        expect(written == len(data), f"{written} bytes written instead of {len(data)}")

    def read(
        self,
        fd: str,
        room: int = 65536,
        text: str | None = None,
        count: int | None = None,
        drain: bool = False,
    ) -> None:
        number = self._number(fd)
        if drain:
            return until_it_would_block(lambda: len(os.read(number, room)))
        data = os.read(number, room)
        if text is not None:
            return expect(data == text.encode(), f"read {data!r}")
        expect(len(data) == count, f"read {len(data)} bytes")

    def send_urgent(self, fd: str, text: str) -> None:
        with borrowed(self._number(fd)) as end:
            expect(end.send(text.encode(), socket.MSG_OOB) == 1, "not sent")

    def receive_urgent(self, fd: str, text: str) -> None:
        with borrowed(self._number(fd)) as end:
            data = end.recv(1, socket.MSG_OOB)
        expect(data == text.encode(), f"received {data!r}")

    def poller(self, names: str) -> None:
        self._pollers[names] = self._runtime.poller()

    def add(self, poller: str = _MAIN, error: str | None = None, **change: Any) -> None:
        self._verdict("add", poller, error, change)

    def modify(self, poller: str = _MAIN, error: str | None = None, **change: Any) -> None:
        self._verdict("modify", poller, error, change)

    def delete(self, fd: str | int, poller: str = _MAIN, error: str | None = None) -> None:
        with_verdict(error, lambda: self._pollers[poller].delete(self._number(fd)))

    def apply(self, changes: list[dict[str, Any]], poller: str = _MAIN) -> None:
        errors = [change.get("error") for change in changes]
        failures = self._pollers[poller].apply([self._change(**change) for change in changes])
        verdicts = [errno.errorcode.get(failures.get(index, 0)) for index in range(len(changes))]
        expect(
            verdicts == errors and set(failures) <= set(range(len(changes))),
            f"verdicts: {failures}",
        )

    def add_timer(
        self, key: int | str, poller: str = _MAIN, error: str | None = None, **timer: Any
    ) -> None:
        when, periods = self._due(**timer)
        with_verdict(error, lambda: self._pollers[poller].add_timer(int(key), when, *periods))

    def modify_timer(
        self, key: int | str, poller: str = _MAIN, error: str | None = None, **timer: Any
    ) -> None:
        when, periods = self._due(**timer)
        with_verdict(error, lambda: self._pollers[poller].modify_timer(int(key), when, *periods))

    def delete_timer(
        self, key: int | str, poller: str = _MAIN, error: str | None = None
    ) -> None:
        with_verdict(error, lambda: self._pollers[poller].delete_timer(int(key)))

    def notifier(self, names: str, poller: str = _MAIN) -> None:
        self._notifiers[names] = self._pollers[poller].notifier()

    def notify(self, poller: str = _MAIN, notifier: str | None = None) -> None:
        if notifier is None:
            self._pollers[poller].notify()
        else:
            notify(self._notifiers[notifier])

    def close_poller(self, poller: str = _MAIN) -> None:
        self._pollers[poller].close()

    def moment(self, names: str) -> None:
        self._moments[names] = time.monotonic_ns()

    def let_pass(self, milliseconds: float) -> None:
        time.sleep(milliseconds / 1000)

    def registrations(self, expect: int, poller: str = _MAIN) -> None:
        self._standing("registrations", expect, poller)

    def timers(self, expect: int, poller: str = _MAIN) -> None:
        self._standing("timers", expect, poller)

    def _standing(self, what: str, count: int, poller: str) -> None:
        found = self._pollers[poller].statistics()[what]
        expect(found == count, f"{found} {what}")

    def events(self, room: int) -> None:
        with self._runtime.events(room) as events:
            expect(not list(events), "holds events that nobody reported")

    def pool(self, names: str, events: list[dict[str, Any]]) -> None:
        expected = [expected_event(event) for event in events]
        self._pools[names] = Pool(expected, list(expected))

    def drained(self, pool: str) -> None:
        expect(not self._pools[pool].left, f"never reported: {self._pools[pool].left}")

    def wait(
        self,
        poller: str = _MAIN,
        room: int = 16,
        until: dict[str, Any] | None = None,
        **outcome: Any,
    ) -> None:
        limit = self._limit({"timeout", "deadline"} & set(outcome), outcome)
        expect(len(_OUTCOMES & set(outcome)) == 1, f"exactly one of {_OUTCOMES}")
        events = self._room(poller, room)
        if "error" in outcome:
            return with_verdict(outcome["error"], lambda: self._pollers[poller].wait(events, limit))
        start = time.monotonic_ns()
        count = self._pollers[poller].wait(events, limit)
        end = time.monotonic_ns()
        reported = list(events)
        expect(
            len(reported) == count, f"wait returned {count}, and there are {len(reported)} events"
        )
        least = start
        if until is not None:
            least = self._moment(**until)
        elif not reported and "woken" not in outcome:
            least = self._end(start, limit)
        expect(end >= least, f"returned {least - end} ns too early")
        self._check_events(reported, 0 if until is None else end - least, **outcome)

    def _limit(self, given: set[str], outcome: dict[str, Any]) -> float | Deadline | None:
        """Takes the end of a wait out of its fields."""
        expect(len(given) == 1, "exactly one of timeout and deadline")
        if "deadline" in given:
            return Deadline(self._moment(**outcome.pop("deadline")) / 1e9)
        timeout = outcome.pop("timeout")
        return None if timeout is None else timeout / 1000

    def _end(self, start: int, limit: float | Deadline | None) -> int:
        if isinstance(limit, Deadline):
            return math.floor(limit.seconds * 1e9)
        return start + math.ceil((limit or 0) * 1e9)

    def _moment(self, of: str, plus: float = 0) -> int:
        return self._moments[of] + math.ceil(plus * 1e6)

    def _due(
        self,
        after: float | None = None,
        deadline: dict[str, Any] | None = None,
        repeat: float | None = None,
    ) -> tuple[float | Deadline, list[float]]:
        """When a timer is due, and its period if there is one."""
        expect((after is None) != (deadline is None), "exactly one of after and deadline")
        periods = [] if repeat is None else [repeat / 1000]
        if deadline is not None:
            return Deadline(self._moment(**deadline) / 1e9), periods
        return (after or 0) / 1000, periods

    def _check_events(
        self,
        reported: list[Event],
        late: int,
        expect: list[dict[str, Any]] | None = None,
        pool: str | None = None,
        count: int | None = None,
        again: bool = False,
        woken: bool = False,
    ) -> None:
        if woken and reported:
            raise ContractError(f"reported {reported}")
        if expect is not None:
            left = [expected_event(event, late) for event in expect]
            take_all(left, reported)
            if left:
                raise ContractError(f"not reported: {left}; what was: {reported}")
        if pool is None:
            return
        if count is not None and len(reported) != count:
            raise ContractError(f"reported {reported}")
        known = self._pools[pool]
        take_all(list(known.all) if again else known.left, reported)
        if again:
            known.left = [event for event in known.left if not any(map(event.fits, reported))]

    def _verdict(
        self, operation: str, poller: str, error: str | None, fields: dict[str, Any]
    ) -> None:
        change = self._change(op=operation, **fields)
        method: Callable[..., None] = getattr(self._pollers[poller], operation)
        mode = {} if change.mode is None else {"mode": change.mode}
        with_verdict(error, lambda: method(change.fd, change.key, change.interest, **mode))

    def _change(
        self, op: Any, fd: str | int, error: str | None = None, **registers: Any
    ) -> Change:
        number = self._number(fd)
        if op == "delete":
            return Change(op, number, **registers)
        return self._registering(op, number, **registers)

    def _registering(
        self, op: Any, fd: int, key: int | str, interest: list[Any], mode: Any = None
    ) -> Change:
        return Change(op, fd, int(key), frozenset(interest), mode)

    def _name(self, name: str, fd: int) -> None:
        self._open.add(fd)
        self._numbers[name] = fd

    def _number(self, fd: str | int) -> int:
        return fd if isinstance(fd, int) else self._numbers[fd]

    def _room(self, poller: str, capacity: int) -> Events:
        if (poller, capacity) not in self._rooms:
            self._rooms[poller, capacity] = self._runtime.events(capacity)
            expect(not list(self._rooms[poller, capacity]), "new room holds events")
        return self._rooms[poller, capacity]


class Watchdog:
    """Ends the process if a step blocks or spins for ever, and says which one.

    A thread can, because the interpreter's lock is free while the component runs.
    """

    def __init__(self) -> None:
        self._began = math.inf
        self._doing = ""
        threading.Thread(target=self._guard, daemon=True).start()

    def begin(self, doing: str) -> None:
        self._doing, self._began = doing, time.monotonic()

    def _guard(self) -> None:
        while time.monotonic() - self._began < PATIENCE:
            time.sleep(1)
        os.write(2, f"\nblocked for {PATIENCE} s: {self._doing}\n".encode())
        os._exit(1)


def run(
    runtime: Runtime, scenario: Mapping[str, Any], steps: list[dict[str, Any]], watchdog: Watchdog
) -> None:
    """Runs the steps in order, and closes what they opened. Raises at the first one that fails."""
    before = open_descriptors()
    scene = Scene(runtime)
    try:
        for where, step in turns(steps):
            watchdog.begin(f"{scenario['name']}, step {where}: {step}")
            try:
                scene.perform(step)
            except Exception as error:
                raise ContractError(f"step {where}, {json.dumps(step)}: {error!r}") from error
        scene.close_pollers()
    finally:
        scene.close_descriptors()
    # Before the runtime closes what the component may have forgotten.
    leaks = open_descriptors() - before
    expect(not leaks, f"left open: {sorted(leaks)}")


def turns(steps: list[dict[str, Any]]) -> Iterable[tuple[str, dict[str, Any]]]:
    """The steps with their places, and repeated ones as often as they are."""
    for number, step in enumerate(steps, 1):
        if step["do"] != "repeat":
            yield str(number), step
            continue
        expect(set(step) <= {"do", "times", "steps", "label"}, f"unknown fields in {step}")
        text = json.dumps(step["steps"])
        for turn in range(step["times"]):
            for inner in json.loads(text.replace("#", str(turn))):
                yield f"{number}, turn {turn}", inner


def steps_of(scenario: Mapping[str, Any]) -> list[dict[str, Any]] | str:
    """The steps that a scenario has on this kernel, or why it is left out."""
    known = {"name", "title", "source", "steps", "differences"}
    expect(set(scenario) <= known, f"unknown fields: {set(scenario) - known}")
    differences = [
        difference
        for difference in scenario.get("differences", ())
        if KERNEL in difference["kernels"]
    ]
    replacements: dict[str, dict[str, Any]] = {}
    for difference in differences:
        if difference.get("leftOut"):
            return str(difference["reason"])
        replacements |= difference["replace"]
    steps = [replacements.get(step.get("label", ""), step) for step in scenario["steps"]]
    # What other kernels' systems lack, and do not tell; a host on one of those would have to heed it.
    facts = json.loads((CONTRACT / "kernels.json").read_text(encoding="utf-8"))[KERNEL]
    expect(facts == {"lacks": {}, "untold": []}, f"not heeded: {facts}")
    return steps


def expected_event(event: dict[str, Any], late: int = 0) -> Expected:
    """What the contract expects of a wait that returned so many nanoseconds after it had to."""
    if "expirations" in event:
        return expected_timer(late, **event)
    expect(set(event) <= {"key", "is", "may", "errorCode"}, f"unknown fields in {event}")
    required = frozenset(_BITS[bit] for bit in event["is"])
    allowed = required | {_BITS[bit] for bit in event.get("may", ())}
    return Expected(int(event["key"]), required, allowed, event.get("errorCode"))


def expected_timer(
    late: int, key: int | str, expirations: int, every: float | None = None
) -> Expected:
    """One that repeats may have expired more often, once for each period that has begun since."""
    more = 0 if every is None else math.ceil(late / (every * 1e6))
    return Expected(int(key), _TIMER, _TIMER, None, (expirations, expirations + more))


def take_all(candidates: list[Expected], events: list[Event]) -> None:
    """Takes out what was reported; anything else that was reported is an error."""
    for event in events:
        found = next((candidate for candidate in candidates if candidate.fits(event)), None)
        if found is None:
            raise ContractError(f"reported {event}, of {candidates}")
        candidates.remove(found)


def with_verdict(expected: str | None, operation: Callable[[], object]) -> None:
    verdict: str | None = None
    try:
        operation()
    except OSError as error:
        verdict = errno.errorcode[error.errno or 0]
    expect(verdict == expected, f"the verdict is {verdict} instead of {expected}")


def family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@contextlib.contextmanager
def borrowed(fd: int) -> Iterator[socket.socket]:
    """A descriptor as a socket, which is left open."""
    end = socket.socket(fileno=fd)
    try:
        yield end
    finally:
        end.detach()


def until_it_would_block(operation: Callable[[], int]) -> None:
    try:
        while operation() > 0:
            pass
    except BlockingIOError:
        return


def expect(condition: object, message: str) -> None:
    if not condition:
        raise ContractError(message)


def open_descriptors() -> set[tuple[int, str]]:
    """This process's descriptors and what they are."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        # The one that lists them is closed by now.
        try:
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except FileNotFoundError:
            continue
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Runs the contract on the component, hosted by wasmtime."
    )
    parser.add_argument(
        "names", nargs="*", help="only the scenarios whose names contain one of these"
    )
    parser.add_argument("--component", type=Path, default=COMPONENT, help="default: %(default)s")
    options = parser.parse_args()

    engine = Engine()
    data = options.component.read_bytes()
    print(f"component {hashlib.sha256(data).hexdigest()}")
    component = Component(engine, data)
    watchdog = Watchdog()
    counts = {"✓": 0, "✗": 0, "–": 0}
    for file in FILES:
        for scenario in json.loads((CONTRACT / file).read_text(encoding="utf-8")):
            if options.names and not any(name in scenario["name"] for name in options.names):
                continue
            sign, reason = outcome(engine, component, scenario, watchdog)
            counts[sign] += 1
            print(f"{sign} {scenario['name']}{reason and ': '}{reason}", flush=True)
    left_out = f", {counts['–']} left out" if counts["–"] else ""
    print(f"{counts['✓']} passed, {counts['✗']} failed{left_out}")
    return 1 if counts["✗"] or not counts["✓"] else 0


def outcome(
    engine: Engine, component: Component, scenario: dict[str, Any], watchdog: Watchdog
) -> tuple[str, str]:
    """Runs a scenario on an instance of its own, and returns its sign and what there is to say."""
    runtime = Runtime(component, engine)
    try:
        steps = steps_of(scenario)
        if isinstance(steps, str):
            return "–", steps
        run(runtime, scenario, steps, watchdog)
        return "✓", ""
    except Exception as error:  # Whatever it is, the other scenarios run.
        return "✗", str(error) if isinstance(error, ContractError) else repr(error)
    finally:
        runtime.close()


if __name__ == "__main__":
    sys.exit(main())
