"""The lock-down of the worker by itself, in two steps: `hide` before any third-party import, `apply` after the last.

No tool wraps the worker: what is done to it from outside, the outside may undo (drm/lockdown/namespaces.py says why).
A layer that cannot be had is noted and not papered over; which layers a level needs is the matter of
drm/protection.py, and whether they are there that of drm/lockdown/probe.py. `hide` uses the standard library alone.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import os
import resource
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from drm.lockdown import landlock, libc, limits, namespaces, probe, seccomp

__all__ = ["Lockdown", "drop_capabilities"]

# linux/prctl.h, linux/seccomp.h
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SIGKILL: Final = 9
_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}  # the number of seccomp(2)
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1
_CAPABILITY_VERSION_3: Final = 0x20080522


class Lockdown:
    """The lock-down of this process: made once, then `hide`, then `apply`, then `layers`."""

    def __init__(self, parent_pid: int) -> None:
        """Open what the probes read. Raises OSError when /proc is not there."""
        self.status = probe.Status()
        self.userns_owner = ""  # "initial", "other", "self", or empty: it could not be told
        self.landlock_abi = 0
        self.filter_sha256 = ""
        self.threads = 0  # at the lock
        self._parent_pid = parent_pid
        self._said: dict[str, str] = {}  # what no probe inside the lock can find, and what failed

    def hide(self, keep: Iterable[int]) -> None:
        """Withdraw from other processes' reach, before anything is received and before any third-party import.

        Not dumpable, no new privileges, no core file, dies with its parent, every descriptor but 0 to 2 and `keep`
        closed. Ends the process when the parent is gone already: its death could no longer be signalled.
        """
        self.tie_to_parent(keep)
        with self._noting("not_dumpable"):
            libc.prctl(_PR_SET_DUMPABLE, 0)
        with self._noting("no_new_privs"):
            libc.prctl(_PR_SET_NO_NEW_PRIVS, 1)
        with self._noting("no_core"):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def tie_to_parent(self, keep: Iterable[int]) -> None:
        """The part of `hide` that an unprotected worker does as well: leave no orphan and hold no stranger's file."""
        with self._noting("parent_death"):
            libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL)
            if os.getppid() != self._parent_pid:
                os._exit(0)
        with self._noting("closed_fds"):
            self._said["closed_fds"] = self._close_all_but({0, 1, 2, *keep})
        with self._noting("userns_owner"):
            self.userns_owner = namespaces.userns_owner()
            own = self.userns_owner == "self"
            self._said["userns_owner"] = "no: the application's account made the namespace of birth" if own else "yes"

    def bound(self, memory: int) -> None:
        """Hold this process to `memory` MiB and a number of descriptors, for good. An unprotected worker does, too."""
        with self._noting("limits"):
            limits.apply(memory)

    def apply(self) -> None:
        """Lock this process down for good: own namespaces, Landlock, no capabilities, seccomp, in this order.

        Everything that will ever be imported has been imported; no file is opened and no socket made after this.
        """
        gc.collect()  # ends the thread pools of codecs that were tried out: unshare needs a single thread
        self.threads = self.status.threads
        self._said |= namespaces.enter_own()
        with self._noting("landlock"):
            self._said["landlock"] = self._restrict()
        with self._noting("no_capabilities"):
            drop_capabilities()
        # A change of credentials may have undone both.
        with self._noting("parent_death"):
            libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        with self._noting("not_dumpable"):
            libc.prctl(_PR_SET_DUMPABLE, 0)
        with self._noting("seccomp"):
            self.filter_sha256 = _install_filter()

    def layers(self) -> dict[str, str]:
        """Probe every layer, now."""
        found = probe.layers(self.status, self._parent_pid)
        for name in ("landlock", *namespaces.LAYERS):
            self._said.setdefault(name, "no: not asked for")
        # Why a layer could not be set up tells more than the probe that misses it.
        return self._said | {name: said for name, said in found.items() if said == "yes" or name not in self._said}

    def _restrict(self) -> str:
        """Landlock takes all that this kernel's can; then, before seccomp would hide it, what it took is tried."""
        abi = landlock.abi_version()
        with probe.reachable() as attempts:
            ruleset = landlock.create_ruleset(landlock.rights(landlock.kernel_takes))
            try:
                left = landlock.leaves_out(ruleset)
                landlock.restrict(ruleset)
            finally:
                os.close(ruleset)
            self.landlock_abi = abi
            return f"no: file rights {left:#x} are left" if left else probe.landlock_holds(attempts, abi)

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._said[name] = libc.said(error)

    def _close_all_but(self, keep: set[int]) -> str:
        keep.add(self.status.descriptor)
        for descriptor in _open_descriptors() - keep:
            os.close(descriptor)
        strangers = _open_descriptors() - keep
        return "yes" if not strangers else f"no: {len(strangers)} stay open"


def drop_capabilities() -> None:
    """Give up every capability of this thread. Raises OSError."""
    libc.capset(struct.pack("<Ii", _CAPABILITY_VERSION_3, 0), bytes(24))


def _open_descriptors() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd") if _is_open(int(name))}  # noqa: PTH208 - numbers, no paths


def _is_open(descriptor: int) -> bool:
    """Whether a listed descriptor is still there: the listing's own is not."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _install_filter() -> str:
    """Install the seccomp filter on every thread; return the hash of its program. Raises OSError."""
    name = os.uname().machine
    machine = seccomp.MACHINES.get(name)
    if machine is None:
        raise OSError(f"no table of system calls for {name}")
    program = seccomp.assemble(machine, os.getpid())
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog on a 64-bit machine: a length of 16 bits, padding, a pointer
    header = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(instructions))
    fprog = ctypes.create_string_buffer(header, len(header))
    thread = libc.syscall(_SECCOMP[name], _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, fprog)
    if thread:
        raise OSError(f"thread {thread} did not take the filter")
    return hashlib.sha256(seccomp.assemble(machine, 0)).hexdigest()
