"""The quality manager (IMFQualityManager): what becomes of frames that are late for a sink that shows them in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from drm.media import TrackType
from drm.session.events import MediaEvent, MediaEventType

__all__ = ["DropLateFrames", "QualityManager", "QualityWatch"]

_TOLERANCE: Final = 1_000_000  # a tenth of a second, in units of 100 ns
_REPORT: Final = 1.0  # seconds between two reports


class QualityManager(Protocol):
    """Decides frame by frame. Lives with the session; a component, or the session's own."""

    def is_dropped(self, kind: TrackType, lateness: int) -> bool:
        """Whether a frame that is `lateness` (100 ns) behind the clock is left out."""


class DropLateFrames:
    """Drops pictures that are more than a tenth of a second late. Sound is never dropped: a gap is heard."""

    def is_dropped(self, kind: TrackType, lateness: int) -> bool:
        """Whether it comes too late to be worth showing."""
        return kind is TrackType.VIDEO and lateness > _TOLERANCE


class QualityWatch:
    """Asks the manager, counts, and says so in QUALITY_NOTIFY: at the first drop, then once a second at most."""

    def __init__(self, manager: QualityManager | None, emit: Callable[[MediaEvent], None]) -> None:
        """Without a manager nothing is dropped."""
        self._manager = manager
        self._emit = emit
        self._told = 0.0
        self.dropped = 0

    def is_dropped(self, stream_id: int, kind: TrackType, lateness: int) -> bool:
        """Whether to leave this frame out."""
        if self._manager is None or not self._manager.is_dropped(kind, lateness):
            return False
        self.dropped += 1
        now = time.monotonic()
        if now - self._told >= _REPORT:
            self._told = now
            values: dict[str, int | float | str] = {"stream": stream_id, "dropped": self.dropped}
            values["lateness_ms"] = lateness // 10_000
            self._emit(MediaEvent(MediaEventType.QUALITY_NOTIFY, values=values))
        return True
