"""Which bytes of a VP8 sample are protected: all behind the uncompressed data chunk (RFC 6386, section 9.1).

The VP Codec ISO Media File Format Binding 1.0 asks for subsamples for VP8 and describes them for VP9 only; this is its
rule for VP9 on the one header that VP8 has: a frame tag of three bytes, and in key frames a start code and the size.
Whole blocks are protected, and what is left over is clear in front of them.
"""

from __future__ import annotations

from typing import Final

from drm.codecs.nal_layout import append_range
from drm.errors import MalformedMediaError
from drm.media import Subsample

__all__ = ["Vp8Layout"]

_TAG, _KEY_FRAME_HEADER = 3, 10  # bytes
_START_CODE: Final = b"\x9d\x01\x2a"


class Vp8Layout:
    """Finds the subsamples of samples, each of which is one frame and tells all of itself."""

    def subsamples(self, sample: memoryview) -> tuple[Subsample, ...]:
        """Return (clear, protected) pairs that cover the sample; at least one. Raises MalformedMediaError."""
        size = len(sample)
        if not size:  # a frame that was dropped
            return ((0, 0),)
        is_key = not sample[0] & 1
        header = _KEY_FRAME_HEADER if is_key else _TAG
        if size < header:
            raise MalformedMediaError("a VP8 frame ends inside its header", seen=f"{size} bytes")
        if is_key and bytes(sample[_TAG : _TAG + 3]) != _START_CODE:
            raise MalformedMediaError("a VP8 key frame lacks its start code")
        protected = size - header & ~15
        found: list[Subsample] = []
        append_range(found, size - protected, protected)
        return tuple(found)
