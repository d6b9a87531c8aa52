"""Processes that are killed, stopped or interrupted in the middle of play: one error, in time, and nothing left."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drm.app.session_proxy import create_pmp_media_session
from drm.errors import PMPProcessDiedError
from drm.session.events import MediaEventType
from tests.interop.command import descendants, end, frames, gone_within, is_running, write_keys

FRAMES = 600
LIMIT = 20.0  # seconds within which anything here happens, also on a machine that is busy


class Playing:
    """`clearkey play` in the middle of a film: hashes have come out, and more are to come."""

    def __init__(self, process: subprocess.Popen, target: Path) -> None:
        self.process = process
        self.target = target
        self._wait_for_frames()
        (self.worker,) = [pid for pid, words in descendants(process.pid).items() if "drm/pmp/__main__.py" in words]

    def _wait_for_frames(self) -> None:
        ends = time.monotonic() + 20
        while not any(path.stat().st_size > 5000 for path in self.target.parent.glob(f".{self.target.name}.*.part")):
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < ends, "it does not begin to play"
            time.sleep(0.005)

    def stop_worker(self) -> None:
        os.kill(self.worker, signal.SIGSTOP)


@pytest.fixture
def playing(clearkey, long_film, tmp_path):
    """Start it with these options; whatever the test comes to, nothing of it stays."""

    @contextmanager
    def start(*words: object) -> Iterator[Playing]:
        target = tmp_path / "out" / "hashes"
        target.parent.mkdir()
        rights = words or ("--keys-file", long_film.keys_file)
        process = clearkey.start("play", long_film.path, *rights, "--framemd5", target, "-v")
        try:
            now = Playing(process, target)
            yield now
        finally:
            end(process)
        assert gone_within(now.worker, LIMIT)

    return start


def test_undisturbed_it_plays_to_its_end(playing) -> None:
    """The control: what the tests below disturb would have ended well."""
    with playing() as now:
        _out, err = now.process.communicate(timeout=30)
        assert now.process.returncode == 0, err
        assert "SESSION_ENDED" in err
        assert len(frames(now.target.read_text())["video 1"]) == FRAMES


# ------------------------------------------------------------------------------------------------ the worker
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGSEGV], ids=lambda number: number.name)
def test_a_worker_that_dies_is_one_error(playing, ending: int) -> None:
    with playing() as now:
        os.kill(now.worker, ending)
        _out, err = now.process.communicate(timeout=LIMIT)
        assert now.process.returncode == 1, err
        assert err.count(" ERROR ") == 1
        assert err.count("error: ") == 1
        assert f"killed by {signal.Signals(ending).name}" in err
        assert "[E-PMP-DIED]" in err
        assert "Traceback" not in err
        assert "SESSION_ENDED" not in err
        assert list(now.target.parent.iterdir()) == [], "half of the hashes look like hashes of half the film"


def test_a_stopped_worker_does_not_keep_the_user(playing) -> None:
    with playing() as now:
        now.stop_worker()
        time.sleep(0.3)
        assert now.process.poll() is None
        now.process.send_signal(signal.SIGINT)
        _out, err = now.process.communicate(timeout=LIMIT)
        assert now.process.returncode == 130, err
        assert "Traceback" not in err
        assert not is_running(now.worker)
        assert list(now.target.parent.iterdir()) == []


def test_a_worker_that_was_stopped_and_goes_on_loses_nothing(playing) -> None:
    with playing() as now:
        now.stop_worker()
        time.sleep(1.5)
        os.kill(now.worker, signal.SIGCONT)
        _out, err = now.process.communicate(timeout=30)
        assert now.process.returncode == 0, err
        assert len(frames(now.target.read_text())["video 1"]) == FRAMES


# ------------------------------------------------------------------------------------------------ the application
def test_an_interrupt_ends_all_of_it(playing) -> None:
    with playing() as now:
        now.process.send_signal(signal.SIGINT)
        _out, err = now.process.communicate(timeout=LIMIT)
        assert now.process.returncode == 130, err
        assert err.splitlines()[-1] == "interrupted"
        assert not is_running(now.worker)
        assert list(now.target.parent.iterdir()) == []


def test_a_terminal_that_interrupts_the_whole_group(playing) -> None:
    """Ctrl-C reaches every process of the group."""
    with playing() as now:
        os.killpg(now.process.pid, signal.SIGINT)
        _out, err = now.process.communicate(timeout=15)
        assert now.process.returncode == 130, err
        assert "Traceback" not in err
        assert not is_running(now.worker)


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_an_application_that_is_killed_takes_its_worker_along(playing, ending: int, stopped: bool) -> None:
    with playing() as now:
        if stopped:
            now.stop_worker()
        now.process.send_signal(ending)
        assert gone_within(now.worker, LIMIT), "the worker lives on"
        now.process.communicate(timeout=LIMIT)
        assert now.process.returncode not in {0, 1}


def test_a_demo_that_is_killed_leaves_nothing_running(clearkey, tmp_path) -> None:
    process = clearkey.start("demo", "--output", tmp_path)
    try:
        family = wait_for_family(process, "license_server", "drm/pmp/__main__.py")
        process.send_signal(signal.SIGKILL)
        ended = time.monotonic() + LIMIT
        left = [words for pid, words in family.items() if not gone_within(pid, ended - time.monotonic())]
        assert left == []
    finally:
        end(process)


def wait_for_family(process: subprocess.Popen, *wanted: str) -> dict[int, str]:
    """The processes below this one, once there is one of each kind."""
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        family = descendants(process.pid)
        if all(any(word in words for words in family.values()) for word in wanted):
            return family
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    raise AssertionError(f"not all of {wanted} came: {family}")


# ------------------------------------------------------------------------------------------------ the license server
def test_a_license_server_that_is_killed_is_not_missed(playing, clearkey_servers, long_film) -> None:
    """It is asked at the start; what plays has its keys."""
    server = clearkey_servers(keys=long_film.keys)
    with playing("--license-url", server.license_url) as now:
        os.kill(server.pid, signal.SIGKILL)
        _out, err = now.process.communicate(timeout=30)
        assert now.process.returncode == 0, err
        assert "license_path: sealed" in err
        assert len(frames(now.target.read_text())["video 1"]) == FRAMES


# ------------------------------------------------------------------------------------------------ what is left behind
def test_an_application_that_plays_often_keeps_nothing(clearkey, film, tmp_path) -> None:
    """Ten plays that end well and ten that fail, in one process."""
    keys = write_keys(tmp_path / "keys", film.keys)
    program = Path(__file__).parent / "programs" / "plays_often.py"
    run = subprocess.run([sys.executable, program, "10", *film.files, keys], check=False, capture_output=True,
                         text=True, timeout=90, env=clearkey.environment)  # fmt: skip
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert len(seen) == 10
    assert all(after == seen[0] for after in seen), seen
    assert seen[0]["threads"] == ["MainThread"]
    assert seen[0]["children"] == []
    assert seen[0]["mappings"] == 0


def test_a_full_disk_is_told(clearkey, film, tmp_path) -> None:
    keys = write_keys(tmp_path / "keys", film.keys)
    ran = clearkey("play", *film.files, "--keys-file", keys, "--framemd5", "/dev/full")
    assert ran.code not in {0, 130}, ran.err
    assert "Traceback" not in ran.said
    assert "space" in ran.err.lower()


def test_a_folder_that_cannot_be_written_is_told(clearkey, film, tmp_path) -> None:
    keys = write_keys(tmp_path / "keys", film.keys)
    ran = clearkey("play", *film.files, "--keys-file", keys, "--framemd5", tmp_path / "nowhere" / "hashes")
    assert ran.code == 2, ran.err
    assert "Traceback" not in ran.said
    assert str(tmp_path / "nowhere") in ran.err


def test_a_killed_worker_is_one_event_of_the_session() -> None:
    """Whoever reads events gets one, within a second; to ask for a second one is to be told why there is none."""
    with create_pmp_media_session() as session:
        os.kill(session.pid, signal.SIGKILL)
        error = session.get_event(timeout=1.0)
        assert error.type == MediaEventType.ERROR
        with pytest.raises(PMPProcessDiedError):
            error.raise_for_status()
        with pytest.raises(PMPProcessDiedError):
            session.get_event(timeout=1.0)
