"""From blocks to samples: lacing taken apart, encryption read, times and durations told. Checked here, once.

CodecDelay is taken from every time, as FFmpeg does; a time before 0 becomes 0, since the decoders of Opus (by the
pre-skip of OpusHead) and Vorbis (by its first packet) drop that sound themselves. An edit list could not say it: block
times are rounded to whole ticks, and sound would be cut where it begins. DiscardPadding, at Opus's end, is not applied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from drm.errors import MediaError
from drm.keys import KeyId
from drm.media import Sample, SampleCrypto
from drm.webm.block import frame_sizes
from drm.webm.clusters import Found, blocks
from drm.webm.ebml import Ebml, Element
from drm.webm.encryption import read_frame_header
from drm.webm.tracks import MAX_TIME, Info, Track

__all__ = ["samples_of"]


class _Frame(NamedTuple):
    """A sample to be; `duration` None: it lasts until the next one."""

    time: int  # nanoseconds, of presentation
    duration: int | None
    is_sync: bool
    offset: int
    size: int
    crypto: SampleCrypto | None


def samples_of(ebml: Ebml, track: Track, info: Info, segment: Element, start: int) -> Iterator[Sample]:
    """The samples of `track`. Raises as `drm.webm.presentation.Presentation.samples` while it is iterated."""
    number = track.info.track_id
    dts = 0
    for frame, duration in _lasting(_frames(ebml, track, info, segment, start)):
        # WebM tells presentation times alone. Those of reordered pictures go back, decode times must not.
        dts = max(dts, frame.time)
        yield Sample(
            number,
            dts,
            frame.time - dts,
            duration,
            frame.is_sync,
            frame.offset,
            frame.size,
            1,
            frame.crypto,
        )


def _lasting(frames: Iterator[_Frame]) -> Iterator[tuple[_Frame, int]]:
    """Each frame with its duration; where nothing tells it, the time until the next, and for the last as before it."""
    held: _Frame | None = None
    last = 0
    try:
        for frame in frames:
            if held is not None:
                last = max(0, frame.time - held.time)
                yield held, last
            held = frame
            if frame.duration is not None:
                held, last = None, frame.duration
                yield frame, last
    except MediaError:
        if held is not None:  # what stands before the damage is sound
            yield held, last
        raise
    if held is not None:
        yield held, last


def _frames(ebml: Ebml, track: Track, info: Info, segment: Element, start: int) -> Iterator[_Frame]:
    protection = track.info.protections[0]
    key_id = protection.key_id if protection else None
    for found in blocks(ebml, segment, start, {track.info.track_id}):
        begin, sizes = frame_sizes(ebml, found.block, found.element)
        if key_id is not None and found.block.lacing:
            ebml.refuse(
                "a block of an encrypted track is laced", begin, found.element, seen=f"{len(sizes)} frames in one block"
            )
        time, step = _times(ebml, found, track, info, len(sizes))
        for size in sizes:
            header, crypto = _header(ebml, key_id, begin, begin + size, found.element)
            yield _Frame(max(0, time - track.codec_delay), step, found.is_sync, begin + header, size - header, crypto)
            begin += size
            time += step or 0


def _header(
    ebml: Ebml, key_id: KeyId | None, start: int, end: int, element: Element
) -> tuple[int, SampleCrypto | None]:
    return (0, None) if key_id is None else read_frame_header(ebml, key_id, start, end, element)


def _times(ebml: Ebml, found: Found, track: Track, info: Info, count: int) -> tuple[int, int | None]:
    """The time of a block's first frame, and how long each of its `count` frames lasts. None: nothing tells."""
    time = found.ticks * info.scale
    if found.duration is not None:
        step: int | None = found.duration * info.scale // count
    else:
        step = track.default_duration or None
    if time + count * (step or 0) > MAX_TIME:
        ebml.fail(f"a block's time of {time} nanoseconds", found.element.start, found.element)
    return time, step
