"""A new `sidx` for a fragmented file that has none (ISO/IEC 14496-12, 8.16.3).

FFmpeg up to 5.1 reads all fragments of a file without one when it opens it, and then decrypts every sample by what the
last fragment says. With an index that reaches the end of the file it goes from fragment to fragment.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from struct import pack
from typing import Final

from drm.isobmff.box import encode_box, encode_full_box

__all__ = ["MOST", "FreshIndex"]

MOST: Final = 0xFFFF
"""Fragments that one index can tell of."""

_LARGEST: Final = 0x7FFF_FFFF  # bytes of one fragment
_BEGINS_WITH_SYNC: Final = 0x9000_0000  # starts_with_SAP, of type 1


class FreshIndex:
    """Keeps its place in the file, and is written there when all fragments are."""

    def __init__(self, track_id: int, timescale: int, fragments: int) -> None:
        self.track_id = track_id
        self._head = pack(">II", track_id, timescale)
        self._count = fragments
        self._rows: list[tuple[int | None, int, bool]] = []  # earliest time, duration, begins with a sync sample

    @property
    def size(self) -> int:
        """Bytes of the box."""
        return 40 + 12 * self._count

    def note(self, earliest: int | None, duration: int, *, is_sync: bool) -> None:
        """The next fragment: when its samples of the track are shown first, if it has any, and for how long."""
        self._rows.append((earliest, duration, is_sync))

    def encode(self, offsets: Sequence[int], end: int) -> bytes:
        """The box: fragments begin at `offsets` of the encrypted file, the last one ends at `end`.

        If it cannot say what there is, it is a `free` of the same size.
        """
        sizes = [behind - start for start, behind in pairwise((*offsets, end))]
        fits = all(0 < size <= _LARGEST for size in sizes) and all(row[1] <= 0xFFFF_FFFF for row in self._rows)
        if len(self._rows) != self._count or not fits:
            return encode_box("free", bytes(self.size - 8))
        rows = [
            pack(">III", size, duration, _BEGINS_WITH_SYNC * is_sync)
            for size, (_, duration, is_sync) in zip(sizes, self._rows, strict=True)
        ]
        earliest = max(next((row[0] for row in self._rows if row[0] is not None), 0), 0)
        return encode_full_box("sidx", 1, 0, self._head, pack(">QQHH", earliest, 0, 0, self._count), *rows)
