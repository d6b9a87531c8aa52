"""Stands, in the application, for the presentation clock of a session in the worker."""

from __future__ import annotations

from collections.abc import Callable

from drm.app.worker_link import whole
from drm.errors import WireError
from drm.session.clock import ClockState
from drm.wire.messages import Returned

__all__ = ["ClockProxy"]


class ClockProxy:
    """Reads the clock; it is the session that runs it."""

    def __init__(self, query: Callable[[str], Returned]) -> None:
        """`query` asks the worker and returns the answer, or raises what came instead."""
        self._query = query

    def get_time(self) -> int:
        """The presentation time in units of 100 ns. Raises ClockError (MF_E_CLOCK_NO_TIME_SOURCE) before a start."""
        return whole(self._query("time"))

    def get_state(self) -> ClockState:
        """Whether it runs."""
        try:
            return ClockState(whole(self._query("clock-state")))
        except ValueError:
            raise WireError("the worker's clock is in a state that there is not") from None
