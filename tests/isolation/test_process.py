"""The life of a worker seen from the application: it ends when it should, is noticed, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from drm.errors import PMPProcessDiedError
from drm.launch.process import PMPProcess, probe_worker

LIMIT = 20.0  # seconds within which anything here happens, also on a machine that is busy
APPLICATION = """
import sys, time
from drm.launch.process import PMPProcess
worker = PMPProcess(demanded_level=1)
assert worker.channel_socket.recv(1 << 16)
print(worker.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def worker():
    """A worker that has said that it is ready."""
    ended = threading.Event()
    with PMPProcess(on_exit=lambda _process: ended.set()) as process:
        process.ended_event = ended
        process.channel_socket.settimeout(30)
        assert process.channel_socket.recv(1 << 16), process.stderr
        yield process


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.005)
    return not is_running(pid)


def test_a_killed_worker_is_noticed(worker) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.ended_event.wait(LIMIT)
    assert worker.exit_code == -signal.SIGKILL
    error = worker.failure()
    assert isinstance(error, PMPProcessDiedError)
    assert error.seen == "killed by SIGKILL"
    assert worker.refusal is None


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_when_the_application_ends_so_does_its_worker(stopped: bool, ending: int) -> None:
    with subprocess.Popen([sys.executable, "-c", APPLICATION], stdout=subprocess.PIPE, text=True) as application:
        pid = int(application.stdout.readline())
        assert is_running(pid)
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        application.send_signal(ending)
        application.wait(5)
    assert gone_within(pid, LIMIT)


def test_closing_ends_a_worker_at_once_and_leaves_no_child(worker) -> None:
    worker.close()
    assert worker.exit_code == 0, worker.stderr  # by itself: whoever has to be ended ends with a signal
    with pytest.raises(ChildProcessError):
        os.waitpid(worker.pid, os.WNOHANG)


def test_a_stopped_worker_is_ended_too(worker) -> None:
    os.kill(worker.pid, signal.SIGSTOP)
    worker.close()
    assert worker.exit_code == -signal.SIGKILL


def test_it_outlives_the_thread_that_asked_for_it() -> None:
    """The kernel ties the death signal to the spawning thread; a worker spawned from a short one would die with it."""
    made: list[PMPProcess] = []
    thread = threading.Thread(target=lambda: made.append(PMPProcess()))
    thread.start()
    thread.join()
    with made[0] as process:
        process.channel_socket.settimeout(30)
        assert process.channel_socket.recv(1 << 16)
        time.sleep(0.2)
        assert process.exit_code is None


def test_workers_leave_no_descriptor_and_no_thread_behind() -> None:
    probe_worker()
    before = open_descriptors(), threading.active_count()
    for _ in range(3):
        probe_worker()
    assert gone_threads(before[1])
    assert (open_descriptors(), threading.active_count()) == before


def open_descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def gone_threads(count: int) -> bool:
    deadline = time.monotonic() + LIMIT
    while threading.active_count() > count and time.monotonic() < deadline:
        time.sleep(0.01)
    return threading.active_count() <= count


def test_nothing_of_the_applications_environment_reaches_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "in the environment")
    with PMPProcess(unprotected=True, demanded_level=0) as process:
        process.channel_socket.settimeout(30)
        assert process.channel_socket.recv(1 << 16)
        assert b"CANARY" not in Path(f"/proc/{process.pid}/environ").read_bytes()
        assert Path(f"/proc/{process.pid}/cwd").readlink() == Path("/")


def test_what_a_worker_writes_to_stderr_is_kept_bounded() -> None:
    """An engine that does not exist ends the start; the user gets the last line, and never a traceback."""
    with PMPProcess(engine="no-such-engine") as process:
        assert process.wait(30)
        error = process.failure()
    assert error.seen == "exit status 1: KeyError: 'no-such-engine'"
    assert "Traceback" in process.stderr
    assert "Traceback" not in error.render()
