"""The VP9 uncompressed header, read whole to find where it ends (VP9 bitstream specification 0.6, section 6.2)."""

from __future__ import annotations

from typing import Final

import msgspec

from drm.codecs.bits import Bits
from drm.errors import MalformedMediaError

__all__ = ["Frame", "FrameSizes", "read_frame"]

_MARKER, _SYNC, _RGB = 2, 0x498342, 7
_ALL: Final = 0xFF
_FEATURES: Final = ((8, 1), (6, 1), (2, 0), (0, 0))  # of a segment: bits of its value and of its sign
_NARROWEST, _WIDEST = 4, 64  # a tile, in superblocks

Size = tuple[int, int]
FrameSizes = list[Size | None]
"""Width and height in luma samples of the frames in the eight reference slots."""


class Frame(msgspec.Struct, frozen=True):
    """What a header says. `size` None: it only shows a frame that is there, and nothing follows."""

    size: Size | None
    refreshed: int  # a bit for each slot that the frame goes to


def read_frame(r: Bits, sizes: FrameSizes) -> Frame:
    """Take an uncompressed_header and the bits that fill its last byte; `sizes` stay as they are.

    Raises:
        MalformedMediaError: it breaks the syntax, or takes its size from a slot that is empty.
    """
    if r.u(2) != _MARKER:
        raise MalformedMediaError("a VP9 frame does not begin with its marker")
    profile = r.u(1) | r.u(1) << 1
    if profile == 3 and r.flag():
        raise MalformedMediaError("a VP9 frame of a profile that is not defined")
    if r.flag():
        r.u(3)
        r.align()
        return Frame(None, 0)
    is_key, is_shown, is_resilient = not r.flag(), r.flag(), r.flag()
    refreshed = _ALL
    if is_key:
        _sync(r)
        _colours(r, profile)
        size = r.u(16) + 1, r.u(16) + 1
        _render_size(r)
    else:
        is_intra = not is_shown and r.flag()
        if not is_resilient:
            r.u(2)
        if is_intra:
            _sync(r)
            if profile:
                _colours(r, profile)
        refreshed = r.u(8)
        if is_intra:
            size = r.u(16) + 1, r.u(16) + 1
            _render_size(r)
        else:
            size = _size_with_references(r, sizes)
            r.flag()
            if not r.flag():
                r.u(2)
    r.u(2 if is_resilient else 4)
    _filter_and_quantizer(r)
    _segments(r)
    _tiles(r, size[0])
    if not r.u(16):
        raise MalformedMediaError("a VP9 frame without a compressed header")
    r.align()
    return Frame(size, refreshed)


def _sync(r: Bits) -> None:
    if r.u(24) != _SYNC:
        raise MalformedMediaError("a VP9 key frame lacks its synchronization code")


def _colours(r: Bits, profile: int) -> None:
    """Section 6.2.2, color_config."""
    if profile >= 2:
        r.flag()
    is_rgb = r.u(3) == _RGB
    if is_rgb and not profile & 1:
        raise MalformedMediaError(f"RGB in a VP9 frame of profile {profile}, which has only 4:2:0")
    if not is_rgb:
        r.flag()
        r.u(2 * (profile & 1))
    r.u(profile & 1)


def _render_size(r: Bits) -> None:
    if r.flag():
        r.u(32)


def _size_with_references(r: Bits, sizes: FrameSizes) -> Size:
    """The references, and the frame's size, of its own or of one of them (section 6.2.5)."""
    references = []
    for _ in range(3):
        references.append(r.u(3))
        r.flag()
    for index in references:
        if r.flag():
            size = sizes[index]
            if size is None:
                raise MalformedMediaError(
                    f"a VP9 frame has the size of slot {index}, which no frame before it went to",
                    maybe="the first sample is not a sync sample, or samples are missing",
                )
            break
    else:
        size = r.u(16) + 1, r.u(16) + 1
    _render_size(r)
    return size


def _filter_and_quantizer(r: Bits) -> None:
    """Sections 6.2.8 and 6.2.9."""
    r.u(9)
    if r.flag() and r.flag():
        for _ in range(6):
            if r.flag():
                r.u(7)
    r.u(8)
    for _ in range(3):
        if r.flag():
            r.u(5)


def _segments(r: Bits) -> None:
    """Section 6.2.11."""
    if not r.flag():
        return
    if r.flag():
        _probabilities(r, 7)
        if r.flag():
            _probabilities(r, 3)
    if r.flag():
        r.flag()
        for _ in range(8):
            for bits, sign in _FEATURES:
                if r.flag():
                    r.u(bits + sign)


def _probabilities(r: Bits, count: int) -> None:
    for _ in range(count):
        if r.flag():
            r.u(8)


def _tiles(r: Bits, width: int) -> None:
    """Section 6.2.13."""
    columns = width + 63 >> 6
    least = most = 0
    while _WIDEST << least < columns:
        least += 1
    while columns >> most + 1 >= _NARROWEST:
        most += 1
    while least < most and r.flag():
        least += 1
    if r.flag():
        r.flag()
