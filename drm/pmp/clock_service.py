"""Tells the application of the changes of a session's clock (other half: drm/app/clock_proxy.py)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from drm.errors import WireError
from drm.wire.messages import ClockChange, ClockChanged, FromWorker

__all__ = ["ClockService"]


class ClockService:
    """A clock state sink (drm.session.clock.ClockStateSink) on the session's own thread."""

    def __init__(self, session: int, send: Callable[[FromWorker], None]) -> None:
        self._session = session
        self._send = send

    def on_clock_start(self, start_offset: int) -> None:
        """It runs from here."""
        self._say(ClockChange.START, start=start_offset)

    def on_clock_stop(self) -> None:
        """It stopped."""
        self._say(ClockChange.STOP)

    def on_clock_pause(self) -> None:
        """It stands still."""
        self._say(ClockChange.PAUSE)

    def on_clock_restart(self) -> None:
        """It goes on."""
        self._say(ClockChange.RESTART)

    def on_clock_set_rate(self, rate: float) -> None:
        """It runs at this rate."""
        self._say(ClockChange.RATE, rate=rate)

    def _say(self, change: ClockChange, *, start: int = 0, rate: float = 1.0) -> None:
        with suppress(WireError):  # the application is gone
            self._send(ClockChanged(self._session, change, start, rate))
