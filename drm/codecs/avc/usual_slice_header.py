"""The length of a slice header, fast: what H.264 encoders commonly write, over the bits as text.

A header has about ten codes of which only three need a value; the others have to be passed over. In text that is one
`str.index` for a code: its length is twice the zeros in front of its first one, and one (ITU-T H.264, clause 9.1).
What is rare - escapes, other syntax, other parameter sets, headers longer than the given bytes, every error - is left
to the general way, so this one never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from drm.codecs.avc.parameters import PictureParameters, SequenceParameters

__all__ = ["HEAD", "UsualSliceHeaders"]

HEAD: Final = 24
"""Bytes of a slice that the way for usual headers is given."""


Measure: TypeAlias = Callable[[str, int, int, int], int]
"""From bits, the place behind the three first codes, the slice's type and the NAL unit's first byte, the place behind
the header. ValueError and IndexError where the bits do not reach."""

_P, _B, _I = 0, 1, 2
_FIELD: Final = f"0{8 * HEAD}b"
_TYPES: Final = {  # slice_type, a code, to its value modulo 5; SP and SI are rare
    "1": _P, "010": _B, "011": _I, "00110": _P, "00111": _B, "0001000": _I,
}  # fmt: skip
_IDR: Final = 5  # nal_unit_type
_MAX_REFERENCES: Final = 32


class UsualSliceHeaders:
    """Measures slices. Shares the parameter sets with its owner, who calls `forget` when they change."""

    def __init__(self, sequences: Mapping[int, SequenceParameters], pictures: Mapping[int, PictureParameters]) -> None:
        self._sequences = sequences
        self._pictures = pictures
        self._measures: dict[str, Measure] = {}  # by the code of pic_parameter_set_id
        # By the first byte behind the NAL header, where that holds the first three codes: what they lead to.
        self._begun: dict[int, tuple[Measure, int, int]] = {}

    def forget(self) -> None:
        """Parameter sets have changed."""
        self._measures.clear()
        self._begun.clear()

    def header_size(self, head: bytes) -> int:
        """Return the bytes of NAL header and slice header, from the first HEAD bytes of a slice; 0: not known here."""
        bits = f"{int.from_bytes(head, 'big'):{_FIELD}}"
        try:
            begun = self._begun.get(head[1])
            if begun is None:
                begun = self._begin(bits)
            measure, at, kind = begun
            end = measure(bits, at, kind, head[0])
        except (ValueError, IndexError, KeyError):
            return 0
        size = end + 7 >> 3
        # An escape would have shifted what was read; without two zero bytes there is none, nor a code that is too long.
        return size if size <= HEAD and head.find(b"\0\0", 0, size) < 0 else 0

    def _begin(self, bits: str) -> tuple[Measure, int, int]:
        """Read first_mb_in_slice, slice_type and pic_parameter_set_id. Raises ValueError and KeyError for rare ones."""
        find = bits.index
        kind_at = 2 * find("1", 8) - 7
        pps_at = 2 * find("1", kind_at) - kind_at + 1
        at = 2 * find("1", pps_at) - pps_at + 1
        kind = _TYPES[bits[kind_at:pps_at]]
        name = bits[pps_at:at]
        measure = self._measures.get(name) or self._make(name)
        if at <= 16:
            self._begun[int(bits[8:16], 2)] = measure, at, kind
        return measure, at, kind

    def _make(self, name: str) -> Measure:
        pps = self._pictures[int(name, 2) - 1]
        made = _measure(self._sequences[pps.sequence_id], pps)
        if made is None:
            raise KeyError(name)
        self._measures[name] = made
        return made


def _measure(sps: SequenceParameters, pps: PictureParameters) -> Measure | None:
    """Make the function that measures slices under these parameter sets; None for rare ones."""
    if sps.separate_colour_planes or sps.order_count_type == 1 or pps.slice_groups > 1:
        return None
    if max(pps.references) > _MAX_REFERENCES:
        return None
    number_bits, has_fields, order_bits = sps.frame_num_bits, not sps.frames_only, sps.order_count_bits
    has_delta = pps.order_in_frame and sps.order_count_type == 0
    has_redundant, has_cabac, has_deblocking = pps.redundant_count, pps.cabac, pps.deblocking_control
    weighted = {_P: pps.weighted, _B: pps.weighted_bi == 1}
    has_chroma = sps.chroma_array_type != 0
    default_counts = pps.references

    def measure(bits: str, at: int, kind: int, first: int) -> int:
        find = bits.index
        at += number_bits
        is_field = False
        if has_fields:
            is_field = bits[at] == "1"
            at += 1 + is_field
        is_idr = first & 31 == _IDR
        if is_idr:
            at = 2 * find("1", at) - at + 1
        at += order_bits
        if has_delta and not is_field:
            at = 2 * find("1", at) - at + 1
        if has_redundant:
            at = 2 * find("1", at) - at + 1
        if kind != _I:
            at = lists(bits, at, kind)
        if first & 0x60:  # nal_ref_idc: dec_ref_pic_marking
            if is_idr:
                at += 2
            elif bits[at] == "1":
                at = _marking(bits, at + 1)
            else:
                at += 1
        if has_cabac and kind != _I:
            at = 2 * find("1", at) - at + 1
        at = 2 * find("1", at) - at + 1  # slice_qp_delta
        if has_deblocking:
            if bits.startswith("010", at):  # disable_deblocking_filter_idc 1: no offsets
                return at + 3
            at = 2 * find("1", at) - at + 1
            at = 2 * find("1", at) - at + 1
            at = 2 * find("1", at) - at + 1
        return at

    def lists(bits: str, at: int, kind: int) -> int:
        """References: how many, in what order, with what weights."""
        find = bits.index
        at += kind  # direct_spatial_mv_pred_flag, of B
        number = kind + 1
        if bits[at] == "1":
            at += 1
            counts = []
            for _ in range(number):
                one = find("1", at)
                counts.append(int(bits[one : 2 * one - at + 1], 2))
                at = 2 * one - at + 1
            if max(counts) > _MAX_REFERENCES:
                raise ValueError
        else:
            at += 1
            counts = list(default_counts[:number])
        for _ in range(number):
            if bits[at] == "1":
                at = _modification(bits, at + 1)
            else:
                at += 1
        return _weights(bits, at, counts, has_chroma=has_chroma) if weighted[kind] else at

    return measure


def _modification(bits: str, at: int) -> int:
    """Clause 7.3.3.1: pairs of codes until a 3, which is written 00100."""
    find = bits.index
    while not bits.startswith("00100", at):
        at = 2 * find("1", at) - at + 1
        at = 2 * find("1", at) - at + 1
    return at + 5


def _weights(bits: str, at: int, counts: list[int], *, has_chroma: bool) -> int:
    """Clause 7.3.3.2."""
    find = bits.index
    for _ in range(1 + has_chroma):
        at = 2 * find("1", at) - at + 1
    parts = (2, 4)[: 1 + has_chroma]
    for count in counts:
        for _ in range(count):
            for codes in parts:
                if bits[at] == "1":
                    at += 1
                    for _ in range(codes):
                        at = 2 * find("1", at) - at + 1
                else:
                    at += 1
    return at


def _marking(bits: str, at: int) -> int:
    """Clause 7.3.3.3: commands with an operand, with two (3, written 00100), or with none (5), until a 0."""
    find = bits.index
    while bits[at] == "0":
        one = find("1", at)
        after = 2 * one - at + 1
        code = bits[at:after]
        at = after
        if len(code) > 5:  # from 7 on: there are no such commands
            raise ValueError
        if code != "00110":
            at = 2 * find("1", at) - at + 1
        if code == "00100":
            at = 2 * find("1", at) - at + 1
    return at + 1
