"""Each way through the worker's filter, taken away by itself: a run that works with it ends without it.

The runs are those of docs/reference/system-calls.md. A call that none of them needs has no business in the filter.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from drm.app.rights.managers import LicenseManager
from drm.class_ids import DISCARD_SINK
from drm.errors import DRMError
from drm.launch import process
from drm.lockdown import seccomp
from drm.rights.enablers import LicensePath
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, Topology
from drm.trust.snapshot import StoredTrust, TrustSnapshot, pack_snapshot
from drm.wire import messages as wire
from drm.wire.channel import app_channel
from drm.wire.ring import sealed_memfd
from license_server.process import LicenseServer
from player.playback import Playback as Played
from tests.docs.system_calls import CALLS, RUNS, AllowedCall
from tests.unit.app.pmp import Playback, clip, configured, keys_of

HERE = Path(__file__).parent
FILE_WRITER = UUID("77777777-0000-0000-0000-000000000007")
LIMIT = 30.0
WORDS: list[str] = []  # for the stand-in, beside those of every worker
STARTED: list[process.PMPProcess] = []


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every worker is born of the program that takes the call away; the last one is kept, to see its end."""
    command = process.worker_command

    def changed(*words: object) -> list[str]:
        made = command(*words)  # type: ignore[arg-type]  # as called
        entry = next(at for at, word in enumerate(made) if word.endswith("__main__.py"))
        made[entry : entry + 1] = [str(HERE / "programs" / "without_call.py"), f"entry={made[entry]}", *WORDS]
        return made

    usual = process.PMPProcess.__init__

    def noted(self: process.PMPProcess, **more: object) -> None:
        STARTED.append(self)
        usual(self, **more)  # type: ignore[arg-type]  # as called

    monkeypatch.setattr(process, "worker_command", changed)
    monkeypatch.setattr(process.PMPProcess, "__init__", noted)
    WORDS.clear()
    STARTED.clear()


# ------------------------------------------------------------------------------------------------ the runs
def start() -> None:
    with process.PMPProcess(report_only=False) as worker:
        worker.channel_socket.settimeout(LIMIT)
        worker.channel_socket.recv(1 << 16)


def play() -> None:
    with Playback(clip(1), configured((1,))) as at:
        at.play()
        assert at.frames() > 20


def sealed() -> None:
    with LicenseServer(keys=keys_of(1)) as server:
        result = Played([str(clip(1))], manager=LicenseManager(server.license_url)).run()
    assert result.license_path is LicensePath.SEALED


def stop() -> None:
    """It waits for its time, with a limit, when it is stopped."""
    with Playback(clip(1), configured((1,))) as at:
        at.set_topology(at.topology(DISCARD_SINK, options={"in_time": True}))
        at.session.start()
        at.until(E.SESSION_STARTED)
        time.sleep(0.1)
        os.kill(at.session.pid, signal.SIGSTOP)
        time.sleep(0.05)
        os.kill(at.session.pid, signal.SIGCONT)
        at.until(E.SESSION_ENDED)


def interrupt() -> None:
    with process.PMPProcess() as worker:
        worker.channel_socket.settimeout(LIMIT)
        worker.channel_socket.recv(1 << 16)
        os.kill(worker.pid, signal.SIGINT)
        worker.wait(LIMIT)


def abort() -> None:
    WORDS.append("then=abort")
    with process.PMPProcess() as worker:
        worker.wait(LIMIT)


def libraries() -> None:
    WORDS.append("then=other_libraries")
    with process.PMPProcess() as worker:
        worker.wait(LIMIT)


def metadata() -> None:
    data = pack_snapshot(TrustSnapshot((StoredTrust({f"{n}.json": bytes(100 << 10) for n in range(100)}),), ()))
    with process.PMPProcess() as worker:
        channel = app_channel(worker.channel_socket)
        worker.channel_socket.settimeout(LIMIT)
        channel.receive()
        fd = sealed_memfd("components", data)
        channel.send(wire.LoadTrust(1, len(data)), (fd,))
        os.close(fd)
        channel.receive()


def publisher() -> None:
    with Playback(clip(), configured(components=(HERE / "sample_components" / "file_writer",))) as at:
        activate = SinkActivate(FILE_WRITER, descriptor=at.handed)
        topology: Topology = Topology(at.source)
        for each in at.source.streams():
            topology.connect(each, activate)
        at.set_topology(topology)
        at.until(E.SESSION_TOPOLOGY_SET)[-1].raise_for_status()
        at.session.start()
        at.until(E.SESSION_ENDED)
        at.session.close()
        at.until(E.SESSION_CLOSED)
        assert int.from_bytes(os.pread(at.output, 4, 0), "big") > 20


RUN: dict[str, Callable[[], object]] = {
    each.__name__: each for each in (start, play, sealed, stop, interrupt, abort, metadata, publisher, libraries)
}
ENDS = {"interrupt": 128 + signal.SIGINT, "abort": -signal.SIGABRT}  # all others: 0


def end_of(run: str) -> int | None:
    """Make the run, and say how its worker ended."""
    with contextlib.suppress(DRMError, OSError, AssertionError):  # what it says of a worker that is gone
        RUN[run]()
    (worker,) = STARTED
    assert worker.wait(LIMIT)
    return worker.exit_code


@pytest.mark.parametrize("run", RUNS)
def test_with_every_call_of_the_filter_the_run_is_good(run: str) -> None:
    """The control: the same stand-in, nothing taken away."""
    RUN[run]()
    (worker,) = STARTED
    assert worker.wait(LIMIT)
    assert worker.exit_code == ENDS.get(run, 0), worker.stderr


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the table is that of x86-64")
@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.name} {call.condition}".strip())
def test_without_it_the_run_that_needs_it_ends(call: AllowedCall) -> None:
    words = [seccomp.MACHINES["x86_64"].number(call.name)]
    words += [] if call.argument is None else [call.argument, call.value]
    WORDS.append("without=" + ":".join(map(str, words)))
    assert end_of(call.run) == -signal.SIGSYS
