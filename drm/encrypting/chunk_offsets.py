"""Chunk offsets of a file whose movie box grows: `stco` or `co64`, made from the old one as it is written."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from typing import Final

from drm.encrypting.long_payload import FilePart, LongPayload
from drm.errors import MalformedMediaError

__all__ = ["MovedChunks"]

_CODES: Final = {"stco": "I", "co64": "Q"}


class MovedChunks:
    """The offsets of `table`, those from `border` on moved."""

    def __init__(self, table: LongPayload | None, border: int) -> None:
        """Nothing is moved yet. Raises MalformedMediaError."""
        if not isinstance(table, FilePart):
            raise MalformedMediaError("offsets of chunks that were changed already")
        self.count = table.word(4)
        self._table, self._border = table, border
        self._distance = 0
        # Where nothing lies inside moov, the last one stays the last one.
        self._last = max(map(max, self._read()), default=0)
        self.kind = "stco"

    def _read(self) -> Iterator[array[int]]:
        return self._table.tables(8, self.count, _CODES[self._table.kind])

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
        for window in self._read():
            try:
                table = array(_CODES[self.kind], [each + distance * (each >= border) for each in window])
            except OverflowError:
                raise MalformedMediaError(
                    "an offset of a chunk cannot be told", seen=f"one lies at {max(window)}"
                ) from None
            if sys.byteorder == "little":
                table.byteswap()
            yield table.tobytes()
