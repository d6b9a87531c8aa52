"""Landlock: this process gives up the file system, TCP, abstract sockets and signals to others, without privilege.

Linux: Documentation/userspace-api/landlock.rst. A ruleset that handles every right and has no rule refuses them all.
Runs in the worker, before the lock; it covers the calling thread, so it comes before any other thread.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Final

from drm.lockdown import libc

__all__ = ["abi_version", "restrict"]

# The same numbers on every machine.
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION_FLAG: Final = 1

# LANDLOCK_ACCESS_FS_*: how many of its bits each ABI knows
_FS_BITS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NET_TCP: Final = 0b11  # bind, connect; since ABI 4
_SCOPES: Final = 0b11  # abstract sockets, signals; since ABI 6


def abi_version() -> int:
    """The kernel's Landlock ABI. Raises OSError: ENOSYS when it is not built in, EOPNOTSUPP when it is off."""
    return libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)


def restrict() -> int:
    """Give up all that this kernel's Landlock can take; return the ABI. Needs no_new_privs. Raises OSError."""
    abi = abi_version()
    ruleset = _ruleset(abi)
    try:
        libc.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return abi


def _ruleset(abi: int) -> int:
    files = (1 << _FS_BITS.get(abi, _FS_BITS[5])) - 1
    attributes = struct.pack("<Q", files)
    if abi >= 4:
        attributes += struct.pack("<Q", _NET_TCP)
    if abi >= 6:
        try:
            return _create(attributes + struct.pack("<Q", _SCOPES))
        except OSError as error:
            # Some distribution kernels announce ABI 6 without the scopes.
            if error.errno != errno.EINVAL:
                raise
    return _create(attributes)


def _create(attributes: bytes) -> int:
    return libc.syscall(_CREATE_RULESET, ctypes.create_string_buffer(attributes, len(attributes)), len(attributes), 0)
