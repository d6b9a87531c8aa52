"""From decode times to presentation: what an edit list (ISO/IEC 14496-12, clause 8.6.6) makes of decoded frames.

Frames before the first edit's media time are decoded and not presented; an audio frame across it loses its front.
Frames that start at or after the end of the edit are not presented. This is what FFmpeg's demuxer does too.
"""

from __future__ import annotations

from drm.component import AudioFrame, Frame
from drm.media import TrackInfo

__all__ = ["EditList"]


class EditList:
    """Maps the composition times of one track onto its presentation."""

    def __init__(self, track: TrackInfo) -> None:
        self.note = ""
        empty = 0
        media = [edit for edit in track.edits if edit.media_time >= 0]
        for edit in track.edits:
            if edit.media_time >= 0:
                break
            empty += edit.duration
        self._delay = empty * track.timescale // max(1, track.movie_timescale)
        self._start = media[0].media_time if media else 0
        self._end: int | None = None
        if media:
            length = media[0].duration * track.timescale / max(1, track.movie_timescale)
            # Rounded up: the movie's timescale is often coarser than the track's.
            self._end = self._start + int(-(-length // 1)) if media[0].duration else None
        if len(media) > 1:
            self.note = f"track {track.track_id} has {len(media)} edits; the first is presented"
        self._timescale = track.timescale

    def position(self, pts: int) -> int:
        """Where on the presentation this composition time lies, cut or not."""
        return pts - self._start + self._delay

    def present(self, frame: Frame) -> Frame | None:
        """Return the frame with its presentation time, or None when it is not to be presented."""
        start = frame.pts
        if self._end is not None and start >= self._end:
            return None
        if start < self._start:
            if not isinstance(frame, AudioFrame) or start + frame.duration <= self._start:
                return None
            frame.skip = (self._start - start) * frame.sample_rate // self._timescale
            frame.duration -= self._start - start
            start = self._start
        frame.pts = self.position(start)
        return frame
