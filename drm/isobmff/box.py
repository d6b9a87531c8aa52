"""Writing a box's header, and the outermost boxes of a file by their places."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from struct import pack
from typing import ClassVar, Final, Protocol, Self

import msgspec

from drm.errors import MalformedMediaError, TruncatedMediaError
from drm.isobmff.reader import Reader, printable
from drm.media import ByteSource

__all__ = [
    "MAX_LOADED", "Box", "MediaData", "OutsideMediaDataError", "TopBox", "encode_box", "encode_full_box", "load_box",
    "top_boxes",
]  # fmt: skip

MAX_LOADED: Final = 256 << 20  # bytes of one box (moov, moof …) that may be held in memory; mdat is never loaded


MEDIA_DATA: Final = frozenset({"mdat", "imda"})  # ISO/IEC 14496-12, clauses 8.1.1 and 9.1.4
_MAX_MEDIA_DATA: Final = 1 << 20  # such boxes of one file whose places are held


class Box(Protocol):
    """The one shape of a box: its fields, `parse` and `encode`."""

    TYPE: ClassVar[str]

    @classmethod
    def parse(cls, r: Reader) -> Self:
        """Read the fields from a reader that stands at the payload."""

    def encode(self) -> bytes:
        """Return the whole box, header included."""


def encode_box(box_type: str, *payload: bytes) -> bytes:
    """Put a header before `payload`; 64-bit sizes where they are needed."""
    size = 8 + sum(map(len, payload))
    if size > 0xFFFF_FFFF:
        return b"".join((pack(">I4sQ", 1, box_type.encode("latin-1"), size + 8), *payload))
    return b"".join((pack(">I4s", size, box_type.encode("latin-1")), *payload))


def encode_full_box(box_type: str, version: int, flags: int, *payload: bytes) -> bytes:
    """The same with version and flags (ISO/IEC 14496-12, clause 4.2)."""
    return encode_box(box_type, pack(">I", version << 24 | flags), *payload)


class TopBox(msgspec.Struct, frozen=True):
    """A box of the outermost level, by its place alone."""

    type: str
    start: int
    header: int  # bytes
    size: int  # bytes, header included

    @property
    def end(self) -> int:
        """Absolute offset behind it."""
        return self.start + self.size


def top_boxes(source: ByteSource, start: int = 0) -> Iterator[TopBox]:
    """Walk the outermost boxes from `start`, reading their headers and nothing else.

    Raises:
        TruncatedMediaError: a box says that it is longer than the file.
        MalformedMediaError: a box says that it is shorter than its own header.
    """
    size_of_file = source.size
    while start < size_of_file:
        head = source.read_at(start, 16)
        if len(head) < 8:
            if any(head):
                raise _cut(source, start, f"{len(head)} bytes are left, a box header has 8")
            return
        size, box_type, header = int.from_bytes(head[:4], "big"), head[4:8].decode("latin-1"), 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
            if len(head) < 16:
                raise _cut(source, start, f"{len(head)} bytes are left, this box header has 16")
        elif size == 0:
            size = size_of_file - start
        if size < header:
            raise MalformedMediaError(
                f"the {printable(box_type)} box has an impossible size",
                where=f"{source.name}, at byte {start}",
                seen=f"it says {size} bytes, its own header has {header}",
                maybe="the bytes here are not MP4: text, or another file that was appended",
            )
        if start + size > size_of_file:
            raise _cut(
                source, start, f"the {printable(box_type)} box says {size} bytes, {size_of_file - start} are left"
            )
        yield TopBox(box_type, start, header, size)
        start += size


class OutsideMediaDataError(MalformedMediaError):
    """Samples lie in no media data box: what stands there is no sample, and would decrypt to noise."""


class MediaData:
    """The places of a file's media data boxes, found as far as somebody asks. One thread at a time."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._tops = top_boxes(source)
        self._reached = 0  # by the walk
        self._starts, self._ends = array("Q"), array("Q")
        self._last = 0, 0

    def require(self, start: int, end: int, place: str) -> None:
        """Return when the bytes from `start` to `end` lie in one of them.

        Raises OutsideMediaDataError when not.
        """
        if start == end or (self._last[0] <= start and end <= self._last[1]):
            return
        while self._reached <= start and self._walk():
            pass
        index = bisect_right(self._starts, start) - 1
        if index >= 0 and end <= self._ends[index]:
            self._last = self._starts[index], self._ends[index]
            return
        raise OutsideMediaDataError(
            "samples lie outside the media data",
            where=place,
            seen=f"bytes {start} to {end}"
            + (f", the media data box before them ends at {self._ends[index]}" if index >= 0 else ""),
            maybe="offsets that were true of another file (base_data_offset, stco): segments were cut or joined since",
            remedy="package the file again, or join the segments with a tool that corrects offsets",
        )

    def _walk(self) -> bool:
        """Take one more outermost box; False behind the last."""
        try:
            top = next(self._tops, None)
        except TruncatedMediaError:  # it may be media data, as far as it goes: whoever reads on finds the end
            head = self._source.read_at(self._reached, 8)
            top = TopBox(head[4:].decode("latin-1"), self._reached, 8, self._source.size - self._reached)
        except MalformedMediaError:
            top = None
        if top is None:
            self._reached = self._source.size
            return False
        self._reached = top.end
        if top.type in MEDIA_DATA:
            if len(self._starts) == _MAX_MEDIA_DATA:
                raise MalformedMediaError(f"more than {_MAX_MEDIA_DATA} media data boxes", where=self._source.name)
            self._starts.append(top.start + top.header)
            self._ends.append(top.end)
        return True


def _cut(source: ByteSource, start: int, seen: str) -> TruncatedMediaError:
    return TruncatedMediaError(
        "the file ends inside a box",
        where=f"{source.name}, at byte {start} of {source.size}",
        seen=seen,
        maybe="a download or a copy that was interrupted",
        remedy="compare the file's size with the original's",
    )


def load_box(source: ByteSource, top: TopBox) -> Reader:
    """Read a whole outermost box into memory. Raises MalformedMediaError above `MAX_LOADED`."""
    if top.size > MAX_LOADED:
        raise MalformedMediaError(
            f"the {printable(top.type)} box has {top.size} bytes, more than {MAX_LOADED} are not read",
            where=f"{source.name}, at byte {top.start}",
        )
    data = source.read_at(top.start, top.size)
    if len(data) < top.size:
        raise _cut(source, top.start, f"{len(data)} of {top.size} bytes could be read")
    return Reader(data, base=top.start).next_box()
