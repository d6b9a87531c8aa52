"""The samples of one track in segments: where each segment begins, and what its fragment says of its samples.

Read once, kept in tables of 21 bytes a sample. No file is opened here. Not for the PMP worker.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from struct import pack
from typing import Final

from drm.errors import UnsupportedMediaError
from drm.media import Sample, TrackInfo, TrackType

__all__ = ["FragmentedSamples", "Segment"]

_EARLY: Final = Fraction(1, 20)  # seconds before its time that a sync sample may end a segment: 3.97 s is meant as 4
_MOST_SEGMENTS: Final = 0xFFFF  # rows of one `sidx`
_SYNC: Final = 2 << 24  # depends on no other sample (ISO/IEC 14496-12, 8.8.3.1)
_NO_SYNC: Final = 1 << 24 | 1 << 16  # depends on others, and is no sync sample


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples `first` to `end` (not with it), which share a sample description."""

    first: int
    end: int
    dts: int  # of the first, in the track's timescale
    duration: int
    description: int
    data_size: int  # bytes of its samples
    earliest: int  # presentation time, before any edit list


class FragmentedSamples:
    """All samples of a track, and the segments that they fall into."""

    def __init__(self, track: TrackInfo, samples: Iterable[Sample], seconds: float) -> None:
        """Read `samples`. A segment ends with the first sync sample after so many `seconds`.

        Raises:
            UnsupportedMediaError: fields that a fragment cannot hold, or more segments than an index holds.
            MediaError: of `samples`.
        """
        self.track = track
        self.offsets, self.sizes, self.durations = array("Q"), array("I"), array("I")
        self.shifts = array("i")  # composition offsets
        self.sync = bytearray()
        self.dependencies = b""  # the payload of `sdtp`, a byte for each sample, where the track has one
        self.segments: list[Segment] = []
        self.lowest = 0  # presentation time of the earliest sample
        self._read(samples, seconds)

    def _read(self, samples: Iterable[Sample], seconds: float) -> None:
        track = self.track
        early = _EARLY if track.type is TrackType.VIDEO else 0
        least = max((Fraction(seconds).limit_denominator(1000) - early) * track.timescale, track.timescale * _EARLY)
        begins: list[tuple[int, int, int]] = []  # of each segment: its first sample, its time, its description
        expected = None
        for number, sample in enumerate(samples):
            if expected is not None and sample.dts != expected:
                raise UnsupportedMediaError(
                    f"track {track.track_id} has a gap in its decode times, which one fragmented file would close",
                    where=f"sample {number + 1}, at {sample.dts / track.timescale:.3f} s",
                    seen=f"{sample.dts} follows {expected}",
                    remedy="write the file anew: ffmpeg -i IN -c copy OUT.mp4",
                )
            expected = sample.dts + sample.duration
            is_new = not begins or sample.description_index != begins[-1][2]
            if is_new or (sample.is_sync and sample.dts - begins[-1][1] >= least):
                begins.append((number, sample.dts, sample.description_index))
            self._add(sample)
        if len(begins) > _MOST_SEGMENTS:
            raise UnsupportedMediaError(
                f"{len(begins)} segments, and an index has {_MOST_SEGMENTS} at most",
                remedy="make them longer: --segment-seconds 10",
            )
        self.segments = list(self._segments(begins))
        self.lowest = min((segment.earliest for segment in self.segments), default=0)

    def _add(self, sample: Sample) -> None:
        try:
            self.sizes.append(sample.size)
            self.durations.append(sample.duration)
            self.shifts.append(sample.cts_offset)
        except OverflowError:
            raise UnsupportedMediaError(
                f"a sample of track {self.track.track_id} whose size or times have more than 32 bits",
                where=f"at {sample.dts / self.track.timescale:.3f} s",
            ) from None
        self.offsets.append(sample.offset)
        self.sync.append(sample.is_sync)

    def _segments(self, begins: list[tuple[int, int, int]]) -> Iterator[Segment]:
        ends = [number for number, _, _ in begins[1:]] + [len(self.sizes)]
        for (first, dts, description), end in zip(begins, ends, strict=True):
            durations = self.durations[first:end]
            times = accumulate(durations, initial=dts)
            earliest = min(time + shift for time, shift in zip(times, self.shifts[first:end], strict=False))
            size = sum(self.sizes[first:end])
            if size >= 1 << 31:
                raise UnsupportedMediaError(
                    f"a segment of {size} bytes, and an index has 31 bits for it",
                    where=f"at {dts / self.track.timescale:.3f} s",
                    remedy="make them shorter, --segment-seconds 2, and encode with a key frame as often",
                )
            yield Segment(first, end, dts, sum(durations), description, size, earliest)

    @property
    def duration(self) -> int:
        """Of all samples, in the track's timescale."""
        return sum(segment.duration for segment in self.segments)

    def rows(self, segment: Segment, shift: int) -> bytes:
        """The rows of the segment's `trun`: duration, size, flags, composition offset plus `shift` of each sample."""
        rows = bytearray()
        for number in range(segment.first, segment.end):
            flags = _SYNC if self.sync[number] else _NO_SYNC
            if self.dependencies:
                flags = self.dependencies[number] << 20 | (0 if self.sync[number] else 1 << 16)
            rows += pack(">IIIi", self.durations[number], self.sizes[number], flags, self.shifts[number] + shift)
        return bytes(rows)

    def leads(self, segment: Segment) -> bool:
        """Whether pictures are shown before the sync sample that the segment begins with (an open group)."""
        return segment.earliest < segment.dts + self.shifts[segment.first]
