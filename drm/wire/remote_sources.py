"""What is said about media sources that live in the worker (remote source mode), and about the bytes they read.

The worker opens nothing. A byte stream reaches it as read-only descriptors of files, or it is *served*: the worker asks
for parts of it, and the application puts each into a slot of shared memory (the window) and says so.
"""

from __future__ import annotations

from typing import Final

from drm.errors import ErrorRecord
from drm.media import StreamDescriptor
from drm.wire.specs import Spec

__all__ = [
    "MAX_FILES",
    "MAX_OUTSTANDING",
    "MAX_SOURCES",
    "MAX_STREAM",
    "SLOT",
    "SLOTS",
    "WINDOW",
    "ByteStreamClosed",
    "ByteStreamSpec",
    "BytesRead",
    "CancelCreation",
    "CreateSource",
    "ReadBytes",
    "ReleaseRemoteSource",
    "SourceCreated",
    "SourceNotCreated",
]

SLOT: Final = 256 << 10  # bytes of one request at most
SLOTS: Final = 16
WINDOW: Final = SLOT * SLOTS  # bytes of shared memory for one byte stream
MAX_OUTSTANDING: Final = 4  # requests of one byte stream that wait for their bytes
MAX_FILES: Final = 16  # descriptors of one byte stream
MAX_SOURCES: Final = 64  # of one session at a time
MAX_STREAM: Final = 1 << 60  # bytes


class ByteStreamSpec(Spec, frozen=True):
    """A byte stream as the worker gets it. `files` are the sizes of the files whose descriptors come beside.

    Without files it is served: the one descriptor beside is its window.
    """

    stream: int  # the application's to choose, rising
    name: str
    size: int  # bytes
    files: tuple[int, ...] = ()
    uses_network: bool = False


class CreateSource(Spec, frozen=True, tag="create-source"):
    """IMFSourceResolver::BeginCreateObjectFromByteStream. `cookie` names the creation; it rises."""

    session: int
    cookie: int
    resolver: int  # object id
    stream: ByteStreamSpec


class CancelCreation(Spec, frozen=True, tag="cancel-creation"):
    """IMFSourceResolver::CancelObjectCreation."""

    session: int
    cookie: int


class ReleaseRemoteSource(Spec, frozen=True, tag="release-remote-source"):
    """The application needs the media source no more (IMFMediaSource::Shutdown)."""

    session: int
    source: int


class BytesRead(Spec, frozen=True, tag="bytes-read"):
    """The answer to `ReadBytes`: all that was asked for is in its slot, or the reason why not."""

    session: int
    stream: int
    request: int
    error: ErrorRecord | None = None


class SourceCreated(Spec, frozen=True, tag="source-created"):
    """The media source is there, and these are its streams."""

    session: int
    cookie: int
    source: int  # object id
    streams: tuple[StreamDescriptor, ...]
    characteristics: int
    duration: int  # units of 100 ns; 0: not known
    warnings: tuple[str, ...] = ()


class SourceNotCreated(Spec, frozen=True, tag="source-not-created"):
    """There is no media source in these bytes, or the creation was cancelled."""

    session: int
    cookie: int
    error: ErrorRecord


class ReadBytes(Spec, frozen=True, tag="read-bytes"):
    """Put `size` bytes from `offset` of the byte stream into slot `slot` of its window."""

    session: int
    stream: int
    request: int
    offset: int
    size: int
    slot: int


class ByteStreamClosed(Spec, frozen=True, tag="byte-stream-closed"):
    """The worker reads nothing more of this byte stream."""

    session: int
    stream: int
