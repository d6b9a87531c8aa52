"""The Media Session: one queue of commands, carried out one after another; results are events (IMFMediaSession).

The same core runs in the worker, behind `session_service`, and in an application for clear content. Commands only
queue; the outcome is the status of the named event. What a command does is in `drm.session.transport`.
"""

from __future__ import annotations

import enum
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from drm.errors import InvalidArgumentError, InvalidRequestError, SessionShutdownError
from drm.session.clock import PresentationClock
from drm.session.events import MediaEvent, SessionCapability
from drm.session.full_topology import SinkReport
from drm.session.quality import DropLateFrames, QualityManager
from drm.session.session_source import SessionSource
from drm.session.topology import SetTopologyFlags, Topology, check_flags
from drm.session.topology_loader import TopologyLoader
from drm.session.topology_queue import give_back
from drm.session.transport import Transport, check_rate
from drm.wire.specs import FullTopology

__all__ = ["MediaSession", "SessionOptions", "TimeFormat", "check_position"]

logger = logging.getLogger(__name__)

_MAX_SAID: Final = 256  # commands that wait, beyond which renderer events are dropped
_LEFT: Final = 10.0  # seconds that a shutdown waits for whatever the session has called


class TimeFormat(enum.Enum):
    """What a start position counts in."""

    PRESENTATION = "presentation"  # units of 100 ns (GUID_NULL)
    SEGMENT_OFFSET = "segment offset"  # a topology that waits, and a time in it (MF_TIME_FORMAT_SEGMENT_OFFSET)
    ENTRY_RELATIVE = "entry relative"  # so many topologies on (MF_TIME_FORMAT_ENTRY_RELATIVE)


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """The session attributes that the core itself acts on."""

    global_time: bool = False  # MF_SESSION_GLOBAL_TIME: topologies say where they lie on one time line
    quality_manager: QualityManager | None = field(default_factory=DropLateFrames)  # None: nothing is dropped


@dataclass(frozen=True, slots=True)
class _Command:
    """What is to be done on the session's thread; `give_back` when it is not done because the session is shut down."""

    run: Callable[[], None]
    give_back: Callable[[], None] | None = None


class MediaSession:
    """A session over a queue of topologies. Commands may be given on any thread."""

    def __init__(
        self,
        loader: TopologyLoader,
        emit: Callable[[MediaEvent], None],
        interrupt: Callable[[bool], None] | None = None,
        options: SessionOptions | None = None,
    ) -> None:
        """`emit` takes each event, on any thread. `interrupt` ends a wait for rights: with True, this and all later."""
        self._interrupt = interrupt or (lambda _for_good: None)
        self._options = options or SessionOptions()
        self._shut = False
        self._ordering = threading.Lock()  # held while a command is queued: none comes after the end
        self.clock = PresentationClock()
        self._commands: queue.SimpleQueue[_Command | None] = queue.SimpleQueue()
        self._transport = Transport(
            loader,
            emit,
            self.clock,
            self._options.quality_manager,
            lambda run: self._commands.put(_Command(run)),
            lambda: self._interrupt(False),
        )
        loader.report = self._sink_said
        self._thread = threading.Thread(target=self._serve, name="media-session", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------ commands: they queue and return

    def set_topology(
        self, topology: Topology[SessionSource] | None, flags: SetTopologyFlags = SetTopologyFlags.NONE
    ) -> None:
        """Resolve `topology` and queue it, or make it current when there is none: SESSION_TOPOLOGY_SET.

        Raises:
            TopologyError, InvalidArgumentError: it can be seen at once that it cannot be played.
            SessionShutdownError: the session was shut down.
        """
        check_flags(flags)
        if flags & SetTopologyFlags.CLEAR_CURRENT:
            self.clear_current(topology.topology_id if topology else None)
            return
        if topology is not None:
            topology.check()
            topology.check_times(global_time=self._options.global_time)
        self.refuse_shut()
        self._queue(lambda: self._transport.topologies.set_topology(topology, flags), lambda: give_back(topology))

    def clear_current(self, topology_id: int | None) -> None:
        """Clear the current topology, if it is this one (None: whichever it is): SESSION_TOPOLOGY_SET.

        What `set_topology` with CLEAR_CURRENT comes to. Pending ones stay, and the next becomes current.
        """
        self._queue(lambda: self._transport.topologies.clear_current(topology_id))

    def clear_topologies(self) -> None:
        """Drop the topologies that wait; the current one goes on: SESSION_TOPOLOGIES_CLEARED."""
        self._queue(self._transport.topologies.clear_topologies)

    def start(
        self, position: int | tuple[int, int] | None = None, time_format: TimeFormat = TimeFormat.PRESENTATION
    ) -> None:
        """Play from `position`, or from where the session stands: SESSION_STARTED.

        Args:
            position: units of 100 ns; None keeps the position. With SEGMENT_OFFSET the id of a topology that waits
                and a position in it; with ENTRY_RELATIVE how many topologies to go on by.
            time_format: what the position counts in.

        Raises:
            InvalidArgumentError: the position is not what the format wants.
            SessionShutdownError: the session was shut down.
        """
        check_position(position, time_format)
        self.refuse_shut()
        transport, global_time = self._transport, self._options.global_time
        match time_format, position:
            case TimeFormat.SEGMENT_OFFSET, (int(topology_id), int(moment)):
                self._queue(lambda: transport.start_segment(topology_id, moment))
            case TimeFormat.ENTRY_RELATIVE, int(entries):
                self._queue(lambda: transport.start_relative(entries))
            case _, int(moment) if global_time:
                self._queue(lambda: transport.start_global(moment))
            case _, int(moment):
                self._queue(lambda: transport.start(moment))
            case _:
                self._queue(lambda: transport.start(None))

    def pause(self) -> None:
        """Stand still and keep the position: SESSION_PAUSED."""
        self._queue(self._transport.pause)

    def stop(self) -> None:
        """Stop and go back to the beginning: SESSION_STOPPED."""
        self._queue(self._transport.stop)

    def set_rate(self, rate: float, *, thin: bool = False) -> None:
        """Play at another speed: SESSION_RATE_CHANGED (IMFRateControl::SetRate). 0 scrubs: a picture for each start.

        Raises:
            RateError: thinning and going backwards are not supported.
            SessionShutdownError: the session was shut down.
        """
        check_rate(rate, thin=thin)
        self.refuse_shut()
        self._queue(lambda: self._transport.set_rate(rate))

    def get_rate(self) -> float:
        """The rate (IMFRateControl::GetRate)."""
        self.refuse_shut()
        return self._transport.rate

    def close(self) -> None:
        """End everything: SESSION_CLOSED, the last event."""
        self.refuse_shut()
        self._transport.closing = True
        self._interrupt(True)
        self._queue(self._transport.close)

    def shutdown(self) -> None:
        """Release everything at once, without an event. Blocks until nothing runs any more, at most 10 seconds.

        Raises SessionShutdownError the second time.
        """
        with self._ordering:
            self.refuse_shut()
            self._shut = True  # jumps the queue: commands that still wait are not carried out
            self._commands.put(None)
        self._transport.closing = True
        self._interrupt(True)
        if threading.current_thread() is not self._thread:
            self._thread.join(_LEFT)
            if self._thread.is_alive():  # it ends, and releases all, once what holds it lets go
                logger.warning("the session is held up by what it called, and is left to its thread")

    # ------------------------------------------------------------------ questions

    def get_clock(self) -> PresentationClock:
        """The presentation clock; without a time source before the first start."""
        self.refuse_shut()
        return self.clock

    def get_session_capabilities(self) -> SessionCapability:
        """What can be done now."""
        self.refuse_shut()
        return self._transport.capabilities

    def get_full_topology(self, topology_id: int | None = None) -> FullTopology:
        """The resolved topology that is current (None), or was when the session was closed; or one that waits.

        Raises:
            InvalidRequestError: there is no current one.
            InvalidArgumentError: none has this id, or it is finished.
        """
        self.refuse_shut()
        segments = self._transport.segments
        if topology_id is not None:
            return segments.find(topology_id).resolved.full
        if (current := segments.current) is not None:
            return current.resolved.full
        if self._transport.last is not None:
            return self._transport.last
        raise InvalidRequestError("there is no current topology")

    def _sink_said(self, report: SinkReport) -> None:
        """On any thread of a sink's: one that says more than can be told is not heard, but for its end."""
        if report.is_invalid or self._commands.qsize() < _MAX_SAID:
            self._commands.put(_Command(lambda: self._transport.sink_said(report)))

    # ------------------------------------------------------------------ the session's own thread

    def _queue(self, run: Callable[[], None], give_back: Callable[[], None] | None = None) -> None:
        with self._ordering:
            self.refuse_shut()
            self._commands.put(_Command(run, give_back))

    def refuse_shut(self) -> None:
        """Raise SessionShutdownError when the session was shut down."""
        if self._shut:
            raise SessionShutdownError("the session was shut down")

    def _serve(self) -> None:
        command = self._commands.get()
        while command is not None and not self._shut:
            try:
                command.run()
            except BaseException as error:
                # Of the session itself, or of a clock state sink: the next command is served all the same.
                logger.exception("a command of the session failed")
                self._transport.failed(error)
            command = self._commands.get()
        while command is not None:
            if command.give_back is not None:
                command.give_back()
            command = self._commands.get()
        self._transport.shutdown()
        self.clock.shutdown()


_FORMS: Final = {
    TimeFormat.PRESENTATION: "an integer of 100 ns units, or None",
    TimeFormat.SEGMENT_OFFSET: "a topology id and an integer of 100 ns units",
    TimeFormat.ENTRY_RELATIVE: "an integer",
}


def check_position(position: object, time_format: object) -> None:
    """Raise InvalidArgumentError (E_INVALIDARG) for a start position that this format does not take."""
    if not isinstance(time_format, TimeFormat):
        raise InvalidArgumentError("nobody knows this time format", seen=f"{time_format!r}")

    def is_count(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    match time_format, position:
        case TimeFormat.PRESENTATION, None:
            return
        case TimeFormat.SEGMENT_OFFSET, (first, second) if is_count(first) and is_count(second):
            return
        case ((TimeFormat.PRESENTATION | TimeFormat.ENTRY_RELATIVE), value) if is_count(value):
            return
    raise InvalidArgumentError(f"a start position of this format is {_FORMS[time_format]}", seen=f"{position!r}")
