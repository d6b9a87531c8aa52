"""The few C library and kernel calls that Python does not offer. Worker only; `file_system_of` inside the lock too."""

from __future__ import annotations

import ctypes
import errno
import os

__all__ = [
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "capset",
    "file_system_of",
    "prctl",
    "said",
    "syscall",
    "unshare",
]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

# linux/sched.h
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


def prctl(option: int, argument: int = 0) -> int:
    """Ask the kernel for an operation on this process, with one argument and zeros behind it. Raises OSError."""
    zeros = [ctypes.c_ulong(0)] * 3
    return _checked(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(argument), *zeros))


def syscall(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make the system call with this number; a buffer is passed by its address. Raises OSError."""
    words = [ctypes.c_long(0 if a is None else a) if isinstance(a, int | None) else ctypes.byref(a) for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *words))


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` names for new ones. Raises OSError."""
    _checked(_libc.unshare(ctypes.c_int(flags)))


def capset(header: bytes, data: bytes) -> None:
    """Set the capabilities of this thread. Raises OSError."""
    _checked(_libc.capset(header, data))


def file_system_of(descriptor: int) -> int:
    """The magic number of the file system that a descriptor's file lies on (statfs(2)). Raises OSError."""
    told = (ctypes.c_long * 32)()  # struct statfs is 120 bytes on a 64-bit machine; f_type comes first
    _checked(_libc.fstatfs(ctypes.c_int(descriptor), ctypes.byref(told)))
    return told[0] & 0xFFFFFFFF


def said(error: OSError) -> str:
    """How a layer that could not be had says why: its errno's name."""
    return f"no: {errno.errorcode.get(error.errno or 0, str(error))}"


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
