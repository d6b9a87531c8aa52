"""One branch of a running topology and its place in time: which frames are presented, and when.

A frame is stamped with the presentation time: media time (edit list applied) plus the presentation's offset, less the
media start of its own source node.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import Final

from drm.component import AudioFrame, Frame
from drm.media import Sample, TrackType
from drm.session.edit_list import EditList
from drm.session.full_topology import Node

__all__ = ["HUNDRED_NS", "RunningBranch"]

HUNDRED_NS: Final = 10_000_000  # units of presentation time in a second
_BEFORE_ALL: Final = -(1 << 63)


class RunningBranch:
    """A node on its way from one start to the next."""

    def __init__(self, node: Node, position: int, offset: int, stop: int | None = None) -> None:
        """Begin at presentation time `position`; the presentation begins at `offset`, and ends at `stop` at last."""
        self.node = node
        track = node.stream.track
        self.stream_id = track.track_id
        self.timescale = max(1, track.timescale)
        self.presentation = EditList(track)
        self.pending: collections.deque[tuple[int, Frame]] = collections.deque()  # decoded; with their moments
        self.end = position  # presentation time, in units of 100 ns, at which the latest frame ends
        self.is_over = False  # nothing more is to be read
        self.ahead, node.ahead = node.ahead, {}  # good for one start alone
        media_start, media_stop = node.source.media_start, node.source.media_stop
        begin = media_start + max(0, position - offset)
        self._begin = self._units(begin)
        self._cut = begin > 0
        self._stop = None if media_stop is None else self._units(media_stop)
        self._shift = self._units(offset - media_start)
        stops = (stop, None if media_stop is None else offset + media_stop - media_start)
        # The presentation time at which it ends, whatever is left.
        self._last = min((each for each in stops if each is not None), default=None)
        self._reached = _BEFORE_ALL

    @property
    def is_sound(self) -> bool:
        """Whether it is left out at rates other than 1."""
        return self.node.stream.track.type is TrackType.AUDIO

    @property
    def reached(self) -> int:
        """No frame before this presentation time comes from here any more: the branch furthest behind goes next."""
        return self.pending[0][0] if self.pending else self._reached

    def take(self, frames: Iterable[Frame]) -> None:
        """Send what the decoder gave through the transforms, and keep what is to be presented."""
        for decoded in frames:
            made: list[Frame] = [decoded]
            for transform in self.node.transforms:
                made = [out for each in made for out in transform.process(self.node.stream.track, each)]
            for each in made:
                frame = self._present(each)
                if frame is not None:
                    self.pending.append((self._moment(frame.pts), frame))

    def pop(self) -> tuple[int, Frame]:
        """The next frame to present and its presentation time (100 ns)."""
        moment, frame = self.pending.popleft()
        self._reached = max(self._reached, self._moment(frame.pts + frame.duration))
        return moment, frame

    def leave_out(self, sample: Sample) -> None:
        """This sample is not decoded."""
        end = self.presentation.position(sample.dts + sample.cts_offset + sample.duration)
        self._reached = max(self._reached, self._moment(end + self._shift))
        self.end = max(self.end, self._until_last(self._moment(end + self._shift)))
        if self._last is not None and self._reached >= self._last:
            self.is_over = True

    def _present(self, decoded: Frame) -> Frame | None:
        """Return the frame with its presentation time, in the track's timescale, or None: it is not presented."""
        frame = self.presentation.present(decoded)
        if frame is None:
            return None
        if self._stop is not None and frame.pts >= self._stop:
            self.is_over = True
            return None
        if self._cut:
            if frame.pts + frame.duration <= self._begin and frame.pts < self._begin:
                return None
            if isinstance(frame, AudioFrame) and frame.pts < self._begin:
                # Sound begins exactly; a picture that is on the screen at that moment is shown whole.
                skipped = self._begin - frame.pts
                frame.skip += skipped * frame.sample_rate // self.timescale
                frame.pts, frame.duration = self._begin, frame.duration - skipped
        frame.pts += self._shift
        if self._last is not None and self._moment(frame.pts) >= self._last:
            self.is_over = True
            return None
        self.end = max(self.end, self._until_last(self._moment(frame.pts + frame.duration)))
        return frame

    def _until_last(self, moment: int) -> int:
        return moment if self._last is None else min(moment, self._last)

    def _moment(self, units: int) -> int:
        """A time of the track in units of 100 ns."""
        return units * HUNDRED_NS // self.timescale

    def _units(self, moment: int) -> int:
        return round(moment * self.timescale / HUNDRED_NS)
