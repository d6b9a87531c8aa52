"""The C library as an attacker uses it: calls by name and by number, and an OSError for each that is refused.

Standard library alone: this is loaded in the application and in a process that stands in the worker's place.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import Final

__all__ = ["IS_X86", "LIBC", "checked", "copy_memory", "outcome_of", "ptrace", "reaching_the_kernel", "syscall"]

LIBC: Final = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
IS_X86: Final = os.uname().machine == "x86_64"

_NUMBERS: Final = {  # x86-64 (asm/unistd_64.h), aarch64 (asm-generic/unistd.h); -1: there is none
    "connect": (42, 203), "fork": (57, -1), "io_uring_setup": (425, 425), "bpf": (321, 280), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "keyctl": (250, 219), "getpid": (39, 172),
}  # fmt: skip


def syscall(name: str, *words: int | ctypes.c_char_p, x32: bool = False) -> int:
    """Make a system call by its number; `x32`: by its number in the x32 ABI. Raises OSError."""
    number = _NUMBERS[name][0 if IS_X86 else 1] | (0x40000000 if x32 else 0)
    if number < 0:
        raise OSError(errno.ENOSYS, f"this machine has no {name}")
    arguments = (ctypes.c_long(word) if isinstance(word, int) else word for word in words)
    return checked(LIBC.syscall(ctypes.c_long(number), *arguments))


def checked(result: int) -> int:
    """Return what the C library gave. Raises OSError, with its errno, for a refusal."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def ptrace(request: int, pid: int) -> None:
    """Raises OSError."""
    checked(LIBC.ptrace(request, pid, None, None))


def copy_memory(pid: int, address: int, size: int, *, write: bool = False) -> bytes:
    """Return memory of another process, or write zeros there. Raises OSError."""
    ours = ctypes.create_string_buffer(size)
    local = struct.pack("QQ", ctypes.addressof(ours), size)
    remote = struct.pack("QQ", address, size)
    call = LIBC.process_vm_writev if write else LIBC.process_vm_readv
    checked(call(pid, local, 1, remote, 1, 0))
    return ours.raw


@contextlib.contextmanager
def reaching_the_kernel() -> Iterator[None]:
    """Any answer of the call counts as done but EPERM, which is what a filter around everything says."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPERM:
            raise


def outcome_of(error: Exception) -> str:
    """What became of an attack that raised: refused by the kernel, or failed by itself, which proves nothing."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"refused: {errno.errorcode.get(error.errno, error.errno)}"
    return f"failed: {type(error).__name__}: {error}"[:200]
