"""Probes: what the worker finds when it tries, inside its lock, what it must not be able to do.

A layer says "yes" because the kernel answered a probe as it should, never because the call that was to set the layer
up returned zero. The same probes run in an unprotected worker, and there they say no.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from drm.lockdown import libc

__all__ = ["Reachable", "Status", "landlock_holds", "layers", "reachable"]

_PR_GET_PDEATHSIG, _PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 2, 3, 4
_SIGKILL: Final = 9
_REFUSED: Final = (errno.EACCES, errno.EPERM)


class Status:
    """/proc/self/status, opened before the lock and read through the same descriptor inside it."""

    def __init__(self) -> None:
        """Open it. Raises OSError."""
        self.descriptor = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> dict[str, str]:
        """The kernel's account of this process as it is now."""
        lines = os.pread(self.descriptor, 8192, 0).decode("ascii", "replace").splitlines()
        pairs = (line.partition(":") for line in lines)
        return {name: value.strip() for name, _, value in pairs}

    @property
    def tracer(self) -> int:
        """The process that traces this one; 0: none. Read it again before each license."""
        return int(self.read().get("TracerPid", "0"))

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return int(self.read().get("Threads", "0"))


def layers(status: Status, parent_pid: int) -> dict[str, str]:
    """Try everything; return for each layer "yes", or "no: " and what was found."""
    now = status.read()
    capabilities = {now.get(name, "?").strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    return {
        "no_new_privs": _yes(now.get("NoNewPrivs") == "1", "not set"),
        "not_dumpable": _not_dumpable(),
        "no_core": _yes(resource.getrlimit(resource.RLIMIT_CORE) == (0, 0), "a core file has room"),
        "untraced": _yes(now.get("TracerPid") == "0", f"process {now.get('TracerPid')} traces this one"),
        "parent_death": _parent_death(parent_pid),
        "no_capabilities": _yes(capabilities == {""}, f"CapEff {now.get('CapEff')}"),
        "limits": _limits(),
        "seccomp": _yes(now.get("Seccomp") == "2", "no filter"),
        "open_refused": _refused(_open_root),
        "socket_refused": _refused(_make_socket),
        "exec_memory_refused": _refused(_map_executable),
    }


def _limits() -> str:
    """Whether data and descriptors have an end that cannot be raised; the worker is no root any more by now."""
    for name in ("RLIMIT_DATA", "RLIMIT_NOFILE"):
        soft, hard = resource.getrlimit(getattr(resource, name))
        if hard == resource.RLIM_INFINITY or soft > hard:
            return f"no: {name} has no end"
    return "yes"


class Reachable(NamedTuple):
    """What lies outside of files, made while it can be: for attempts that harm nothing where they succeed."""

    tcp: socket.socket
    other_tcp: socket.socket
    abstract: str
    stream: socket.socket


@contextmanager
def reachable() -> Iterator[Reachable]:
    """Before Landlock: sockets to try with. Raises OSError."""
    with (
        socket.socket() as tcp,
        socket.socket() as other,
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as stream,
    ):
        listener.bind("")  # the kernel chooses an abstract name
        listener.listen(1)
        yield Reachable(tcp, other, listener.getsockname(), stream)


def landlock_holds(made: Reachable, abi: int) -> str:
    """Between Landlock and seccomp, which would hide it: is each kind of thing refused that its ABI can refuse?

    Rights over files are told apart by the kernel itself (drm/lockdown/landlock.py, `leaves_out`); one is tried here.
    """
    attempts: dict[str, tuple[int, Callable[[], object]]] = {
        "a folder is listed": (1, _open_root),
        "TCP is bound": (4, lambda: made.tcp.bind(("0.0.0.0", 0))),  # noqa: S104 - it is closed at once
        # A group address: where Landlock lets it through, the next layer refuses it and nothing is sent.
        "TCP is connected": (4, lambda: made.other_tcp.connect(("224.0.0.1", 1))),
        "an abstract socket is reached": (6, lambda: made.stream.connect(made.abstract)),
        "another process is signalled": (6, lambda: os.kill(os.getppid(), 0)),
    }
    done = [what for what, (since, attempt) in attempts.items() if abi >= since and _refused(attempt) != "yes"]
    return _yes(not done, ", ".join(done))


def _yes(holds: bool, otherwise: str) -> str:
    return "yes" if holds else f"no: {otherwise}"


def _refused(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return "yes" if error.errno in _REFUSED else libc.said(error)
    return "no: it was done"


def _open_root() -> None:
    os.close(os.open("/", os.O_RDONLY))


def _make_socket() -> None:
    socket.socket(socket.AF_UNIX).close()


def _map_executable() -> None:
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()


def _not_dumpable() -> str:
    try:
        if libc.prctl(_PR_GET_DUMPABLE) != 0:
            return "no: dumpable"
    except OSError as error:
        return libc.said(error)
    undone = _refused(_set_dumpable)
    return "yes" if undone == "yes" else "no: it can be undone"


def _set_dumpable() -> None:
    libc.prctl(_PR_SET_DUMPABLE, 1)


def _parent_death(parent_pid: int) -> str:
    signal = ctypes.c_int(0)
    try:
        libc.prctl(_PR_GET_PDEATHSIG, ctypes.addressof(signal))
    except OSError as error:
        return libc.said(error)
    return _yes(signal.value == _SIGKILL and os.getppid() == parent_pid, "the parent's death is not signalled")
