"""The presentation clock (IMFPresentationClock): whose time it is, and who is told when it starts and stops.

Time is in units of 100 nanoseconds. Without a time source every question and command fails; the session gives it one
when a topology starts: the media's own time where all sinks are rateless, the system's where one shows frames in time.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from drm.errors import ClockError, InvalidArgumentError, InvalidRequestError, SessionShutdownError
from drm.hresult import HResult
from drm.session.clock_timers import Timers

__all__ = [
    "CURRENT_POSITION",
    "SOFTWARE_CLOCK",
    "ClockProperties",
    "ClockState",
    "ClockStateSink",
    "MediaTimeSource",
    "PresentationClock",
    "SystemTimeSource",
    "TimeSource",
]

CURRENT_POSITION: Final = None
"""Start where the clock stands (PRESENTATION_CURRENT_POSITION)."""

_HUNDRED_NS: Final = 10_000_000  # units in a second


class ClockState(enum.IntEnum):
    """MFCLOCK_STATE."""

    INVALID = 0
    RUNNING = 1
    STOPPED = 2
    PAUSED = 3


class ClockProperties(NamedTuple):
    """MFCLOCK_PROPERTIES, as far as a clock of software has them."""

    correlation_rate: int
    frequency: int  # ticks a second
    tolerance: int  # parts per billion; 0: not known
    jitter: int  # ticks


SOFTWARE_CLOCK: Final = ClockProperties(0, _HUNDRED_NS, 0, 1)
"""Of every clock here."""


class TimeSource(Protocol):
    """IMFPresentationTimeSource: what moves the clock."""

    def start(self, position: int, rate: float) -> None:
        """Run from `position` at this rate."""

    def pause(self) -> None:
        """Stand still."""

    def now(self) -> int:
        """The time."""


class MediaTimeSource:
    """Follows the frames that reach sinks: all of these are rateless, and take frames as fast as they come."""

    def __init__(self) -> None:
        self._time = 0

    def start(self, position: int, rate: float) -> None:  # noqa: ARG002 - TimeSource's signature
        """Stand at `position` until a frame moves it."""
        self._time = position

    def pause(self) -> None:
        """No frame comes then."""

    def now(self) -> int:
        """The time of the latest frame."""
        return self._time

    def advance(self, moment: int) -> None:
        """A frame of this time reached a sink."""
        self._time = max(self._time, moment)


class SystemTimeSource:
    """The system's monotonic time, times the rate."""

    def __init__(self, *, waits: bool = False) -> None:
        """`waits`: after each start, stand until `begin` says that the first frame is there."""
        self._waits = waits
        self._from = 0
        self._since: float | None = None
        self._rate = 1.0
        self._held = False

    def start(self, position: int, rate: float) -> None:
        """Run from `position`."""
        self._from, self._rate = position, rate
        self._since, self._held = (None, True) if self._waits else (time.monotonic(), False)

    def begin(self) -> None:
        """The first frame since the start is ready to be shown."""
        if self._held:
            self._held, self._since = False, time.monotonic()

    def pause(self) -> None:
        """Keep the time."""
        self._from, self._since, self._held = self.now(), None, False

    def now(self) -> int:
        """The time."""
        if self._since is None:
            return self._from
        return self._from + round((time.monotonic() - self._since) * self._rate * _HUNDRED_NS)


class ClockStateSink(Protocol):
    """IMFClockStateSink: is told of every change of the clock, in the order in which sinks were added."""

    def on_clock_start(self, start_offset: int) -> None:
        """It runs from here."""

    def on_clock_stop(self) -> None:
        """It stopped; its time is 0."""

    def on_clock_pause(self) -> None:
        """It stands still."""

    def on_clock_restart(self) -> None:
        """It goes on from where it stood."""

    def on_clock_set_rate(self, rate: float) -> None:
        """It runs at this rate now."""


class PresentationClock:
    """Any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._source: TimeSource | None = None
        self._state = ClockState.INVALID
        self._rate = 1.0
        self._sinks: list[ClockStateSink] = []
        self._timers = Timers(self._timer_time)
        self._shut = False

    # ------------------------------------------------------------------ the time

    def get_time(self) -> int:
        """The current presentation time.

        Raises:
            ClockError: there is no time source (MF_E_CLOCK_NO_TIME_SOURCE).
            SessionShutdownError: the clock was shut down.
        """
        with self._lock:
            source = self._need_source()
            return 0 if self._state in {ClockState.INVALID, ClockState.STOPPED} else source.now()

    def get_correlated_time(self) -> tuple[int, int]:
        """The clock's time, and the system's monotonic time at that moment in units of 100 ns. Raises as `get_time`."""
        with self._lock:
            return self.get_time(), time.monotonic_ns() // 100

    def get_properties(self) -> ClockProperties:
        """What kind of clock this is. Raises as `get_time`."""
        with self._lock:
            self._need_source()
            return SOFTWARE_CLOCK

    def get_state(self) -> ClockState:
        """Whether it runs. INVALID before a time source and the first start."""
        return self._state

    @property
    def continuity_key(self) -> int:
        """Always 0: it never jumps by itself."""
        return 0

    @property
    def rate(self) -> float:
        """The rate; 1 by default."""
        return self._rate

    # ------------------------------------------------------------------ commands

    def set_time_source(self, source: TimeSource) -> None:
        """Take the time from `source`, from the next start on."""
        with self._lock:
            self._refuse_shut()
            self._source = source

    def get_time_source(self) -> TimeSource:
        """Where the time comes from. Raises ClockError without one."""
        with self._lock:
            return self._need_source()

    def start(self, position: int | None = CURRENT_POSITION) -> None:
        """Run from `position`; a running clock may be started again. Raises ClockError without a time source."""
        with self._lock:
            source = self._need_source()
            goes_on = position is None and self._state is ClockState.PAUSED
            begin = self.get_time() if position is None else position
            source.start(begin, self._rate)
            self._state = ClockState.RUNNING
            for sink in self._sinks:
                if goes_on:
                    sink.on_clock_restart()
                else:
                    sink.on_clock_start(begin)
            self._timers.changed()

    def pause(self) -> None:
        """Stand still.

        Raises:
            ClockError: there is no time source, or it stands already (MF_E_CLOCK_STATE_ALREADY_SET).
            InvalidRequestError: it is stopped.
        """
        with self._lock:
            source = self._need_source()
            if self._state is ClockState.PAUSED:
                raise ClockError("the clock stands already", hresult=HResult.MF_E_CLOCK_STATE_ALREADY_SET)
            if self._state is not ClockState.RUNNING:
                raise InvalidRequestError("a stopped clock cannot be paused")
            source.pause()
            self._state = ClockState.PAUSED
            for sink in self._sinks:
                sink.on_clock_pause()
            self._timers.changed()

    def stop(self) -> None:
        """Stop; the time is 0. Raises ClockError without a time source, or when it is stopped already."""
        with self._lock:
            source = self._need_source()
            if self._state is ClockState.STOPPED:
                raise ClockError("the clock is stopped already", hresult=HResult.MF_E_CLOCK_STATE_ALREADY_SET)
            source.start(0, self._rate)
            source.pause()
            self._state = ClockState.STOPPED
            for sink in self._sinks:
                sink.on_clock_stop()
            self._timers.changed()

    def set_rate(self, rate: float, *, thin: bool = False) -> None:
        """Run at another rate, from now on.

        Raises:
            ClockError: thinning is not supported (MF_E_THINNING_UNSUPPORTED), or there is no time source.
        """
        with self._lock:
            source = self._need_source()
            if thin:
                raise ClockError("the clock does not thin", hresult=HResult.MF_E_THINNING_UNSUPPORTED)
            now = source.now()
            self._rate = rate
            if self._state is ClockState.RUNNING:
                source.start(now, rate)
                if isinstance(source, SystemTimeSource):
                    source.begin()
            for sink in self._sinks:
                sink.on_clock_set_rate(rate)
            self._timers.changed()

    # ------------------------------------------------------------------ sinks and timers

    def add_state_sink(self, sink: ClockStateSink) -> None:
        """Tell `sink` of changes. Raises InvalidArgumentError when it is told already."""
        with self._lock:
            self._refuse_shut()
            if any(each is sink for each in self._sinks):
                raise InvalidArgumentError("this sink was added already")
            self._sinks.append(sink)

    def remove_state_sink(self, sink: ClockStateSink) -> None:
        """Tell it no more; one that is not told is no mistake."""
        with self._lock:
            self._sinks = [each for each in self._sinks if each is not sink]

    def set_timer(self, moment: int, callback: Callable[[], None]) -> int:
        """Call back once the clock runs and its time is `moment` or later (IMFTimer); return a key to cancel it by."""
        with self._lock:
            self._refuse_shut()
            return self._timers.add(moment, callback)

    def cancel_timer(self, key: int) -> None:
        """Do not call back; a timer that has fired is no mistake."""
        self._timers.cancel(key)

    # ------------------------------------------------------------------ the end

    def shutdown(self) -> None:
        """End. Idempotent."""
        with self._lock:
            self._shut = True
            self._sinks.clear()
        self._timers.shutdown()

    def get_shutdown_status(self) -> bool:
        """True once it was shut down (MFSHUTDOWN_COMPLETED). Raises InvalidRequestError before."""
        if not self._shut:
            raise InvalidRequestError("the clock was not shut down")
        return True

    def _timer_time(self) -> tuple[int, float] | None:
        """For timers: the time and the rate; None while it does not run."""
        with self._lock:
            if self._source is None or self._state is not ClockState.RUNNING:
                return None
            return self._source.now(), self._rate

    def _need_source(self) -> TimeSource:
        self._refuse_shut()
        if self._source is None:
            raise ClockError("the clock has no time source yet")
        return self._source

    def _refuse_shut(self) -> None:
        if self._shut:
            raise SessionShutdownError("the clock was shut down")
