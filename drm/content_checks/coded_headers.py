"""Whether the headers of a picture's parts stay clear: NAL units of AVC, HEVC and VVC, OBUs of AV1.

A decoder that decrypts in hardware finds the slices by these bytes before it has a key: ISO/IEC 23001-7, clause 9.5.2,
keeps length and header of each NAL unit clear, and the AV1 binding (AV1 in ISOBMFF, section 4) each OBU's header and
all OBUs but tile data and metadata. Lengths are read where they are clear; a row of parts that does not add up to its
sample is no row, and nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from drm.cenc.layout import protected_ranges
from drm.content_checks.enciphered import is_enciphered
from drm.content_checks.judgement import Judgement
from drm.errors import MediaError
from drm.media import Sample, TrackInfo

__all__ = ["Asked", "asked_of", "av1_headers", "nal_headers"]

MAX_PARTS: Final = 4096  # of one sample that are walked
_NAL_HEADERS: Final = {"h264": 1, "hevc": 2, "vvc": 2}  # bytes
_AV1: Final = "libdav1d"
_AV1_CLEAR: Final = frozenset({1, 2, 3, 7, 15})  # sequence, delimiter, frame header, its repetition, padding
_AV1_FRAME: Final = 6  # a frame header and tiles behind it

Read = Callable[[int, int], bytes]
"""Bytes of the sample: from where, how many."""
Asked = Callable[[Sample, int, Read], Judgement]
"""The question for one sample and its number."""


def asked_of(track: TrackInfo) -> Asked | None:
    """The question that its codec has; None: a codec whose samples have no such parts, or whose description lacks."""
    if track.decoder in _NAL_HEADERS:
        length_size = _length_size(track)
        if not length_size:
            return None
        header = _NAL_HEADERS[track.decoder]
        return lambda sample, number, read: nal_headers(sample, number, read, length_size, header)
    if track.decoder == _AV1 and track.codec_config:
        return av1_headers
    return None


def _length_size(track: TrackInfo) -> int:
    """Bytes of a NAL unit's length, by the decoder's configuration (ISO/IEC 14496-15); 0: it is not there."""
    configs = set(track.codec_configs) or {track.codec_config}
    if len(configs) != 1:
        return 0
    (config,) = configs
    at, shift = {"h264": (4, 0), "hevc": (21, 0), "vvc": (4, 1)}[track.decoder]
    return (config[at] >> shift & 3) + 1 if len(config) > at else 0


class _Map:
    """What of one sample is enciphered, under any of its keys."""

    def __init__(self, sample: Sample) -> None:
        parts = sample.crypto.parts() if sample.crypto else ()
        self._parts = [(part, protected_ranges(part.subsamples, sample.size)) for part in parts]

    def hides(self, start: int, end: int) -> bool:
        return any(is_enciphered(part, ranges, start, end) for part, ranges in self._parts)


def nal_headers(sample: Sample, number: int, read: Read, length_size: int, header: int) -> Judgement:
    """Whether a length or header of a NAL unit is enciphered."""
    track = sample.track_id
    try:
        hidden = _Map(sample)
    except MediaError as error:
        return Judgement.unknown(str(error), track)
    at = 0
    for _ in range(MAX_PARTS):
        if at >= sample.size:
            return Judgement.no(track)
        start = at + length_size
        if start > sample.size:
            break
        if hidden.hides(at, start):
            return _yes(sample, number, at, start, "the length of a NAL unit")
        size = int.from_bytes(read(at, length_size), "big")
        if not size or start + size > sample.size:
            break
        if hidden.hides(start, start + min(header, size)):
            return _yes(sample, number, start, start + header, "the header of a NAL unit")
        at = start + size
    return Judgement.unknown(f"sample {number} is no row of NAL units that its clear bytes show", track)


def av1_headers(sample: Sample, number: int, read: Read) -> Judgement:
    """Whether an OBU's header, or an OBU that has to stay clear, is enciphered."""
    track = sample.track_id
    try:
        hidden = _Map(sample)
    except MediaError as error:
        return Judgement.unknown(str(error), track)
    at = 0
    for _ in range(MAX_PARTS):
        if at >= sample.size:
            return Judgement.no(track)
        if hidden.hides(at, at + 1):
            return _yes(sample, number, at, at + 1, "the header of an OBU")
        head = read(at, min(10, sample.size - at))  # header, extension, eight bytes of size
        kind, has_extension, has_size = head[0] >> 3 & 15, head[0] >> 2 & 1, head[0] >> 1 & 1
        behind = 1 + has_extension
        size, width = _leb128(head[behind:]) if has_size else (sample.size - at - behind, 0)
        body = at + behind + width
        end = body + size
        if hidden.hides(at, body):
            return _yes(sample, number, at, body, "the header of an OBU")
        if head[0] >> 7 or width > 8 or size < 0 or end > sample.size:
            break
        clear_until = end if kind in _AV1_CLEAR else min(body + 1, end) if kind == _AV1_FRAME else body
        if hidden.hides(body, clear_until):
            return _yes(sample, number, body, clear_until, f"an OBU of type {kind}")
        at = end
    return Judgement.unknown(f"sample {number} is no row of OBUs that its clear bytes show", track)


def _leb128(data: bytes) -> tuple[int, int]:
    """The number, and how many bytes it has; 9 bytes: it has no end."""
    value = 0
    for index, byte in enumerate(data[:8]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, index + 1
    return 0, 9


def _yes(sample: Sample, number: int, start: int, end: int, what: str) -> Judgement:
    place = f"sample {number}: {what}, bytes {start} to {end - 1} of the sample, is enciphered"
    return Judgement.yes(what, place, track_id=sample.track_id)
