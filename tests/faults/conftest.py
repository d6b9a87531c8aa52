"""The command, a film to play, and its keys: for tests of what goes wrong."""

import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from sample_content.clip import Clip, make_clip
from tests.interop.command import Command, end, write_jwk_set
from tests.interop.license.faulty_server import faulty_server
from tests.interop.vectors import Vector, read_vector


@pytest.fixture(scope="session")
def clearkey(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("clearkey-home"))


@pytest.fixture(scope="session")
def film(own_vectors: Path) -> Vector:
    """72 pictures under one key."""
    return read_vector(own_vectors, "pk_cenc_iv8_v")


@pytest.fixture(scope="session")
def sound_film(own_vectors: Path) -> Vector:
    """Picture and sound under different keys, progressive."""
    return read_vector(own_vectors, "gp_ctr16_prog_av")


@dataclass(frozen=True)
class LongFilm:
    """A film that takes a worker seconds to hash, so that it can be disturbed in the middle of it."""

    path: Path
    clear: Path
    keys: dict[KeyId, ContentKey]
    keys_file: Path


@pytest.fixture(scope="session")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> LongFilm:
    folder = tmp_path_factory.mktemp("long")
    clear, path = folder / "clear.mp4", folder / "film.mp4"
    make_clip(clear, Clip(width=1280, height=720, frames=600, preset="ultrafast", sound=False, fragmented=True,
                          threads=2))  # fmt: skip
    kid, key = KeyId(secrets.token_bytes(16)), ContentKey(secrets.token_bytes(16))
    encrypt_file(clear, path, scheme=Scheme.CENC, tracks={TrackType.VIDEO: TrackEncryption(kid, key)})
    return LongFilm(path, clear, {kid: key}, write_jwk_set(folder / "keys.json", {kid: key}))


@pytest.fixture(scope="session")
def faulty() -> Iterator[str]:
    with faulty_server() as url:
        yield url


@pytest.fixture(scope="session")
def slow(clearkey: Command, film: Vector, faulty: str) -> Iterator[dict[str, tuple[subprocess.Popen, float]]]:
    """Plays that wait for slow license servers, half a minute in all; other tests run meanwhile."""
    with ExitStack() as ending:
        started = {}
        for path in ("/drip", "/silent"):
            process = clearkey.start("play", *film.files, "--license-url", faulty + path)
            ending.callback(end, process)
            started[path] = process, time.monotonic()
        yield started


@pytest.fixture(autouse=True, scope="session")
def _slow_ones_run_from_the_start(slow) -> None:
    """Whoever asks for their end then waits no longer than need be."""
