"""Landlock: this process gives up the file system, TCP, abstract sockets and signals to others, without privilege.

Linux: Documentation/userspace-api/landlock.rst. A ruleset that takes every right and has no rule refuses them all.
Runs in the worker, before the lock; it covers the calling thread, so it comes before any other thread.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from drm.lockdown import libc

__all__ = ["Rights", "abi_version", "create_ruleset", "kernel_takes", "leaves_out", "restrict", "rights"]

# The same numbers on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG: Final = 1
_RULE_PATH_BENEATH: Final = 1


class Rights(NamedTuple):
    """`struct landlock_ruleset_attr`: bits of LANDLOCK_ACCESS_FS_*, LANDLOCK_ACCESS_NET_* and LANDLOCK_SCOPE_*."""

    files: int = 0
    net: int = 0
    scopes: int = 0


def abi_version() -> int:
    """The kernel's Landlock ABI. Raises OSError: ENOSYS when it is not built in, EOPNOTSUPP when it is off."""
    return libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)


def rights(takes: Callable[[Rights], bool]) -> Rights:
    """Every right of a kernel that `takes` asks: bit by bit, as they are numbered without gaps.

    No table of ABIs could be as right: later kernels know more, and some distributions' know less than their ABI says.
    """
    return Rights(
        _known(lambda bits: takes(Rights(files=bits))),
        _known(lambda bits: takes(Rights(net=bits))),
        _known(lambda bits: takes(Rights(scopes=bits))),
    )


def kernel_takes(asked: Rights) -> bool:
    """Whether this kernel makes a ruleset of these rights."""
    try:
        os.close(create_ruleset(asked))
    except OSError:
        return False
    return True


def create_ruleset(handled: Rights) -> int:
    """A descriptor of a ruleset that takes these rights, and has no rule. Raises OSError."""
    attributes = ctypes.create_string_buffer(struct.pack("<3Q", *handled), 24)
    return libc.syscall(_CREATE_RULESET, attributes, 24, 0)


def leaves_out(ruleset: int) -> int:
    """Which rights over files this kernel knows and the ruleset does not take, as bits.

    A rule that gives such a right is refused with EINVAL, before its folder is looked at; here it is none.
    """
    every = [1 << place for place in range(64)]
    return sum(bit for bit in every if kernel_takes(Rights(files=bit)) and not _takes(ruleset, bit))


def restrict(ruleset: int) -> None:
    """Give up what the ruleset takes, for good. Needs no_new_privs. Raises OSError."""
    libc.syscall(_RESTRICT_SELF, ruleset, 0)


def _known(takes: Callable[[int], bool]) -> int:
    bits = 0
    while bits < 1 << 63 and takes(bits + 1):  # the lowest bit that is not there yet
        bits = bits << 1 | 1
    return bits


def _takes(ruleset: int, right: int) -> bool:
    rule = ctypes.create_string_buffer(struct.pack("<Qi", right, -1), 12)
    try:
        libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    except OSError as error:
        return error.errno == errno.EBADF
    return True
