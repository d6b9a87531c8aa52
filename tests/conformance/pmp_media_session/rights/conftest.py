"""One locked worker for the folder, a license server, and a film whose picture and sound have different keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from drm.app.server import PMPServer, create_pmp_server
from drm.app.session_configuration import SessionConfiguration
from drm.app.session_proxy import create_pmp_media_session
from drm.app.worker_configuration import WorkerConfiguration
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.media import Scheme, TrackType
from license_server.process import LicenseServer
from sample_content.clip import Clip, make_clip
from tests.conformance.mfcreatemediasession.world import Stage
from tests.conformance.pmp_media_session.rights.world import KEYS, PICTURE, SOUND, Door, door


@pytest.fixture(scope="session")
def plain_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rights") / "clear.mp4"
    make_clip(path, Clip(width=160, height=90, frames=30, gop=15))
    return path


@pytest.fixture(scope="session")
def film(plain_film: Path) -> Path:
    """Two streams that both need rights."""
    path = plain_film.with_name("film.mp4")
    kinds = {TrackType.VIDEO: PICTURE, TrackType.AUDIO: SOUND}
    tracks = {kind: TrackEncryption(kid, KEYS[kid]) for kind, kid in kinds.items()}
    encrypt_file(plain_film, path, scheme=Scheme.CENC, tracks=tracks)
    return path


@pytest.fixture(scope="session")
def silent_film(plain_film: Path) -> Path:
    """One stream that needs rights."""
    path = plain_film.with_name("silent.mp4")
    encrypt_file(
        plain_film, path, scheme=Scheme.CENC, tracks={TrackType.VIDEO: TrackEncryption(PICTURE, KEYS[PICTURE])}
    )
    return path


@pytest.fixture(scope="session")
def license_server() -> Iterator[LicenseServer]:
    with LicenseServer(keys=KEYS) as running:
        yield running


@pytest.fixture
def front(license_server: LicenseServer) -> Iterator[Door]:
    """A door in front of the license server."""
    with door(license_server.license_url) as made:
        yield made


@pytest.fixture(scope="session")
def locked_worker() -> Iterator[PMPServer]:
    with create_pmp_server(WorkerConfiguration(sealed=False)) as server:
        yield server


@pytest.fixture
def session(locked_worker: PMPServer, film: Path) -> Iterator[Callable[..., Stage]]:
    """Makes sessions in the worker, each with a manager of its own. No thread of them outlives the test."""
    threads = set(threading.enumerate())
    with ExitStack() as stack:

        def make(manager: object, path: Path = film) -> Stage:
            configuration = SessionConfiguration(content_protection_manager=manager, server_context=locked_worker)  # type: ignore[arg-type]
            stage = Stage(create_pmp_media_session(configuration=configuration), path)
            stack.callback(stage.close)
            return stage

        yield make
    end = time.monotonic() + 5
    while (left := set(threading.enumerate()) - threads) and time.monotonic() < end:
        time.sleep(0.01)
    assert not left
