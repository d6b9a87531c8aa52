"""How long a slice header is (ITU-T H.264, clause 7.3.3).

It stays clear: peers, hardware decoders among them, read it before anything is decrypted (ISO/IEC 23001-7, 9.5.2.3 and
10.4 want it so for `cbcs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from drm.codecs.avc.parameters import PictureParameters, SequenceParameters
from drm.codecs.bits import BitReader
from drm.codecs.nal_layout import bounded_header
from drm.errors import MalformedMediaError

__all__ = ["slice_header_size"]

_MAX_REFERENCES: Final = 32
_MAX_COMMANDS: Final = 100  # of reference list modification and of reference marking
_P, _B, _I, _SP, _SI = range(5)
_IDR: Final = 5  # nal_unit_type


def slice_header_size(
    nal: memoryview, sequences: Mapping[int, SequenceParameters], pictures: Mapping[int, PictureParameters]
) -> int:
    """Return how many bytes at the front of a slice's NAL unit hold its NAL header and slice header.

    The last of them may hold the first bits of the slice's data too.

    Raises:
        MalformedMediaError: the header breaks the syntax, or names a parameter set that is not there.
    """
    return bounded_header(nal, lambda r: _walk(r, sequences, pictures))


def _walk(r: BitReader, sequences: Mapping[int, SequenceParameters], pictures: Mapping[int, PictureParameters]) -> None:
    """Take all bits of the two headers."""
    head = r.u(8)
    reference, idr = head >> 5 & 3, head & 31 == _IDR
    r.ue()
    kind = r.ue() % 5
    pps = pictures.get(r.ue())
    sps = sequences.get(pps.sequence_id) if pps else None
    if pps is None or sps is None:
        raise MalformedMediaError(
            "a slice names a parameter set that is not in the file",
            seen=f"pictures {sorted(pictures)}, sequences {sorted(sequences)}",
        )
    if sps.separate_colour_planes:
        r.u(2)
    r.u(sps.frame_num_bits)
    field = not sps.frames_only and r.flag()
    if field:
        r.flag()
    if idr:
        r.ue()
    _order_count(r, sps, pps, field=field)
    if pps.redundant_count:
        r.ue()
    lists = _reference_counts(r, pps, kind)
    for _ in lists:
        _list_modification(r)
    if (pps.weighted and kind in {_P, _SP}) or (pps.weighted_bi == 1 and kind == _B):
        _weights(r, sps, lists)
    if reference:
        _marking(r, idr=idr)
    if pps.cabac and kind not in {_I, _SI}:
        r.ue()
    r.se()
    if kind in {_SP, _SI}:
        if kind == _SP:
            r.flag()
        r.se()
    if pps.deblocking_control and r.ue() != 1:
        r.se()
        r.se()
    if pps.slice_groups > 1 and pps.group_map_type in {3, 4, 5}:
        units = sps.map_units
        r.u((-(-units // pps.group_change_rate)).bit_length())


def _order_count(r: BitReader, sps: SequenceParameters, pps: PictureParameters, *, field: bool) -> None:
    if sps.order_count_type == 0:
        r.u(sps.order_count_bits)
        if pps.order_in_frame and not field:
            r.se()
    elif sps.order_count_type == 1 and not sps.delta_order_always_zero:
        r.se()
        if pps.order_in_frame and not field:
            r.se()


def _reference_counts(r: BitReader, pps: PictureParameters, kind: int) -> list[int]:
    """How many references each list of this slice has."""
    if kind in {_I, _SI}:
        return []
    if kind == _B:
        r.flag()
    counts = list(pps.references) if kind == _B else [pps.references[0]]
    if r.flag():
        counts = [r.ue() + 1 for _ in counts]
    if max(counts) > _MAX_REFERENCES:
        raise MalformedMediaError(f"a slice with {max(counts)} references; {_MAX_REFERENCES} are allowed")
    return counts


def _list_modification(r: BitReader) -> None:
    """Clause 7.3.3.1, one list."""
    if not r.flag():
        return
    for _ in range(_MAX_COMMANDS):
        if r.ue() == 3:
            return
        r.ue()
    raise MalformedMediaError("a slice modifies its reference list without end")


def _weights(r: BitReader, sps: SequenceParameters, lists: list[int]) -> None:
    """Clause 7.3.3.2."""
    r.ue()
    if sps.chroma_array_type:
        r.ue()
    for count in lists:
        for _ in range(count):
            if r.flag():
                r.se()
                r.se()
            if sps.chroma_array_type and r.flag():
                for _ in range(4):
                    r.se()


def _marking(r: BitReader, *, idr: bool) -> None:
    """Clause 7.3.3.3."""
    if idr:
        r.u(2)
        return
    if not r.flag():
        return
    for _ in range(_MAX_COMMANDS):
        command = r.ue()
        if command == 0:
            return
        if command > 6:
            raise MalformedMediaError(f"a slice marks reference pictures by command {command}; there are 0 to 6")
        if command != 5:
            r.ue()
        if command == 3:
            r.ue()
    raise MalformedMediaError("a slice marks reference pictures without end")
