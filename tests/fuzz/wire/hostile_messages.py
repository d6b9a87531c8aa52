"""Playbacks in which one of the two processes lies, by the thousand: the other one has one end for each, in good time.

    python -m tests.fuzz.wire.hostile_messages --count 100000 [--seed 1] [--direction app|worker]

What is said is a recording of a sound playback with mistakes in it (transcript.py). A worker that is lied to is the
worker's own service, in a child that is forked off where components are loaded, since a thousand starts of real ones
would take minutes; tests/fuzz/wire/test_hostile_application.py has the real ones. An application that is lied to is
the application's own session.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from drm.app import server as app_server
from drm.app.worker_link import WorkerProcess
from drm.errors import DRMError
from drm.pmp import platform
from drm.pmp.worker_service import WorkerOptions, WorkerService
from drm.protection import CONTAINED_LAYERS, ProtectionReport
from drm.session import topology
from drm.session.events import MediaEventType as E
from drm.wire import messages as wire
from drm.wire.channel import worker_channel
from tests.fuzz.wire.liar import SOUND, STEP, Liar, hear
from tests.fuzz.wire.transcript import Lie, Recording, Said, lie, record, send_raw
from tests.unit.app.pmp import Playback, clip, configured

__all__ = ["LIMIT", "Outcome", "against_the_application", "against_the_worker", "recorded"]

LIMIT: Final = 8.0  # seconds within which each playback has ended, whatever was said in it
FRAMES: Final = 8
_CALL: Final = 0.4  # seconds that the application waits for an answer


@dataclass
class Outcome:
    """What a run came to."""

    playbacks: int = 0
    mutants: int = 0  # that were said
    ends: Counter[str] = field(default_factory=Counter)  # how the other side's playback ended
    slowest: float = 0.0  # seconds
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ends = ", ".join(f"{name} {count}" for name, count in self.ends.most_common(12))
        return (
            f"{self.mutants} mutants in {self.playbacks} playbacks, slowest end {self.slowest:.2f} s of {LIMIT:.0f}, "
            f"{len(self.findings)} findings; ends: {ends}"
        )


def play(**more: object) -> None:
    """A protected clip: topology, start, the end, from the beginning again, close. Raises DRMError.

    Its topology has the number that every one has: both sides name it.
    """
    topology._ids = itertools.count(1)
    with Playback(clip(1, FRAMES), configured((1,), components=(), **more)) as at:
        at.set_topology()
        for begin, kind in (
            (None, E.SESSION_TOPOLOGY_SET), (at.session.start, E.SESSION_ENDED),
            (lambda: at.session.start(0), E.SESSION_ENDED), (at.session.close, E.SESSION_CLOSED),
        ):  # fmt: skip
            if begin is not None:
                begin()
            while (event := at.session.get_event(timeout=LIMIT)).type != kind:
                event.raise_if_fatal()
            event.raise_if_fatal()


def recorded() -> Recording:
    """A sound playback."""
    with record() as recording:
        play()
    return recording


# ------------------------------------------------------------------------------------------------ to the worker
class _Loaded:
    """A worker's service that has its components; each playback is that of a child of this process."""

    def __init__(self, said: list[Said]) -> None:
        platform.load("cryptography")
        platform.load_trust()
        platform.warm_up("cryptography")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel = worker_channel(theirs)
        report = ProtectionReport(level=2, layers=dict.fromkeys(CONTAINED_LAYERS, "yes"))
        self._service = WorkerService(self._channel, WorkerOptions(report, tracer=lambda: 0))
        self.first = next(at for at, each in enumerate(said) if each.data.startswith(b"\x94\xaacreate-ses") or
                          msgspec.msgpack.decode(each.data)[0] == "create-session")  # fmt: skip
        with ours:
            for each in said[: self.first]:
                message = msgspec.msgpack.decode(each.data, type=wire.FromApp)
                self._service._handle(message, [os.dup(fd) for fd in each.fds])
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as this

    def fork(self) -> tuple[int, socket.socket]:
        """Return the child's process id and our end of its channel."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid:
            theirs.close()
            return pid, ours
        code = 70
        try:
            ours.close()
            os.dup2(self.errors.fileno(), 2)
            self._channel._socket = theirs
            try:
                self._service.run()
            except DRMError:
                code = 3  # the protocol is broken, as `serve` says in one line
            else:
                code = 0
        except BaseException:  # noqa: BLE001 - it is looked at from outside
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)

    def said(self) -> str:
        """What children wrote, since this was last asked."""
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace")
        self.errors.seek(0)
        self.errors.truncate()
        return text


def against_the_worker(recording: Recording, count: int, seed: int) -> Outcome:
    """Say `count` mutants to workers. Only in a process without other threads."""
    outcome, rng = Outcome(), random.Random(seed)
    loaded = _Loaded(recording.from_app)
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    before = recording.from_app[loaded.first].heard
    while outcome.mutants < count:
        told = lie(rng, recording.from_app, loaded.first)
        name = f"worker, seed {seed}, playback {outcome.playbacks}, {'+'.join(told.kinds)}"
        pid, channel = loaded.fork()
        with channel:
            _tell(channel, told, loaded.first, before)
            began = time.monotonic()  # nothing more comes: whatever it was at, it ends
            _hear_out(channel)
        end = _reaped(pid, began + LIMIT)
        outcome.slowest = max(outcome.slowest, time.monotonic() - began)
        outcome.playbacks += 1
        outcome.mutants += told.mutants
        outcome.ends[end] += 1
        text = loaded.said()
        if end not in ("0", "3") or "Traceback" in text:
            outcome.findings.append(f"{name}: {end} {text[-3000:]}")
    if len(os.listdir("/proc/self/fd")) > descriptors:  # noqa: PTH208
        outcome.findings.append("worker: descriptors are left in the process that lied")
    return outcome


def _tell(channel: socket.socket, told: Lie, begin: int, heard: int) -> None:
    """Say it, each message when the other side has said what it had said by then, or has said nothing for a moment."""
    with contextlib.suppress(OSError):  # it has ended
        channel.setblocking(False)
        for at, each in enumerate(told.said[begin:], begin):
            while heard < each.heard and select.select([channel], [], [], SOUND if at < told.first else STEP)[0]:
                heard += hear(channel)
            select.select([], [channel], [], 1.0)
            send_raw(channel, each.data, each.fds)
        channel.shutdown(socket.SHUT_WR)


def _hear_out(channel: socket.socket) -> None:
    """To the end, or to where nothing comes any more."""
    with contextlib.suppress(OSError):
        while select.select([channel], [], [], LIMIT)[0]:
            hear(channel)


def _reaped(pid: int, deadline: float) -> str:
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return str(os.waitstatus_to_exitcode(status))
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return f"no end within {LIMIT:.0f} s"


# ------------------------------------------------------------------------------------------------ to the application
@contextlib.contextmanager
def _lying(told: Lie, *, silent: bool) -> Iterator[None]:
    usual = app_server.launch_worker

    def launch(_configuration: object) -> WorkerProcess:
        return Liar(told, silent=silent)

    app_server.launch_worker = launch
    try:
        yield
    finally:
        app_server.launch_worker = usual


def against_the_application(recording: Recording, count: int, seed: int) -> Outcome:
    """Say `count` mutants to sessions of this process."""
    outcome, rng = Outcome(), random.Random(seed)
    unseen: list[str] = []
    threading.excepthook = lambda told: unseen.append(f"{told.exc_type.__name__}: {told.exc_value} in a thread")
    threads, descriptors = threading.active_count(), _open()
    while outcome.mutants < count:
        told = lie(rng, recording.from_worker)
        silent = rng.random() < 0.02
        name = f"application, seed {seed}, playback {outcome.playbacks}, {'+'.join(told.kinds)}"
        began = time.monotonic()
        with _lying(told, silent=silent):
            end = _played()
        seconds = time.monotonic() - began
        outcome.slowest = max(outcome.slowest, seconds)
        outcome.playbacks += 1
        outcome.mutants += told.mutants
        outcome.ends[end] += 1
        if seconds > LIMIT:
            outcome.findings.append(f"{name}: no end within {LIMIT:.0f} s")
        if not (end == "played" or end.startswith("E-")):
            outcome.findings.append(f"{name}: {end}")
        if unseen:
            outcome.findings.append(f"{name}: {unseen.pop()}")
        if _left(threads):
            outcome.findings.append(f"{name}: threads are left: {threading.enumerate()}")
            threads = threading.active_count()
        if _open() > descriptors:
            outcome.findings.append(f"{name}: {_open() - descriptors} descriptors are left")
            descriptors = _open()
    return outcome


def _played() -> str:
    """The end of one playback: "played", the code of its error, or what is no error of ours."""
    try:
        play(call_timeout=_CALL, start_timeout=_CALL, stall_timeout=1.0)
    except DRMError as error:
        is_ours = error.what.startswith("a callback of the application failed") or "Traceback" in error.render()
        return error.what if is_ours else error.code
    except Exception as fault:  # noqa: BLE001 - that is what is looked for
        import traceback

        return f"{type(fault).__name__}: {fault}\n{traceback.format_exc()[-2500:]}"
    return "played"


def _left(threads: int) -> bool:
    ends = time.monotonic() + 3
    while threading.active_count() > threads and time.monotonic() < ends:
        time.sleep(0.002)
    return threading.active_count() > threads


def _open() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count


def main() -> int:
    """Run one direction, or both; say what came of it. Return 1 when something was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="mutants in each direction")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--direction", choices=["worker", "app"], help="who is lied to; default: one after the other")
    told = parser.parse_args()
    found = []
    recording = recorded()
    runs: dict[str, Callable[[Recording, int, int], Outcome]] = {
        "worker": against_the_worker, "app": against_the_application,
    }  # fmt: skip
    for name, run in runs.items():
        if told.direction in (None, name):
            outcome = run(recording, told.count, told.seed)
            print(f"to the {name}: {outcome}", flush=True)
            found += outcome.findings
    for line in found[:50]:
        print(f"FINDING {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
