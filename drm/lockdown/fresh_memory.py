"""A memory map that nobody opened: the worker goes on in a child of the process that was executed. First of all.

The kernel asks who somebody is when they open /proc/PID/mem, maps or fd/*, and not again when they read. Between exec
and PR_SET_DUMPABLE=0 every process of the account may open them, and what it keeps would read a worker that has long
since locked itself down. So the process that was executed only hides and forks. The child is hidden from its first
moment, it has memory and a process id that nothing opened before leads to, and no secret is made or taken before it.

CLONE_PARENT makes it a child of the application and not of this process, which ends at once: the application signals,
waits for and outlives it as if it had started it itself. Uses the standard library alone.
"""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Final, NamedTuple

from drm.lockdown import libc

__all__ = ["Start", "enter"]

_PR_GET_DUMPABLE, _PR_SET_DUMPABLE, _PR_GET_TID_ADDRESS = 3, 4, 40  # linux/prctl.h
_CLONE: Final = {"x86_64": 56, "aarch64": 220}  # the number of clone(2)
_CLONE_PARENT, _CLONE_CHILD_CLEARTID, _CLONE_CHILD_SETTID = 0x00008000, 0x00200000, 0x01000000  # linux/sched.h
_PF_FORKNOEXEC: Final = 0x40  # linux/sched.h: forked, and nothing executed since


class Start(NamedTuple):
    """What is known of the time before this process."""

    layer: str  # "yes": nothing opened before leads here; or "no: " and why
    dumpable: bool  # at the first look: then others could write into what was executed, until it hid


def enter(*, hide: bool) -> Start:
    """Hide, unless told not to, and fork; return in the child, and in this process only where it cannot fork.

    Nothing has been received yet, no third-party code is loaded, and there is no thread but this one.
    """
    dumpable = _is_dumpable()
    if hide:
        _hide()
    try:
        _go_on_in_child()
        return Start(_probed(), dumpable)
    except OSError as error:
        return Start(libc.said(error), dumpable)


def _hide() -> None:
    try:
        libc.prctl(_PR_SET_DUMPABLE, 0)
    except OSError:
        return  # the probes find that, and say so


def _is_dumpable() -> bool:
    try:
        return libc.prctl(_PR_GET_DUMPABLE) != 0
    except OSError:
        return True


def _go_on_in_child() -> None:
    """fork(2) with CLONE_PARENT. Raises OSError in the process that called it, which then goes on itself."""
    number = _CLONE.get(os.uname().machine)
    if number is None:
        raise OSError(f"no table of system calls for {os.uname().machine}")
    tid = _tid_address()
    flags = signal.SIGCHLD | _CLONE_PARENT | (_CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID if tid else 0)
    # x86-64 has the child's tid before the thread-local storage, aarch64 behind it
    last = (tid, 0) if number == _CLONE["x86_64"] else (0, tid)
    ctypes.pythonapi.PyOS_BeforeFork()
    try:
        child = libc.syscall(number, flags, 0, 0, *last)
    except OSError:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
        raise
    if child:
        os._exit(0)
    ctypes.pythonapi.PyOS_AfterFork_Child()


def _tid_address() -> int:
    """Where the C library keeps the number of this thread, which the child's has to replace; 0: it does not say.

    glibc has the kernel clear that very place when the thread ends. Other libraries name another one.
    """
    address = ctypes.c_ulong(0)
    try:
        libc.prctl(_PR_GET_TID_ADDRESS, ctypes.addressof(address))
    except OSError:
        return 0
    is_it = bool(address.value) and ctypes.c_int.from_address(address.value).value == os.getpid()
    return address.value if is_it else 0


def _probed() -> str:
    """Whether the kernel agrees that this process was forked, and was hidden when it was. Raises OSError."""
    flags = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[6])  # proc(5): the ninth field
    if not flags & _PF_FORKNOEXEC:
        return "no: this is the process that was executed"
    return "no: dumpable when it was forked" if _is_dumpable() else "yes"
