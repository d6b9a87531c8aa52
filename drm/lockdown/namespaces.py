"""Namespaces: who owns the one that the worker was born in, and a set of its own, entered after exec.

A process that is not dumpable is guarded by CAP_SYS_PTRACE in the user namespace in which it was *exec'd*. Whoever
made that namespace holds the capability there: a worker started inside one that the application's account made
(bubblewrap, unshare) can be read by the application, whatever it does to itself. One that it enters afterwards
changes nothing of that. Runs in the worker, before the lock, with one thread.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from drm.lockdown import libc

__all__ = ["LAYERS", "enter_own", "userns_owner"]

_NS_GET_OWNER_UID: Final = 0xB704  # linux/nsfs.h
_IDENTITY_MAP: Final = ["0", "0", "4294967295"]
# As /proc/self/ns has them, and as the report does.
_NAMES: Final = {
    "user": "user_namespace", "net": "network_namespace", "ipc": "ipc_namespace", "uts": "uts_namespace",
}  # fmt: skip
LAYERS: Final = (*_NAMES.values(), "chroot")
"""What `enter_own` tells of."""


def userns_owner() -> str:
    """Tell whose the user namespace of birth is: "initial", "other" or "self". Raises OSError.

    "self": it was made by the worker's own account, which may therefore trace the worker.
    """
    if Path("/proc/self/uid_map").read_text().split() == _IDENTITY_MAP:
        return "initial"
    descriptor = os.open("/proc/self/ns/user", os.O_RDONLY)
    try:
        answer = fcntl.ioctl(descriptor, _NS_GET_OWNER_UID, bytes(4))
    finally:
        os.close(descriptor)
    (owner,) = struct.unpack("=I", answer)
    overflow = int(Path("/proc/sys/kernel/overflowuid").read_text())
    # An owner that is not mapped here shows as the overflow id: it may be anybody, so it counts as our own.
    return "self" if owner in (os.getuid(), overflow) else "other"


def enter_own() -> dict[str, str]:
    """Enter user, network, IPC and UTS namespaces of one's own, and a root with nothing in it. Returns the layers.

    The new root is /proc/self/fdinfo: a folder that holds no file of the machine and goes when the process goes.
    """
    before = {name: _identity(name) for name in _NAMES}
    try:
        libc.unshare(libc.CLONE_NEWUSER | libc.CLONE_NEWNET | libc.CLONE_NEWIPC | libc.CLONE_NEWUTS)
    except OSError as error:
        return dict.fromkeys(LAYERS, libc.said(error))
    layers = {layer: "yes" if _identity(name) != before[name] else "no: unchanged" for name, layer in _NAMES.items()}
    try:
        os.chroot("/proc/self/fdinfo")
        os.chdir("/")
    except OSError as error:
        return layers | {"chroot": libc.said(error)}
    return layers | {"chroot": "no: /proc is still there" if Path("/proc").exists() else "yes"}


def _identity(name: str) -> int:
    return Path(f"/proc/self/ns/{name}").stat().st_ino
