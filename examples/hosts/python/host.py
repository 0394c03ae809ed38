"""What the component imports, on Linux: ``wit/epoll.wit`` and ``wit/clock.wit``.

The host decides nothing. Each function is one system call, or one per change of a batch, and the
answer is the kernel's.

It calls the C library by ``ctypes`` and not ``select.epoll``, for two reasons. ``select.epoll``
gives the kernel the descriptor's number to keep with a registration, where the contract wants the
component's token: events of a number's former life could not be told from those of its present
one. And its timeouts are whole milliseconds.

Relies on wasmtime's mapping of WIT's types to Python: a variant is a ``Variant``, but a ``result``
or ``option`` whose cases have different Python types is the bare value.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import itertools
import os
import platform
import select
import threading
import time
from collections.abc import Callable
from typing import Any

from wasmtime.component import Linker, Record, Variant

# The names of wit/types.wit. EOPNOTSUPP is ENOTSUP's number on Linux.
ERROR_CODES: dict[int, str] = {
    errno.EBADF: "bad-descriptor",
    errno.EEXIST: "already-exists",
    errno.ENOENT: "not-found",
    errno.EPERM: "not-permitted",
    errno.EACCES: "access-denied",
    errno.EINVAL: "invalid-argument",
    errno.ENOMEM: "out-of-memory",
    errno.ENOSPC: "no-space",
    errno.EMFILE: "too-many-descriptors",
    errno.ENFILE: "file-table-full",
    errno.ELOOP: "loop",
    errno.EINTR: "interrupted",
    errno.ENOTSUP: "not-supported",
    errno.ENOSYS: "no-system-call",
    errno.EFAULT: "bad-address",
    errno.EPIPE: "broken-pipe",
    errno.ENOTSOCK: "not-a-socket",
    errno.ECONNREFUSED: "connection-refused",
    errno.ECONNRESET: "connection-reset",
    errno.ETIMEDOUT: "timed-out",
}

# EPOLL_CTL_ADD, _DEL and _MOD, which the select module does not have.
_OPERATIONS = {"add": 1, "delete": 2, "modify": 3}
_MAX_EVENTS = 1024
_NANOSECONDS = 1_000_000_000


class _Event(ctypes.Structure):
    """``struct epoll_event``, packed on x86-64 alone: ``__EPOLL_PACKED`` in sys/epoll.h."""

    if platform.machine() == "x86_64":
        _pack_ = 1
    _fields_ = [
        ("mask", ctypes.c_uint32),
        ("slot", ctypes.c_uint32),
        ("generation", ctypes.c_uint32),
    ]
    if platform.machine() != "x86_64":
        _fields_.insert(1, ("padding", ctypes.c_uint32))


class _Timespec(ctypes.Structure):
    """``struct timespec`` of a 64-bit Linux."""

    _fields_ = [("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_int64)]


_libc = ctypes.CDLL(None, use_errno=True)


class HostInterruptedError(Exception):
    """A signal handler raised while the component was running; its exception is the cause.

    The component has been left in the middle of a call and cannot be entered again.
    """


class Table:
    """Descriptors by handle, so that a component reaches only what it was given.

    A closed one leaves its place to the next.
    """

    def __init__(self) -> None:
        self._descriptors: list[int] = []

    def insert(self, descriptor: int) -> int:
        """Keeps a descriptor and returns its handle."""
        if -1 not in self._descriptors:
            self._descriptors.append(-1)
        handle = self._descriptors.index(-1)
        self._descriptors[handle] = descriptor
        return handle

    def descriptor(self, handle: int) -> int:
        """Returns -1, which every system call answers with EBADF, for an unknown handle."""
        return self._descriptors[handle] if handle < len(self._descriptors) else -1

    def close(self, handle: int) -> None:
        """Closes the descriptor. An unknown handle is ignored."""
        descriptor = self.descriptor(handle)
        if descriptor == -1:
            return
        self._descriptors[handle] = -1
        os.close(descriptor)

    def close_all(self) -> None:
        """Closes whatever is left."""
        for handle in range(len(self._descriptors)):
            self.close(handle)


class Names:
    """The notifiers of a process by names that any thread may hold for ever.

    A name is never used twice.
    """

    def __init__(self) -> None:
        # Reentrant, because a signal handler may notify while the thread that it interrupts does.
        self._lock = threading.RLock()
        self._descriptors: dict[int, int] = {}
        self._next = itertools.count(1)

    def insert(self, descriptor: int) -> int:
        """Names a notifier by its descriptor."""
        with self._lock:
            name = next(self._next)
            self._descriptors[name] = descriptor
            return name

    def remove(self, name: int) -> None:
        """Forgets a name. It must happen before its descriptor is closed."""
        with self._lock:
            self._descriptors.pop(name, None)

    def notify(self, name: int) -> None:
        """Notifies. Never blocks. An unknown name, or one of a closed notifier, does nothing."""
        with self._lock:
            if name in self._descriptors:
                _wake(self._descriptors[name])


NAMES = Names()
"""Of all the component instances of this process."""


class Epoll:
    """The ``epoll`` interface of one component instance.

    Every method is what ``wit/epoll.wit`` says of its name, and blocks and fails as said there.
    """

    def __init__(self) -> None:
        self._epolls = Table()
        self._notifiers = Table()
        self._names: dict[int, int] = {}
        self.calls = 0
        """System calls so far: creations, changes, waits and closes of epoll instances."""

    def create(self) -> int | Variant:
        self.calls += 1
        descriptor = _libc.epoll_create1(select.EPOLL_CLOEXEC)
        return _failed() if descriptor == -1 else self._epolls.insert(descriptor)

    def control(self, epoll: int, changes: list[Record]) -> list[Record]:
        descriptor = self._epolls.descriptor(epoll)
        failures = []
        for index, change in enumerate(changes):
            error = self._control_one(descriptor, change)
            if error is not None:
                failures.append(record(index=index, error=error))
        return failures

    def wait(
        self, epoll: int, changes: list[Record], capacity: int, timeout: int | None
    ) -> Record | list[Record] | Variant:
        failures = self.control(epoll, changes)
        if failures:
            return failures
        room = (_Event * min(capacity, _MAX_EVENTS))()
        self.calls += 1
        count = _wait(self._epolls.descriptor(epoll), room, timeout)
        if count == -1:
            return _failed()
        return record(events=[_lift(event) for event in room[:count]], moment=time.monotonic_ns())

    def descriptor(self, epoll: int) -> int | Variant:
        descriptor = self._epolls.descriptor(epoll)
        return error_code(errno.EBADF) if descriptor == -1 else descriptor

    def close(self, epoll: int) -> None:
        self.calls += 1
        self._epolls.close(epoll)

    def create_notifier(self) -> int | Variant:
        try:
            descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except OSError as error:
            return error_code(error.errno or 0)
        notifier = self._notifiers.insert(descriptor)
        self._names[notifier] = NAMES.insert(descriptor)
        return notifier

    def attach_notifier(self, notifier: int, epoll: int, token: Record) -> Variant | None:
        mask = select.EPOLLIN | select.EPOLLET
        change = record(
            operation="add", fd=self._notifiers.descriptor(notifier), mask=mask, token=token
        )
        return self._control_one(self._epolls.descriptor(epoll), change)

    def notify(self, notifier: int) -> None:
        if self._notifiers.descriptor(notifier) != -1:
            _wake(self._notifiers.descriptor(notifier))

    def identify(self, notifier: int) -> int:
        return self._names.get(notifier, 0)

    def close_notifier(self, notifier: int) -> None:
        NAMES.remove(self._names.pop(notifier, 0))
        self._notifiers.close(notifier)

    def close_all(self) -> None:
        """Closes what the component has left open, which after a trap is everything."""
        self._epolls.close_all()
        for notifier in list(self._names):
            self.close_notifier(notifier)

    def _control_one(self, epoll: int, change: Any) -> Variant | None:
        self.calls += 1
        event = _Event(
            mask=change.mask, slot=change.token.slot, generation=change.token.generation
        )
        result = _libc.epoll_ctl(
            epoll, _OPERATIONS[change.operation], change.fd, ctypes.byref(event)
        )
        return None if result == 0 else _failed()


def define(linker: Linker, version: str, epoll: Epoll) -> None:
    """Defines everything that the component imports.

    :param version: of the WIT package, such as ``"0.1.0"``
    """
    functions: dict[str, Callable[..., Any]] = {
        "create": epoll.create,
        "control": epoll.control,
        "wait": epoll.wait,
        "descriptor": epoll.descriptor,
        "close": epoll.close,
        "create-notifier": epoll.create_notifier,
        "attach-notifier": epoll.attach_notifier,
        "notify": epoll.notify,
        "identify": epoll.identify,
        "close-notifier": epoll.close_notifier,
    }
    with linker.root() as root:
        with root.add_instance(f"lio:poller/epoll@{version}") as instance:
            for name, function in functions.items():
                instance.add_func(name, _guarded(function))
        with root.add_instance(f"lio:poller/clock@{version}") as instance:
            instance.add_func("now", _guarded(time.monotonic_ns))


def error_code(number: int) -> Variant:
    """The ``error-code`` of an errno."""
    name = ERROR_CODES.get(number)
    return Variant("other", number) if name is None else Variant(name)


def record(**fields: Any) -> Record:
    """A WIT record."""
    made = Record()
    vars(made).update(fields)
    return made


def _failed() -> Variant:
    return error_code(ctypes.get_errno())


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Drops the store, which no function here needs, and lets nothing but an ``Exception`` out.

    wasmtime turns those into traps. A ``KeyboardInterrupt`` would pass it by, ctypes would print
    and forget it, and the component would read an answer that nobody wrote.
    """

    @functools.wraps(function)
    def call(_store: object, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception:
            raise
        except BaseException as error:
            raise HostInterruptedError from error

    return call


def _lift(event: _Event) -> Record:
    return record(mask=event.mask, token=record(slot=event.slot, generation=event.generation))


def _wake(notifier: int) -> None:
    # A counter that is full wakes the wait as it is.
    with contextlib.suppress(BlockingIOError):
        os.eventfd_write(notifier, 1)


def _wait(epoll: int, room: ctypes.Array[_Event], timeout: int | None) -> int:
    """Waits for so many nanoseconds; ``None`` is for ever. Returns -1 and sets errno.

    Other threads run meanwhile: ctypes frees the interpreter's lock.
    """
    if timeout is None or timeout == 0:
        return int(_libc.epoll_wait(epoll, room, len(room), -1 if timeout is None else 0))
    time_limit = _Timespec(*divmod(timeout, _NANOSECONDS))
    if hasattr(_libc, "epoll_pwait2"):
        count = int(_libc.epoll_pwait2(epoll, room, len(room), ctypes.byref(time_limit), None))
        # A kernel before 5.11, or a sandbox that does not know the call.
        if count != -1 or ctypes.get_errno() not in (errno.ENOSYS, errno.EPERM):
            return count
    # Rounded up, and at most what an int holds: the component waits again for what is missing.
    return int(_libc.epoll_wait(epoll, room, len(room), min(-(-timeout // 1_000_000), 2**31 - 1)))
