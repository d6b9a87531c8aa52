"""What runs out, or changes while it is read: descriptors, disk, shared memory. One end, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.session_proxy import create_pmp_media_session
from drm.app.sources import open_source
from drm.class_ids import DISCARD_SINK, HASH_SINK
from drm.component import MediaSource
from drm.errors import DRMError
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, Topology
from drm.wire import ring
from tests.faults.kills import play
from tests.unit.app.pmp import Playback, clip, configured

ENOUGH = 24  # descriptors beside those that are open: a session has fewer
FRAMES = 240  # pictures of a film that takes a moment
CHANGED = {"E-KEY-WRONG", "E-MEDIA", "E-MEDIA-MALFORMED", "E-MEDIA-NOTHING", "E-POLICY-OUTPUT", "E-KEY-NOT-JUDGED"}


def held() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208 - a count


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    play()  # whatever is kept after a first session, in either process
    before = held()
    yield
    ends = time.monotonic() + 5
    while held() != before and time.monotonic() < ends:
        time.sleep(0.01)
    assert held() == before


def until_end(at: Playback) -> None:
    """Raises the DRMError that it ends with."""
    while (event := at.event()).type != E.SESSION_ENDED:
        event.raise_if_fatal()


# ------------------------------------------------------------------------------------------------ descriptors
@contextlib.contextmanager
def at_most(more: int) -> Iterator[None]:
    """The numbers of descriptors have gaps, so those that are free are taken until just so many are left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    top = max(map(int, os.listdir("/proc/self/fd"))) + ENOUGH + 1  # noqa: PTH208 - numbers
    resource.setrlimit(resource.RLIMIT_NOFILE, (top, hard))
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    try:
        for _ in range(more):
            os.close(taken.pop())
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_application_without_descriptors_has_an_error_that_says_so() -> None:
    """With none, with one more each time, and at last with enough."""
    ends = []
    for more in range(ENOUGH):
        with FileByteStream(clip(1)) as stream:
            source = open_source(stream)
            before = held()
            with at_most(more):
                ends.append(play_into(source))
            assert held()[0] == before[0], f"with {more}: {ends[-1]}"
        if ends[-1] == "played":
            break
    assert ends[-1] == "played"
    assert len(ends) > 5
    assert {end.partition(":")[2] for end in ends[:-1]} == {"Too many open files"}, ends


def play_into(source: MediaSource) -> str:
    """A session of its own; "played", or the code of its error and what the system said."""
    try:
        with create_pmp_media_session(configuration=configured((1,), components=())) as session:
            topology: Topology = Topology(source)
            for each in source.streams():
                topology.connect(each, SinkActivate(DISCARD_SINK))
            session.set_topology(topology)
            session.start()
            while (event := session.get_event(timeout=20)).type != E.SESSION_ENDED:
                event.raise_if_fatal()
    except DRMError as error:
        seen = error.render()
        return f"{error.code}:{'Too many open files' if 'Too many open files' in seen else seen}"
    return "played"


# ------------------------------------------------------------------------------------------------ disk
@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", tmp_path], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_disk_that_fills_up_behind_a_sink_is_one_error_of_the_worker(small_disk: Path) -> None:
    """A real file, which the worker itself writes to, and not a device that says so at once."""
    with Playback(clip(1, FRAMES), configured((1,), components=())) as at:
        path = small_disk / "hashes"
        output = os.open(path, os.O_WRONLY | os.O_CREAT)
        activate, topology = SinkActivate(HASH_SINK, {}, output), Topology(at.source)
        for each in at.source.streams():
            topology.connect(each, activate)
        at.set_topology(topology)
        at.session.start()
        with pytest.raises(DRMError, match="No space left on device"):
            until_end(at)
        os.close(output)
        assert path.stat().st_size == 8 << 10
        assert at.session.get_rate() == 1.0, "it still answers"


# ------------------------------------------------------------------------------------------------ shared memory
@pytest.mark.parametrize("turns", range(3))
def test_samples_that_change_while_they_are_read_end_in_one_way(monkeypatch: pytest.MonkeyPatch, turns: int) -> None:
    """The application writes into the ring all the time: also between the key check's reading and the next one."""
    made: list[ring.RingWriter] = []
    usual = ring.RingWriter.__init__

    def noted(self: ring.RingWriter, size: int) -> None:
        usual(self, size)
        made.append(self)

    monkeypatch.setattr(ring.RingWriter, "__init__", noted)
    over, rng = threading.Event(), random.Random(turns)
    wrote = []

    def spoil() -> None:
        while not over.wait(0.0002):
            for each in made:
                with contextlib.suppress(ValueError):  # it is closed
                    at_most_taken = max(1, min(each.size, each._taken))
                    at = rng.randrange(at_most_taken)
                    each._view[at : at + 8] = rng.randbytes(min(8, each.size - at))
                    wrote.append(at)

    spoiler = threading.Thread(target=spoil)
    with Playback(clip(1, FRAMES), configured((1,), components=())) as at:
        spoiler.start()
        try:
            at.set_topology()
            at.session.start()
            ends = {E.SESSION_ENDED, E.ERROR}
            while (event := at.event()).type not in ends and event.error is None:
                pass
            assert "Traceback" not in repr(event.error)
            assert event.error is None or event.error.code in CHANGED, event.error
            assert at.session.get_rate() == 1.0, "it still answers"
        finally:
            over.set()
            spoiler.join()
    assert len(wrote) > 50
