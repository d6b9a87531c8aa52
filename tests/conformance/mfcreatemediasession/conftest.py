"""Clips, a session in this process, and the same in a locked worker that all tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from drm.app.local_session import create_media_session
from drm.app.server import PMPServer, create_pmp_server
from drm.app.session_configuration import SessionConfiguration
from drm.app.session_proxy import create_pmp_media_session
from drm.app.worker_configuration import WorkerConfiguration
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from sample_content.clip import Clip, make_clip
from tests.conformance.mfcreatemediasession.world import Stage


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes clips, each once."""
    folder = tmp_path_factory.mktemp("clips")
    made: dict[Clip, Path] = {}

    def make(**words: object) -> Path:
        clip = Clip(**({"width": 160, "height": 90, "frames": 60, "gop": 15} | words))  # type: ignore[arg-type]
        if clip not in made:
            made[clip] = folder / f"{len(made)}.mp4"
            make_clip(made[clip], clip)
        return made[clip]

    return make


@pytest.fixture(scope="session")
def clear(clips: Callable[..., Path]) -> Path:
    """Two seconds of sound and picture."""
    return clips()


@pytest.fixture(scope="session")
def half_protected(clear: Path) -> Path:
    """Its picture is encrypted, its sound is not."""
    path = clear.with_name("half.mp4")
    key = TrackEncryption(KeyId(bytes(range(16))), ContentKey(bytes(range(16, 32))))
    encrypt_file(clear, path, scheme=Scheme.CENC, tracks={TrackType.VIDEO: key})
    return path


@pytest.fixture(scope="session")
def worker() -> Iterator[PMPServer]:
    """One locked worker: making a session in it is cheap."""
    with create_pmp_server(WorkerConfiguration()) as server:
        yield server


@pytest.fixture(params=["local", "pmp"])
def create(request: pytest.FixtureRequest) -> Callable[..., object]:
    """How a session of this kind is made."""
    if request.param == "local":
        return lambda **words: create_media_session(SessionConfiguration(**words))
    server: PMPServer = request.getfixturevalue("worker")
    return lambda **words: create_pmp_media_session(configuration=SessionConfiguration(server_context=server, **words))


@pytest.fixture
def at(create: Callable[..., object], clear: Path) -> Iterator[Stage]:
    """A fresh session of each kind."""
    stage = Stage(create(), clear)
    yield stage
    stage.close()


@pytest.fixture
def local(clear: Path) -> Iterator[Callable[..., Stage]]:
    """Makes sessions in this process; each is shut down at the end."""
    with ExitStack() as stack:

        def make(path: Path = clear, **words: object) -> Stage:
            stage = Stage(create_media_session(SessionConfiguration(**words)), path)  # type: ignore[arg-type]
            stack.callback(stage.close)
            return stage

        yield make
