"""Opens a file for the developer's verbs, whichever container it is, as one shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from drm.app.byte_stream import FileByteStream
from drm.app.media_urls import NETWORK_SCHEMES, scheme_of
from drm.component import ByteStream
from drm.errors import InvalidArgumentError
from drm.isobmff.pssh import Pssh
from drm.isobmff.samples import open_presentation
from drm.media import Sample, StreamDescriptor, TrackInfo
from drm.webm.container import begins_as_ebml
from drm.webm.presentation import open_webm

__all__ = ["MediaFile", "ReadableStream", "is_url", "open_media", "open_stream", "shown_name"]


class MediaFile(Protocol):
    """What the presentations of `drm.isobmff.samples` and `drm.webm.presentation` have in common."""

    @property
    def tracks(self) -> tuple[TrackInfo, ...]:
        """Every track, in the order of the file."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd and was read all the same. Grows while samples are read."""

    @property
    def pssh(self) -> tuple[Pssh, ...]:
        """The `pssh` boxes; WebM has none."""

    def streams(self) -> tuple[StreamDescriptor, ...]:
        """Every track with its key ids."""

    def scheme_type(self, track_id: int) -> str:
        """The scheme as the file spells it; empty for a track that is not encrypted."""

    def sample_entries(self, track_id: int) -> tuple[str, ...]:
        """What the file calls the form of the track's samples."""

    def samples(self, track_id: int) -> Iterator[Sample]:
        """The samples of one track in decode order, read as they are asked for."""


def open_media(stream: FileByteStream) -> tuple[MediaFile, str]:
    """Open the media in `stream`; return it and its container's name for people.

    Raises:
        MediaError: it is neither MP4 nor WebM (named, with the next step), or its head is broken.
    """
    if begins_as_ebml(stream):
        webm = open_webm(stream)
        return webm, webm.container
    mp4 = open_presentation(stream)
    return mp4, "fragmented MP4" if mp4.is_fragmented else "progressive MP4"


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
    from drm.app.http.post import shown_url  # noqa: PLC0415 - loads what talks HTTP, for those who need it

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
