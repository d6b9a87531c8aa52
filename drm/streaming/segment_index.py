"""The segments that a `sidx` names (ISO/IEC 14496-12, 8.16.3), as DASH's on-demand profile has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.reader import Reader
from drm.streaming.presentation import Piece, Segment
from drm.streaming.segment_plans import ListedPlan, bounded

__all__ = ["MAX_INDEX", "IndexedMedia"]

MAX_INDEX: Final = 1 << 20
"""Bytes of an index that are read."""
_DEEPEST: Final = 4  # indices that an index may lead to, one inside another
_SIDX: Final = "sidx"


@dataclass(frozen=True, slots=True)
class IndexedMedia:
    """A resource whose index has to be read before its segments are known."""

    index: Piece
    initialization: Piece | None
    where: str  # of its description in the manifest, for people
    offset: Fraction = Fraction(0)  # presentationTimeOffset in seconds

    def plan(self, data: bytes) -> ListedPlan:
        """The segments; `data` are the bytes of `index`.

        Raises:
            MalformedMediaError: these are no index, or it breaks the format.
            UnsupportedMediaError: it leads to an index elsewhere, or has more segments than are looked at.
        """
        rows = list(_rows(data, 0, _DEEPEST, self.where))
        bounded(len(rows), self.where)
        segments: list[Segment] = []
        for offset, size, start, duration in rows:
            media = Piece(self.index.uris, self.index.start + offset, size)
            segments.append(Segment(len(segments), start - self.offset, duration, self.initialization, media))
        return ListedPlan(tuple(segments))


def _rows(data: bytes, at: int, depth: int, where: str) -> Iterator[tuple[int, int, Fraction, Fraction]]:
    """Offset in `data`'s own count, size, start and duration in seconds of each segment."""
    box = next((each for each in Reader(data[at:]).boxes() if each.type == _SIDX), None)
    if box is None:
        raise MalformedMediaError(
            "indexRange holds no segment index", where=where, seen=f"it begins with {data[at : at + 8].hex(' ')}"
        )
    version, _flags = box.full_box()
    box.u32()
    timescale = box.u32()
    if not timescale:
        raise MalformedMediaError("a segment index with a timescale of 0", where=where)
    time, first = (box.u64(), box.u64()) if version else (box.u32(), box.u32())
    box.u16()
    offset = at + box.end + first  # offsets count from behind the box
    for _ in range(box.u16()):
        reference, duration = box.u32(), box.u32()
        box.u32()
        size = reference & 0x7FFF_FFFF
        if reference >> 31:
            if not depth or offset >= len(data):
                raise UnsupportedMediaError("a segment index that leads to another one elsewhere", where=where)
            yield from _rows(data, offset, depth - 1, where)
        else:
            yield offset, size, Fraction(time, timescale), Fraction(duration, timescale)
        offset += size
        time += duration
