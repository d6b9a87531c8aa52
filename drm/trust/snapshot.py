"""What an application hands its worker to verify: stored metadata and archives, believed in no part.

Pure; works in both processes. One document, so that the worker verifies exactly the bytes that it then runs.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec

from drm.errors import TrustError

__all__ = ["MAX_SNAPSHOT", "StoredTrust", "TrustSnapshot", "pack_snapshot", "unpack_snapshot"]

MAX_SNAPSHOT: Final = 64 << 20  # bytes
_MAX_SOURCES: Final = 4
_MAX_FILES: Final = 1200  # of one source: roots, and seven more
_MAX_ARCHIVES: Final = 512


class StoredTrust(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One authority's word, as it is stored: `files` by the names that `drm.trust.verifier.verify_trust` takes.

    Without a `root` it is verified against the root that the worker's own package pins. With one, whatever it vouches
    for is test-signed: anybody can make a root.
    """

    files: dict[str, bytes]
    root: bytes | None = None
    refreshed: float | None = None  # when a server last confirmed it, seconds since the epoch: the application's word
    floor: bytes | None = None  # what was installed before, which this must not be older than; the application's word


class TrustSnapshot(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="trust-1"):
    """Everything at hand at one moment."""

    sources: tuple[StoredTrust, ...]
    archives: tuple[bytes, ...] = ()
    needed: tuple[UUID, ...] = ()  # class ids without which no session is wanted


_decoder = msgspec.msgpack.Decoder(TrustSnapshot)


def pack_snapshot(snapshot: TrustSnapshot) -> bytes:
    """Return the snapshot as bytes: the same for the same content."""
    return msgspec.msgpack.encode(snapshot, order="deterministic")


def unpack_snapshot(data: bytes) -> TrustSnapshot:
    """Read a snapshot from anywhere; nothing in it is verified yet. Raises TrustError."""
    if len(data) > MAX_SNAPSHOT:
        raise TrustError(f"a snapshot of components has {len(data)} bytes, more than {MAX_SNAPSHOT}")
    try:
        snapshot = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TrustError(f"this is not a snapshot of components: {error}") from None
    if not 0 < len(snapshot.sources) <= _MAX_SOURCES or len(snapshot.archives) > _MAX_ARCHIVES:
        raise TrustError(
            f"a snapshot holds {len(snapshot.sources)} sources and {len(snapshot.archives)} archives",
            seen=f"1 to {_MAX_SOURCES} and at most {_MAX_ARCHIVES} are allowed",
        )
    if any(len(source.files) > _MAX_FILES for source in snapshot.sources):
        raise TrustError(f"a source of a snapshot holds more than {_MAX_FILES} files")
    return snapshot
