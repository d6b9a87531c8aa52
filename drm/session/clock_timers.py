"""Timers of the presentation clock (IMFTimer): callbacks at a presentation time, on a thread of their own."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from typing import Final

__all__ = ["Timers"]

logger = logging.getLogger(__name__)

_LOOK: Final = 0.05  # seconds between two looks at a clock that moves by jumps
_HUNDRED_NS: Final = 10_000_000


class Timers:
    """Fires what is due. The thread lives while there is something to wait for."""

    def __init__(self, now: Callable[[], tuple[int, float] | None]) -> None:
        """`now` gives the clock's time and rate, or None while it does not run."""
        self._now = now
        self._changed = threading.Condition()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._keys = itertools.count(1)
        self._thread: threading.Thread | None = None
        self._shut = False

    def add(self, moment: int, callback: Callable[[], None]) -> int:
        """Fire at `moment`; return the timer's key."""
        with self._changed:
            key = next(self._keys)
            heapq.heappush(self._due, (moment, key, callback))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="clock-timers", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return key

    def cancel(self, key: int) -> None:
        """Forget a timer."""
        with self._changed:
            self._due = [each for each in self._due if each[1] != key]
            heapq.heapify(self._due)

    def changed(self) -> None:
        """The clock was started, stopped or set."""
        with self._changed:
            self._changed.notify_all()

    def shutdown(self) -> None:
        """Fire nothing any more."""
        with self._changed:
            self._shut = True
            self._due.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while (callback := self._next()) is not None:
            try:
                callback()
            except Exception:  # the caller's own fault: later timers still fire
                logger.exception("a timer's callback failed")

    def _next(self) -> Callable[[], None] | None:
        """Wait for the next timer that is due; None when there is none left."""
        while True:
            found = self._now()  # takes the clock's lock, under which the clock calls `changed`: never inside ours
            with self._changed:
                if self._shut or not self._due:
                    self._thread = None
                    return None
                wait = _LOOK
                if found is not None:
                    time, rate = found
                    seconds = (self._due[0][0] - time) / _HUNDRED_NS
                    if seconds <= 0:
                        return heapq.heappop(self._due)[2]
                    wait = min(_LOOK, seconds / rate) if rate > 0 else _LOOK
                self._changed.wait(wait)
