"""Reads what was written before it counts as written, with the reader that plays it.

The writer and the reader walk boxes each in its own way. Where a damaged file makes them disagree, samples would stay
clear in a file that is called encrypted, or be encrypted where nobody finds out how.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from drm.encrypting.protected_track import ProtectedTrack
from drm.errors import MediaError, UnsupportedMediaError
from drm.isobmff.samples import open_presentation

__all__ = ["require_read_back"]


class _Draft:
    """The file behind a descriptor, as a `drm.media.ByteSource`."""

    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor

    def read_at(self, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, offset) if offset < self.size else b""


def require_read_back(descriptor: int, name: str, tracks: Iterable[ProtectedTrack]) -> None:
    """Return when every sample that was to be encrypted is found in the file, under encryption.

    Raises UnsupportedMediaError: the reader finds other samples, or none; `name` is the clear file's.
    """
    written = open_presentation(_Draft(descriptor, name))
    for track in tracks:
        track_id = track.track.info.track_id
        samples, encrypted, seen = 0, 0, ""
        try:
            for sample in written.samples(track_id):
                samples += 1
                if sample.crypto is not None:
                    encrypted += track.has_encrypted_byte(sample.size, sample.crypto.subsamples)
        except MediaError as error:
            seen = error.what
        if seen or (samples, encrypted) != (track.samples, track.protected):
            raise UnsupportedMediaError(
                f"track {track_id} would not be read as it was encrypted: {track.protected} of {track.samples} samples",
                where=name,
                seen=seen or f"{encrypted} of {samples} samples",
                maybe="a file that breaks the format: boxes in unusual places, or twice",
                remedy="write the file anew, and encrypt that: ffmpeg -i IN -c copy OUT.mp4",
            )
