"""Launches the process that attacks from the inside exactly as a worker is launched, and listens. Application only.

Runs in a program of its own (application.py), with one thread and no other child: it waits for whichever children there
are, since a worker may go on in a child of the process that was executed.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from drm.errors import PMPProcessDiedError
from drm.launch.process import worker_command
from player.attacks.attack import DONE, NO_CORE
from player.attacks.inside_calls import EXECUTED, SECRET_OF_PARENT, SECRET_OF_WORKER
from player.attacks.kernel import LIBC

__all__ = ["InsideReport", "attack_from_inside"]

_LAUNCH_LIMIT: Final = 40.0  # seconds that one launched process has, start included
_MESSAGE: Final = 1 << 16
_PR_SET_PTRACER: Final = 0x59616D61  # linux/prctl.h; only Yama looks at it
_PROGRAM: Final = Path(__file__).with_name("inside_program.py")


class InsideReport(msgspec.Struct):
    """What the process found of its own lock-down."""

    level: int
    layers: dict[str, str]


class _Ended(NamedTuple):
    told: dict[str, str]
    report: InsideReport | None
    code: int | None  # as subprocess has it; None: it had to be ended
    stderr: str


def attack_from_inside(names: Sequence[str], home: Path, *, locked: bool) -> tuple[dict[str, str], InsideReport | None]:
    """Return the outcome of each attack, in order, and the report of a locked process; None: it was not locked.

    An attack that ends its process has that end for its outcome, and the next ones get a process of their own.

    Args:
        names: of methods of `InsideCalls`.
        home: an empty folder of this account, which the attacks write to.
        locked: born as a worker is; else not protected at all.

    Raises PMPProcessDiedError: a process ended before its first attack.
    """
    (home / "private").write_bytes(SECRET_OF_PARENT)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    LIBC.prctl(_PR_SET_PTRACER, ctypes.c_ulong(0xFFFFFFFFFFFFFFFF), 0, 0, 0)
    outcomes: dict[str, str] = {}
    report = None
    left = list(names)
    while left or (locked and report is None):
        ended = _launch(left, home, locked=locked)
        report = report or ended.report
        if locked and ended.report is None:
            last = ended.stderr.strip().splitlines()[-1:]
            raise PMPProcessDiedError("the worker ended before it was attacked", seen=f"{ended.code} {last}")
        outcomes |= ended.told
        left = left[len(ended.told) :]
        if left:
            outcomes[left[0]] = _end(ended, home)
            del left[0]
    return outcomes, report


def _launch(names: Sequence[str], home: Path, *, locked: bool) -> _Ended:
    secret = ctypes.create_string_buffer(SECRET_OF_PARENT)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stranger = os.open(home / "private", os.O_RDONLY)
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as server:
        try:
            command = worker_command(
                theirs.fileno(), unprotected=False, engine="cryptography", level=1, report_only=False
            )
            at = next(index for index, word in enumerate(command) if word.endswith("__main__.py"))
            command[at : at + 1] = [str(_PROGRAM), "locked" if locked else "open", ",".join(names)]
            command += [f"home={home}", f"port={server.getsockname()[1]}", f"stranger={stranger}"]
            command.append(f"secret_at={ctypes.addressof(secret)}")
            with (home / "stderr").open("wb") as stderr:
                process = subprocess.Popen(  # noqa: S603 - as drm/launch/process.py does it, but for the folder
                    command, pass_fds=[theirs.fileno(), stranger], env={}, stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True, cwd=home,
                )  # fmt: skip
        finally:
            os.close(stranger)
        theirs.close()
        deadline = time.monotonic() + _LAUNCH_LIMIT
        told, report = _listen(ours, deadline)
        code = _reap(process, deadline)
    said = (home / "stderr").read_text(errors="replace")[-4096:]
    return _Ended({name: told[name] for name in names if name in told}, report, code, said)


def _listen(ours: socket.socket, deadline: float) -> tuple[dict[str, str], InsideReport | None]:
    """Until the other end is closed, or the time is over."""
    told: dict[str, str] = {}
    report = None
    while select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
        try:
            message = ours.recv(_MESSAGE)
        except ConnectionResetError:
            break
        if not message:
            break
        if message == b"\0":  # that it is there
            continue
        name, outcome = msgspec.json.decode(message, type=tuple[str, str | InsideReport])
        if isinstance(outcome, InsideReport):
            report = outcome
        else:
            told[name] = outcome
    return told, report


def _reap(process: subprocess.Popen[bytes], deadline: float) -> int | None:
    """Wait for the launched process and for what it went on in; end both when the time is over."""
    codes: dict[int, int] = {}
    timely = True
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid:
            codes[pid] = os.waitstatus_to_exitcode(status)
            continue
        if timely and time.monotonic() > deadline:
            timely = False
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its group is its own, and it is not reaped as a whole
        time.sleep(0.002)
    process.returncode = codes.pop(process.pid)  # Popen itself did not see its end
    if not timely:
        return None
    return next(iter(codes.values()), process.returncode)


def _end(ended: _Ended, home: Path) -> str:
    """What the attack came to that ended its process."""
    if ended.code is None:
        return f"no answer in {_LAUNCH_LIMIT:.0f} s"
    if ended.code == EXECUTED:
        return DONE
    if ended.code == -signal.SIGSEGV:
        return _core(home)
    if ended.code < 0:
        return f"killed by {signal.Signals(-ended.code).name}"
    return f"ended with {ended.code}"


def _core(home: Path) -> str:
    """Look for the core file that the crash would leave, and remove it."""
    found = NO_CORE
    for path in home.glob("core*"):
        if SECRET_OF_WORKER in path.read_bytes():
            found = DONE
        path.unlink()
    return found
