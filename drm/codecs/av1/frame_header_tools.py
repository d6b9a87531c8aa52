"""The later half of an AV1 frame header: tiles, quantizer, segments, filters, motion, grain (section 5.9).

Of each structure only what the rest of the header, or finding the tiles, depends on is kept.
"""

from __future__ import annotations

from typing import Final

import msgspec

from drm.codecs.av1.references import NO_FEATURES
from drm.codecs.av1.sequence_header import SequenceHeader
from drm.codecs.bits import Bits
from drm.errors import MalformedMediaError

__all__ = ["Quantizer", "Tiles", "read_quantizer", "read_segments", "read_tiles", "skip_film_grain", "skip_filters",
           "skip_global_motion"]  # fmt: skip

_FEATURES: Final = ((8, True), (6, True), (6, True), (6, True), (6, True), (3, False), (0, False), (0, False))
_MOST_TILES_ACROSS: Final = 64
_WIDEST_TILE, _LARGEST_TILE = 4096, 4096 * 2304  # luma samples
_MOST_LUMA_POINTS, _MOST_CHROMA_POINTS = 14, 10


class Tiles(msgspec.Struct, frozen=True):
    """How a frame is cut into tiles."""

    count: int
    index_bits: int  # of a tile's number in a tile group: TileColsLog2 + TileRowsLog2
    size_bytes: int  # of a tile's size; 0: there is one tile only


class Quantizer(msgspec.Struct, frozen=True):
    """What tells whether a frame is lossless."""

    base: int
    is_plain: bool  # no plane adds to it


def read_tiles(r: Bits, sequence: SequenceHeader, width: int, height: int) -> Tiles:
    """Section 5.9.15, tile_info; the frame's size in luma samples."""
    shift = 5 if sequence.big_superblocks else 4  # of a superblock's size, in units of four samples
    columns, rows = (-(-2 * ((size + 7) >> 3) >> shift) for size in (width, height))
    widest, largest = _WIDEST_TILE >> shift + 2, _LARGEST_TILE >> 2 * (shift + 2)
    least_columns = _log2(widest, columns)
    least = max(least_columns, _log2(largest, rows * columns))
    if r.flag():
        column_bits = _counted(r, least_columns, _log2(1, min(columns, _MOST_TILES_ACROSS)))
        across = -(-columns // -(-columns >> column_bits))
        row_bits = _counted(r, max(least - column_bits, 0), _log2(1, min(rows, _MOST_TILES_ACROSS)))
        down = -(-rows // -(-rows >> row_bits))
    else:
        across, broadest = _told(r, columns, widest)
        column_bits = _log2(1, across)
        area = rows * columns >> (least + 1 if least else 0)
        down, _ = _told(r, rows, max(area // broadest, 1))
        row_bits = _log2(1, down)
    if not column_bits + row_bits:
        return Tiles(across * down, 0, 0)
    r.skip(column_bits + row_bits)
    return Tiles(across * down, column_bits + row_bits, r.u(2) + 1)


def _counted(r: Bits, least: int, most: int) -> int:
    while least < most and r.flag():
        least += 1
    return least


def _told(r: Bits, total: int, most: int) -> tuple[int, int]:
    """How many tiles there are one after another, each telling its size, and how large the largest is."""
    count = done = largest = 0
    while done < total:
        size = _non_symmetric(r, min(total - done, most)) + 1
        largest = max(largest, size)
        done += size
        count += 1
        if count > _MOST_TILES_ACROSS:
            raise MalformedMediaError(f"an AV1 frame of more than {_MOST_TILES_ACROSS} tiles in a row or column")
    return count, largest


def read_quantizer(r: Bits, sequence: SequenceHeader) -> Quantizer:
    """Section 5.9.12, quantization_params."""
    base = r.u(8)
    deltas = [_delta(r)]
    if not sequence.mono:
        differs = sequence.separate_uv_delta and r.flag()
        deltas += [_delta(r) for _ in range(4 if differs else 2)]
    if r.flag():
        r.u(8)
        if sequence.separate_uv_delta:
            r.u(4)
    return Quantizer(base, not any(deltas))


def _delta(r: Bits) -> int:
    return r.u(7) if r.flag() else 0  # zero or not is all that is asked


def read_segments(r: Bits, before: tuple[int, ...] | None) -> tuple[bool, tuple[int, ...]]:
    """Section 5.9.14: whether there are segments, and what each adds to the quantizer index.

    `before` is that of the primary reference frame; None: there is none.
    """
    if not r.flag():
        return False, NO_FEATURES
    if before is not None:
        if r.flag():
            r.flag()
        if not r.flag():
            return True, before
    added = []
    for _ in range(8):
        value = 0
        for number, (width, is_signed) in enumerate(_FEATURES):
            if r.flag():
                read = r.u(width + is_signed)
                if number == 0:
                    value = read - (read >> width << width + 1)
        added.append(value)
    return True, tuple(added)


def skip_filters(r: Bits, sequence: SequenceHeader, *, is_coded_lossless: bool, is_lossless: bool) -> None:
    """Sections 5.9.11, 5.9.19 and 5.9.20: loop filter, CDEF, loop restoration. Not for frames with intra block copy."""
    planes = 1 if sequence.mono else 3
    if not is_coded_lossless:
        if r.u(12) and planes > 1:
            r.u(12)
        r.u(3)
        if r.flag() and r.flag():
            for _ in range(10):
                if r.flag():
                    r.u(7)
        if sequence.cdef:
            r.u(2)
            r.skip((6 if planes == 1 else 12) << r.u(2))
    if sequence.restoration and not is_lossless:
        kinds = [r.u(2) for _ in range(planes)]
        if any(kinds):
            if r.flag() and not sequence.big_superblocks:
                r.flag()
            if sequence.subsampling == (1, 1) and any(kinds[1:]):
                r.flag()


def skip_global_motion(r: Bits, *, is_precise: bool) -> None:
    """Section 5.9.24, of a frame that is not intra. No length depends on the parameters of frames before."""
    for _ in range(7):
        if not r.flag():
            continue
        is_zoom = r.flag()
        is_translation = not is_zoom and r.flag()
        if not is_translation:
            for _ in range(2 if is_zoom else 4):
                _skip_parameter(r, 12)
        for _ in range(2):
            _skip_parameter(r, 8 + is_precise if is_translation else 12)


def _skip_parameter(r: Bits, width: int) -> None:
    """decode_subexp (section 5.9.27) of the symbols from -2^width to 2^width."""
    symbols = (2 << width) + 1
    passed = step = 0
    while True:
        bits = step + 2 if step else 3
        if symbols <= passed + (3 << bits):
            _non_symmetric(r, symbols - passed)
            return
        if not r.flag():
            r.skip(bits)
            return
        step += 1
        passed += 1 << bits


def skip_film_grain(r: Bits, sequence: SequenceHeader, *, is_inter: bool) -> None:
    """Section 5.9.30, of a frame that is shown or may be."""
    if not r.flag():
        return
    r.u(16)
    if is_inter and not r.flag():
        r.u(3)
        return
    luma = _skip_points(r, _MOST_LUMA_POINTS)
    from_luma = not sequence.mono and r.flag()
    blue = red = 0
    if not (sequence.mono or from_luma or (sequence.subsampling == (1, 1) and not luma)):
        blue, red = _skip_points(r, _MOST_CHROMA_POINTS), _skip_points(r, _MOST_CHROMA_POINTS)
    r.u(2)
    lag = r.u(2)
    coefficients = 2 * lag * (lag + 1)
    if luma:
        r.skip(8 * coefficients)
        coefficients += 1
    r.skip(8 * coefficients * (bool(from_luma or blue) + bool(from_luma or red)))
    r.u(4)
    r.skip(25 * (bool(blue) + bool(red)))
    r.u(2)


def _skip_points(r: Bits, most: int) -> int:
    count = r.u(4)
    if count > most:
        raise MalformedMediaError(f"AV1 film grain of {count} points; {most} are allowed")
    r.skip(16 * count)
    return count


def _non_symmetric(r: Bits, count: int) -> int:
    """ns(n), section 4.10.7."""
    width = count.bit_length()
    short = (1 << width) - count
    value = r.u(width - 1)
    return value if value < short else (value << 1) - short + r.u(1)


def _log2(block: int, target: int) -> int:
    """tile_log2 (section 5.9.16): the smallest k with block << k >= target."""
    k = 0
    while block << k < target:
        k += 1
    return k
