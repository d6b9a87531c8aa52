"""`moov` without its long tables: small at any length of the film, and laid out as the real one.

A box that is longer than anything but a table has reason to be is cut to its first bytes here; where it lies in the
file is kept, and so is where each part of the skeleton came from. What is patched in the skeleton, by renaming boxes,
can therefore be written to the file.
"""

from __future__ import annotations

from struct import Struct

from drm.decrypting.unmark_boxes import BoxPlace, OddLayoutError, file_boxes, read_exactly
from drm.forked_work import write_at

__all__ = ["MovieSkeleton", "Place"]

_U32 = Struct(">I")
_HOLDERS = frozenset({b"trak", b"mdia", b"minf", b"stbl"})
_WHOLE = frozenset({b"stsd", b"sgpd"})  # looked into
_SMALL = 4 << 10  # bytes of a box that is kept as it is
_KEPT = 32  # bytes of the payload of one that is cut: what tells its kind stands first
_MAX_ENTRIES = 1 << 20  # bytes of sample descriptions
_MAX_SKELETON = 4 << 20

Place = tuple[int, int]
"""Where the payload of a box begins and ends in the file."""


class MovieSkeleton:
    """The skeleton of the `moov` that lies at `top` in the file `source`. Raises OddLayoutError."""

    def __init__(self, source: int, top: BoxPlace) -> None:
        self.data = bytearray()
        self.tables: list[dict[bytes, Place]] = []  # of each track: the boxes of its `stbl`
        self._parts: list[tuple[int, int, int]] = []  # start here, start in the file, length
        self._source = source
        _, _, body, end = top
        for box in file_boxes(source, body, end):
            if box[0] == b"trak":
                self.tables.append({})
            self._add(box, (box[0],))
        self._before = bytes(self.data)

    def _add(self, top: BoxPlace, path: tuple[bytes, ...]) -> None:
        kind, start, body, end = top
        at = len(self.data)
        if path[:-1] == (b"trak", b"mdia", b"minf", b"stbl"):
            if kind in self.tables[-1] and kind not in {b"sgpd", b"sbgp", b"csgp", b"uuid", b"free"}:
                raise OddLayoutError("a table twice")
            self.tables[-1][kind] = body, end
        if kind in _HOLDERS:
            self._copy(start, body)
            for box in file_boxes(self._source, body, end):
                self._add(box, (*path, box[0]))
        elif end - start <= _SMALL or kind in _WHOLE:
            if end - start > _MAX_ENTRIES:
                raise OddLayoutError("sample descriptions of that size")
            self._copy(start, end)
        else:
            self._copy(start, body + _KEPT)
        if body - start != 8:
            raise OddLayoutError("a long size in moov")
        _U32.pack_into(self.data, at, len(self.data) - at)

    def _copy(self, start: int, end: int) -> None:
        at = len(self.data)
        self._parts.append((at, start, end - start))
        self.data += bytes(end - start)
        if len(self.data) > _MAX_SKELETON:
            raise OddLayoutError("a large moov without large tables")
        with memoryview(self.data) as view:
            read_exactly(self._source, view[at:], start)

    def write_changes(self, target: int) -> None:
        """Write what was changed in `data` since it was made to the same places of the file `target`."""
        data, before = memoryview(self.data), memoryview(self._before)
        for at, place, length in self._parts:
            if data[at : at + length] == before[at : at + length]:
                continue
            for index in range(at, at + length):
                if data[index] != before[index]:
                    write_at(target, data[index : index + 1], place + index - at)
