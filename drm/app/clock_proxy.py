"""Stands, in the application, for the presentation clock of a session in the worker.

Times and states are asked of the worker. Timers and state sinks are the application's own code, and run here: the
worker tells of each change of its clock, and sinks are told on a thread of their own, never on the one that reads.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress

from drm.app.worker_link import whole
from drm.errors import DRMError, InvalidArgumentError, InvalidRequestError, SessionShutdownError, WireError
from drm.session.clock import SOFTWARE_CLOCK, ClockProperties, ClockState, ClockStateSink
from drm.session.clock_timers import Timers
from drm.wire.messages import ClockChange, ClockChanged, Returned

__all__ = ["ClockProxy", "ClockWatch"]

logger = logging.getLogger(__name__)

_STATES = {
    ClockChange.START: ClockState.RUNNING,
    ClockChange.RESTART: ClockState.RUNNING,
    ClockChange.PAUSE: ClockState.PAUSED,
    ClockChange.STOP: ClockState.STOPPED,
}


class ClockWatch:
    """What one session's clock proxies share. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sinks: list[ClockStateSink] = []
        self._told: queue.SimpleQueue[ClockChanged | None] | None = None  # while there are sinks, and a thread for them
        self.timers: Timers | None = None
        self.state = ClockState.INVALID  # by the last change that was told
        self.is_shut = False

    def changed(self, message: ClockChanged) -> None:
        """On the reader's thread: the worker's clock changed. Does not wait."""
        with self._lock:
            self.state = _STATES.get(message.change, self.state)
            if self._told is not None:
                self._told.put(message)
            timers = self.timers
        if timers is not None:
            timers.changed()

    def add(self, sink: ClockStateSink) -> None:
        """Raises InvalidArgumentError for one that is told already, SessionShutdownError after the end."""
        with self._lock:
            if self.is_shut:
                raise SessionShutdownError("the clock was shut down")
            if any(each is sink for each in self._sinks):
                raise InvalidArgumentError("this sink was added already")
            self._sinks = [*self._sinks, sink]
            if self._told is None:
                self._told = queue.SimpleQueue()
                threading.Thread(target=self._tell, args=(self._told,), name="clock-state", daemon=True).start()

    def remove(self, sink: ClockStateSink) -> None:
        """Tell it no more; one that is not told is no mistake."""
        with self._lock:
            self._sinks = [each for each in self._sinks if each is not sink]

    def timers_of(self, now: Callable[[], tuple[int, float] | None]) -> Timers:
        """The session's timers; `now` gives time and rate. Raises SessionShutdownError after the end."""
        with self._lock:
            if self.is_shut:
                raise SessionShutdownError("the clock was shut down")
            self.timers = self.timers or Timers(now)
            return self.timers

    def shutdown(self) -> None:
        """The session ended: nobody is told any more. Idempotent."""
        with self._lock:
            self.is_shut = True
            self._sinks = []
            if self.state in {ClockState.RUNNING, ClockState.PAUSED}:
                self.state = ClockState.STOPPED
            if self._told is not None:
                self._told.put(None)
            timers = self.timers
        if timers is not None:
            timers.shutdown()

    def _tell(self, told: queue.SimpleQueue[ClockChanged | None]) -> None:
        while (message := told.get()) is not None:
            for sink in self._sinks:
                try:
                    _tell_one(sink, message)
                except Exception:  # the sink's own fault: the others are told
                    logger.exception("a clock state sink failed")


def _tell_one(sink: ClockStateSink, message: ClockChanged) -> None:
    match message.change:
        case ClockChange.START:
            sink.on_clock_start(message.start)
        case ClockChange.STOP:
            sink.on_clock_stop()
        case ClockChange.PAUSE:
            sink.on_clock_pause()
        case ClockChange.RESTART:
            sink.on_clock_restart()
        case ClockChange.RATE:
            sink.on_clock_set_rate(message.rate)


class ClockProxy:
    """Reads the clock; it is the session that runs it. Has what `PresentationClock` has, but for commands."""

    def __init__(self, query: Callable[[str], Returned], watch: ClockWatch) -> None:
        """`query` asks the worker and returns the answer, or raises what came instead."""
        self._query = query
        self._watch = watch

    def get_time(self) -> int:
        """The presentation time in units of 100 ns. Raises ClockError (MF_E_CLOCK_NO_TIME_SOURCE) before a start."""
        return whole(self._query("time"))

    def get_correlated_time(self) -> tuple[int, int]:
        """The clock's time, and the system's monotonic time at that moment in units of 100 ns. Raises as `get_time`."""
        answer = self._query("correlated-time")
        if not isinstance(answer.system_time, int):
            raise WireError("the worker answers without the time that it was asked for")
        return whole(answer), answer.system_time

    def get_properties(self) -> ClockProperties:
        """What kind of clock this is. Raises as `get_time`."""
        self.get_time()
        return SOFTWARE_CLOCK

    def get_state(self) -> ClockState:
        """Whether it runs. After the session's end: how it was left."""
        if self._watch.is_shut:
            return self._watch.state
        try:
            return ClockState(whole(self._query("clock-state")))
        except ValueError:
            raise WireError("the worker's clock is in a state that there is not") from None

    @property
    def continuity_key(self) -> int:
        """Always 0: it never jumps by itself."""
        return 0

    @property
    def rate(self) -> float:
        """The rate; 1 by default."""
        return float(self._query("clock-rate").value or 0)

    # ------------------------------------------------------------------ sinks and timers

    def add_state_sink(self, sink: ClockStateSink) -> None:
        """Tell `sink` of changes from now on, on a thread of the session's. Raises as PresentationClock's does."""
        self._watch.add(sink)

    def remove_state_sink(self, sink: ClockStateSink) -> None:
        """Tell it no more; one that is not told is no mistake."""
        self._watch.remove(sink)

    def set_timer(self, moment: int, callback: Callable[[], None]) -> int:
        """Call back once the clock runs and its time is `moment` or later (IMFTimer); return a key to cancel it by."""
        return self._watch.timers_of(self._timer_time).add(moment, callback)

    def cancel_timer(self, key: int) -> None:
        """Do not call back; a timer that has fired is no mistake."""
        if (timers := self._watch.timers) is not None:
            timers.cancel(key)

    def get_shutdown_status(self) -> bool:
        """True once it was shut down (MFSHUTDOWN_COMPLETED). Raises InvalidRequestError before."""
        if not self._watch.is_shut:
            raise InvalidRequestError("the clock was not shut down")
        return True

    def _timer_time(self) -> tuple[int, float] | None:
        """For timers: the time and the rate; None while it does not run, or cannot be asked any more."""
        with suppress(DRMError):
            if self.get_state() is ClockState.RUNNING:
                return self.get_time(), self.rate
        return None
