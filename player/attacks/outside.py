"""Starts a worker and attacks it from outside, as its own application would. Application only.

Runs in a program of its own (application.py): whatever hangs there is ended with it, and its workers die with it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final, Protocol

from drm.app.service_process import ServiceProcess, probe_service
from drm.errors import DRMError
from drm.launch.process import PMPProcess, probe_worker
from drm.protection import ProtectionReport, require
from player.attacks.attack import DONE
from player.attacks.kernel import outcome_of
from player.attacks.outside_calls import OutsideCalls, Target

__all__ = ["attack_from_outside", "attack_service", "attack_target", "attack_unprotected"]

_LIMIT: Final = 90  # seconds for one attack; gdb has less
_READY: Final = 30.0  # seconds until a worker has said its first word
_LAST: Final = "kill"


class _Worker(Protocol):
    """What both kinds of worker have of what is used here."""

    channel_socket: socket.socket

    def wait(self, timeout: float) -> bool: ...
    def close(self) -> None: ...
    def failure(self) -> DRMError: ...


def attack_from_outside(
    names: Sequence[str], folder: Path, level: int
) -> tuple[dict[str, str], bool, ProtectionReport]:
    """Attack a worker of one's own: outcomes, whether it outlived them (but for `kill`), and what a worker reports.

    Raises IsolationError below `level`, PMPProcessDiedError.
    """
    report = require(probe_worker(), level)
    with PMPProcess(demanded_level=level) as worker:
        _require_ready(worker)
        return *attack_target(names, Target(worker.pid, folder), lambda: not worker.wait(0)), report


def attack_service(
    names: Sequence[str], folder: Path, level: int, path: str, device_key: Path
) -> tuple[dict[str, str], bool, ProtectionReport]:
    """Attack a worker of the service at `path`, and the service. As `attack_from_outside`."""
    report = require(probe_service(path), level)
    worker = ServiceProcess(path, demanded_level=level)
    with closing(worker):
        _require_ready(worker)
        status = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
        broker = next(int(line.split()[1]) for line in status if line.startswith("PPid:"))
        target = Target(worker.pid, folder, broker, device_key)
        return *attack_target(names, target, lambda: not worker.wait(0)), report


def attack_unprotected(names: Sequence[str], folder: Path) -> tuple[dict[str, str], bool]:
    """The control: a worker of one's own that is not locked down, a process and a key of one's own for the service's.

    Raises PMPProcessDiedError.
    """
    device_key = folder / "device.key"
    device_key.write_bytes(os.urandom(32))
    with (
        subprocess.Popen(["/bin/sh", "-c", "read line"], stdin=subprocess.PIPE) as broker,
        PMPProcess(unprotected=True, demanded_level=0) as worker,
    ):
        try:
            _require_ready(worker)
            target = Target(worker.pid, folder, broker.pid, device_key)
            return attack_target(names, target, lambda: not worker.wait(0))
        finally:
            broker.kill()


def attack_target(names: Sequence[str], target: Target, is_alive: Callable[[], bool]) -> tuple[dict[str, str], bool]:
    """Make each attack, `kill` last; return their outcomes, and whether the target outlived all but `kill`."""
    calls = OutsideCalls(target)
    outcomes: dict[str, str] = {}
    alive = True
    for name in sorted(names, key=lambda name: name == _LAST):
        alive = alive and is_alive()
        try:
            with _time_limit():
                getattr(calls, name)()
            outcomes[name] = DONE
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the next attack has its turn
            outcomes[name] = outcome_of(error)
    killed = outcomes.get(_LAST) == DONE
    return outcomes, alive and (killed or is_alive())


@contextmanager
def _time_limit() -> Iterator[None]:
    """Raises TimeoutError, in the main thread, out of a system call that does not return."""

    def over(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"no answer in {_LIMIT} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(_LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _require_ready(worker: _Worker) -> None:
    worker.channel_socket.settimeout(_READY)
    said = b""
    with suppress(OSError):
        said = worker.channel_socket.recv(1 << 16)
    if not said:
        raise worker.failure()
