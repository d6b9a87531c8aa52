"""Boxes by their places alone, read through one window over the file: no box is in memory that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drm.errors import MalformedMediaError
from drm.isobmff.reader import MAX_DEPTH, Reader, printable
from drm.media import ByteSource

__all__ = ["BoxSpan", "Window", "load", "spans"]

MAX_LOADED: Final = 64 << 20  # bytes of one box
MAX_BOXES: Final = 100_000  # side by side
_WINDOW: Final = 64 << 10  # bytes


class Window:
    """The source, with what stands behind each read kept for the next."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._data, self._at = b"", 0
        self.name = source.name
        self.size = source.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end of the file."""
        begin = offset - self._at
        if begin < 0 or begin + size > len(self._data):
            self._data, self._at = self._source.read_at(offset, max(size, _WINDOW)), offset
            begin = 0
        return self._data[begin : begin + size]


@dataclass(frozen=True, slots=True)
class BoxSpan:
    """Where one box lies: offsets are absolute."""

    type: str
    uuid: bytes
    start: int
    payload: int
    end: int
    path: str


def spans(window: Window, start: int, end: int, path: str = "") -> Iterator[BoxSpan]:
    """The boxes from `start` to `end`, one behind the other; up to seven zero bytes behind the last are passed over.

    Raises:
        MalformedMediaError: an impossible size, or more boxes, or deeper ones, than a file has.
    """
    at, count = start, 0
    while end - at >= 8:
        count += 1
        if count > MAX_BOXES or path.count("/") >= MAX_DEPTH:
            raise MalformedMediaError(
                f"more than {MAX_BOXES} boxes side by side, or {MAX_DEPTH} inside one another",
                where=f"{path or window.name} at byte {at}",
            )
        head = window.read_at(at, min(32, end - at))
        size, kind, payload = int.from_bytes(head[:4], "big"), head[4:8].decode("latin-1"), 8
        if size == 1:
            size, payload = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            size = end - at
        uuid = head[payload : payload + 16] if kind == "uuid" else b""
        payload += len(uuid)
        inner = f"{path}/{printable(kind)}" if path else printable(kind)
        if len(head) < 8 or size < payload or size > end - at:
            raise MalformedMediaError(
                f"the {printable(kind)} box has an impossible size",
                where=f"{inner} at byte {at}",
                seen=f"it says {size} bytes where {end - at} are left",
            )
        yield BoxSpan(kind, uuid, at, at + payload, at + size, inner)
        at += size
    if any(window.read_at(at, end - at)):
        raise MalformedMediaError("bytes behind the last box are none", where=f"{path or window.name} at byte {at}")


def load(window: Window, span: BoxSpan) -> Reader:
    """A reader of the box's contents. Raises MalformedMediaError above `MAX_LOADED`."""
    if span.end - span.payload > MAX_LOADED:
        raise MalformedMediaError(f"more than {MAX_LOADED} bytes in a box", where=f"{span.path} at byte {span.start}")
    reader = Reader(window.read_at(span.payload, span.end - span.payload), base=span.payload)
    reader.type, reader.uuid, reader.path, reader.start = span.type, span.uuid, span.path, span.start
    return reader
