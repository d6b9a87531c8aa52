"""The presentation clock of a rateless session: its time is that of the last frame that reached a sink.

All sinks of this version take frames as fast as they come (a rateless clock, MFCLOCK_CHARACTERISTICS has the word);
so time follows the media and not the wall.
"""

from __future__ import annotations

import enum
import threading

from drm.errors import SessionError
from drm.hresult import HResult

__all__ = ["ClockState", "PresentationClock"]


class ClockState(enum.Enum):
    """MFCLOCK_STATE."""

    INVALID = 0
    RUNNING = 1
    STOPPED = 2
    PAUSED = 3


class PresentationClock:
    """Time of the presentation in units of 100 nanoseconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._time = 0
        self.state = ClockState.INVALID

    def get_time(self) -> int:
        """The current presentation time. Raises SessionError (MF_E_CLOCK_NO_TIME_SOURCE) before the first start."""
        if self.state is ClockState.INVALID:
            raise SessionError("the clock has no time source yet", hresult=HResult.MF_E_CLOCK_NO_TIME_SOURCE)
        with self._lock:
            return self._time

    def advance(self, moment: int) -> None:
        """A frame of this time reached a sink."""
        with self._lock:
            self._time = max(self._time, moment)

    def start(self) -> None:
        """Run, from where it stands."""
        self.state = ClockState.RUNNING

    def pause(self) -> None:
        """Keep the time."""
        self.state = ClockState.PAUSED

    def stop(self) -> None:
        """Time is zero again."""
        with self._lock:
            self._time = 0
        self.state = ClockState.STOPPED
