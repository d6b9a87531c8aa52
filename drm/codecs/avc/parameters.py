"""H.264 parameter sets: only what a slice header's length depends on (ITU-T H.264, 7.3.2.1 and 7.3.2.2)."""

from __future__ import annotations

import msgspec

from drm.codecs.bits import BitReader
from drm.errors import MalformedMediaError

__all__ = ["PictureParameters", "SequenceParameters"]

_WITH_CHROMA_FORMAT = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})  # profile_idc
_MAX_GROUPS = 8  # slice groups of the Extended profile


class SequenceParameters(msgspec.Struct, frozen=True):
    """Of a sequence parameter set."""

    id: int
    chroma_array_type: int
    separate_colour_planes: bool
    frame_num_bits: int
    order_count_type: int
    order_count_bits: int
    delta_order_always_zero: bool
    frames_only: bool
    map_units: int  # PicSizeInMapUnits

    @classmethod
    def parse(cls, nal: bytes | memoryview) -> SequenceParameters:
        """Read a NAL unit of type 7, its header included. Raises MalformedMediaError."""
        r = BitReader(nal)
        r.u(8)
        profile = r.u(8)
        r.u(16)
        ident = _bounded(r.ue(), 31)
        chroma, separate = 1, False
        if profile in _WITH_CHROMA_FORMAT:
            chroma = r.ue()
            if chroma == 3:
                separate = r.flag()
            r.ue()
            r.ue()
            r.flag()
            if r.flag():
                for index in range(12 if chroma == 3 else 8):
                    if r.flag():
                        _skip_scaling_list(r, 16 if index < 6 else 64)
        frame_num_bits = r.ue() + 4
        order_type, order_bits, always_zero = r.ue(), 0, False
        if order_type == 0:
            order_bits = r.ue() + 4
        elif order_type == 1:
            always_zero = r.flag()
            r.se()
            r.se()
            for _ in range(_bounded(r.ue(), 255)):
                r.se()
        r.ue()
        r.flag()
        width = r.ue() + 1
        height = r.ue() + 1
        return cls(
            ident,
            0 if separate else chroma,
            separate,
            _bounded(frame_num_bits, 16),
            order_type,
            _bounded(order_bits, 16),
            always_zero,
            r.flag(),
            width * height,
        )


class PictureParameters(msgspec.Struct, frozen=True):
    """Of a picture parameter set."""

    id: int
    sequence_id: int
    cabac: bool
    order_in_frame: bool  # bottom_field_pic_order_in_frame_present_flag
    slice_groups: int
    group_map_type: int
    group_change_rate: int
    references: tuple[int, int]  # default counts of list 0 and list 1
    weighted: bool
    weighted_bi: int
    deblocking_control: bool
    redundant_count: bool

    @classmethod
    def parse(cls, nal: bytes | memoryview) -> PictureParameters:
        """Read a NAL unit of type 8, its header included. Raises MalformedMediaError."""
        r = BitReader(nal)
        r.u(8)
        ident, sequence = _bounded(r.ue(), 255), _bounded(r.ue(), 31)
        cabac, order_in_frame = r.flag(), r.flag()
        groups, map_type, rate = _bounded(r.ue() + 1, _MAX_GROUPS), 0, 0
        if groups > 1:
            map_type = r.ue()
            rate = _slice_groups(r, groups, map_type)
        references = (r.ue() + 1, r.ue() + 1)
        weighted, weighted_bi = r.flag(), r.u(2)
        r.se()
        r.se()
        r.se()
        deblocking, _constrained, redundant = r.flag(), r.flag(), r.flag()
        return cls(
            ident,
            sequence,
            cabac,
            order_in_frame,
            groups,
            map_type,
            rate,
            references,
            weighted,
            weighted_bi,
            deblocking,
            redundant,
        )


def _skip_scaling_list(r: BitReader, size: int) -> None:
    """Clause 7.3.2.1.1.1."""
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + r.se() + 256) % 256
        last = following or last


def _slice_groups(r: BitReader, groups: int, map_type: int) -> int:
    """Pass over the map of slice groups; return SliceGroupChangeRate where the map has one."""
    if map_type == 0:
        for _ in range(groups):
            r.ue()
    elif map_type == 2:
        for _ in range(2 * (groups - 1)):
            r.ue()
    elif map_type in {3, 4, 5}:
        r.flag()
        return r.ue() + 1
    elif map_type == 6:
        width = (groups - 1).bit_length()
        for _ in range(r.ue() + 1):
            r.u(width)
    return 0


def _bounded(value: int, most: int) -> int:
    if value > most:
        raise MalformedMediaError(f"{value} in an H.264 parameter set where at most {most} is allowed")
    return value
