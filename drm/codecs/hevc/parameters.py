"""HEVC parameter sets: only what a slice header's length depends on (ITU-T H.265, clauses 7.3.2.2 and 7.3.2.3)."""

from __future__ import annotations

from typing import Final

import msgspec

from drm.codecs.bits import BitReader
from drm.codecs.hevc.syntax import (
    ReferenceSet,
    bounded,
    read_reference_set,
    skip_profile_tier_level,
    skip_scaling_lists,
    skip_vui,
)
from drm.errors import UnsupportedMediaError

__all__ = ["PictureParameters", "SequenceParameters"]

_MOST_SETS: Final = 64  # num_short_term_ref_pic_sets
_MOST_LONG_TERM: Final = 32  # num_long_term_ref_pics_sps
_LARGEST: Final = 1 << 16  # luma samples in a row or a column: twice what any level has
_MOST_PALETTE: Final = 128
_RANGE, _MULTILAYER, _3D, _SCREEN = range(4)  # extensions, in the order of their flags


class SequenceParameters(msgspec.Struct, frozen=True):
    """Of a sequence parameter set."""

    id: int
    chroma_array_type: int
    separate_colour_planes: bool
    address_bits: int  # Ceil(Log2(PicSizeInCtbsY))
    order_count_bits: int
    sao: bool
    reference_sets: tuple[ReferenceSet, ...]
    has_long_term: bool
    long_term_used: tuple[bool, ...]  # used_by_curr_pic_lt_sps_flag
    temporal_motion: bool
    integer_motion_in_slices: bool  # motion_vector_resolution_control_idc is 2

    @classmethod
    def parse(cls, nal: bytes | memoryview) -> SequenceParameters:
        """Read a NAL unit of type 33, its header included. Raises MalformedMediaError, UnsupportedMediaError."""
        r = BitReader(nal)
        r.u(16)
        r.u(4)
        sub_layers = bounded(r.u(3), 6, "a number of sub-layers")
        r.flag()
        skip_profile_tier_level(r, sub_layers)
        ident = bounded(r.ue(), 15, "a sequence parameter set id")
        chroma = bounded(r.ue(), 3, "a chroma format")
        separate = chroma == 3 and r.flag()
        width, height = (bounded(r.ue(), _LARGEST, "a picture size") for _ in range(2))
        if r.flag():
            for _ in range(4):
                r.ue()
        depths = bounded(r.ue(), 8, "a bit depth above 8") + 8, bounded(r.ue(), 8, "a bit depth above 8") + 8
        order_count_bits = bounded(r.ue() + 4, 16, "a picture order count length")
        for _ in range(1 if not r.flag() else sub_layers + 1):
            for _ in range(3):
                r.ue()
        block_bits = r.ue() + 3
        block_bits = bounded(block_bits + r.ue(), 6, "a logarithm of a coding tree block's size")
        for _ in range(4):
            r.ue()
        if r.flag() and r.flag():
            skip_scaling_lists(r)
        r.flag()
        sao = r.flag()
        if r.flag():
            r.u(8)
            r.ue()
            r.ue()
            r.flag()
        sets: list[ReferenceSet] = []
        count = bounded(r.ue(), _MOST_SETS, "a number of reference picture sets")
        for index in range(count):
            sets.append(read_reference_set(r, sets, index, count))
        long_term_used = []
        if has_long_term := r.flag():
            for _ in range(bounded(r.ue(), _MOST_LONG_TERM, "a number of long-term pictures")):
                r.u(order_count_bits)
                long_term_used.append(r.flag())
        temporal_motion = r.flag()
        r.flag()
        if r.flag():
            skip_vui(r, sub_layers)
        blocks = -(-width >> block_bits) * -(-height >> block_bits)
        return cls(
            ident,
            0 if separate else chroma,
            separate,
            (blocks - 1).bit_length() if blocks else 0,
            order_count_bits,
            sao,
            tuple(sets),
            has_long_term,
            tuple(long_term_used),
            temporal_motion,
            _sequence_extensions(r, chroma, depths),
        )


def _sequence_extensions(r: BitReader, chroma: int, depths: tuple[int, int]) -> bool:
    """Whether slices tell if motion vectors are whole numbers: the one thing that a slice needs from here."""
    extensions = _extensions(r)
    if extensions[_RANGE]:
        r.u(9)
    if extensions[_MULTILAYER]:
        r.flag()
    if not extensions[_SCREEN]:
        return False
    if extensions[_3D]:
        raise UnsupportedMediaError("HEVC that is both 3D and screen content is not encrypted here")
    r.flag()
    if r.flag():  # palette mode
        r.ue()
        r.ue()
        if r.flag():  # initial entries of the palette, for one component or three
            entries = bounded(r.ue() + 1, _MOST_PALETTE, "a number of palette entries")
            r.u(entries * (depths[0] + 2 * depths[1] * (chroma != 0)))
    return r.u(2) == 2


class PictureParameters(msgspec.Struct, frozen=True):
    """Of a picture parameter set."""

    id: int
    sequence_id: int
    dependent_slices: bool
    output_flag: bool
    extra_bits: int
    cabac_init: bool
    references: tuple[int, int]  # default counts of list 0 and list 1
    chroma_qp_offsets: bool
    weighted: bool
    weighted_bi: bool
    entry_points: bool  # tiles or wavefronts
    loop_filter_across: bool
    deblocking_override: bool
    deblocking_disabled: bool
    lists_modification: bool
    header_extension: bool
    chroma_qp_lists: bool
    current_reference: bool
    act_qp_offsets: bool

    @classmethod
    def parse(cls, nal: bytes | memoryview) -> PictureParameters:
        """Read a NAL unit of type 34, its header included. Raises MalformedMediaError, UnsupportedMediaError."""
        r = BitReader(nal)
        r.u(16)
        ident = bounded(r.ue(), 63, "a picture parameter set id")
        sequence = bounded(r.ue(), 15, "a sequence parameter set id")
        dependent, output = r.flag(), r.flag()
        extra = r.u(3)
        r.flag()
        cabac_init = r.flag()
        references = tuple(bounded(r.ue() + 1, 15, "a number of references") for _ in range(2))
        r.se()
        r.flag()
        transform_skip = r.flag()
        if r.flag():
            r.ue()
        r.se()
        r.se()
        chroma_qp_offsets = r.flag()
        weighted, weighted_bi = r.flag(), r.flag()
        r.flag()
        tiles, wavefronts = r.flag(), r.flag()
        if tiles:
            _skip_tiles(r)
        loop_filter_across = r.flag()
        override = disabled = False
        if r.flag():
            override, disabled = r.flag(), r.flag()
            if not disabled:
                r.se()
                r.se()
        if r.flag():
            skip_scaling_lists(r)
        lists_modification = r.flag()
        r.ue()
        header_extension = r.flag()
        return cls(
            ident,
            sequence,
            dependent,
            output,
            extra,
            cabac_init,
            (references[0], references[1]),
            chroma_qp_offsets,
            weighted,
            weighted_bi,
            tiles or wavefronts,
            loop_filter_across,
            override,
            disabled,
            lists_modification,
            header_extension,
            *_picture_extensions(r, transform_skip=transform_skip),
        )


def _picture_extensions(r: BitReader, *, transform_skip: bool) -> tuple[bool, bool, bool]:
    """chroma_qp_offset_list_enabled_flag, pps_curr_pic_ref_enabled_flag, pps_slice_act_qp_offsets_present_flag."""
    extensions = _extensions(r)
    chroma_qp_lists = current = act = False
    if extensions[_RANGE]:
        if transform_skip:
            r.ue()
        r.flag()
        chroma_qp_lists = r.flag()
        if chroma_qp_lists:
            r.ue()
            for _ in range(bounded(r.ue() + 1, 6, "a number of chroma QP offsets")):
                r.se()
                r.se()
        r.ue()
        r.ue()
    if extensions[_SCREEN]:
        if extensions[_MULTILAYER] or extensions[_3D]:
            raise UnsupportedMediaError("HEVC of several layers with screen content coding is not encrypted here")
        current = r.flag()
        act = r.flag() and r.flag()
    return chroma_qp_lists, current, act


def _extensions(r: BitReader) -> tuple[bool, bool, bool, bool]:
    """Which extensions follow; of the four that are not yet defined, none is known to change slice headers."""
    if not r.flag():
        return False, False, False, False
    flags = r.flag(), r.flag(), r.flag(), r.flag()
    r.u(4)
    return flags


def _skip_tiles(r: BitReader) -> None:
    columns, rows = (bounded(r.ue(), limit, "a number of tiles") for limit in (19, 21))
    if not r.flag():
        for _ in range(columns + rows):
            r.ue()
    r.flag()
