"""What H.264 and HEVC share: a sample is a row of NAL units, each behind its length, and only slices are protected.

ISO/IEC 23001-7, clause 9.5.2 (and 10.1 to 10.4 by scheme): lengths, NAL headers, parameter sets, supplemental
information and slice headers stay clear; what is clear between two protected ranges is told as one run.

* `cenc`, `cens`, `cbc1`: a protected range has whole blocks, and the clear run in front of it takes what is left over
  (`cbc1`, `cens`: 10.2, 10.3; `cenc`: 9.5.2.5 recommends it, ISO/IEC 23000-19, CMAF, 8.2.2.1, asks for it).
* `cbcs`: it begins with the first byte behind the slice header and ends with the NAL unit (10.4.2); a partial block
  at its end is told as protected too, and is not encrypted. So is a slice that has nothing else.

Shaka Packager and GPAC tell the same ranges for `cbcs`, and GPAC for `cenc` and `cbc1`; with those, Shaka Packager 3.8
begins straight behind the header and leaves the odd bytes at the NAL unit's end clear. FFmpeg protects all NAL units
behind their first byte, and Bento4 leaves some hundred bytes clear without reading headers: all of it decrypts alike.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import unpack_from
from typing import Final

from drm.codecs.bits import BitReader, OutOfBitsError
from drm.errors import MalformedMediaError
from drm.media import Scheme, Subsample

__all__ = ["MOST_CLEAR", "NalKind", "NalLayout", "append_range", "bounded_header"]

MOST_CLEAR: Final = 0xFFFF
"""Clear bytes that one subsample entry can tell."""

_TRIES: Final = (48, 256, 1 << 15)  # bytes: nearly every slice header is short, and a short prefix is quick to read
_LENGTHS: Final = {1: "B", 2: "H", 4: "I"}  # no sound record has lengths of three bytes


class NalKind:
    """What becomes of a NAL unit, by its first byte."""

    CLEAR, SLICE, OTHER = range(3)  # OTHER: parameter sets, which are kept, and what is refused


class NalLayout:
    """Finds the subsamples of one track's samples. What a NAL unit is, and its slice header, the codec tells."""

    def __init__(
        self,
        length_size: int,
        scheme: Scheme,
        kinds: bytes,
        head_size: int,
        usual: Callable[[bytes], int],
        general: Callable[[memoryview], int],
    ) -> None:
        """Take the codec's part.

        Args:
            length_size: bytes of a NAL unit's length, 1 to 4.
            scheme: of the samples.
            kinds: a NalKind for each value that a NAL unit's first byte can have.
            head_size: bytes that `usual` is given.
            usual: from the first `head_size` bytes of a slice, bytes of its headers; 0 where only `general` can say.
            general: the same for any NAL unit, from the whole of it; 0 for one that stays clear. Keeps parameter sets.
        """
        self._length_size = length_size
        self._is_aligned = scheme is not Scheme.CBCS
        self._kinds = kinds
        self._head_size = head_size
        self._format = f">{_LENGTHS[length_size]}{head_size}s" if length_size in _LENGTHS else ""
        self._usual = usual
        self._general = general

    def subsamples(self, sample: memoryview) -> tuple[Subsample, ...]:
        """Return (clear, protected) pairs that cover the sample; at least one.

        Raises:
            MalformedMediaError: its NAL units do not fill it, or a slice's header cannot be read.
            UnsupportedMediaError: it holds slices of a kind that is not encrypted here.
        """
        found: list[Subsample] = []
        size, width, kinds, is_aligned = len(sample), self._length_size, self._kinds, self._is_aligned
        head_size = self._head_size
        told = self._format
        in_reach = size - width - head_size if told else -1
        clear = at = 0
        while at < size:
            begin = at + width
            if at <= in_reach:
                length, head = unpack_from(told, sample, at)
            else:
                length, head = int.from_bytes(sample[at:begin], "big"), bytes(sample[begin : begin + 1])
            end = begin + length
            if begin > size or end > size:
                raise MalformedMediaError(
                    "a NAL unit is longer than its sample",
                    seen=f"it ends at {max(begin, end)}, the sample has {size} bytes",
                )
            clear += end - at
            if length and (kind := kinds[head[0]]):
                header = self._usual(head) if kind == 1 and length >= head_size == len(head) else 0
                if header or (header := self._general(sample[begin:end])):
                    protected = length - header
                    if is_aligned:
                        protected &= ~15
                    if protected:
                        clear -= protected
                        if clear > MOST_CLEAR:
                            append_range(found, clear, protected)
                        else:
                            found.append((clear, protected))
                        clear = 0
            at = end
        if clear or not found:
            append_range(found, clear, 0)
        return tuple(found)


def append_range(found: list[Subsample], clear: int, protected: int) -> None:
    """Add a range, its clear part told by as many entries as it takes."""
    while clear > MOST_CLEAR:
        found.append((MOST_CLEAR, 0))
        clear -= MOST_CLEAR
    found.append((clear, protected))


def bounded_header(nal: memoryview, walk: Callable[[BitReader], None]) -> int:
    """Return how many bytes at the front of `nal` hold the bits that `walk` takes. Reads a short prefix first.

    Raises:
        MalformedMediaError: they end before `walk` does, or `walk` finds them at fault.
    """
    for limit in _TRIES:
        r = BitReader(nal[:limit])
        try:
            walk(r)
        except OutOfBitsError:
            if len(nal) <= limit:
                raise
            continue
        # Cut at the limit, an escape may lie across it: then the last byte counted is not what it seems.
        if (taken := r.bytes_taken()) < limit - 3 or len(nal) <= limit:
            return taken
    raise MalformedMediaError(f"a slice header of more than {_TRIES[-1]} bytes")
