"""How long an HEVC slice segment header is (ITU-T H.265, clause 7.3.6).

It ends with byte_alignment(), so slice data begins with a byte of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from drm.codecs.bits import BitReader
from drm.codecs.hevc.parameters import PictureParameters, SequenceParameters
from drm.codecs.hevc.syntax import bounded, read_reference_set
from drm.codecs.nal_layout import bounded_header
from drm.errors import MalformedMediaError, UnsupportedMediaError

__all__ = ["slice_header_size"]

_B, _P, _I = range(3)
_IDR: Final = frozenset({19, 20})  # nal_unit_type: IDR_W_RADL, IDR_N_LP
_INTRA_RANDOM_ACCESS: Final = range(16, 24)
_MOST_REFERENCES: Final = 15
_MOST_ENTRY_POINTS: Final = 440 * 20  # tile columns times rows of coding tree blocks; more than any level has
_MOST_EXTENSION: Final = 256  # bytes


def slice_header_size(
    nal: memoryview, sequences: Mapping[int, SequenceParameters], pictures: Mapping[int, PictureParameters]
) -> int:
    """Return how many bytes at the front of a slice segment's NAL unit hold its NAL header and its own header.

    Raises:
        MalformedMediaError: the header breaks the syntax, or names a parameter set that is not there.
        UnsupportedMediaError: its length depends on which picture a reference is, which only decoding tells.
    """
    return bounded_header(nal, lambda r: _walk(r, sequences, pictures))


def _walk(r: BitReader, sequences: Mapping[int, SequenceParameters], pictures: Mapping[int, PictureParameters]) -> None:
    """Take all bits of the two headers."""
    kind = r.u(16) >> 9
    first = r.flag()
    if kind in _INTRA_RANDOM_ACCESS:
        r.flag()
    pps = pictures.get(r.ue())
    sps = sequences.get(pps.sequence_id) if pps else None
    if pps is None or sps is None:
        raise MalformedMediaError(
            "a slice names a parameter set that is not in the file",
            seen=f"pictures {sorted(pictures)}, sequences {sorted(sequences)}",
        )
    dependent = False
    if not first:
        dependent = pps.dependent_slices and r.flag()
        r.u(sps.address_bits)
    if not dependent:
        _independent(r, sps, pps, kind)
    if pps.entry_points and (count := bounded(r.ue(), _MOST_ENTRY_POINTS, "a number of entry points")):
        r.skip(count * bounded(r.ue() + 1, 32, "a length of entry points"))
    if pps.header_extension:
        r.skip(8 * bounded(r.ue(), _MOST_EXTENSION, "a slice header extension"))
    if not r.flag():
        raise MalformedMediaError("a slice header does not end with a one bit, so it was not understood")
    r.align()


def _independent(r: BitReader, sps: SequenceParameters, pps: PictureParameters, kind: int) -> None:
    """Take what a dependent slice segment inherits."""
    r.u(pps.extra_bits)
    slice_type = bounded(r.ue(), _I, "a slice type")
    if pps.output_flag:
        r.flag()
    if sps.separate_colour_planes:
        r.u(2)
    temporal_motion, references = False, 0
    if kind not in _IDR:
        r.u(sps.order_count_bits)
        references = _reference_pictures(r, sps)
        temporal_motion = sps.temporal_motion and r.flag()
    sao = False
    if sps.sao:
        sao = r.flag()
        if sps.chroma_array_type:
            sao |= r.flag()
    if slice_type != _I:
        _inter(r, sps, pps, slice_type, references + pps.current_reference, temporal_motion=temporal_motion)
    r.se()
    for _ in range(2 * pps.chroma_qp_offsets + 3 * pps.act_qp_offsets):
        r.se()
    if pps.chroma_qp_lists:
        r.flag()
    disabled = pps.deblocking_disabled
    if pps.deblocking_override and r.flag():
        disabled = r.flag()
        if not disabled:
            r.se()
            r.se()
    if pps.loop_filter_across and (sao or not disabled):
        r.flag()


def _reference_pictures(r: BitReader, sps: SequenceParameters) -> int:
    """Take the reference picture set; return how many of its pictures this one may refer to."""
    sets = sps.reference_sets
    if not r.flag():
        chosen = read_reference_set(r, list(sets), len(sets), len(sets))
    else:
        index = r.u((len(sets) - 1).bit_length()) if len(sets) > 1 else 0
        if index >= len(sets):
            raise MalformedMediaError(f"a slice names reference picture set {index} of {len(sets)}")
        chosen = sets[index]
    used = sum(is_used for half in chosen for _, is_used in half)
    if sps.has_long_term:
        known = len(sps.long_term_used)
        by_index = bounded(r.ue(), known, "a number of long-term pictures") if known else 0
        told = bounded(r.ue(), 2 * _MOST_REFERENCES, "a number of long-term pictures")
        for number in range(by_index + told):
            if number < by_index:
                index = r.u((known - 1).bit_length()) if known > 1 else 0
                if index >= known:
                    raise MalformedMediaError(f"a slice names long-term picture {index} of {known}")
                used += sps.long_term_used[index]
            else:
                r.u(sps.order_count_bits)
                used += r.flag()
            if r.flag():
                r.ue()
    return used


def _inter(
    r: BitReader, sps: SequenceParameters, pps: PictureParameters, slice_type: int, references: int, *,
    temporal_motion: bool
) -> None:  # fmt: skip
    """Take what slices have that refer to pictures; `references` is NumPicTotalCurr."""
    counts = list(pps.references) if slice_type == _B else [pps.references[0]]
    if r.flag():
        counts = [bounded(r.ue() + 1, _MOST_REFERENCES, "a number of references") for _ in counts]
    if pps.lists_modification and references > 1:
        for count in counts:
            if r.flag():
                r.u(count * (references - 1).bit_length())
    if slice_type == _B:
        r.flag()
    if pps.cabac_init:
        r.flag()
    if temporal_motion:
        from_first = slice_type != _B or r.flag()
        if counts[0 if from_first else 1] > 1:
            r.ue()
    if (pps.weighted and slice_type == _P) or (pps.weighted_bi and slice_type == _B):
        if pps.current_reference:
            raise UnsupportedMediaError(
                "HEVC slices that refer to their own picture with weights are not encrypted here",
                remedy="encode without weighted prediction",
            )
        _weights(r, counts, has_chroma=sps.chroma_array_type != 0)
    r.ue()
    if sps.integer_motion_in_slices:
        r.flag()


def _weights(r: BitReader, counts: list[int], *, has_chroma: bool) -> None:
    """Clause 7.3.6.3, of one layer, where no reference is the picture itself."""
    r.ue()
    if has_chroma:
        r.se()
    for count in counts:
        luma = [r.flag() for _ in range(count)]
        chroma = [r.flag() for _ in range(count)] if has_chroma else [False] * count
        for has_luma_weight, has_chroma_weight in zip(luma, chroma, strict=True):
            for _ in range(2 * has_luma_weight + 4 * has_chroma_weight):
                r.se()
