"""Starting a worker and knowing it: whoever speaks for it, forks, dies early or says nothing, no process is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drm.errors import PMPProcessDiedError
from drm.launch.worker_child import WorkerChild, start_worker

ROOT = Path(__file__).parents[3]
BEGIN = f"""
import os, socket, struct, sys, time
sys.path.insert(0, {str(ROOT)!r})
from drm.lockdown import fresh_memory
channel = int(sys.argv[1])
"""
ANNOUNCE = "os.write(channel, b'x')\n"


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    before = open_descriptors(), children()
    yield
    assert (open_descriptors(), children()) == before


def open_descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def children() -> set[str]:
    """Zombies too."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def started(program: str, timeout: float = 20) -> WorkerChild:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        return start_worker([sys.executable, "-c", BEGIN + program, str(theirs.fileno())], ours, theirs, timeout)


def ended(child: WorkerChild) -> int:
    with child.stderr:
        return child.reap()


def test_a_fork_is_the_worker_and_what_was_executed_is_gone() -> None:
    child = started("print(os.getpid(), file=sys.stderr, flush=True)\nfresh_memory.enter(hide=True)\n"
                    + ANNOUNCE + "time.sleep(60)")  # fmt: skip
    executed = int(child.stderr.readline())
    assert child.pid != executed
    assert not Path(f"/proc/{executed}").exists()
    os.kill(child.pid, 0)
    child.kill()
    assert ended(child) == -signal.SIGKILL
    child.kill()  # what has its number now is no worker


@pytest.mark.parametrize(("ending", "code"), [("sys.exit(7)", 7), ("os.kill(os.getpid(), 15)", -15), ("", 0)])
@pytest.mark.parametrize("forks", ["fresh_memory.enter(hide=True)\n", ""], ids=["forked", "not forked"])
@pytest.mark.parametrize("announces", [ANNOUNCE, ""], ids=["announced", "not announced"])
def test_how_a_worker_ended_is_known_wherever_it_was(ending: str, code: int, forks: str, announces: str) -> None:
    assert ended(started(forks + announces + ending)) == code


def test_one_that_says_nothing_is_ended_with_its_fork() -> None:
    with pytest.raises(PMPProcessDiedError, match="did not hide within"):
        started("fresh_memory.enter(hide=True)\ntime.sleep(60)", 1.5)


def test_a_stranger_cannot_speak_for_it() -> None:
    """A grandchild: whoever got hold of the channel is no child of the application."""
    with pytest.raises(PMPProcessDiedError, match="was not started for it"):
        started("if os.fork() == 0:\n    " + ANNOUNCE + "time.sleep(60)")


def test_nor_can_another_child_of_the_application() -> None:
    """Or a worker could have the application end another one."""
    other, theirs = socket.socketpair()
    speaker = (
        "import socket, sys\n[fd] = socket.recv_fds(socket.socket(fileno=0), 1, 1)[1]\nimport os\nos.write(fd, b'x')"
    )
    with subprocess.Popen([sys.executable, "-c", speaker], stdin=theirs, start_new_session=True) as bystander:
        theirs.close()
        ours, channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, other:
            socket.send_fds(other, [b"x"], [channel.fileno()])
            with pytest.raises(PMPProcessDiedError, match="was not started for it"):
                start_worker([sys.executable, "-c", BEGIN + "time.sleep(60)", "0"], ours, channel, 20)
        assert bystander.wait(20) == 0


def test_descriptors_beside_the_announcement_are_dropped() -> None:
    program = "socket.send_fds(socket.socket(fileno=os.dup(channel)), [b'x'], [0, 1, 2])\n"
    assert ended(started(program)) == 0


def test_what_cannot_be_executed_is_an_error_of_the_system() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, pytest.raises(FileNotFoundError):
        start_worker(["/nowhere/python"], ours, theirs, 1)
