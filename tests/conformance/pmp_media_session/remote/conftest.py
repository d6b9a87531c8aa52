"""One locked worker for all of these sessions, films, and a server for them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drm.app.rights.managers import LocalKeysManager
from drm.app.server import PMPServer, create_pmp_server
from drm.app.session_proxy import MediaSessionProxy, SessionConfiguration, create_pmp_media_session
from drm.app.source_resolver import SourceResolver
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from sample_content.clip import Clip, make_clip
from tests.conformance.pmp_media_session.remote.media_server import MediaServer
from tests.conformance.pmp_media_session.remote.world import (
    Film,
    LongFilm,
    resolver_of,
)


@pytest.fixture(scope="module")
def worker() -> Iterator[PMPServer]:
    """One worker for all of these sessions; it must outlive every one of them."""
    with create_pmp_server() as server:
        yield server
        assert Path(f"/proc/{server.pid}").exists(), "the worker died of a test"


@pytest.fixture
def film(own_vectors: Path) -> Film:
    return Film(own_vectors, "ff_cenc_prog_av")


@pytest.fixture
def open_session(worker: PMPServer, film: Film) -> Callable[..., MediaSessionProxy]:
    def begin(keys: dict | None = None, *, remote: bool = True) -> MediaSessionProxy:
        manager = LocalKeysManager(film.keys if keys is None else keys)
        configuration = SessionConfiguration(
            content_protection_manager=manager, remote_source_mode=remote, server_context=worker
        )
        return create_pmp_media_session(configuration=configuration)

    return begin


@pytest.fixture
def session(open_session) -> Iterator[MediaSessionProxy]:
    with open_session() as made:
        yield made


@pytest.fixture
def resolver(session: MediaSessionProxy) -> SourceResolver:
    return resolver_of(session)


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> LongFilm:
    """Eleven megabytes, sound among the pictures: more than anybody keeps, and far more than a creation reads."""
    folder = tmp_path_factory.mktemp("long")
    make_clip(
        folder / "clear.mp4", Clip(frames=90, gop=30, preset="ultrafast", noise=60, bitrate=20_000_000, threads=2)
    )
    kid, key = KeyId(secrets.token_bytes(16)), ContentKey(secrets.token_bytes(16))
    both = dict.fromkeys((TrackType.VIDEO, TrackType.AUDIO), TrackEncryption(kid, key))
    encrypt_file(folder / "clear.mp4", folder / "film.mp4", scheme=Scheme.CENC, tracks=both)
    return LongFilm(folder / "film.mp4", {kid: key})


@pytest.fixture
def far_server(long_film: LongFilm) -> Iterator[MediaServer]:
    with MediaServer(long_film.path.read_bytes()) as serving:
        yield serving


@pytest.fixture
def server(film: Film) -> Iterator[MediaServer]:
    with MediaServer(film.path.read_bytes()) as serving:
        yield serving
