"""The application against a worker that lies: one clear error in good time, nothing left running, nothing leaked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.rights.enabler import EnableCallback, EnablerActivation, EnableResult
from drm.app.session_proxy import MediaSessionProxy, SessionConfiguration, create_pmp_media_session
from drm.app.sources import open_source
from drm.class_ids import DISCARD_SINK
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.errors import DRMError, NoEventsAvailableError, PMPProcessDiedError, WireError
from drm.keys import ContentKey, KeyId
from drm.launch import process
from drm.media import Scheme, TrackType
from drm.session.events import MediaEventType
from drm.session.topology import SinkActivate, Topology
from sample_content.clip import Clip, make_clip

DESCRIPTORS = Path("/proc/self/fd")
PROGRAM = Path(__file__).parent / "programs" / "hostile_worker.py"

IN_CREATION = {
    "garbage instead of ready": WireError,
    "nothing instead of ready": PMPProcessDiedError,
    "an event instead of ready": WireError,
    "an end instead of ready": PMPProcessDiedError,
    "no answer to a call": PMPProcessDiedError,
    "an end instead of an answer": PMPProcessDiedError,
    "an answer to no call": WireError,
}
IN_PLAY = {
    "samples of no stream": WireError,
    "samples of less than none": WireError,
    "samples without end": WireError,
    "a release of what was not sent": WireError,
    "requests without end": WireError,
    "a second ready": WireError,
    "a message of the application's": WireError,
    "a message over the limit": WireError,
    "a message that is nested": WireError,
    "a message that says 4 billion": WireError,
    "descriptors without end": WireError,
    "events without end": WireError,
    "an event of a session that never was": WireError,
    "an event of no session": WireError,
    "samples of a topology that never was": WireError,
    "the end of a source that never was": WireError,
    "a license for a session that never was": WireError,
    "an end in the middle": PMPProcessDiedError,
}


class Manager:
    """Counts what it is asked for and never calls back."""

    def __init__(self) -> None:
        self.asked = 0

    def begin_enable_content(
        self, enabler_activate: EnablerActivation, topology: Topology, callback: EnableCallback, state: object = None
    ) -> None:
        self.asked += 1

    def end_enable_content(self, result: EnableResult) -> None:
        pass


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_clip(path, Clip(width=160, height=90, frames=30, sound=False))
    told = TrackEncryption(KeyId(bytes(16)), ContentKey(bytes(16)))
    encrypt_file(path, path, scheme=Scheme.CENC, tracks={TrackType.VIDEO: told}, in_place=True)
    return path


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., MediaSessionProxy]:
    """Create a session whose worker is the hostile program in this mode."""

    def launch(mode: str, manager: Manager | None = None) -> MediaSessionProxy:
        program = tmp_path / "worker.py"
        program.write_text(f"MODE = {mode!r}\n" + PROGRAM.read_text())
        monkeypatch.setattr(process, "_ENTRY", program)
        manager = manager or Manager()
        return create_pmp_media_session(
            configuration=SessionConfiguration(
                content_protection_manager=manager, sealed=False, start_timeout=2, call_timeout=1
            )
        )

    return launch


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No thread and no descriptor of a session outlives it."""
    threads, descriptors = set(threading.enumerate()), len(list(DESCRIPTORS.iterdir()))
    yield
    end = time.monotonic() + 5
    while set(threading.enumerate()) - threads and time.monotonic() < end:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - threads
    assert len(list(DESCRIPTORS.iterdir())) <= descriptors


def play(session: MediaSessionProxy, path: Path, limit: float = 15) -> DRMError:
    """Play and return the error that it ends with."""
    with session, FileByteStream(path) as stream:
        try:
            set_topology(session, stream)
            end = time.monotonic() + limit
            while (event := session.get_event(timeout=max(0, end - time.monotonic()))).type != MediaEventType.ERROR:
                pass
            event.raise_for_status()
        except NoEventsAvailableError:
            raise
        except DRMError as error:
            with pytest.raises(type(error)):  # whoever goes on is told the same
                session.start()
            return error
        raise AssertionError("the error raises nothing")


def set_topology(session: MediaSessionProxy, stream: FileByteStream) -> None:
    source = open_source(stream)
    topology: Topology = Topology(source)
    for each in source.streams():
        topology.connect(each, SinkActivate(DISCARD_SINK))
    session.set_topology(topology)


@pytest.mark.parametrize("mode", IN_CREATION)
def test_creation_fails_with_one_clear_error(launch: Callable[..., MediaSessionProxy], mode: str) -> None:
    start = time.monotonic()
    with pytest.raises(IN_CREATION[mode]) as raised:
        launch(mode)
    assert time.monotonic() - start < 10
    assert "Traceback" not in raised.value.render()


@pytest.mark.parametrize("mode", IN_PLAY)
def test_play_ends_with_one_clear_error(launch: Callable[..., MediaSessionProxy], encrypted: Path, mode: str) -> None:
    error = play(launch(mode), encrypted)
    assert type(error) is IN_PLAY[mode]
    assert "Traceback" not in error.render()


@pytest.mark.parametrize(
    ("mode", "asked"),
    [
        ("licenses for another topology", 0),
        ("licenses begun and called off without end", 1),
        ("a license called off that was never begun", 0),
        ("licenses for a session that never was", 0),
    ],
)
def test_a_worker_cannot_have_more_than_one_enabler_begun(
    launch: Callable[..., MediaSessionProxy], encrypted: Path, mode: str, asked: int
) -> None:
    manager = Manager()
    assert isinstance(play(launch(mode, manager), encrypted), WireError)
    assert manager.asked == asked


def test_a_worker_gets_one_enabler_at_a_time(launch: Callable[..., MediaSessionProxy], encrypted: Path) -> None:
    """Or it would start any number of threads and license requests in the application."""
    asked = set()
    for _ in range(20):  # the session may be over before the one enabler's turn has come
        manager = Manager()
        error = play(launch("licenses without end", manager), encrypted)
        assert isinstance(error, WireError)
        asked.add(manager.asked)
        if 1 in asked:
            break
    assert asked <= {0, 1}
    assert 1 in asked


@pytest.mark.parametrize("mode", ["an object instead of a number", "half a capability"])
def test_a_question_that_is_answered_with_something_else_is_the_callers_error(
    launch: Callable[..., MediaSessionProxy], encrypted: Path, mode: str
) -> None:
    with launch(mode) as session, FileByteStream(encrypted) as stream:
        set_topology(session, stream)
        with pytest.raises(WireError):
            session.get_session_capabilities()


def test_a_source_that_is_released_twice_is_harmless(launch: Callable[..., MediaSessionProxy], encrypted: Path) -> None:
    """What was under way to it is void."""
    with launch("sources that end twice") as session, FileByteStream(encrypted) as stream:
        set_topology(session, stream)
        assert session.get_event(timeout=5).type == MediaEventType.SESSION_TOPOLOGY_STATUS
