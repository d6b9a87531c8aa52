"""Blocks: the header that SimpleBlock and Block share, and lacing (RFC 9559, section 10)."""

from __future__ import annotations

from typing import Final, NamedTuple

from drm.webm.ebml import Ebml, Element, read_size
from drm.webm.names import name_of

__all__ = ["Block", "frame_sizes", "read_block"]

_KEYFRAME, _LACING = 0x80, 0x06  # flags of a SimpleBlock; lacing is in a Block too
_XIPH, _FIXED = 0x02, 0x04  # and 0x06 is EBML's lacing
_HEADER: Final = 8 + 2 + 1 + 1  # bytes: the longest track number, time, flags, count of laced frames
_MAX_TABLE: Final = 4 << 10  # bytes of the sizes of laced frames; 255 sizes of 3 bytes are 765


class Block(NamedTuple):
    """One block by its place. Its frames lie from `start` to `end`."""

    track: int
    ticks: int  # its time, from the Cluster's
    is_key: bool  # as a SimpleBlock says it; of a Block, its group tells
    lacing: int
    start: int  # behind the header and before the sizes of laced frames
    end: int


def read_block(ebml: Ebml, element: Element) -> Block:
    """Read the header of a SimpleBlock or a Block. Raises MalformedMediaError when it is shorter than that."""
    head = ebml.peek(element.data, min(_HEADER, element.size))
    number, width = read_size(head)
    if not width or number is None or len(head) < width + 3:
        ebml.fail(f"a {name_of(element.id)} of {element.size} bytes has no whole header", element.start, element)
    ticks = int.from_bytes(head[width : width + 2], "big", signed=True)
    flags = head[width + 2]
    assert element.end is not None  # only a Segment and a Cluster may have an unknown size
    start = element.data + width + 3
    return Block(number, ticks, bool(flags & _KEYFRAME), flags & _LACING, start, element.end)


def frame_sizes(ebml: Ebml, block: Block, element: Element) -> tuple[int, list[int]]:
    """Where the first frame of a block begins, and the size of each. Raises MalformedMediaError."""
    room = block.end - block.start
    if not block.lacing:
        return block.start, [room]
    if not room:
        ebml.fail("a laced block has no count of frames", block.start, element)
    table = ebml.peek(block.start, min(room, _MAX_TABLE))
    count = table[0] + 1
    if block.lacing == _FIXED:
        if (room - 1) % count:
            ebml.fail(f"{room - 1} bytes cannot be {count} frames of one size", block.start, element)
        return block.start + 1, [(room - 1) // count] * count
    found = _xiph(table, count - 1) if block.lacing == _XIPH else _ebml(table, count - 1)
    if found is None:
        ebml.fail("the sizes of laced frames cannot be read", block.start, element, seen=f"{count} frames")
    sizes, used = found
    last = room - used - sum(sizes)
    if last < 0:
        ebml.fail(
            "the laced frames are longer than their block",
            block.start,
            element,
            seen=f"{count - 1} frames of {sum(sizes)} bytes in {room - used}",
        )
    return block.start + used, [*sizes, last]


def _xiph(table: bytes, count: int) -> tuple[list[int], int] | None:
    """Sizes as runs of 255 that end with a smaller byte."""
    sizes: list[int] = []
    at, size = 1, 0
    while len(sizes) < count:
        if at >= len(table):
            return None
        size += table[at]
        if table[at] < 255:
            sizes.append(size)
            size = 0
        at += 1
    return sizes, at


def _ebml(table: bytes, count: int) -> tuple[list[int], int] | None:
    """The first size as a variable-size integer, and then differences to the one before."""
    sizes: list[int] = []
    at = 1
    for index in range(count):
        value, width = read_size(table, at)
        if not width or value is None:
            return None
        size = sizes[-1] + value - ((1 << 7 * width - 1) - 1) if index else value
        if size < 0:
            return None
        sizes.append(size)
        at += width
    return sizes, at
