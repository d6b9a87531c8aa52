"""The outermost boxes of a file by its descriptor, for the ways that must start fast."""

from __future__ import annotations

import os
from struct import Struct

from drm.decrypting.unmark_boxes import OddLayoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FileBox", "file_boxes", "read_exactly"]

_HEAD = Struct(">I4s")

FileBox = tuple[bytes, int, int, int]  # type, start, start of the payload, end: a box by its place in the file


def read_exactly(source: int, into: memoryview, offset: int) -> None:
    """Fill `into` from `offset`. Raises OddLayoutError."""
    try:
        count = os.preadv(source, [into], offset)
    except OSError:
        count = 0
    if count != len(into):
        raise OddLayoutError("the file cannot be read to its end")


def file_boxes(source: int, at: int, end: int) -> Iterator[FileBox]:
    """Each box from `at` to `end` of the file, where nothing else may be. Raises OddLayoutError."""
    while end - at >= 8:
        head = bytearray(min(16, end - at))
        read_exactly(source, memoryview(head), at)
        length, kind = _HEAD.unpack_from(head)
        body = at + 8
        if length == 1 and len(head) == 16:
            length, body = int.from_bytes(head[8:], "big"), at + 16
        if length < body - at or length > end - at:  # also 0, "to the end of the file": rare
            raise OddLayoutError("a box does not fit")
        yield kind, at, body, at + length
        at += length
    if at != end:
        raise OddLayoutError("bytes behind the last box")
