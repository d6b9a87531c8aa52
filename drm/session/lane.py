"""One branch of a running topology and its place in time: which frames are presented, and when.

A frame is stamped with the presentation time: media time (edit list applied) plus the presentation's offset, less the
media start of its own source node.
"""

from __future__ import annotations

from typing import Final

from drm.component import AudioFrame, Frame
from drm.media import TrackType
from drm.session.full_topology import Node
from drm.session.presentation import Presentation

__all__ = ["HUNDRED_NS", "Lane"]

HUNDRED_NS: Final = 10_000_000  # units of presentation time in a second


class Lane:
    """A node on its way from one start to the next."""

    def __init__(self, node: Node, position: int, offset: int) -> None:
        """Begin at presentation time `position`; the presentation begins at `offset`."""
        self.node = node
        track = node.stream.track
        self.stream_id = track.track_id
        self.timescale = max(1, track.timescale)
        self.presentation = Presentation(track)
        self.seconds = 0.0  # decode time of what was read last: the lane that is furthest behind goes next
        self.end = 0  # presentation time, in units of 100 ns, at which the latest frame ends
        self.is_over = False  # at the media stop
        begin = node.source.media_start + max(0, position - offset)
        self._begin = self._units(begin)
        self._cut = begin > 0
        self._stop = None if node.source.media_stop is None else self._units(node.source.media_stop)
        self._shift = self._units(offset - node.source.media_start)

    @property
    def is_sound(self) -> bool:
        """Whether it is left out at rates other than 1."""
        return self.node.stream.track.type is TrackType.AUDIO

    def present(self, decoded: Frame) -> Frame | None:
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
        self.end = max(self.end, self.moment(frame.pts + frame.duration))
        return frame

    def moment(self, units: int) -> int:
        """A time of the track in units of 100 ns."""
        return units * HUNDRED_NS // self.timescale

    def _units(self, moment: int) -> int:
        return round(moment * self.timescale / HUNDRED_NS)
