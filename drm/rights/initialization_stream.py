"""The stream that IMFPMPHostApp::ActivateClassById takes: what each track says to one protection system.

Little-endian: the system id as a GUID; a DWORD track count, which is that of the media even when all tracks share one
record; then records of a DWORD track id (0xFFFFFFFF: all tracks that no record names), a DWORD size, and so many bytes
("Protected Media Path", Media Foundation documentation).
"""

from __future__ import annotations

import struct
from typing import Final
from uuid import UUID

import msgspec

from drm.errors import InvalidArgumentError

__all__ = ["CLEAR_KEY_SYSTEM", "REMAINING_TRACKS", "InitializationStream"]

CLEAR_KEY_SYSTEM: Final = UUID("9b0ff3ca-1378-4f28-9665-189e15302a71")
"""The system id of Media Foundation's Clear Key component."""

REMAINING_TRACKS: Final = 0xFFFF_FFFF
"""As a record's track id: all tracks that no other record names."""

_HEAD: Final = struct.Struct("<16sI")
_RECORD: Final = struct.Struct("<II")


class InitializationStream(msgspec.Struct, frozen=True):
    """Data for a protection system, by track. What is in it, the protection system alone knows."""

    system_id: UUID
    track_count: int
    records: tuple[tuple[int, bytes], ...]  # track id and data

    @classmethod
    def parse(cls, data: bytes) -> InitializationStream:
        """Read the whole of `data`, which is not trusted. Raises InvalidArgumentError (E_INVALIDARG)."""
        if len(data) < _HEAD.size:
            raise InvalidArgumentError(f"an initialization stream has at least {_HEAD.size} bytes, not {len(data)}")
        system_id, count = _HEAD.unpack_from(data)
        if count == 0:
            raise InvalidArgumentError("an initialization stream is about at least one track")
        records: list[tuple[int, bytes]] = []
        at = _HEAD.size
        while at < len(data):
            if len(data) - at < _RECORD.size:
                raise InvalidArgumentError(f"an initialization stream ends inside a record, at byte {at}")
            track_id, size = _RECORD.unpack_from(data, at)
            at += _RECORD.size
            if len(data) - at < size:
                raise InvalidArgumentError(
                    f"the record of track {track_id} has {size} bytes, and {len(data) - at} are left"
                )
            if track_id in {known for known, _ in records}:
                raise InvalidArgumentError(f"an initialization stream has two records of track {track_id}")
            if len(records) == count:
                raise InvalidArgumentError(f"an initialization stream of {count} tracks has more records than that")
            records.append((track_id, data[at : at + size]))
            at += size
        return cls(UUID(bytes_le=system_id), count, tuple(records))

    def encode(self) -> bytes:
        """Return it as it is stored."""
        parts = [_HEAD.pack(self.system_id.bytes_le, self.track_count)]
        for track_id, data in self.records:
            parts += [_RECORD.pack(track_id, len(data)), data]
        return b"".join(parts)

    def data_of(self, track_id: int) -> bytes | None:
        """What a track says: its own record, or that of all remaining tracks; None: nothing."""
        by_track = dict(self.records)
        return by_track.get(track_id, by_track.get(REMAINING_TRACKS))
