"""Which bytes of a VP9 sample are protected (VP Codec ISO Media File Format Binding 1.0, Common Encryption).

The uncompressed header of every frame, shown or not, and the index of a superframe are clear; all else is protected.
The protected part of each frame has whole blocks, and what is left over is clear in front of it. The binding knows
`cenc` only; the other schemes are done alike, as Shaka Packager does them.
"""

from __future__ import annotations

from typing import Final

from drm.codecs.bits import Bits, OutOfBitsError
from drm.codecs.nal_layout import append_range
from drm.codecs.vp9_frame import FrameSizes, read_frame
from drm.errors import MalformedMediaError
from drm.media import Subsample

__all__ = ["Vp9Layout"]

_SLOTS: Final = 8
_TRIES: Final = (32, 512)  # bytes; the longest uncompressed header has below 200
_INDEX_MARK: Final = 0b110  # in the upper three bits


class Vp9Layout:
    """Finds the subsamples of one track's samples. Holds the sizes of the frames in the reference slots."""

    def __init__(self) -> None:
        self._sizes: FrameSizes = [None] * _SLOTS

    def subsamples(self, sample: memoryview) -> tuple[Subsample, ...]:
        """Return (clear, protected) pairs that cover the sample; at least one.

        Raises:
            MalformedMediaError: a superframe's index does not fit it, or a frame's header breaks the syntax.
        """
        found: list[Subsample] = []
        at = clear = 0
        for size in _frames(sample):
            header = self._header(sample[at : at + size])
            protected = size - header & ~15 if header else 0
            clear += size - protected
            if protected:
                append_range(found, clear, protected)
                clear = 0
            at += size
        clear += len(sample) - at
        if clear or not found:
            append_range(found, clear, 0)
        return tuple(found)

    def _header(self, frame: memoryview) -> int:
        """Bytes of a frame's uncompressed header; 0 where nothing follows that could be protected."""
        for limit in _TRIES:
            r = Bits(bytes(frame[:limit]))
            try:
                told = read_frame(r, self._sizes)
            except OutOfBitsError:
                if len(frame) <= limit:
                    raise
                continue
            if told.size is None:
                return 0
            for slot in range(_SLOTS):
                if told.refreshed >> slot & 1:
                    self._sizes[slot] = told.size
            return r.place >> 3
        raise MalformedMediaError(f"a VP9 frame header of more than {_TRIES[-1]} bytes")


def _frames(sample: memoryview) -> list[int]:
    """The sizes of the frames in a sample; what lies behind them is a superframe's index (Annex B)."""
    if not sample:
        return []
    mark = sample[-1]
    if mark >> 5 == _INDEX_MARK:
        width, count = (mark >> 3 & 3) + 1, (mark & 7) + 1
        begin = len(sample) - 2 - width * count
        if begin >= 0 and sample[begin] == mark:
            places = range(begin + 1, begin + 1 + width * count, width)
            sizes = [int.from_bytes(sample[place : place + width], "little") for place in places]
            if sum(sizes) > begin:
                raise MalformedMediaError(
                    "the frames of a VP9 superframe are longer than it",
                    seen=f"{sum(sizes)} bytes in a sample of {len(sample)}",
                )
            return [size for size in sizes if size]
    return [len(sample)]
