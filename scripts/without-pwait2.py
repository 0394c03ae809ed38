#!/usr/bin/env python3
"""Runs a command in a process where epoll_pwait2(2) fails, by a seccomp filter: as in a sandbox that does not know the
call (EPERM), or on a Linux before 5.11 (ENOSYS).

    without-pwait2.py EPERM|ENOSYS COMMAND...
"""

import ctypes
import errno
import os
import platform
import struct
import sys

# The same on every architecture: it came after the numbers were unified.
EPOLL_PWAIT2 = 441

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000

# From linux/filter.h: load a word of the call, jump if it is equal, return.
LOAD_WORD = 0x20
JUMP_IF_EQUAL = 0x15
RETURN = 0x06


def forbid(number, error):
    """Makes a system call fail with an error in this process and all that it starts."""
    instructions = [
        (LOAD_WORD, 0, 0, 0),  # seccomp_data.nr
        (JUMP_IF_EQUAL, 0, 1, number),
        (RETURN, 0, 0, SECCOMP_RET_ERRNO | error),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in instructions))
    program = struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0)):
        if libc.prctl(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "prctl")


def is_forbidden(error):
    """Whether the call really fails so: a filter that does nothing would prove nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(EPOLL_PWAIT2, -1, None, 0, None, None, 0) == -1 and ctypes.get_errno() == error


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("EPERM", "ENOSYS"):
        sys.exit(__doc__)
    if struct.calcsize("P") != 8 or platform.system() != "Linux":
        sys.exit("without-pwait2: needs a 64-bit Linux")
    error = getattr(errno, sys.argv[1])
    forbid(EPOLL_PWAIT2, error)
    if not is_forbidden(error):
        sys.exit("without-pwait2: the filter has no effect")
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
