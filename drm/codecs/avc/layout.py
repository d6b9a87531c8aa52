"""Which bytes of an H.264 sample are protected: slices behind their headers (ISO/IEC 23001-7, clause 9.5.2).

The headers are read as ITU-T H.264, clause 7.3.3, writes them: `usual_slice_header` reads what encoders commonly
write, `slice_header` everything. NAL units of types 1 and 5 are protected; the partitions and
extensions that other profiles have (types 2 to 4, 20 and 21) are refused by name.
"""

from __future__ import annotations

from typing import Final

from drm.codecs.avc.parameters import PictureParameters, SequenceParameters
from drm.codecs.avc.slice_header import slice_header_size
from drm.codecs.avc.usual_slice_header import HEAD, UsualSliceHeaders
from drm.codecs.nal_layout import NalKind, NalLayout
from drm.errors import UnsupportedMediaError
from drm.isobmff.reader import Reader
from drm.media import Scheme

__all__ = ["AvcLayout"]

_SLICE, _IDR, _SPS, _PPS = 1, 5, 7, 8  # nal_unit_type
_REFUSED: Final = {
    2: "data partition A", 3: "data partition B", 4: "data partition C",
    20: "a coded slice extension (SVC, MVC)", 21: "a coded slice extension (3D-AVC)",
}  # fmt: skip
_KINDS: Final = bytes(
    NalKind.SLICE if byte & 31 in {_SLICE, _IDR}
    else NalKind.OTHER if byte & 31 in {_SPS, _PPS, *_REFUSED}
    else NalKind.CLEAR
    for byte in range(256)
)  # fmt: skip


class AvcLayout(NalLayout):
    """Finds the subsamples of one track's samples. Holds the parameter sets, those inside samples too (avc3)."""

    def __init__(self, config: bytes, scheme: Scheme) -> None:
        """Read an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, clause 5.3.3.1). Raises MalformedMediaError."""
        self._sequences: dict[int, SequenceParameters] = {}
        self._pictures: dict[int, PictureParameters] = {}
        self._slices = UsualSliceHeaders(self._sequences, self._pictures)
        r = Reader(config)
        r.path = "stsd/avcC"
        r.skip(4)
        length_size = (r.u8() & 3) + 1
        for mask in (31, 255):
            for _ in range(r.u8() & mask):
                if nal := r.take(r.u16()):
                    self._keep(nal[0] & 31, memoryview(nal))
        super().__init__(length_size, scheme, _KINDS, HEAD, self._slices.header_size, self._header_size)

    def _header_size(self, nal: memoryview) -> int:
        """How many bytes at the front of a slice stay clear; 0 for a NAL unit that stays so whole."""
        kind = nal[0] & 31
        if kind in {_SLICE, _IDR}:
            return slice_header_size(nal, self._sequences, self._pictures)
        if kind in _REFUSED:
            raise UnsupportedMediaError(
                f"NAL units of type {kind}, {_REFUSED[kind]}, are not encrypted here", remedy="encode as plain H.264"
            )
        self._keep(kind, nal)
        return 0

    def _keep(self, kind: int, nal: memoryview) -> None:
        if kind == _SPS:
            sequence = SequenceParameters.parse(nal)
            changed = self._sequences.get(sequence.id) != sequence
            self._sequences[sequence.id] = sequence
        elif kind == _PPS:
            picture = PictureParameters.parse(nal)
            changed = self._pictures.get(picture.id) != picture
            self._pictures[picture.id] = picture
        else:
            return
        if changed:
            self._slices.forget()
