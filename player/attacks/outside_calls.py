"""Attacks from outside: what the application, or any process of its account, tries on a worker.

Every method is one attack. It returns when it was done, and raises OSError when it was refused.
"""

# The attacks are the plain calls themselves.
# ruff: noqa: D102, PTH123, PTH208 - player/attacks/tables.py says of each what it would give

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from player.attacks.kernel import copy_memory, ptrace, syscall

__all__ = ["OutsideCalls", "Target"]

_ATTACH, _DETACH, _SEIZE, _INTERRUPT = 16, 17, 0x4206, 0x4207  # linux/ptrace.h
_NOWHERE: Final = 0x10000  # the kernel asks who we are before it looks at the address
_GDB_LIMIT: Final = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Target:
    """What is attacked."""

    pid: int  # of the worker
    folder: Path  # of the attacker's own, for what is dumped
    broker: int = 0  # process id of the service; 0: there is none
    device_key: Path | None = None  # the service's


class OutsideCalls:
    """The attacks on one target."""

    def __init__(self, target: Target) -> None:
        self._target, self._pid = target, target.pid

    def _stack(self) -> int:
        """An address in the worker's stack, whose last page is in use."""
        try:
            with open(f"/proc/{self._pid}/maps") as maps:
                line = next(line for line in maps if "[stack]" in line)
        except OSError:
            return _NOWHERE
        return int(line.split()[0].partition("-")[2], 16) - 4096

    # ------------------------------------------------------------------ /proc
    def read_maps(self) -> None:
        with open(f"/proc/{self._pid}/maps") as maps:
            assert "python" in maps.read()

    def read_memory_file(self) -> None:
        with open(f"/proc/{self._pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self._stack())
            assert len(memory.read(4096)) == 4096

    def read_environment(self) -> None:
        with open(f"/proc/{self._pid}/environ", "rb") as file:
            file.read()

    def list_descriptors(self) -> None:
        assert os.listdir(f"/proc/{self._pid}/fd")

    def read_registers(self) -> None:
        with open(f"/proc/{self._pid}/syscall") as file:
            assert file.read()

    # ------------------------------------------------------------------ tracing
    def attach(self) -> None:
        ptrace(_ATTACH, self._pid)
        os.waitpid(self._pid, 0)
        ptrace(_DETACH, self._pid)

    def seize(self) -> None:
        ptrace(_SEIZE, self._pid)
        ptrace(_INTERRUPT, self._pid)  # it must stop to be let go
        os.waitpid(self._pid, 0)
        ptrace(_DETACH, self._pid)

    def read_memory(self) -> None:
        copy_memory(self._pid, self._stack(), 64)

    def write_memory(self) -> None:
        copy_memory(self._pid, self._stack() + 4088, 8, write=True)  # zeros, and nobody reads them

    def take_descriptor(self) -> None:
        pidfd = os.pidfd_open(self._pid)
        try:
            os.close(syscall("pidfd_getfd", pidfd, 0, 0))
        finally:
            os.close(pidfd)

    def attach_gdb(self) -> None:
        said = self._gdb("print $pc")
        assert "$1 = " in said, said[-100:]

    def dump_with_gdb(self) -> None:
        core = self._target.folder / "dumped.core"
        try:
            said = self._gdb(f"generate-core-file {core}")
            assert core.is_file(), said[-100:]
            assert core.stat().st_size > 1 << 20
        finally:
            core.unlink(missing_ok=True)

    def _gdb(self, command: str) -> str:
        """Have gdb attach and do something. Raises OSError: it is not installed, or the kernel refuses it."""
        gdb = shutil.which("gdb")
        if gdb is None:
            raise RuntimeError("gdb is not installed")
        words = [gdb, "-nx", "-nh", "-batch", "-iex", "set auto-load off", "-iex", "set auto-solib-add off",
                 "-p", str(self._pid), "-ex", command]  # fmt: skip
        environment = {"PATH": os.defpath, "HOME": str(self._target.folder), "LANG": "C"}  # no debuginfod
        ran = subprocess.run(  # noqa: S603 - the machine's own debugger
            words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=_GDB_LIMIT, check=False,
        )  # fmt: skip
        said = ran.stdout.decode(errors="replace")
        if "Operation not permitted" in said:
            raise PermissionError(errno.EPERM, "ptrace")
        return said

    # ------------------------------------------------------------------ availability
    def limit(self) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_CORE, (0, 0))

    def set_affinity(self) -> None:
        os.sched_setaffinity(self._pid, os.sched_getaffinity(0))

    def set_priority(self) -> None:
        os.setpriority(os.PRIO_PROCESS, self._pid, 19)

    def stop(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)
        os.kill(self._pid, signal.SIGCONT)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    # ------------------------------------------------------------------ the service
    def read_device_key(self) -> None:
        assert self._target.device_key is not None
        assert self._target.device_key.read_bytes()

    def kill_service(self) -> None:
        os.kill(self._target.broker, signal.SIGTERM)
