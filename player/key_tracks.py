"""Which key ids each track of a file has: for keys that are given for a track, or alone."""

from __future__ import annotations

from collections.abc import Sequence

from drm.app.byte_stream import FileByteStream
from drm.keys import KeyId
from player.media_file import open_media

__all__ = ["track_kids"]


def track_kids(paths: Sequence[str]) -> dict[int, tuple[KeyId, ...]]:
    """Key ids by track id; none for a track that is not encrypted. Raises MediaError as `open_media` does."""
    with FileByteStream(paths) as stream:
        media, _container = open_media(stream)
        return {each.track.track_id: each.key_ids for each in media.streams()}
