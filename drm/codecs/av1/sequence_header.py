"""The AV1 sequence header: what frame headers depend on (AV1 bitstream specification, section 5.5)."""

from __future__ import annotations

from typing import Final

import msgspec

from drm.codecs.bits import Bits

__all__ = ["SELECT", "OperatingPoint", "SequenceHeader", "Timing", "Tools"]

SELECT: Final = 2
"""Of seq_force_screen_content_tools and seq_force_integer_mv: each frame says for itself."""

_SRGB: Final = (1, 13, 0)  # BT.709 primaries, sRGB transfer, identity matrix
_UNSPECIFIED: Final = (2, 2, 2)


class OperatingPoint(msgspec.Struct, frozen=True):
    """Of one operating point, what its frames' timing depends on."""

    idc: int  # which layers it has; 0: all
    has_model: bool


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Timing, decoder model and operating points. Lengths are in bits."""

    removal_length: int = 0
    presentation_length: int = 0  # 0: frames do not tell their time
    has_model: bool = False
    points: tuple[OperatingPoint, ...] = ()


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """Coding tools; the defaults are those of a reduced still picture."""

    warped_motion: bool = False
    reference_motion: bool = False
    screen_content: int = SELECT
    integer_motion: int = SELECT
    order_hint_bits: int = 0  # 0: no order hints


class SequenceHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Of a sequence header OBU. Lengths are in bits."""

    reduced_still: bool
    timing: Timing
    width_length: int
    height_length: int
    width: int  # of the largest frame
    height: int
    frame_id_length: int  # 0: frames have no ids
    frame_id_delta_length: int
    big_superblocks: bool  # 128 x 128
    tools: Tools
    superres: bool
    cdef: bool
    restoration: bool
    mono: bool
    subsampling: tuple[int, int]
    separate_uv_delta: bool
    film_grain: bool

    @classmethod
    def parse(cls, r: Bits) -> SequenceHeader:
        """Read the payload of an OBU of type 1. Raises MalformedMediaError."""
        profile = r.u(3)
        r.flag()
        reduced = r.flag()
        timing = Timing()
        if reduced:
            r.u(5)
        else:
            timing = _timing(r)
        width_length, height_length = r.u(4) + 1, r.u(4) + 1
        width, height = r.u(width_length) + 1, r.u(height_length) + 1
        id_length = id_delta = 0
        if not reduced and r.flag():
            id_delta = r.u(4) + 2
            id_length = r.u(3) + id_delta + 1
        big = r.flag()
        r.u(2)
        tools = Tools() if reduced else _tools(r)
        superres, cdef, restoration = r.flag(), r.flag(), r.flag()
        mono, subsampling, separate = _colours(r, profile)
        return cls(
            reduced_still=reduced, timing=timing, width_length=width_length, height_length=height_length,
            width=width, height=height, frame_id_length=id_length, frame_id_delta_length=id_delta,
            big_superblocks=big, tools=tools, superres=superres, cdef=cdef, restoration=restoration, mono=mono,
            subsampling=subsampling, separate_uv_delta=separate, film_grain=r.flag(),
        )  # fmt: skip


def _timing(r: Bits) -> Timing:
    """Timing, decoder model and operating points."""
    delay = removal = presentation = 0
    has_model = equal = False
    if r.flag():
        r.u(64)
        equal = r.flag()
        if equal:
            _skip_uvlc(r)
        has_model = r.flag()
        if has_model:
            delay = r.u(5) + 1
            r.u(32)
            removal, presentation = r.u(5) + 1, r.u(5) + 1
    has_display_delay = r.flag()
    points = []
    for _ in range(r.u(5) + 1):
        idc = r.u(12)
        if r.u(5) > 7:
            r.flag()
        is_modelled = has_model and r.flag()
        if is_modelled:
            r.skip(2 * delay + 1)
        if has_display_delay and r.flag():
            r.u(4)
        points.append(OperatingPoint(idc, is_modelled))
    return Timing(
        removal_length=removal,
        presentation_length=0 if equal else presentation,
        has_model=has_model,
        points=tuple(points),
    )


def _tools(r: Bits) -> Tools:
    """Coding tools that a reduced still picture does not have."""
    r.u(2)
    warped = r.flag()
    r.flag()
    has_order = r.flag()
    reference_motion = False
    if has_order:
        r.flag()
        reference_motion = r.flag()
    screen = SELECT if r.flag() else r.u(1)
    integer = SELECT if not screen or r.flag() else r.u(1)
    return Tools(
        warped_motion=warped,
        reference_motion=reference_motion,
        screen_content=screen,
        integer_motion=integer,
        order_hint_bits=r.u(3) + 1 if has_order else 0,
    )


def _colours(r: Bits, profile: int) -> tuple[bool, tuple[int, int], bool]:
    """Section 5.5.2: whether there is no chroma, its subsampling, and whether U and V differ in quantization."""
    depth = 10 if r.flag() else 8
    if profile == 2 and depth == 10 and r.flag():
        depth = 12
    mono = profile != 1 and r.flag()
    told = (r.u(8), r.u(8), r.u(8)) if r.flag() else _UNSPECIFIED
    if mono:
        r.flag()
        return True, (1, 1), False
    subsampling = (0, 0)
    if told != _SRGB:
        r.flag()
        if profile == 0:
            subsampling = (1, 1)
        elif profile == 2 and depth < 12:
            subsampling = (1, 0)
        elif profile == 2 and r.flag():
            subsampling = (1, r.u(1))
        if subsampling == (1, 1):
            r.u(2)
    return False, subsampling, r.flag()


def _skip_uvlc(r: Bits) -> None:
    """Section 4.10.3."""
    zeros = 0
    while not r.flag():
        zeros += 1
    if zeros < 32:
        r.skip(zeros)
