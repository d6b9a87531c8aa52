"""Which bytes of an H.264 sample are protected (ISO/IEC 23001-7, clause 9.5.2).

Slices are encrypted behind their header; everything else - NAL lengths, parameter sets, supplemental information,
delimiters - stays clear.
"""

from __future__ import annotations

from typing import Final

from drm.cenc.engines import BLOCK
from drm.errors import MalformedMediaError, UnsupportedMediaError
from drm.isobmff.reader import Reader
from drm.media import Scheme, Subsample
from drm.packaging.avc_parameters import PictureParameters, SequenceParameters
from drm.packaging.avc_slice import slice_header_size

__all__ = ["AvcLayout"]

_SLICE, _IDR, _SPS, _PPS = 1, 5, 7, 8  # nal_unit_type
_REFUSED: Final = {
    2: "data partition A", 3: "data partition B", 4: "data partition C",
    20: "a coded slice extension (SVC, MVC)", 21: "a coded slice extension (3D-AVC)",
}  # fmt: skip
_MOST_CLEAR: Final = 0xFFFF  # bytes in one subsample entry
_MOST_ENTRIES: Final = 38  # so that saiz, of one byte per sample, can say IV, count and 6 bytes for each


class AvcLayout:
    """Finds the subsamples of one track's samples. Holds the parameter sets, those inside samples too (avc3)."""

    def __init__(self, config: bytes, scheme: Scheme) -> None:
        """Read an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, clause 5.3.3.1). Raises MalformedMediaError."""
        self._scheme = scheme
        self._sequences: dict[int, SequenceParameters] = {}
        self._pictures: dict[int, PictureParameters] = {}
        r = Reader(config)
        r.path = "stsd/avcC"
        r.skip(4)
        self._length_size = (r.u8() & 3) + 1
        for mask in (31, 255):
            for _ in range(r.u8() & mask):
                self._keep(memoryview(r.take(r.u16())))

    def subsamples(self, sample: memoryview) -> tuple[Subsample, ...]:
        """Return (clear, protected) pairs that cover the sample; at least one.

        Raises:
            MalformedMediaError: its NAL units do not fill it, or a slice's header cannot be read.
            UnsupportedMediaError: it holds slices of a kind that is not encrypted here, or too many of them.
        """
        found: list[Subsample] = []
        clear = at = 0
        size, width = len(sample), self._length_size
        while at < size:
            begin = at + width
            end = begin + int.from_bytes(sample[at:begin], "big")
            if begin > size or end > size:
                raise MalformedMediaError(
                    "a NAL unit is longer than its sample",
                    seen=f"it ends at {max(begin, end)}, the sample has {size} bytes",
                )
            protected = self._protected(sample[begin:end]) if begin < end else 0
            clear += end - at - protected
            if protected:
                _append(found, clear, protected)
                clear = 0
            at = end
        if clear or not found:
            _append(found, clear, 0)
        if len(found) > _MOST_ENTRIES:
            raise UnsupportedMediaError(
                f"a sample needs {len(found)} subsamples, and {_MOST_ENTRIES} can be told",
                remedy="encode the video with fewer slices per picture",
            )
        return tuple(found)

    def _protected(self, nal: memoryview) -> int:
        """How many bytes at the end of this NAL unit are protected."""
        kind = nal[0] & 31
        if kind in {_SPS, _PPS}:
            self._keep(nal)
        if kind in _REFUSED:
            raise UnsupportedMediaError(
                f"NAL units of type {kind}, {_REFUSED[kind]}, are not encrypted here", remedy="encode as plain H.264"
            )
        if kind not in {_SLICE, _IDR}:
            return 0
        rest = len(nal) - slice_header_size(nal, self._sequences, self._pictures)
        if self._scheme is Scheme.CBCS:
            # A range below one block has nothing that CBC could encrypt; say so rather than promise.
            return rest if rest >= BLOCK else 0
        return rest - rest % BLOCK  # clause 9.5.2.4: whole blocks, the clear part takes what is left over

    def _keep(self, nal: memoryview) -> None:
        if not nal:
            return
        kind = nal[0] & 31
        if kind == _SPS:
            sequence = SequenceParameters.parse(nal)
            self._sequences[sequence.id] = sequence
        elif kind == _PPS:
            picture = PictureParameters.parse(nal)
            self._pictures[picture.id] = picture


def _append(found: list[Subsample], clear: int, protected: int) -> None:
    while clear > _MOST_CLEAR:
        found.append((_MOST_CLEAR, 0))
        clear -= _MOST_CLEAR
    found.append((clear, protected))
