"""One period of a streamed presentation as a presentation like that of a file: each segment read as a file of its own.

An initialization segment and one media segment behind it are read by the container's reader as it stands, so that
every check of it holds. Streams are numbered anew, since track ids of renditions collide. Sample times are those of the
period: its own media time (presentationTimeOffset) is 0. Where a sample lies says its offset: the number of its feed,
of its segment, and the place in that.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol

import msgspec

from drm.container import open_container
from drm.errors import DRMError, MalformedMediaError, UnsupportedMediaError
from drm.keys import KeyId
from drm.media import (
    Edit,
    InitBox,
    Presentation,
    Sample,
    SampleTime,
    StreamDescriptor,
    TrackInfo,
    TrackType,
    sample_time,
)
from drm.streaming.presentation import Rendition

__all__ = ["Feed", "LoadedSegment", "SegmentPresentation", "SegmentStream", "configuration", "read_segment"]

_KEPT: Final = 8  # opened segments of a feed: streams of one that carries both need not be at the same
_KEPT_BYTES: Final = 64 << 20  # of all of these
_SEGMENT_BITS, _PLACE_BITS = 20, 32
_MAX_WARNINGS: Final = 64


@dataclass(frozen=True, slots=True)
class LoadedSegment:
    """The bytes of a segment behind those of its initialization segment. Keeps `drm.media.ByteSource`."""

    name: str  # as it may be shown
    data: memoryview

    @property
    def size(self) -> int:
        """Length of both, in bytes."""
        return len(self.data)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`."""
        return bytes(self.data[offset : offset + size])

    def read_into(self, offset: int, into: memoryview) -> int:
        """Fill `into` from `offset`; return how many bytes were there."""
        part = self.data[offset : offset + len(into)]
        into[: len(part)] = part
        return len(part)


class SegmentStream(Protocol):
    """Where the segments of one rendition come from. Any call may block."""

    @property
    def count(self) -> int:
        """How many there are."""

    def load(self, index: int) -> LoadedSegment:
        """The segment of this index. Raises what keeps it from coming."""

    def interrupt(self) -> None:
        """Let a waiting `load` go with InvalidRequestError, from any thread."""


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """A rendition, where its segments come from, and what of it is played."""

    rendition: Rendition
    stream: SegmentStream
    types: frozenset[TrackType]


@dataclass(frozen=True, slots=True)
class _Track:
    feed: int
    local_id: int
    info: TrackInfo
    shift: int  # units, from media time to the period's
    scheme: str
    entries: tuple[str, ...]
    key_ids: tuple[KeyId, ...]


def read_segment(segment: LoadedSegment) -> Presentation:
    """Open one. Raises MediaError as `open_container`; `where` names the segment."""
    try:
        return open_container(segment)
    except DRMError as error:
        if segment.read_at(0, 3).startswith((b"\x47", b"ID3")):
            raise UnsupportedMediaError(
                "segments that are MPEG transport streams or packed audio are not read",
                where=segment.name,
                remedy="have the packager write fMP4 segments, with EXT-X-MAP",
            ) from None
        error.where = f"{segment.name}, {error.where}" if segment.name not in error.where else error.where
        raise


def configuration(track: TrackInfo) -> tuple[object, ...]:
    """What a decoder is opened with, and whether it wants keys. Another one is another topology; another key is not."""
    scheme = track.scheme
    return (track.type, track.decoder, track.codec_configs, track.width, track.height, track.sample_rate,
            track.channels, track.timescale, scheme)  # fmt: skip


class SegmentPresentation:
    """Keeps `drm.media.Presentation` and `drm.component.ByteStream` over the feeds of one period.

    Raises:
        MediaError: a first segment cannot be read.
        DRMError: or does not come.
    """

    uses_network = True

    def __init__(self, name: str, feeds: Sequence[Feed], *, everything: bool = False) -> None:
        """Read the first segment of each. `everything`: all tracks of each feed, not the first of each type."""
        self.name = name
        self.size = 0  # nobody knows
        self._feeds = [each for each in feeds if each.stream.count]
        self._parts: list[collections.OrderedDict[int, tuple[LoadedSegment, Presentation]]] = [
            collections.OrderedDict() for _ in self._feeds
        ]
        self._warnings: dict[str, None] = {}
        self._pssh: dict[InitBox, None] = {}
        opened = [self._part(number, 0)[1] for number in range(len(self._feeds))]
        offset = self._common_offset(opened)
        self._tracks: dict[int, _Track] = {}
        for number, (feed, presentation) in enumerate(zip(self._feeds, opened, strict=True)):
            begins = feed.rendition.offset if feed.rendition.offset is not None else offset
            named = {found.track.track_id: found.key_ids for found in presentation.streams()}
            for info in self._chosen(presentation, feed, everything=everything):
                track_id = len(self._tracks) + 1
                self._tracks[track_id] = _Track(
                    number,
                    info.track_id,
                    _renumbered(info, track_id, feed.rendition),
                    int(begins * info.timescale),
                    presentation.scheme_type(info.track_id),
                    presentation.sample_entries(info.track_id),
                    _key_ids(named[info.track_id], feed.rendition) if info.is_protected else (),
                )

    @staticmethod
    def _chosen(presentation: Presentation, feed: Feed, *, everything: bool) -> Iterator[TrackInfo]:
        left = set(feed.types)
        for info in presentation.tracks:
            if info.type in left and not presentation.left_out(info.track_id):
                yield info
                if not everything:
                    left.discard(info.type)

    def _common_offset(self, opened: Sequence[Presentation]) -> Fraction:
        """The media time at which the period begins, where no manifest says so: with the first of its samples."""
        found = []
        for feed, presentation in zip(self._feeds, opened, strict=True):
            for info in presentation.tracks:
                first = next(presentation.samples(info.track_id), None) if info.type in feed.types else None
                if first is not None:
                    begin = next((edit.media_time for edit in info.edits if edit.media_time >= 0), 0)
                    # What an edit list cuts off at the very start lies before it, and is not presented.
                    found.append(Fraction(max(0, first.dts + first.cts_offset - begin), max(1, info.timescale)))
        return min(found, default=Fraction(0))

    # ------------------------------------------------------------------ drm.media.Presentation

    @property
    def container(self) -> str:
        """Segments of one."""
        return "segments"

    @property
    def tracks(self) -> tuple[TrackInfo, ...]:
        """What is played, in the order of the feeds."""
        return tuple(track.info for track in self._tracks.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd in the segments read so far."""
        return tuple(self._warnings)

    @property
    def pssh(self) -> Sequence[InitBox]:
        """Of the segments read so far."""
        return tuple(self._pssh)

    def streams(self) -> tuple[StreamDescriptor, ...]:
        """Every track with the key ids that its first segment names, else its manifest. KID zero names none."""
        return tuple(StreamDescriptor(track.info, track.key_ids) for track in self._tracks.values())

    def rendition(self, track_id: int) -> Rendition:
        """What the manifest says of the rendition that a track belongs to."""
        return self._feeds[self._tracks[track_id].feed].rendition

    def scheme_type(self, track_id: int) -> str:
        """As the first segment spells it."""
        return self._tracks[track_id].scheme

    def left_out(self, track_id: int) -> str:  # noqa: ARG002 - Presentation's signature
        """None is: what is no picture and no sound was not taken."""
        return ""

    def sample_entries(self, track_id: int) -> tuple[str, ...]:
        """As the first segment has them."""
        return self._tracks[track_id].entries

    def times(self, track_id: int) -> Iterator[SampleTime]:
        """When samples are decoded; reads every segment."""
        return map(sample_time, self.samples(track_id))

    def samples(self, track_id: int, start: int = 0) -> Iterator[Sample]:
        """The samples of one track through all segments, from number `start` on."""
        number = 0
        for index in range(self.segments_of(track_id)):
            for sample in self.segment_samples(track_id, index):
                if number >= start:
                    yield sample
                number += 1

    def segments_of(self, track_id: int) -> int:
        """How many segments the track has."""
        return self._feeds[self._tracks[track_id].feed].stream.count

    def segment_samples(self, track_id: int, index: int) -> Iterator[Sample]:
        """The samples of one segment."""
        track = self._tracks[track_id]
        segment, presentation = self._part(track.feed, index)
        info = self._same_track(track, segment, presentation)
        base = (track.feed << _SEGMENT_BITS | index) << _PLACE_BITS
        for sample in presentation.samples(info.track_id):
            yield msgspec.structs.replace(
                sample, track_id=track_id, dts=sample.dts - track.shift, offset=base + sample.offset
            )

    def _same_track(self, track: _Track, segment: LoadedSegment, presentation: Presentation) -> TrackInfo:
        found = next((each for each in presentation.tracks if each.track_id == track.local_id), None)
        if found is None:
            raise MalformedMediaError(
                f"this segment has no track {track.local_id}, as the first one of its rendition has", where=segment.name
            )
        if configuration(found) != configuration(track.info):
            raise UnsupportedMediaError(
                "a segment is coded in another way than those before it, in one period",
                where=segment.name,
                seen=f"{_coded(track.info)} before, {_coded(found)} here",
                remedy="have the packager begin a period there, or write EXT-X-DISCONTINUITY",
            )
        return found

    # ------------------------------------------------------------------ drm.component.ByteStream

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes of the segment that `offset` is in."""
        segment, place = self._place(offset)
        return segment.read_at(place, size)

    def read_into(self, offset: int, into: memoryview) -> int:
        """Fill `into` from `offset`, within one segment; return how many bytes were there."""
        segment, place = self._place(offset)
        return segment.read_into(place, into)

    def interrupt(self) -> None:
        """Let a read that waits for a segment go, from any thread."""
        for feed in self._feeds:
            feed.stream.interrupt()

    def _place(self, offset: int) -> tuple[LoadedSegment, int]:
        which, place = offset >> _PLACE_BITS, offset & ((1 << _PLACE_BITS) - 1)
        return self._part(which >> _SEGMENT_BITS, which & ((1 << _SEGMENT_BITS) - 1))[0], place

    def _part(self, feed: int, index: int) -> tuple[LoadedSegment, Presentation]:
        parts = self._parts[feed]
        if index in parts:
            return parts[index]
        segment = self._feeds[feed].stream.load(index)
        presentation = read_segment(segment)
        parts[index] = segment, presentation
        while len(parts) > 1 and (len(parts) > _KEPT or sum(kept.size for kept, _ in parts.values()) > _KEPT_BYTES):
            parts.popitem(last=False)
        self._pssh |= dict.fromkeys(presentation.pssh)
        for warning in presentation.warnings:
            if len(self._warnings) < _MAX_WARNINGS:
                self._warnings.setdefault(f"{segment.name}: {warning}")
        return segment, presentation


def _renumbered(info: TrackInfo, track_id: int, rendition: Rendition) -> TrackInfo:
    # How long an edit lasts, the initialization segment of a stream cannot know.
    edits = tuple(Edit(0 if edit.media_time >= 0 else edit.duration, edit.media_time) for edit in info.edits)
    return msgspec.structs.replace(
        info, track_id=track_id, edits=edits, duration=0, language=info.language or rendition.language
    )


def _key_ids(named: Sequence[KeyId], rendition: Rendition) -> tuple[KeyId, ...]:
    return tuple(kid for kid in named if any(kid.value)) or rendition.key_ids


def _coded(track: TrackInfo) -> str:
    shape = f"{track.width}x{track.height}" if track.type is TrackType.VIDEO else f"{track.sample_rate} Hz"
    return f"{track.codec} {shape}{', ' + track.scheme if track.scheme else ''}"
