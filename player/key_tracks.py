"""Which key ids each track of a file has: for keys that are given for a track, or alone."""

from __future__ import annotations

from collections.abc import Sequence

from drm.app.byte_stream import FileByteStream
from drm.container import open_container
from drm.keys import KeyId

__all__ = ["track_kids"]


def track_kids(paths: Sequence[str]) -> dict[int, tuple[KeyId, ...]]:
    """Key ids by track id; none for a track that is not encrypted. Raises MediaError as `open_container` does."""
    with FileByteStream(paths) as stream:
        return {each.track.track_id: each.key_ids for each in open_container(stream).streams()}
