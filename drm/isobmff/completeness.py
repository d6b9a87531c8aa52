"""How far the fragments of a file reach, beside how far the file says that they do.

A file that was cut between two fragments is sound as far as it goes, and nothing in what is left breaks a rule. Yet
three things tell: the durations of the movie box, those of `sidx` (ISO/IEC 14496-12, clause 8.16.3), and decode times
that leave a gap. What they tell becomes a warning and no error, for players may want what is there.

Of segments that were joined, which begin with `styp` each (clause 8.16.2), only gaps are told: whoever gives some of
them may well have meant these. And what has less than a tenth of what it announces was hardly cut by accident: the
first segment or two behind an initialization segment that tells of a whole film.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from drm.isobmff.reader import Reader
from drm.isobmff.tracks import Warn
from drm.media import TrackInfo, TrackType

__all__ = ["Completeness"]

_TOLERATED: Final = 0.5  # seconds: packagers round, and sound ends when its frame does
_EXCERPT: Final = 0.1  # of what is announced


class Completeness:
    """Compares, for one file; each track tells when it has been read to its end."""

    def __init__(self, tracks: Iterable[TrackInfo], warn: Warn) -> None:
        self._tracks = {info.track_id: info for info in tracks if info.type is not TrackType.OTHER}
        self._warn = warn
        self._ends: dict[int, float] = {}  # seconds, by track
        self._indexed: dict[int, float] = {}
        self._gaps: set[int] = set()
        self.is_joined = False

    def index(self, sidx: Reader) -> None:
        """Take note of a segment index. Raises MalformedMediaError."""
        version, _flags = sidx.full_box()
        track_id, timescale = sidx.u32(), sidx.u32()
        at = sidx.u64() if version else sidx.u32()
        sidx.skip((8 if version else 4) + 2)
        references = sidx.take(12 * sidx.u16())
        durations = (int.from_bytes(references[row + 4 : row + 8], "big") for row in range(0, len(references), 12))
        if timescale:
            end = (at + sum(durations)) / timescale
            self._indexed[track_id] = max(end, self._indexed.get(track_id, 0.0))

    def gap(self, track_id: int, expected: int, found: int, moof: int) -> None:
        """A fragment at byte `moof` begins at the decode time `found`, and those before it end at `expected`."""
        info = self._tracks.get(track_id)
        if info is None or found - expected <= _TOLERATED * info.timescale or track_id in self._gaps:
            return
        self._gaps.add(track_id)
        self._warn(
            f"track {track_id}: {(found - expected) / max(1, info.timescale):.3f} s are missing before the fragment at "
            f"byte {moof}; fragments were lost, or the recording was interrupted"
        )

    def ended(self, track_id: int, time: int) -> None:
        """The track was read to its end, the decode time `time`."""
        info = self._tracks.get(track_id)
        if info is None or self.is_joined:
            return
        end = self._ends[track_id] = time / max(1, info.timescale)
        indexed = self._indexed.get(track_id, 0.0)
        if _is_cut(end, indexed):
            self._warn(
                f"track {track_id} ends at {end:.3f} s, and the segment index says {indexed:.3f} s: "
                "fragments are missing at the end"
            )
        elif len(self._ends) == len(self._tracks):
            self._judge_all()

    def _judge_all(self) -> None:
        """The movie's duration is that of its longest track."""
        told = max(info.duration / max(1, info.timescale) for info in self._tracks.values())
        end = max(self._ends.values())
        if _is_cut(end, told):
            self._warn(f"the movie ends at {end:.3f} s, and says that it has {told:.3f} s: fragments are missing")


def _is_cut(end: float, told: float) -> bool:
    return told - end > _TOLERATED and end >= _EXCERPT * told
