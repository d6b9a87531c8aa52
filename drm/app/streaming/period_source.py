"""The media source of one period. Its end is held back until the next one is queued, or none can follow.

A session whose queue runs dry ends; the next topology takes its time, with licenses and first segments to be fetched.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from drm.app.streaming.read_ahead import ReadAhead
from drm.component import SourceCharacteristic
from drm.media import Sample, TrackInfo
from drm.presentation_source import PresentationSource
from drm.session.session_source import cancelled
from drm.streaming.segment_presentation import SegmentPresentation

__all__ = ["PeriodSource"]

_LOOK: Final = 0.05  # seconds


class PeriodSource(PresentationSource):
    """Keeps `drm.component.MediaSource` and `PMPClient`. Lives in the application."""

    def __init__(
        self,
        presentation: SegmentPresentation,
        feeds: Iterable[ReadAhead],
        *,
        stop: Fraction | None = None,
        holds_end: bool,
    ) -> None:
        """`holds_end`: until `let_end` is called, no stream ends, and none goes on behind `stop` (seconds)."""
        super().__init__(presentation, presentation)
        self.name = presentation.name
        self.presentation = presentation
        self._feeds = tuple(feeds)
        self._may_end = threading.Event()
        self._is_set = self._holds = False
        self._interrupted = threading.Event()
        self._stops = {track.track_id: _stop_of(track, stop) for track in presentation.tracks}
        if not holds_end:
            self._may_end.set()

    @property
    def characteristics(self) -> SourceCharacteristic:
        """It can be paused. It is not sought in: the session starts it at its beginning."""
        return SourceCharacteristic.CAN_PAUSE

    def select(self, stream_ids: Iterable[int], position: int = 0) -> None:
        """Deliver these streams from their start."""
        self._interrupted.clear()
        self._holds = self._is_set
        super().select(stream_ids, position)

    def next_sample(self, stream_id: int) -> Sample | None:
        """The next sample; at the end of the stream, or of the period, waits until it may end."""
        sample = super().next_sample(stream_id)
        if not self._holds:
            return sample
        if sample is None or sample.dts + sample.cts_offset >= self._stops[stream_id]:
            # Whoever plays stops at the first frame behind the period, so that one is held back as the end is.
            while not self._may_end.wait(_LOOK):
                if self._interrupted.is_set():
                    raise cancelled()
        return sample

    def was_set(self) -> None:
        """Its topology is set: what was read until now rehearsed keys. From the next `select` on, the end is held."""
        self._is_set = True

    def let_end(self) -> None:
        """The next topology is set, or none follows. Any thread."""
        self._may_end.set()

    def interrupt(self) -> None:
        """Let a read that waits go, from any thread."""
        self._interrupted.set()
        super().interrupt()

    def close(self) -> None:
        """Fetch nothing more."""
        self.interrupt()
        for feed in self._feeds:
            feed.close()


def _stop_of(track: TrackInfo, stop: Fraction | None) -> float:
    """The first composition time of the track that lies behind `stop`."""
    if stop is None:
        return math.inf
    begin = next((edit.media_time for edit in track.edits if edit.media_time >= 0), 0)
    return float(stop * track.timescale + begin)
