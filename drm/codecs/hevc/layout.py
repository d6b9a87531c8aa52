"""Which bytes of an HEVC sample are protected: slice segments behind their headers (ISO/IEC 23001-7, clause 9.5.2).

All NAL units of types 0 to 31 (VCL) are protected; those of other layers than the first (MV-HEVC, SHVC) are refused,
since their headers depend on more than their own parameter sets.
"""

from __future__ import annotations

from typing import Final

from drm.codecs.hevc.parameters import PictureParameters, SequenceParameters
from drm.codecs.hevc.slice_header import slice_header_size
from drm.codecs.hevc.usual_slice_header import HEAD, UsualSliceHeaders
from drm.codecs.nal_layout import NalKind, NalLayout
from drm.errors import UnsupportedMediaError
from drm.isobmff.reader import Reader
from drm.media import Scheme

__all__ = ["HevcLayout"]

_SPS, _PPS = 33, 34  # nal_unit_type
_VCL: Final = 32  # types below are
_SLICES: Final = frozenset([*range(10), *range(16, 22)])  # those with slice_segment_layer_rbsp
_KINDS: Final = bytes(
    NalKind.SLICE if byte >> 1 & 63 in _SLICES
    else NalKind.OTHER if byte >> 1 & 63 in {_SPS, _PPS} or byte >> 1 & 63 < _VCL
    else NalKind.CLEAR
    for byte in range(256)
)  # fmt: skip


class HevcLayout(NalLayout):
    """Finds the subsamples of one track's samples. Holds the parameter sets, those inside samples too (hev1)."""

    def __init__(self, config: bytes, scheme: Scheme) -> None:
        """Read an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, clause 8.3.3.1). Raises MalformedMediaError."""
        self._sequences: dict[int, SequenceParameters] = {}
        self._pictures: dict[int, PictureParameters] = {}
        self._slices = UsualSliceHeaders(self._sequences, self._pictures)
        r = Reader(config)
        r.path = "stsd/hvcC"
        r.skip(21)
        length_size = (r.u8() & 3) + 1
        for _ in range(r.u8()):
            r.u8()
            for _ in range(r.u16()):
                if nal := r.take(r.u16()):
                    self._keep(memoryview(nal))
        super().__init__(length_size, scheme, _KINDS, HEAD, self._slices.header_size, self._header_size)

    def _header_size(self, nal: memoryview) -> int:
        """How many bytes at the front of a slice stay clear; 0 for a NAL unit that stays so whole."""
        kind = nal[0] >> 1 & 63
        if kind in _SLICES:
            if (layer := _layer(nal)) > 0:
                raise UnsupportedMediaError(
                    f"HEVC slices of layer {layer} are not encrypted here", remedy="encode one layer only"
                )
            return slice_header_size(nal, self._sequences, self._pictures)
        if kind < _VCL:
            raise UnsupportedMediaError(f"HEVC NAL units of the reserved type {kind} are not encrypted here")
        self._keep(nal)
        return 0

    def _keep(self, nal: memoryview) -> None:
        kind = nal[0] >> 1 & 63
        if kind not in {_SPS, _PPS} or _layer(nal):
            return
        if kind == _SPS:
            sequence = SequenceParameters.parse(nal)
            changed = self._sequences.get(sequence.id) != sequence
            self._sequences[sequence.id] = sequence
        else:
            picture = PictureParameters.parse(nal)
            changed = self._pictures.get(picture.id) != picture
            self._pictures[picture.id] = picture
        if changed:
            self._slices.forget()


def _layer(nal: memoryview) -> int:
    """nuh_layer_id; 0 where there is not even that."""
    return (nal[0] & 1) << 5 | nal[1] >> 3 if len(nal) > 1 else 0
