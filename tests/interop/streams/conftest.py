"""What the tests of manifests share: the streams, and a way to play one through the worker."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drm.app.rights.enabler import ContentProtectionManager
from drm.app.rights.managers import LocalKeysManager
from drm.keys import ContentKey, KeyId
from drm.streaming.selection import Selection
from player.comparison import hashes_by_stream
from player.manifests.given import ManifestOptions
from player.manifests.playback import ManifestPlayback
from player.playback import Playback, PlaybackResult
from tests.interop.streams.made import Streams

Hashes = dict[str, list[str]]
Play = Callable[..., tuple[PlaybackResult, Hashes]]


@pytest.fixture(scope="session")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Streams:
    return Streams(tmp_path_factory.mktemp("streams"))


@pytest.fixture
def play(streams: Streams) -> Play:
    """Play a manifest in a worker; the hashes of its frames by stream."""

    def played(manifest: Path | str, *, keys: dict[KeyId, ContentKey] | None = None,
               manager: ContentProtectionManager | None = None, options: ManifestOptions | None = None,
               selection: Selection | None = None) -> tuple[PlaybackResult, Hashes]:  # fmt: skip
        hashes = os.memfd_create("framemd5", os.MFD_CLOEXEC)
        try:
            result = ManifestPlayback(
                str(manifest),
                options or ManifestOptions(),
                selection or Selection(),
                manager=manager or LocalKeysManager(streams.keys if keys is None else keys),
                framemd5=hashes,
            ).run()
            return result, hashes_by_stream(hashes)
        finally:
            os.close(hashes)

    return played


@pytest.fixture(scope="session")
def clear_hashes() -> Callable[[Path], Hashes]:
    """Of the frames of a clear file, through a worker too."""
    known: dict[Path, Hashes] = {}

    def of(path: Path) -> Hashes:
        if path not in known:
            hashes = os.memfd_create("framemd5", os.MFD_CLOEXEC)
            try:
                Playback([str(path)], framemd5=hashes).run()
                known[path] = hashes_by_stream(hashes)
            finally:
                os.close(hashes)
        return known[path]

    return of
