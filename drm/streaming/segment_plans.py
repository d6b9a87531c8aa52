"""The ways to compute segments: by number, by a time line, and from a list that its document spells out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from drm.errors import UnsupportedMediaError
from drm.streaming.presentation import MOST_SEGMENTS, Piece, Segment

__all__ = ["ListedPlan", "NumberPlan", "Run", "TimelinePlan", "bounded"]


def bounded(count: int, where: str) -> int:
    """Return `count`. Raises UnsupportedMediaError for more segments than are looked at."""
    if count > MOST_SEGMENTS:
        shown = str(count) if count < 10**20 else "more than 10^20"
        raise UnsupportedMediaError(
            f"one period has {shown} segments",
            where=where,
            seen=f"up to {MOST_SEGMENTS} of one rendition are looked at",
            maybe="a duration or a repeat count is wrong, or has another timescale",
        )
    return count


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """Segments of one nominal duration (SegmentTemplate@duration). Real durations stray around it."""

    count: int
    first: int  # number of the first
    duration: int  # units
    timescale: int  # units per second
    initialization: Piece | None
    media: Callable[[int, int], Piece]  # number and time to bytes

    def segment(self, index: int) -> Segment:
        """As `SegmentPlan.segment`."""
        start = Fraction(index * self.duration, self.timescale)
        length = Fraction(self.duration, self.timescale)
        return Segment(index, start, length, self.initialization, self.media(self.first + index, 0))


@dataclass(frozen=True, slots=True)
class Run:
    """Segments of one duration, one behind the other (SegmentTimeline's S)."""

    time: int  # units, of the first
    duration: int  # units, of each
    count: int
    number: int  # of the first


class TimelinePlan:
    """Segments of runs (SegmentTimeline)."""

    def __init__(
        self,
        runs: Sequence[Run],
        offset: int,
        timescale: int,
        initialization: Piece | None,
        media: Callable[[int, int], Piece],
    ) -> None:
        """`offset`: presentationTimeOffset in units; `media`: number and time to bytes."""
        self._runs = list(runs)
        self._before: list[int] = []
        self.count = 0
        for run in self._runs:
            self._before.append(self.count)
            self.count += run.count
        self._offset, self._timescale = offset, timescale
        self._initialization, self._media = initialization, media

    def segment(self, index: int) -> Segment:
        """As `SegmentPlan.segment`."""
        at = bisect_right(self._before, index) - 1
        run, within = self._runs[at], index - self._before[at]
        time = run.time + within * run.duration
        return Segment(
            index,
            Fraction(time - self._offset, self._timescale),
            Fraction(run.duration, self._timescale),
            self._initialization,
            self._media(run.number + within, time),
        )


@dataclass(frozen=True, slots=True)
class ListedPlan:
    """Segments that a document spells out: an HLS playlist, a SegmentList, a `sidx`."""

    segments: tuple[Segment, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.segments)

    def segment(self, index: int) -> Segment:
        """As `SegmentPlan.segment`."""
        return self.segments[index]
