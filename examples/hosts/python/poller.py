"""The component's ``poller`` interface, ``wit/poller.wit``, as Python would have it.

A ``Runtime`` is one instance of the component, with a table of kernel objects for itself. Pollers
and events are made by it, and work together only with those of the same one. All of it belongs to
one thread.

Failures of the kernel are ``OSError``, with the errno. Relies on ``host`` for everything below the
component.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, get_args

from wasmtime import Engine, Store
from wasmtime.component import Component, Func, Linker, ResourceAny, Variant

import host

Interest = Literal["readable", "writable", "priority"]
Mode = Literal["oneshot", "level", "edge", "edge-oneshot"]

_VERSION = "0.1.0"
_INTERFACE = f"lio:poller/poller@{_VERSION}"
_NUMBERS = {name: number for number, name in host.ERROR_CODES.items()}
_MAX_U64 = 2**64 - 1


class HasFileno(Protocol):
    """A socket, a file, or whatever else has a descriptor."""

    def fileno(self) -> int: ...


Descriptor = int | HasFileno


@dataclass(frozen=True)
class Event:
    """What one registration reported."""

    key: int
    readiness: frozenset[str]
    """``readable``, ``writable``, ``priority``, ``read-closed``, ``hang-up``, ``error``, ``refused``, ``timer``:
    ``wit/poller.wit`` tells what they mean."""
    amount: int
    """Of a timer: how often it has expired since it was last reported. Else how many bytes can be
    moved, where the kernel tells; epoll does not, and it is 0."""
    errno: int | None
    """Why the kernel refused, with ``refused``. Else the number of the pending error, where it is known."""


@dataclass(frozen=True)
class Deadline:
    """A moment of ``time.monotonic``."""

    seconds: float


@dataclass(frozen=True)
class Change:
    """One change of a batch. ``delete`` looks at the descriptor alone; ``modify`` without a mode
    keeps what is."""

    operation: Literal["add", "modify", "delete"]
    fd: Descriptor
    key: int = 0
    interest: frozenset[Interest] = frozenset()
    mode: Mode | None = None


class FailedError(RuntimeError):
    """The component has failed: its kernel objects are closed, and it cannot be used any more."""


class Runtime:
    """One instance of the component."""

    def __init__(self, component: Component, engine: Engine) -> None:
        """Instantiates the component, which ``engine`` has compiled: ``Component.from_file(engine,
        path)``."""
        self.epoll = host.Epoll()
        linker = Linker(engine)
        host.define(linker, _VERSION, self.epoll)
        self._store = Store(engine)
        self._instance = linker.instantiate(self._store, component)
        self._functions: dict[str, Func] = {}
        self._entered = threading.Lock()
        self._failed = False

    def poller(self) -> Poller:
        """Makes a poller. Raises ``OSError`` with EMFILE, ENFILE or ENOMEM."""
        return Poller(self, _succeeded(self.call("[static]poller.create")))

    def events(self, capacity: int) -> Events:
        """Makes room for so many events, 0 to 2**32 - 1. Raises ``OSError`` with ENOMEM."""
        if not 0 <= capacity < 2**32:
            raise ValueError("capacity is out of range")
        return Events(self, _succeeded(self.call("[static]events.create", capacity)), capacity)

    def close(self) -> None:
        """Closes the kernel objects of all its pollers, which must not be used any more."""
        self.epoll.close_all()

    def call(self, name: str, *arguments: Any) -> Any:
        """Calls an export by its WIT name.

        Raises ``FailedError`` if an earlier call has failed, and ``RuntimeError`` if one is
        running: wasmtime's store is for one thread, and does not check.
        """
        if self._failed:
            raise FailedError("the component has failed in an earlier call")
        return self._exclusively(self._function(name), self._store, *arguments)

    def drop(self, resource: ResourceAny) -> None:
        """Ends a resource of the component's. In one that has failed there is nothing to end."""
        if not self._failed:
            self._exclusively(resource.drop, self._store)
        resource.close()

    def _exclusively(self, function: Any, *arguments: Any) -> Any:
        if not self._entered.acquire(blocking=False):
            raise RuntimeError("a call of a poller of this runtime is running")
        try:
            return function(*arguments)
        except BaseException as error:
            # Arguments are checked before, so the component was left in the middle of a call.
            self._failed = True
            self.close()
            if isinstance(error, host.HostInterruptedError):
                raise error.__cause__ or error from None
            raise
        finally:
            self._entered.release()

    def _function(self, name: str) -> Func:
        known = self._functions.get(name)
        if known is not None:
            return known
        interface = self._instance.get_export_index(self._store, _INTERFACE)
        index = interface and self._instance.get_export_index(self._store, name, interface)
        function = index and self._instance.get_func(self._store, index)
        if not function:
            raise LookupError(f"the component has no {name} in {_INTERFACE}")
        self._functions[name] = function
        return function


class _Resource:
    """A resource of the component's, which lives until it is closed."""

    def __init__(self, runtime: Runtime, handle: ResourceAny) -> None:
        self.runtime = runtime
        self._handle: ResourceAny | None = handle

    @property
    def handle(self) -> ResourceAny:
        """Raises ``ValueError`` if it is closed."""
        if self._handle is None:
            raise ValueError("closed")
        return self._handle

    def close(self) -> None:
        """Closes it. A second time does nothing."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        self.runtime.drop(handle)

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


class Events(_Resource):
    """Room for the events of one wait, used again and again.

    Iterating gives those of the last wait.
    """

    def __init__(self, runtime: Runtime, handle: ResourceAny, capacity: int) -> None:
        super().__init__(runtime, handle)
        self.capacity = capacity

    def __iter__(self) -> Iterator[Event]:
        return iter([_event(raw) for raw in self.runtime.call("[method]events.read", self.handle)])


class Poller(_Resource):
    """A set of registrations.

    Every method raises ``OSError`` with the errno if the kernel, or the poller, refuses.
    """

    def add(
        self, fd: Descriptor, key: int, interest: Iterable[Interest], mode: Mode = "oneshot"
    ) -> None:
        """Registers a descriptor. EEXIST, EBADF, EPERM, ENOSPC, ENOMEM, ELOOP."""
        self._call("add", _number(fd), _key(key), _interest(interest), _mode(mode))

    def modify(
        self, fd: Descriptor, key: int, interest: Iterable[Interest], mode: Mode | None = None
    ) -> None:
        """Replaces key, interest and, if given, mode, and arms again.

        ENOENT, EBADF, EPERM, ENOMEM.
        """
        self._call("modify", _number(fd), _key(key), _interest(interest), _mode(mode))

    def delete(self, fd: Descriptor) -> None:
        """Ends a registration. ENOENT, EBADF."""
        self._call("delete", _number(fd))

    def apply(self, changes: Iterable[Change]) -> dict[int, int]:
        """Makes many changes at once. Returns the errno of those that failed, by their place."""
        failures = self.runtime.call(
            "[method]poller.apply", self.handle, [_change(change) for change in changes]
        )
        return {failure.index: _errno(failure.error) for failure in failures}

    def add_timer(self, key: int, when: float | Deadline, period: float = 0) -> None:
        """Arms a timer, to expire in so many seconds and, with a period, again and again.

        It never expires early. Timers have keys of their own. EEXIST, ENOMEM.
        """
        self._call("add-timer", _key(key), _moment(when), _nanoseconds(period))

    def modify_timer(self, key: int, when: float | Deadline, period: float | None = None) -> None:
        """Arms a timer at another moment. ENOENT.

        No period keeps the one that it has; 0 ends it.
        """
        self._call("modify-timer", _key(key), _moment(when), _nanoseconds(period))

    def delete_timer(self, key: int) -> None:
        """Ends a timer. ENOENT."""
        self._call("delete-timer", _key(key))

    def next_deadline(self) -> float | None:
        """When the next armed timer is due, in the seconds of ``time.monotonic``; or none is."""
        moment = self._call("next-deadline")
        return None if moment is None else moment / 1e9

    def wait(self, events: Events, timeout: float | Deadline | None = None) -> int:
        """Waits until there are events, of timers too, and returns how many.

        Blocks for at most ``timeout`` seconds, or until a deadline; ``None`` is for ever, 0 never
        blocks. Other threads run meanwhile. It returns 0 earlier only if it was notified. EINVAL if there is room for
        none.
        """
        if events.runtime is not self.runtime:
            raise ValueError("the events are of another runtime")
        if isinstance(timeout, Deadline):
            timeout = max(0.0, timeout.seconds - time.monotonic())
        return int(self._call("wait", events.handle, _nanoseconds(timeout)))

    def notify(self) -> None:
        """Ends the next wait early. EMFILE, ENFILE, ENOMEM, at its first call."""
        self._call("notify")

    def notifier(self) -> int:
        """The name by which ``notify`` ends a wait of this poller from any thread.

        EMFILE, ENFILE, ENOMEM.
        """
        return int(self._call("notifier"))

    def fileno(self) -> int:
        """The kernel object's descriptor, so that a poller can be polled.

        It is another one when the statistics' ``rebuilds`` has grown.
        """
        return int(self._call("descriptor"))

    def statistics(self) -> dict[str, int]:
        """The counts of ``wit/poller.wit``'s ``statistics``, by their names there."""
        return dict(vars(self.runtime.call("[method]poller.statistics", self.handle)))

    def _call(self, method: str, *arguments: Any) -> Any:
        return _succeeded(self.runtime.call(f"[method]poller.{method}", self.handle, *arguments))


def notify(notifier: int) -> None:
    """Ends the wait of the poller that gave the name, or its next one.

    Any thread may call it, and a signal handler. Never blocks. Does nothing for a closed poller.
    """
    host.NAMES.notify(notifier)


def _succeeded(result: Any) -> Any:
    """The value of a ``result``, which wasmtime gives bare: only an error is a ``Variant``."""
    if not isinstance(result, Variant):
        return result
    number = _errno(result)
    raise OSError(number, os.strerror(number))


def _errno(error: Variant) -> int:
    return _NUMBERS[error.tag] if error.payload is None else error.payload


def _event(raw: Any) -> Event:
    error = None if raw.error is None else _errno(raw.error)
    return Event(raw.key, frozenset(raw.readiness), raw.amount, error)


def _change(change: Change) -> Variant:
    fd = _number(change.fd)
    if change.operation == "delete":
        return Variant("delete", fd)
    mode = "oneshot" if change.mode is None and change.operation == "add" else change.mode
    fields = host.record(
        fd=fd, key=_key(change.key), interest=_interest(change.interest), mode=_mode(mode)
    )
    return Variant(change.operation, fields)


# Checked here, because wasmtime cuts off numbers that are too large, and calls with wrong names.


def _number(fd: Descriptor) -> int:
    number = fd if isinstance(fd, int) else fd.fileno()
    if not -(2**31) <= number < 2**31:
        raise OverflowError("the descriptor does not fit in 32 bits")
    return number


def _key(key: int) -> int:
    if not 0 <= key <= _MAX_U64:
        raise OverflowError("the key does not fit in 64 bits")
    return key


def _moment(when: float | Deadline) -> Variant:
    if isinstance(when, Deadline):
        return Variant("at", _nanoseconds(max(0.0, when.seconds)))
    return Variant("after", _nanoseconds(when))


def _interest(interest: Iterable[Interest]) -> set[Interest]:
    wanted = set(interest)
    if not wanted <= set(get_args(Interest)):
        raise ValueError(f"no such interest: {wanted}")
    return wanted


def _mode(mode: Mode | None) -> Mode | None:
    if mode is not None and mode not in get_args(Mode):
        raise ValueError(f"no such mode: {mode}")
    return mode


def _nanoseconds(seconds: float | None) -> int | None:
    if seconds is None:
        return None
    if not seconds >= 0:
        raise ValueError("a time must be 0 or more")
    # Rounded up: a wait is never early.
    return _MAX_U64 if seconds >= _MAX_U64 / 1e9 else math.ceil(seconds * 1e9)
