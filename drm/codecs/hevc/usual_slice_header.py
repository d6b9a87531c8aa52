"""The length of a slice segment header, fast: what HEVC encoders commonly write, over the bits as text.

As `drm.codecs.avc.usual_slice_header` does it for H.264, and with the same bounds: what is rare is left to the
general way, and nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from drm.codecs.hevc.parameters import PictureParameters, SequenceParameters

__all__ = ["HEAD", "UsualSliceHeaders"]

HEAD: Final = 96
"""Bytes of a slice that the way for usual headers is given: entry points of wavefronts make headers long."""

Measure: TypeAlias = Callable[[str, int, bool, int], int]
"""From bits, the place behind the parameter set's id, whether the segment begins its picture and the NAL unit's type,
the place of byte_alignment(). ValueError and IndexError where the bits do not reach or are rare."""

_B, _P, _I = range(3)
_FIELD: Final = f"0{8 * HEAD}b"
_IDR: Final = (19, 20)  # nal_unit_type
_MOST_REFERENCES, _MOST_KEPT = 15, 16
_MOST_ENTRY_POINTS: Final = 440 * 20


class UsualSliceHeaders:
    """Measures slice segments. Shares the parameter sets with its owner, who calls `forget` when they change."""

    def __init__(self, sequences: Mapping[int, SequenceParameters], pictures: Mapping[int, PictureParameters]) -> None:
        self._sequences = sequences
        self._pictures = pictures
        self._measures: dict[str, Measure | None] = {}  # by the code of slice_pic_parameter_set_id

    def forget(self) -> None:
        """Parameter sets have changed."""
        self._measures.clear()

    def header_size(self, head: bytes) -> int:
        """Return the bytes of NAL header and slice header, from the first HEAD bytes of a slice; 0: not known here."""
        if head[0] & 1 or head[1] & 0xF8:  # nuh_layer_id
            return 0
        kind = head[0] >> 1
        bits = f"{int.from_bytes(head, 'big'):{_FIELD}}"
        try:
            at = 18 if 16 <= kind < 24 else 17
            after = 2 * bits.index("1", at) - at + 1
            name = bits[at:after]
            measure = self._measures[name] if name in self._measures else self._make(name)
            if measure is None:
                return 0
            at = measure(bits, after, bits[16] == "1", kind)
            size = (at >> 3) + 1
            # An escape would have shifted what was read; without two zero bytes there is none, nor a code too long.
            return size if bits[at] == "1" and head.find(b"\0\0", 0, size) < 0 else 0
        except (ValueError, IndexError):
            return 0

    def _make(self, name: str) -> Measure | None:
        pps = self._pictures.get(int(name, 2) - 1)
        sps = self._sequences.get(pps.sequence_id) if pps else None
        if sps is None or pps is None:
            return None
        self._measures[name] = made = _measure(sps, pps)
        return made


def _measure(sps: SequenceParameters, pps: PictureParameters) -> Measure | None:
    """Make the function that measures slices under these parameter sets; None for rare ones."""
    if (
        sps.separate_colour_planes or sps.has_long_term or sps.integer_motion_in_slices or pps.chroma_qp_lists
        or pps.current_reference or pps.act_qp_offsets or pps.header_extension or pps.lists_modification
    ):  # fmt: skip
        return None
    has_dependent, address_bits = pps.dependent_slices, sps.address_bits
    before_type, behind_type, order_bits = pps.extra_bits, int(pps.output_flag), sps.order_count_bits
    set_count = len(sps.reference_sets)
    index_bits = (set_count - 1).bit_length() if set_count else 0
    has_temporal, sao_flags = sps.temporal_motion, int(sps.sao) * (1 + (sps.chroma_array_type != 0))
    has_chroma, chroma_offsets = sps.chroma_array_type != 0, pps.chroma_qp_offsets
    weighted = (pps.weighted_bi, pps.weighted, False)
    default_counts, has_cabac_init = pps.references, pps.cabac_init
    has_override, disabled_by_default = pps.deblocking_override, pps.deblocking_disabled
    has_filter, has_entry_points = pps.loop_filter_across, pps.entry_points

    def measure(bits: str, at: int, is_first: bool, kind: int) -> int:
        is_dependent = False
        if not is_first:
            if has_dependent:
                is_dependent = bits[at] == "1"
                at += 1
            at += address_bits
        if not is_dependent:
            at = independent(bits, at, kind)
        if has_entry_points:
            if bits[at] == "1":
                return at + 1
            count, at = _ue(bits, at, _MOST_ENTRY_POINTS)
            width, at = _ue(bits, at, 31)
            at += count * (width + 1)
        return at

    def independent(bits: str, at: int, kind: int) -> int:
        find = bits.index
        at += before_type
        slice_type, at = _ue(bits, at, _I)
        at += behind_type
        is_temporal = False
        if kind not in _IDR:
            at += order_bits
            if bits[at] == "1":
                at += 1 + index_bits
                if not set_count or (index_bits and int(bits[at - index_bits : at], 2) >= set_count):
                    raise ValueError
            else:
                at = _reference_set(bits, at + 1, has_others=set_count > 0)
            if has_temporal:
                is_temporal = bits[at] == "1"
                at += 1
        has_sao = sao_flags and "1" in bits[at : at + sao_flags]
        at += sao_flags
        if slice_type != _I:
            at = inter(bits, at, slice_type, is_temporal)
        at = 2 * find("1", at) - at + 1  # slice_qp_delta
        if chroma_offsets:
            at = 2 * find("1", at) - at + 1
            at = 2 * find("1", at) - at + 1
        is_disabled = disabled_by_default
        if has_override:
            at += 1
            if bits[at - 1] == "1":
                is_disabled = bits[at] == "1"
                at += 1
                if not is_disabled:
                    at = 2 * find("1", at) - at + 1
                    at = 2 * find("1", at) - at + 1
        return at + 1 if has_filter and (has_sao or not is_disabled) else at

    def inter(bits: str, at: int, slice_type: int, is_temporal: bool) -> int:
        counts = default_counts
        number = 2 - slice_type
        at += 1
        if bits[at - 1] == "1":
            first, at = _ue(bits, at, _MOST_REFERENCES - 1)
            second = default_counts[1]
            if slice_type == _B:
                second, at = _ue(bits, at, _MOST_REFERENCES - 1)
                second += 1
            counts = (first + 1, second)
        at += (slice_type == _B) + has_cabac_init
        if is_temporal:
            from_second = 0
            if slice_type == _B:
                from_second = int(bits[at] == "0")
                at += 1
            if counts[from_second] > 1:
                at = 2 * bits.index("1", at) - at + 1
        if weighted[slice_type]:
            at = _weights(bits, at, counts[:number], has_chroma=has_chroma)
        return 2 * bits.index("1", at) - at + 1  # five_minus_max_num_merge_cand

    return measure


def _ue(bits: str, at: int, most: int) -> tuple[int, int]:
    """A code's value and the place behind it."""
    one = bits.index("1", at)
    after = 2 * one - at + 1
    value = int(bits[one:after], 2) - 1
    if value > most:
        raise ValueError
    return value, after


def _reference_set(bits: str, at: int, *, has_others: bool) -> int:
    """Clause 7.3.7, of a set that does not refer to another."""
    find = bits.index
    if has_others:
        if bits[at] == "1":
            raise ValueError
        at += 1
    before, at = _ue(bits, at, _MOST_KEPT)
    behind, at = _ue(bits, at, _MOST_KEPT - before)
    for _ in range(before + behind):
        at = 2 * find("1", at) - at + 2
    return at


def _weights(bits: str, at: int, counts: tuple[int, ...], *, has_chroma: bool) -> int:
    """Clause 7.3.6.3."""
    find = bits.index
    for _ in range(1 + has_chroma):
        at = 2 * find("1", at) - at + 1
    for count in counts:
        codes = 2 * bits.count("1", at, at + count)
        at += count
        if has_chroma:
            codes += 4 * bits.count("1", at, at + count)
            at += count
        for _ in range(codes):
            at = 2 * find("1", at) - at + 1
    return at
