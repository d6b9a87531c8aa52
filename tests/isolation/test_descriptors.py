"""What a worker holds: descriptors have a kind and a mode, each has one owner, and none is a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from drm.class_ids import DISCARD_SINK, HASH_SINK
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.wire import messages as wire
from player.options import open_output
from player.playback import Playback
from tests.fuzz.wire.test_hostile_application import CLEAR, Application
from tests.unit.app.pmp import FRAMES, clip

NUMBERS = count(1)  # of topologies: they rise
PLAIN = wire.SinkSpec(DISCARD_SINK, b"{}")


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    made = Application()
    made.load()
    yield made
    made.process.close()


def held(pid: int) -> dict[str, str]:
    """Descriptor to what it shows: only root may look at a worker's."""
    if os.geteuid() != 0:
        pytest.skip("only root can show what root's worker withstands")
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[path.name] = str(path.readlink())
        except FileNotFoundError:
            continue
    return found


def is_terminal(target: str) -> bool:
    return target.startswith(("/dev/pts", "/dev/tty", "/dev/console", "/dev/ptmx"))


def answer(a: Application, *sinks: wire.SinkSpec, fds: tuple[int, ...], fed: tuple[int, ...] = (0,)) -> wire.Event:
    """What the worker says of a topology with these sinks, `fed` of them by its only branch."""
    spec = wire.TopologySpec(next(NUMBERS), (wire.BranchSpec(CLEAR, 0, fed),), sinks)
    a.send(wire.SetTopology(1, spec, 1), fds=fds)  # IMMEDIATE: the one before it goes
    event = a.until(wire.Event, kind=E.SESSION_TOPOLOGY_SET)
    assert isinstance(event, wire.Event)
    return event


def is_alive(a: Application) -> None:
    call = 1000 + next(NUMBERS)
    a.send(wire.Ping(call))
    a.until(wire.Returned, call=call)


def terminal() -> int:
    return pty.openpty()[1]


def connected() -> int:
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours.detach()


def draft(flags: int) -> int:
    made = os.memfd_create("draft", os.MFD_CLOEXEC)
    return os.open(f"/proc/self/fd/{made}", flags)


REFUSED: dict[str, tuple[Callable[[], int], str]] = {
    "a terminal": (terminal, "a terminal, opened for reading and writing"),
    "a terminal for writing": (lambda: os.open(os.ttyname(terminal()), os.O_WRONLY | os.O_NOCTTY), "a terminal"),
    "a folder": (lambda: os.open("/tmp", os.O_RDONLY), "a folder"),
    "the application's memory": (lambda: os.open("/proc/self/mem", os.O_WRONLY), "a file that the kernel makes up"),
    "a pidfd": (lambda: os.pidfd_open(os.getpid()), "an object of the kernel|a file that the kernel makes up"),
    "an eventfd": (lambda: os.eventfd(0), "an object of the kernel"),
    "a place": (lambda: os.open("/tmp", os.O_PATH), "O_PATH"),
    "a device": (lambda: os.open("/dev/null", os.O_WRONLY), "a device, opened for writing"),
    "a connected socket": (connected, "a socket"),
    "a file for both": (lambda: draft(os.O_RDWR), "a regular file, opened for reading and writing"),
    "a file for reading": (lambda: draft(os.O_RDONLY), "a regular file, opened for reading"),
    "a pipe to read from": (lambda: os.pipe()[0], "a pipe, opened for reading"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_sink_may_not_have_is_refused_by_name(application: Application, name: str) -> None:
    make, seen = REFUSED[name]
    before = len(held(application.process.pid))
    descriptor = make()
    said = answer(application, wire.SinkSpec(HASH_SINK, b"{}", 0), fds=(descriptor,))
    os.close(descriptor)
    assert said.error is not None
    assert said.error.code == "E-USAGE"
    assert any(words in said.error.seen for words in seen.split("|")), said.error
    is_alive(application)
    assert len(held(application.process.pid)) <= before


@pytest.mark.parametrize("make", [lambda: draft(os.O_WRONLY), lambda: os.pipe()[1]], ids=["file", "pipe"])
def test_what_is_for_writing_alone_is_taken(application: Application, make: Callable[[], int]) -> None:
    descriptor = make()
    assert answer(application, wire.SinkSpec(HASH_SINK, b"{}", 0), fds=(descriptor,)).error is None
    os.close(descriptor)


def test_two_sinks_never_share_a_descriptor(application: Application) -> None:
    before = len(held(application.process.pid))
    descriptor = draft(os.O_WRONLY)
    twice = [wire.SinkSpec(HASH_SINK, b"{}", 0)] * 2
    said = answer(application, *twice, fds=(descriptor, descriptor), fed=(0, 1))
    os.close(descriptor)
    assert said.error is not None
    assert said.error.what == "two sinks name one descriptor"
    is_alive(application)
    assert len(held(application.process.pid)) <= before


def test_strays_are_closed_and_four_hundred_messages_survived(application: Application) -> None:
    """Beside topologies that name none, or another, or a sink that nothing is fed to."""
    answer(application, PLAIN, fds=())
    before = len(held(application.process.pid))
    stray = draft(os.O_WRONLY)
    for number in range(400):
        one = wire.SinkSpec(HASH_SINK, b"{}", number % 4)
        sinks = ((PLAIN,), (one,), (PLAIN, one))[number % 3]  # of the last, the first is fed
        assert answer(application, *sinks, fds=(stray,) * 4).error is None, number
    os.close(stray)
    answer(application, PLAIN, fds=())
    is_alive(application)
    assert len(held(application.process.pid)) <= before + 1


# ------------------------------------------------------------------------------------------------ the player
def played(descriptor: int) -> dict[str, str]:
    """Play a clip into `descriptor`; return what the worker held meanwhile, descriptors with their flags."""
    sessions, seen = [], {}

    def look(event: MediaEvent) -> None:
        if event.type == E.SESSION_TOPOLOGY_SET:
            pid = sessions[0].pid
            for number, target in held(pid).items():
                flags = Path(f"/proc/{pid}/fdinfo/{number}").read_text().partition("flags:")[2].split()[0]
                seen[number] = f"{target} {int(flags, 8) & os.O_ACCMODE}"

    result = Playback([str(clip())], framemd5=descriptor, on_event=look, on_ready=sessions.append).run()
    assert result.frames > FRAMES
    return seen


def test_the_worker_holds_no_terminal_when_hashes_go_to_one() -> None:
    master, slave = pty.openpty()
    child = os.fork()
    if child == 0:  # somebody must read, or the terminal's small buffer is full
        while os.read(master, 4096):
            pass
        os._exit(0)
    try:
        seen = played(slave)
        assert seen
        assert not [target for target in seen.values() if is_terminal(target)]
        writable = [target for target in seen.values() if target.startswith("pipe:") and target.endswith(" 1")]
        assert len(writable) == 2, seen  # its stderr and the sink's
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(master)
        os.close(slave)


def test_the_worker_cannot_read_the_draft_that_it_writes(tmp_path: Path) -> None:
    with open_output(str(tmp_path / "hashes")) as descriptor:
        assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
        seen = played(descriptor)
    of_draft = [target for target in seen.values() if "hashes" in target]
    assert [target[-2:] for target in of_draft] == [" 1"]
    lines = (tmp_path / "hashes").read_text().splitlines()
    assert sum(line.startswith("0,") for line in lines) == FRAMES


def test_hashes_on_a_terminal_reach_its_user() -> None:
    master, slave = pty.openpty()
    words = [sys.executable, "-m", "player.start", "play", "--framemd5", "-", str(clip())]
    with subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as command:
        os.close(slave)
        text = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # EIO: nobody holds the other side any more
                break
            text += part
        assert command.wait(60) == 0, text
    os.close(master)
    lines = text.decode().splitlines()
    assert sum(line.startswith("0,") for line in lines) == FRAMES, text
    assert any(line.startswith("played: ") for line in lines), text
