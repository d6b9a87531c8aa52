"""Opens what a verb is given to read: files one behind the other, or a URL."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Protocol

from drm.app.byte_stream import FileByteStream
from drm.app.media_urls import NETWORK_SCHEMES, scheme_of
from drm.component import ByteStream
from drm.errors import InvalidArgumentError
from drm.keys import KeyId

__all__ = ["ReadableStream", "is_url", "open_stream", "shown_name", "track_kids"]


class ReadableStream(ByteStream, Protocol):
    """A byte stream that is open."""

    def close(self) -> None:
        """Give it back. Idempotent."""


def is_url(text: str) -> bool:
    """Whether it is read over the network. Raises UnsupportedSchemeError for a URL that nothing here opens."""
    return scheme_of(text) in NETWORK_SCHEMES


def shown_name(paths: Sequence[str]) -> str:
    """The first of them as it may be shown: a URL's query can hold a token."""
    if not is_url(paths[0]):
        return paths[0]
    from drm.app.http.urls import shown_url  # noqa: PLC0415 - loads what talks HTTP, for those who need it

    return shown_url(paths[0])


def open_stream(paths: Sequence[str]) -> ReadableStream:
    """Open a URL, or files that are read one behind the other.

    Raises:
        InvalidArgumentError: one that is missing or may not be read, or a URL among several.
        MediaUnreachableError: the server does not give the file.
    """
    if not any(is_url(each) for each in paths):
        return FileByteStream(paths)
    if len(paths) > 1:
        raise InvalidArgumentError(
            "a URL is played alone", seen=f"{len(paths)} files", remedy="download the segments, or give one whole file"
        )
    from drm.app.http.byte_stream import HttpByteStream  # noqa: PLC0415 - as above

    stream = HttpByteStream(paths[0])
    stream.open()
    return stream


def track_kids(paths: Sequence[str]) -> dict[int, tuple[KeyId, ...]]:
    """Key ids by track id; none for a track that is not encrypted. Raises MediaError as `open_container` does."""
    from drm.container import open_container  # noqa: PLC0415 - reads media, for those who need it

    with closing(open_stream(paths)) as stream:
        return {each.track.track_id: each.key_ids for each in open_container(stream).streams()}
