"""The tables of a `stbl`, read from the file a window at a time: a film has a million samples, and no table is held.

Numbers and rows come as iterators that know nothing of one another; `drm.decrypting.fast.progressive` joins them.
Every count is checked against the size of its box before anything is read.
"""

from __future__ import annotations

import sys
from array import array
from struct import Struct

from drm.decrypting.unmark_boxes import OddLayoutError, read_exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from drm.decrypting.fast.ciphers import ManyRanges, OneRange
    from drm.decrypting.fast.movie_skeleton import Place

__all__ = ["bare_rows", "fields", "many_rows", "numbers", "one_rows", "word"]

_WINDOW = 32 << 10  # bytes
_LONGEST = 16 + 2 + 6 * 0xFFFF  # bytes of an entry
_U32 = Struct(">I")
_SUBSAMPLE = Struct(">HI")


def word(source: int, place: Place, at: int) -> int:
    """The 32-bit number `at` bytes behind the beginning of a box's payload."""
    data = bytearray(4)
    if place[0] + at + 4 > place[1]:
        raise OddLayoutError("a box is cut")
    read_exactly(source, memoryview(data), place[0] + at)
    return int(_U32.unpack(data)[0])


def fields(place: Place, skip: int, size: int) -> Place:
    """Where `size` bytes lie behind the first `skip` of a box's payload. Raises OddLayoutError: they do not."""
    begin = place[0] + skip
    if begin + size > place[1]:
        raise OddLayoutError("a table is longer than its box")
    return begin, begin + size


def _windows(source: int, place: Place, multiple: int) -> Iterator[memoryview]:
    at, end = place
    step = _WINDOW // multiple * multiple
    while at < end:
        data = memoryview(bytearray(min(step, end - at)))
        read_exactly(source, data, at)
        yield data
        at += len(data)


def numbers(source: int, place: Place, code: str = "I") -> Iterator[int]:
    """Big-endian numbers: of 32 bits ("I"), of 64 ("Q") or bytes ("B")."""
    for window in _windows(source, place, 8):
        table = array(code)
        table.frombytes(window)
        if sys.byteorder == "little":
            table.byteswap()
        yield from table


def one_rows(source: int, place: Place, iv_size: int) -> Iterator[OneRange]:
    """Entries of one subsample each."""
    shape = Struct(f">{iv_size}sHHI")
    for window in _windows(source, place, shape.size):
        yield from shape.iter_unpack(bytes(window))  # a copy: see `drm.decrypting.fast.fragment`


def bare_rows(source: int, place: Place, iv_size: int) -> Iterator[tuple[bytes]]:
    """Entries that are an IV and nothing else."""
    shape = Struct(f"{iv_size}s")
    for window in _windows(source, place, shape.size):
        yield from shape.iter_unpack(bytes(window))  # as above


def many_rows(source: int, place: Place, iv_size: int, sizes: Iterator[int] | None) -> Iterator[ManyRanges]:
    """Entries of any number of subsamples, one for each of `sizes`, which they must have; None: till the end."""
    at, end = place
    data, begin, stop = memoryview(b""), at, at
    while at < end:
        if stop - at < _LONGEST and stop < end:
            begin, stop = at, min(end, at + _LONGEST + _WINDOW)
            data = memoryview(bytearray(stop - begin))
            read_exactly(source, data, begin)
        middle = at + iv_size + 2
        count = int.from_bytes(data[middle - 2 - begin : middle - begin], "big")
        last = middle + 6 * count
        if last > end or (sizes is not None and next(sizes, 0) != last - at):
            raise OddLayoutError("an entry has another length")
        yield (
            bytes(data[at - begin : middle - 2 - begin]),
            list(_SUBSAMPLE.iter_unpack(data[middle - begin : last - begin])),
        )
        at = last
