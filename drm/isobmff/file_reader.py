"""A reader of a box that is too long to be held: the same, over the file, of which it holds a window.

The movie box of a film has a row for each of a million samples. Whoever reads its boxes does not see whether it is in
memory; whoever takes a long table whole would, and so takes it by windows (`drm.isobmff.table`). Either process.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final

from drm.errors import TruncatedMediaError
from drm.isobmff.box import MAX_LOADED, TopBox, load_box
from drm.isobmff.reader import Reader
from drm.isobmff.table import WINDOW
from drm.media import ByteSource

__all__ = ["HELD", "FileReader", "open_box"]

HELD: Final = 1 << 20
"""Bytes of an outermost box that is read at once, and held while anybody has a reader of it."""

_TAKEN: Final = 16 << 20  # bytes that may be taken at once, of a longer box


def open_box(source: ByteSource, top: TopBox, held: int = HELD) -> Reader:
    """The outermost box at `top`, in memory when it has `held` bytes at most.

    Raises:
        MalformedMediaError: it is larger than any box that is read.
        TruncatedMediaError: the file ends in it.
    """
    if top.size <= held or top.size > MAX_LOADED:
        return load_box(source, top)
    return FileReader(_Window(source), top.start, top.end).next_box()


class FileReader(Reader):
    """Bytes `at` to `end` of a file. The file is read when something is taken, in windows that neighbours share.

    Beside what `Reader` raises: TruncatedMediaError when the file became shorter, MalformedMediaError when more than
    `_TAKEN` bytes are wanted at once.
    """

    __slots__ = ("_window",)

    def __init__(self, window: _Window, at: int, end: int) -> None:
        super().__init__(b"", at=at, end=end)
        self._window = window

    def copy(self) -> Reader:
        """A second reader at the same place of the same box."""
        twin = FileReader(self._window, self._at, self._end)
        for name in Reader.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin

    def _inside(self, at: int, end: int) -> Reader:
        return FileReader(self._window, at, end)

    def take_view(self, size: int) -> memoryview:
        """Take `size` bytes."""
        at = self._at
        self.skip(size)
        if size > _TAKEN:
            self._at = at
            self.fail(f"{size} bytes of one box in one piece, more than {_TAKEN} are not held")
        return self._window.read(at, size)

    def take(self, size: int) -> bytes:
        """Take `size` bytes."""
        return bytes(self.take_view(size))

    def unpack(self, shape: Struct) -> tuple[Any, ...]:
        """Take one `shape`."""
        return shape.unpack(self.take_view(shape.size))

    def u8(self) -> int:
        """Take 8 bits."""
        return self.take_view(1)[0]


class _Window:
    """The bytes of a file that were read last, for all readers of one box. Safe to use from several threads."""

    __slots__ = ("_held", "_source")

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._held = 0, memoryview(b"")  # where they begin, and they

    def read(self, at: int, size: int) -> memoryview:
        start, data = self._held
        begin = at - start
        if begin < 0 or begin + size > len(data):
            data, begin = memoryview(self._source.read_at(at, max(size, WINDOW))), 0
            if len(data) < size:
                raise TruncatedMediaError("the file became shorter while it was read", where=self._source.name)
            self._held = at, data
        return data[begin : begin + size]
