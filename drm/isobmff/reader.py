"""A reader that cannot leave its box.

Everything that parses a box goes through `Reader`: at the end of the box it raises, with the path of the box and the
absolute offset, so no box checks lengths on its own and a huge count in a tiny file fails at the first missing byte.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, NoReturn

from drm.errors import MalformedMediaError, UnsupportedMediaError

__all__ = ["MAX_DEPTH", "Reader", "printable"]

MAX_DEPTH: Final = 24  # boxes inside boxes; real files stay below 12

_U16: Final = Struct(">H")
_U32: Final = Struct(">I")
_U64: Final = Struct(">Q")
_I16: Final = Struct(">h")
_I32: Final = Struct(">i")
_I64: Final = Struct(">q")
_HEADER: Final = Struct(">I4s")
_ADVICE: Final = "the file is damaged or was cut; compare its size and hash with the original's"


@functools.lru_cache(maxsize=256)
def printable(fourcc: str) -> str:
    """A four-cc for people: as it stands when it is printable ASCII, in hex otherwise."""
    if fourcc.isascii() and fourcc.isprintable():
        return fourcc
    return "0x" + fourcc.encode("latin-1").hex()


class Reader:
    """The payload of one box (or of the file): fields are taken from the front, and never beyond its end.

    `type` is the box's four-cc (an empty string for the outermost), `uuid` its extended type, `start` the absolute
    offset of its header and `path` the boxes around it. Every method raises MalformedMediaError at the end of the box.
    """

    __slots__ = ("_at", "_base", "_depth", "_end", "_view", "path", "start", "type", "uuid")

    def __init__(self, data: bytes | memoryview, *, base: int = 0, at: int = 0, end: int | None = None) -> None:
        """Read `data` from `at` to `end`; its first byte lies at the absolute offset `base`."""
        self._view = memoryview(data)
        self._base = base
        self._at = at
        self._end = len(self._view) if end is None else end
        self._depth = 0
        self.start = base + at
        self.path = ""
        self.type = ""
        self.uuid = b""

    # --------------------------------------------------------------------------------------------- place
    @property
    def remaining(self) -> int:
        """Bytes left in the box."""
        return self._end - self._at

    @property
    def offset(self) -> int:
        """Absolute offset of the next byte."""
        return self._base + self._at

    @property
    def end(self) -> int:
        """Absolute offset behind the last byte of the box."""
        return self._base + self._end

    def fail(self, what: str, *, seen: str = "", maybe: str = "") -> NoReturn:
        """Raise MalformedMediaError that names this box and the offset."""
        where = f"{self.path or 'the file'} at byte {self.offset}"
        raise MalformedMediaError(what, where=where, seen=seen, maybe=maybe, remedy=_ADVICE)

    def _past(self, size: int) -> NoReturn:
        name = self.path.rpartition("/")[2] or "file"
        self.fail(
            f"the {name} box ends before its contents do",
            seen=f"{size} bytes are needed here, {self.remaining} are left in the box",
        )

    def copy(self) -> Reader:
        """A second reader at the same place of the same box."""
        twin = Reader.__new__(Reader)
        for name in Reader.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin

    # --------------------------------------------------------------------------------------------- fields
    def unpack(self, shape: Struct) -> tuple[Any, ...]:
        """Take one `shape`."""
        at = self._at
        if shape.size > self._end - at:
            self._past(shape.size)
        self._at = at + shape.size
        return shape.unpack_from(self._view, at)

    def u8(self) -> int:
        """Take 8 bits."""
        at = self._at
        if at >= self._end:
            self._past(1)
        self._at = at + 1
        return self._view[at]

    def u16(self) -> int:
        """Take 16 bits."""
        value: int = self.unpack(_U16)[0]
        return value

    def u24(self) -> int:
        """Take 24 bits."""
        return int.from_bytes(self.take(3), "big")

    def u32(self) -> int:
        """Take 32 bits."""
        value: int = self.unpack(_U32)[0]
        return value

    def u64(self) -> int:
        """Take 64 bits."""
        value: int = self.unpack(_U64)[0]
        return value

    def i16(self) -> int:
        """Take 16 bits, signed."""
        value: int = self.unpack(_I16)[0]
        return value

    def i32(self) -> int:
        """Take 32 bits, signed."""
        value: int = self.unpack(_I32)[0]
        return value

    def i64(self) -> int:
        """Take 64 bits, signed."""
        value: int = self.unpack(_I64)[0]
        return value

    def take(self, size: int) -> bytes:
        """Take `size` bytes."""
        at = self._at
        if size < 0 or size > self._end - at:
            self._past(size)
        self._at = at + size
        return bytes(self._view[at : at + size])

    def take_view(self, size: int) -> memoryview:
        """Take `size` bytes without a copy; the view holds the whole buffer alive."""
        at = self._at
        if size < 0 or size > self._end - at:
            self._past(size)
        self._at = at + size
        return self._view[at : at + size]

    def skip(self, size: int) -> None:
        """Pass over `size` bytes."""
        if size < 0 or size > self._end - self._at:
            self._past(size)
        self._at += size

    def rest(self) -> bytes:
        """Take all that is left."""
        return self.take(self._end - self._at)

    def fourcc(self) -> str:
        """Take a four-character code."""
        return self.take(4).decode("latin-1")

    def full_box(self) -> tuple[int, int]:
        """Take version and flags (ISO/IEC 14496-12, clause 4.2)."""
        word = self.u32()
        return word >> 24, word & 0xFFFFFF

    def known_full_box(self, newest: int) -> tuple[int, int]:
        """The same of a box whose fields change what samples mean. Raises UnsupportedMediaError beyond `newest`."""
        version, flags = self.full_box()
        if version > newest:
            raise UnsupportedMediaError(
                f"the {printable(self.type)} box is of version {version}, and versions up to {newest} are read",
                where=f"{self.path} at byte {self.start}",
                maybe="a later edition of the standard, or a damaged box",
                remedy="package the file again without it, or ask its packager for an earlier form",
            )
        return version, flags

    def expect_end(self) -> None:
        """Raise if anything is left: for boxes whose length says nothing else."""
        if self._at != self._end:
            name = self.path.rpartition("/")[2]
            self.fail(f"the {name} box is longer than its contents", seen=f"{self.remaining} bytes too many")

    # --------------------------------------------------------------------------------------------- boxes
    def boxes(self) -> Iterator[Reader]:
        """Take the boxes that follow, one by one: each comes as a reader of its payload.

        Up to seven zero bytes behind the last box are passed over, as QuickTime writes them.
        """
        if self._depth >= MAX_DEPTH:
            self.fail(f"boxes are nested more than {MAX_DEPTH} deep")
        while self._end - self._at >= 8:
            yield self.next_box()
        if any(self.copy().rest()):
            self._past(8)
        self._at = self._end

    def _inside(self, at: int, end: int) -> Reader:
        """A reader of the same bytes, from `at` to `end`."""
        return Reader(self._view, base=self._base, at=at, end=end)

    def part(self, size: int) -> Reader:
        """Take `size` bytes as a reader of their own, still named as part of this box."""
        begin = self._at
        self.skip(size)
        part = self._inside(begin, self._at)
        part.path, part.type, part.start = self.path, self.type, self.start
        return part

    def next_box(self) -> Reader:
        """Take one box: sizes 0 (to the end of what is around it), 1 (64 bit) and extended types."""
        begin = self._at
        size, raw_type = self.unpack(_HEADER)
        box_type = raw_type.decode("latin-1")
        if size == 1:
            size = self.u64()
        elif size == 0:
            size = self._end - begin
        uuid = self.take(16) if box_type == "uuid" else b""
        name = printable(box_type)
        if size < self._at - begin or begin + size > self._end:
            room, self._at = self._end - begin, begin
            self.fail(f"the {name} box has an impossible size", seen=f"it says {size} bytes where {room} are left")
        inner = self._inside(self._at, begin + size)
        inner.type, inner.uuid, inner.start = box_type, uuid, self._base + begin
        inner.path = f"{self.path}/{name}" if self.path else name
        inner._depth = self._depth + 1  # noqa: SLF001 - of the same family
        self._at = begin + size
        return inner
