"""Long tables of 32-bit numbers: kept as C arrays, because a film has a million samples."""

from __future__ import annotations

import sys
from array import array

from drm.isobmff.reader import Reader

__all__ = ["Table", "encode_table", "read_table", "signed"]

Table = array  # of type code "I", or "i" for signed numbers


def read_table(r: Reader, count: int) -> Table[int]:
    """Take `count` big-endian 32-bit numbers; a count that the box cannot hold fails before anything is allocated."""
    table = array("I")
    table.frombytes(r.take_view(4 * count))
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
