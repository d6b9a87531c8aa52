"""One packaged track as manifests describe it: read back from its file, so that they say what is really there.

Which process: a developer's verb. Who may be lying: nobody yet, the file is ours; it is read as any other all the same.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from struct import Struct
from typing import Final

import msgspec

from drm.errors import MalformedMediaError
from drm.isobmff.box import load_box, top_boxes
from drm.isobmff.samples import open_presentation
from drm.keys import KeyId
from drm.manifests.codec_names import codec_name
from drm.media import ByteSource, Scheme, TrackInfo, TrackType

__all__ = ["Rendition", "Segment", "read_rendition"]

_REFERENCE: Final = Struct(">III")  # type and size, duration, access points
_LOOKED_AT: Final = 240  # samples from which the frame rate is told


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """One media segment, by its place in the file."""

    offset: int
    size: int
    duration: float  # seconds


class Rendition(msgspec.Struct, frozen=True, kw_only=True):
    """One file with one track, and what manifests say of it."""

    file_name: str
    track: TrackInfo
    codecs: str
    initialization: int  # bytes before the index
    index: tuple[int, int]  # offset and size of `sidx`
    segments: tuple[Segment, ...]
    frame_rate: Fraction | None = None  # constant, of a video
    scheme: Scheme | None = None  # None: it is clear
    key_id: KeyId | None = None

    @property
    def duration(self) -> float:
        """Seconds."""
        return sum(segment.duration for segment in self.segments)

    @property
    def peak_bandwidth(self) -> int:
        """Bits per second of the densest segment."""
        return max(round(8 * part.size / part.duration) for part in self.segments if part.duration > 0)

    @property
    def average_bandwidth(self) -> int:
        """Bits per second."""
        return round(8 * sum(part.size for part in self.segments) / self.duration)

    @property
    def is_video(self) -> bool:
        """Rather than sound."""
        return self.track.type is TrackType.VIDEO


def read_rendition(source: ByteSource, file_name: str) -> Rendition:
    """Read the packaged file `source`, which manifests will call `file_name`.

    Raises:
        MalformedMediaError: it has no index behind `moov`, or not one track.
        MediaError: it cannot be read.
    """
    opened = open_presentation(source)
    if len(opened.tracks) != 1:
        raise MalformedMediaError(f"{file_name} has {len(opened.tracks)} tracks, a rendition has one")
    track = opened.tracks[0]
    index, segments = _read_index(source, file_name)
    protection = next((known for known in track.protections if known), None)
    rate = None
    if track.type is TrackType.VIDEO:
        durations = {sample.duration for sample in islice(opened.samples(track.track_id), _LOOKED_AT)}
        # The last sample of a track may last longer than the others; a frame rate that is not constant is not told.
        rate = Fraction(track.timescale, min(durations)) if 0 < len(durations) <= 2 and min(durations) else None
    return Rendition(
        file_name=file_name,
        track=track,
        codecs=codec_name(track),
        initialization=index[0],
        index=index,
        segments=segments,
        frame_rate=rate,
        scheme=protection.scheme if protection else None,
        key_id=protection.key_id if protection else None,
    )


def _read_index(source: ByteSource, name: str) -> tuple[tuple[int, int], tuple[Segment, ...]]:
    """The place of `sidx`, and its rows (ISO/IEC 14496-12, 8.16.3)."""
    for top in top_boxes(source):
        if top.type == "moof":
            break
        if top.type != "sidx":
            continue
        box = load_box(source, top)
        version, _flags = box.full_box()
        box.skip(4)
        timescale = box.u32()
        if not timescale:
            box.fail("an index with a timescale of 0")
        _earliest, first = box.unpack(Struct(">QQ" if version else ">II"))
        box.skip(2)
        offset, rows = top.end + first, []
        for _ in range(box.u16()):
            word, duration, _access = box.unpack(_REFERENCE)
            size = word & 0x7FFF_FFFF
            rows.append(Segment(offset, size, duration / timescale))
            offset += size
        if rows and any(row.duration for row in rows) and offset <= source.size:
            return (top.start, top.size), tuple(rows)
    raise MalformedMediaError(f"{name} has no index of its segments behind moov")
