"""Tell noise from slices where a decoder takes noise without a word: FFmpeg's HEVC always, its H.264 inside a group.

Arithmetic coding uses up a slice exactly: what follows its end changes no pixel, and what stands in its second half
changes some. Noise, decoded as a slice, seldom does both: it runs beyond the end, or is done long before. So a slice is
decoded as it stands, with bytes appended behind it, and with its second half overwritten.

Runs where the decoder runs, in the worker for playback; the few clear samples that it is given are in memory there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from drm.component import Decoder, VideoFrame
from drm.errors import MediaError
from drm.media import Sample, TrackInfo

__all__ = ["INSIDE_GROUPS", "NOISE_CHECKED", "SAMPLES", "slices_end_where_they_should"]

NOISE_CHECKED: Final = frozenset({"hevc"})
"""Decoders whose silence says nothing, wherever decoding begins."""

INSIDE_GROUPS: Final = frozenset({"h264", "hevc"})
"""Decoders whose slices this module can take apart. Of a noisy picture that refers to others, H.264's says nothing."""

SAMPLES: Final = 6
"""Samples that are looked at, each decoded three times with those before it."""

_LONG_ENOUGH: Final = 64  # bytes of a slice
_CONCLUSIVE: Final = 2  # samples that fit before a key is believed: noise fits once in fifty times
_TAIL: Final = {"h264": 12}
"""Bytes at the end of a slice that must matter, where half of it would be too many: small slices, noise fits often."""

_APPENDED: Final = b"\x55\xaa\xc3\x3c" * 32  # holds no start code and no emulation prevention
_HEVC_SLICES: Final = frozenset((*range(10), *range(16, 22)))  # NAL unit types (ITU-T H.265, table 7-1)
_AVC_SLICES: Final = frozenset({1, 5})  # (ITU-T H.264, table 7-1)
_LENGTH_SIZE_AT: Final = {"hevc": 21, "h264": 4}  # lengthSizeMinusOne in the configuration (ISO/IEC 14496-15, 5.3, 8.3)

_Clear = Sequence[tuple[Sample, bytes]]


def slices_end_where_they_should(
    track: TrackInfo, clear: _Clear, make_decoder: Callable[[], Decoder], begin: int = 0
) -> bool | None:
    """Whether `clear`, decrypted samples from a sync sample on, are coded slices to their ends, from number `begin` on.

    False: some are noise (of H.264: all that could be looked at, and two at least); never so of sound media. True: two
    are sound. None: there was too little to tell by, since a sample that cannot be taken apart, does not decode or
    gives no picture is passed over.
    """
    size_at = _LENGTH_SIZE_AT.get(track.decoder)
    if size_at is None or len(track.codec_config) <= size_at:
        return None
    width = (track.codec_config[size_at] & 3) + 1
    sound = noisy = 0
    for index, (sample, data) in enumerate(clear[begin : begin + SAMPLES], begin):
        found = _last_slice(data, width, track.decoder)
        if found is None:
            continue
        fits = _fits(track, clear[:index], sample, data, found, width, make_decoder)
        if fits is False and track.decoder in NOISE_CHECKED:
            return False
        sound, noisy = sound + (fits is True), noisy + (fits is False)
    if noisy:  # a sound slice may end in stuffing, which changes nothing
        return False if noisy >= _CONCLUSIVE and not sound else None
    return True if sound >= _CONCLUSIVE else None


def _fits(
    track: TrackInfo,
    before: _Clear,
    sample: Sample,
    data: bytes,
    piece: tuple[int, int],
    width: int,
    make_decoder: Callable[[], Decoder],
) -> bool | None:
    def decoded(changed: bytes) -> list[bytes] | None:
        return _pictures(track, [*before, (sample, changed)], make_decoder)

    as_it_stands = decoded(data)
    # A picture that is not output (one that needs those before its random access point) would never look changed.
    if as_it_stands is None or len(as_it_stands) != len(before) + 1:
        return None
    at, end = piece
    size = end - at + len(_APPENDED)
    if size >> 8 * width:
        return None
    longer = data[: at - width] + size.to_bytes(width, "big") + data[at:end] + _APPENDED + data[end:]
    if decoded(longer) not in (as_it_stands, None):
        return False
    middle = max(at + (end - at) // 2, end - _TAIL.get(track.decoder, end))
    pattern = _APPENDED * ((end - middle) // len(_APPENDED) + 1)
    return decoded(data[:middle] + pattern[: end - middle] + data[end:]) != as_it_stands


def _last_slice(data: bytes, width: int, decoder: str) -> tuple[int, int] | None:
    """Start and end of the last coded slice of a sample of length-prefixed NAL units, if it is long enough to tell."""
    at, found = 0, None
    while at < len(data):
        start = at + width
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data) or at < start + 2:
            return None
        if decoder == "h264":
            is_slice = data[start] & 0x1F in _AVC_SLICES
        else:
            layer = (data[start] & 1) << 5 | data[start + 1] >> 3
            is_slice = data[start] >> 1 & 0x3F in _HEVC_SLICES and not layer
        if is_slice and at - start >= _LONG_ENOUGH:
            found = start, at
    return found


def _pictures(track: TrackInfo, samples: _Clear, make_decoder: Callable[[], Decoder]) -> list[bytes] | None:
    """A hash for each picture; None when the decoder refuses a sample."""
    decoder = make_decoder()
    decoder.open(track, strict=True)
    frames = []
    try:
        for sample, data in samples:
            buffer = decoder.buffer(len(data))
            with buffer.view() as target:
                target[: len(data)] = data
            frames += decoder.decode(buffer, sample)
        frames += decoder.drain()
    except MediaError:
        return None
    return [_picture(frame) for frame in frames if isinstance(frame, VideoFrame)]


def _picture(frame: VideoFrame) -> bytes:
    native: Any = frame.native
    whole = hashlib.blake2b(digest_size=16)
    size = (max(component.bits for component in native.format.components) + 7) // 8  # bytes of one value of a plane
    for plane in native.planes:
        rows = memoryview(plane)
        # What is behind the width is the decoder's padding, with whatever was there before.
        for at in range(0, plane.height * plane.line_size, plane.line_size):
            whole.update(rows[at : at + size * plane.width])
    return whole.digest()
