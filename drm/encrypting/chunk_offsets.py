"""Chunk offsets of a file whose movie box grows: `stco` or `co64`, made from the old one as it is written."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

from drm.errors import MalformedMediaError
from drm.isobmff.reader import Reader
from drm.isobmff.table import Numbers, encode_table

__all__ = ["MovedChunks"]

_CODES: Final = {"stco": "I", "co64": "Q"}


class MovedChunks:
    """The offsets that the `table` of a sample table has, those from `border` on moved."""

    def __init__(self, table: Reader, border: int) -> None:
        """Nothing is moved yet. Raises MalformedMediaError."""
        width = array(_CODES[table.type]).itemsize
        table.full_box()
        self._offsets = Numbers(table.part(width * table.u32()), _CODES[table.type])
        self._border = border
        self._distance = 0
        # Where nothing lies inside moov, the last one stays the last one.
        self._last = max(map(max, self._offsets.windows()), default=0)
        self.kind = "stco"

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._offsets)

    def move(self, distance: int) -> None:
        """Let those behind the border move by `distance` bytes from where they were in the first place."""
        self._distance = distance
        self.kind = "co64" if self._moved(self._last) > 0xFFFF_FFFF else "stco"

    def _moved(self, offset: int) -> int:
        return offset + self._distance * (offset >= self._border)

    def __len__(self) -> int:
        return self.count * (8 if self.kind == "co64" else 4)

    def pieces(self) -> Iterator[bytes]:
        """The offsets as they are written."""
        distance, border = self._distance, self._border
        for window in self._offsets.windows():
            try:
                table = array(_CODES[self.kind], [each + distance * (each >= border) for each in window])
            except OverflowError:
                raise MalformedMediaError(
                    "an offset of a chunk cannot be told", seen=f"one lies at {max(window)}"
                ) from None
            yield encode_table(table)
