"""Short real clips, clear and encrypted, and a session at home in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from sample_content.clip import Clip, make_clip
from tests.unit.session.home import Home

VIDEO, AUDIO = KeyId(b"video key id 000"), KeyId(b"audio key id 000")
KEYS = {VIDEO: ContentKey(b"video secret key"), AUDIO: ContentKey(b"audio secret key")}


@pytest.fixture(scope="session")
def clear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clear.mp4"
    make_clip(path, Clip(width=160, height=90, frames=45, gop=15))
    return path


@pytest.fixture(scope="session")
def encrypted(clear: Path) -> Path:
    path = clear.with_name("cenc.mp4")
    told = {TrackType.VIDEO: TrackEncryption(VIDEO, KEYS[VIDEO]), TrackType.AUDIO: TrackEncryption(AUDIO, KEYS[AUDIO])}
    encrypt_file(clear, path, scheme=Scheme.CENC, tracks=told)
    return path


@pytest.fixture
def home() -> Iterator[Callable[..., Home]]:
    """Make homes; each is shut down at the end."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(Home(*args, **kwargs))
