"""Long tables of numbers: kept as C arrays, or left where they lie and read a window at a time.

A film has a million samples, and several tables with a row for each.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Final, overload

from drm.isobmff.reader import Reader

__all__ = ["WINDOW", "Numbers", "Table", "encode_table", "read_numbers", "read_table", "signed", "spread", "windows"]

Table = array  # of type code "I", or "i" for signed numbers

WINDOW: Final = 48 << 10
"""Bytes of a table that are read, and held, at a time: whole rows, where these have 2, 4, 8, 12 or 16 bytes."""

_SHORT: Final = 16 << 10  # numbers that are held


def read_table(r: Reader, count: int) -> Table[int]:
    """Take `count` big-endian 32-bit numbers; a count that the box cannot hold fails before anything is allocated."""
    return _numbers(r.take_view(4 * count), "I")


def _numbers(data: memoryview, code: str) -> array[int]:
    table = array(code)
    table.frombytes(data)
    if sys.byteorder == "little":
        table.byteswap()
    return table


def encode_table(table: Table[int]) -> bytes:
    """The way back."""
    swapped = table[:]
    if sys.byteorder == "little":
        swapped.byteswap()
    return swapped.tobytes()


def signed(table: Table[int]) -> Table[int]:
    """The same 32 bits read as signed numbers."""
    return array("i", table.tobytes())


def windows(r: Reader) -> Iterator[memoryview]:
    """What is left in the box of `r`, `WINDOW` bytes at a time; `r` itself stays where it is."""
    r = r.copy()
    while r.remaining:
        yield r.take_view(min(WINDOW, r.remaining))


class Numbers(Sequence[int]):
    """Big-endian numbers that stay in their box: all that is left in `rows`, which stays where it is.

    `code` is one of the module `array`. Reading raises MediaError as the box's reader does.
    """

    __slots__ = ("_code", "_rows", "_width")

    def __init__(self, rows: Reader, code: str = "I") -> None:
        self._rows, self._code, self._width = rows, code, array(code).itemsize

    def __len__(self) -> int:
        return self._rows.remaining // self._width

    def windows(self) -> Iterator[array[int]]:
        """All of them, many at a time; none but the last window ends inside a row of two or three."""
        return (_numbers(data, self._code) for data in windows(self._rows))

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self.windows())

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> array[int]: ...

    def __getitem__(self, index: int | slice) -> int | array[int]:
        """One number, or some that follow one another."""
        if not isinstance(index, slice):
            return self[index : index + 1][0]
        start, stop, step = index.indices(len(self))
        if step != 1:
            raise ValueError("numbers in a file are read one behind the other")
        r = self._rows.copy()
        r.skip(start * self._width)
        return _numbers(r.take_view(max(0, stop - start) * self._width), self._code)


def read_numbers(r: Reader, count: int, code: str = "I") -> Table[int] | Numbers:
    """Take `count` big-endian numbers, and hold them where they are few."""
    numbers = Numbers(r.part(count * array(code).itemsize), code)
    return numbers if count > _SHORT else numbers[:]


def spread(runs: Table[int] | Numbers, code: str = "I") -> Iterator[int]:
    """The values of flat `runs`, each of which is a count and a value, as often as it says; `code` is the value's."""
    parts = runs.windows() if isinstance(runs, Numbers) else (runs,)
    return chain.from_iterable(
        chain.from_iterable(map(repeat, part[1::2] if code == "I" else array(code, part[1::2].tobytes()), part[0::2]))
        for part in parts
    )
