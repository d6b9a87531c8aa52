"""What the commands of a Media Session do: the state machine, run on the session's own thread.

The table of states and outcomes is Media Foundation's, as documented and as observed on Windows: a command that the
state does not allow ends in its own event, with the error as status; nothing is raised here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from drm.component import SourceCharacteristic
from drm.errors import DRMError, InvalidArgumentError, InvalidRequestError, RateError, SessionError
from drm.hresult import HResult
from drm.session.announcer import Announcer
from drm.session.clock import PresentationClock
from drm.session.events import MediaEvent, SessionCapability, TopologyStatus
from drm.session.events import MediaEventType as E
from drm.session.full_topology import SinkReport
from drm.session.pipeline import Pipeline, component_failed
from drm.session.playing import Playing, SessionState
from drm.session.quality import QualityManager
from drm.session.segments import Segment, Segments
from drm.session.topology_loader import TopologyLoader
from drm.session.topology_queue import TopologyQueue
from drm.wire.specs import FullTopology, SourceState

__all__ = ["Transport", "check_rate"]


def check_rate(rate: float, *, thin: bool) -> None:
    """Raise RateError for a rate that is not supported: thinned, or backwards."""
    if thin:
        raise RateError("thinning is not supported", hresult=HResult.MF_E_THINNING_UNSUPPORTED)
    if not rate >= 0:
        raise RateError("going backwards is not supported")


class Transport:
    """Current topology, pipeline, clock and capabilities of one session."""

    def __init__(
        self,
        loader: TopologyLoader,
        emit: Callable[[MediaEvent], None],
        clock: PresentationClock,
        quality: QualityManager | None,
        later: Callable[[Callable[[], None]], None],
        interrupt: Callable[[], None],
    ) -> None:
        """`later` queues something for the session's thread; `interrupt` ends a wait for rights. See `MediaSession`."""
        self._later = later
        self._told = Announcer(emit)
        self._playing = Playing(clock, quality, emit, self._finished, interrupt)
        self._ended_paused: Pipeline | None = None  # all of it was read before the pause
        self.last: FullTopology | None = None  # what was current when the session was closed
        self.segments = Segments()
        self.topologies = TopologyQueue(loader, self._told, self._playing, self.segments)
        self.closing = False

    @property
    def capabilities(self) -> SessionCapability:
        """What can be done now."""
        return self._told.capabilities

    @property
    def rate(self) -> float:
        """The playback rate."""
        return self._playing.rate

    # ------------------------------------------------------------------ start

    def start(self, position: int | None) -> None:
        """SESSION_STARTED: play from a presentation time, or go on."""
        if (segment := self._startable()) is None:
            return
        if segment.has_ended and self.segments.waits:  # one that was set after the end: its turn comes with this start
            segment = self._turn_to_next(0)
        if position is None and self._playing.state is SessionState.STARTED:
            self._started(segment)
            self._playing.go()  # while scrubbing, to the next picture
        elif position is None and self._playing.state is SessionState.PAUSED and self._playing.pipeline is not None:
            self._started(segment)
            self._playing.resume()
            if self._ended_paused is self._playing.pipeline:
                self._presentation_ended(self._playing.pipeline, None)
        elif position is not None and segment.duration and position > segment.duration:
            # Seen before anything is stopped: playback goes on.
            self._refuse_position(position, segment.duration)
        else:
            # After a seek the clock starts at the segment's own time.
            self._begin(segment, segment.offset if position is None else 0, position)

    def start_segment(self, topology_id: int, position: int) -> None:
        """SESSION_STARTED: go on to a topology that waits, and to a time in it."""
        if self._startable() is None:
            return
        try:
            segment = self.segments.find(topology_id)
        except InvalidArgumentError as error:
            self._told.fail(E.SESSION_STARTED, error)
            return
        if segment.duration and position > segment.duration:
            self._refuse_position(position, segment.duration)
            return
        self._go_to(segment, position)

    def start_relative(self, entries: int) -> None:
        """SESSION_STARTED: go on by so many topologies; those that are over are not kept."""
        if self._startable() is None:
            return
        waiting = list(self.segments)
        if not 0 <= entries < len(waiting):
            seen = f"{entries} from here, and {len(waiting) - 1} wait"
            self._told.fail(
                E.SESSION_STARTED, InvalidArgumentError("there is no such topology in the queue", seen=seen)
            )
            return
        self._go_to(waiting[entries], 0)

    def start_global(self, position: int) -> None:
        """SESSION_STARTED: a time of the editing session's own line, in whichever topology it lies."""
        if self._startable() is None:
            return
        segment = self.segments.at(position)
        if segment is None:
            self._refuse_position(position, 0)
            return
        self._go_to(segment, position - (segment.topology.project_start or 0))

    def _turn_to_next(self, offset: int) -> Segment:
        segment = self.segments.next()
        assert segment is not None
        start = segment.topology.project_start
        self.topologies.make_ready(segment, offset if start is None else start)
        return segment

    def _startable(self) -> Segment | None:
        current = self.segments.current
        if self._playing.state is SessionState.CLOSED:
            self._told.fail(E.SESSION_STARTED, InvalidRequestError("the session is closed"))
            return None
        if current is None:
            self._told.fail(E.SESSION_STARTED, InvalidRequestError("there is no topology to start"))
        return current

    def _refuse_position(self, position: int, duration: int) -> None:
        error = InvalidArgumentError(
            f"there is nothing at {position / 1e7:.3f} s",
            seen=f"the presentation is {duration / 1e7:.3f} s long" if duration else "",
            hresult=HResult.MF_E_INVALID_POSITION,
        )
        self._told.fail(E.SESSION_STARTED, error)

    def _go_to(self, segment: Segment, position: int) -> None:
        """Begin at a position in `segment`: what was skipped does not count, unless segments say where they lie."""
        offset = segment.topology.project_start or 0
        if segment is not self.segments.current:
            self._playing.drop()
            self.segments.skip_to(segment)
            self.topologies.make_ready(segment, offset)
        self._begin(segment, offset, offset + position)

    def _begin(self, segment: Segment, offset: int, position: int | None) -> None:
        """Stop what runs, have the source and the clock start at `position`, and play from there."""
        was_at, was_offset, segment.offset = self._playing.moment, segment.offset, offset
        self._playing.drop()
        try:
            self._playing.prepare(segment, offset if position is None else position)
        except BaseException as error:  # noqa: BLE001 - a source's own fault must end as an event, not as silence
            segment.offset = was_offset
            if was_at is None or not self._goes_on(segment, was_at):
                self._playing.end()
                self._told.can(segment, running=False)
            self._told.fail(E.SESSION_STARTED, component_failed(error))
            return
        self._started(segment)
        self._playing.go()

    def _goes_on(self, segment: Segment, position: int) -> bool:
        """Whether a source that cannot seek, and refused to, plays on from where it was."""
        if segment.source.characteristics & SourceCharacteristic.CAN_SEEK:
            return False
        with suppress(BaseException):  # it does not deliver from its start either
            self._playing.prepare(segment, position, from_its_start=True)
            self._playing.go()
            return True
        return False

    def _started(self, segment: Segment) -> None:
        if segment.status < TopologyStatus.STARTED_SOURCE:
            self.topologies.source_started(segment)
        segment.has_ended = False
        self._told.can(self.segments.current, running=True)
        self._told.say(E.SESSION_STARTED, presentation_time_offset=segment.time_offset)

    # ------------------------------------------------------------------ pause, stop, rate, close

    def pause(self) -> None:
        """SESSION_PAUSED."""
        current = self.segments.current
        if current is None or self._playing.state is SessionState.CLOSED:
            self._told.fail(E.SESSION_PAUSED, InvalidRequestError("there is nothing to pause"))
        elif self._playing.state is SessionState.STOPPED:
            stopped = SessionError("a stopped session cannot be paused", hresult=HResult.MF_E_SESSION_PAUSEWHILESTOPPED)
            self._told.fail(E.SESSION_PAUSED, stopped)
        elif not current.source.characteristics & SourceCharacteristic.CAN_PAUSE:
            self._told.fail(E.SESSION_PAUSED, InvalidRequestError("this source cannot pause"))
        else:
            self._playing.pause()
            self._source_told(current, SourceState.PAUSED, E.SESSION_PAUSED)

    def stop(self) -> None:
        """SESSION_STOPPED. The topology stays: a start plays it from its beginning."""
        current = self.segments.current
        if current is None or self._playing.state is SessionState.CLOSED:
            self._told.fail(E.SESSION_STOPPED, InvalidRequestError("there is nothing to stop"))
            return
        self._playing.end()
        current.offset = current.topology.project_start or 0
        self._source_told(current, SourceState.STOPPED, E.SESSION_STOPPED)

    def _source_told(self, segment: Segment, state: SourceState, kind: E) -> None:
        """Playback stands, whatever the source has to say to that: its error is the status of the event."""
        error: BaseException | None = None
        try:
            segment.source.tell(state)
        except BaseException as found:  # noqa: BLE001 - as in _begin
            error = found
        self._told.can(segment, running=False)
        if error is None:
            self._told.say(kind)
        else:
            self._told.fail(kind, component_failed(error))

    def set_rate(self, rate: float) -> None:
        """SESSION_RATE_CHANGED: says also what becomes of sound."""
        if self._playing.state is SessionState.CLOSED:
            self._told.fail(E.SESSION_RATE_CHANGED, InvalidRequestError("the session is closed"))
            return
        self._playing.set_rate(rate)
        audio = "played" if rate == 1 else "dropped"
        self._told.emit(MediaEvent(E.SESSION_RATE_CHANGED, values={"rate": rate, "audio": audio}, value=rate))

    def close(self) -> None:
        """SESSION_CLOSED, the last event."""
        if self._playing.state is SessionState.CLOSED:
            self._told.fail(E.SESSION_CLOSED, InvalidRequestError("the session is closed already"))
            return
        if self._playing.state is not SessionState.STOPPED:
            self._told.can(self.segments.current, running=False)
        if (current := self.segments.current) is not None:
            self.last = current.resolved.full
        self.shutdown()
        self._playing.state = SessionState.CLOSED
        self._told.can(None, running=False)
        self._told.say(E.SESSION_CLOSED)

    def failed(self, error: BaseException) -> None:
        """A command broke: ERROR, and the session stands."""
        with suppress(BaseException):  # the application is gone, or that which broke does so again
            self._playing.end()
        with suppress(BaseException):
            self._told.can(self.segments.current, running=False)
        with suppress(BaseException):
            self._told.fail(E.ERROR, component_failed(error))

    def shutdown(self) -> None:
        """Release everything, without a word."""
        self._playing.end()
        self.segments.drop_pending()
        self.segments.drop_current()

    # ------------------------------------------------------------------ what sinks say by themselves

    def sink_said(self, report: SinkReport) -> None:
        """RENDERER_EVENT; or SINK_INVALIDATED and the end of the topology: the next one that waits is current then."""
        found = next((each for each in self.segments if each.topology_id == report.topology_id), None)
        if found is None or self._playing.state is SessionState.CLOSED:
            return  # it is over
        values: dict[str, int | float | str] = {"output_node": report.node_id, "topology": report.topology_id}
        if not report.is_invalid:
            self._told.emit(MediaEvent(E.RENDERER_EVENT, values={**report.values, **values}))
            return
        error, record = report.error, report.error.to_record() if report.error else None
        self._told.emit(MediaEvent(E.SINK_INVALIDATED, error.hresult if error else HResult.S_OK, values, record))
        if found is self.segments.current:
            self._playing.end()
        self._told.status(found, TopologyStatus.ENDED)
        self.topologies.drop(found)

    # ------------------------------------------------------------------ the end of a presentation

    def _finished(self, pipeline: Pipeline, error: DRMError | None) -> None:
        """On the pipeline's thread, at its very end."""
        if self.closing and error is not None:
            return  # `close` cancelled the source: SESSION_CLOSED says all there is to say
        self._later(lambda: self._presentation_ended(pipeline, error))

    def _presentation_ended(self, pipeline: Pipeline, error: DRMError | None) -> None:
        segment = self.segments.current
        if segment is None or pipeline is not self._playing.pipeline:
            return  # a stop or a seek came first
        if error is None and self._playing.state is SessionState.PAUSED:
            self._ended_paused = pipeline  # the end comes when it goes on
            return
        if error is not None:
            if error is pipeline.halted_by:  # a key is missing: a start goes on from there, if it has come
                self._playing.pause()
            else:
                self._playing.end()
            self._told.can(self.segments.current, running=False)
            self._told.fail(E.POLICY_ERROR if error.exit_code == 6 else E.ERROR, error)
            return
        notes = {"notes": "; ".join(pipeline.notes)} if pipeline.notes else {}
        self._told.status(segment, TopologyStatus.ENDED, **pipeline.counts, **notes)
        if self.segments.waits:
            self._play_next(pipeline.end)
            return
        self._playing.end()
        segment.status, segment.offset = TopologyStatus.READY, segment.topology.project_start or 0
        segment.has_ended = True
        self._told.can(self.segments.current, running=False)
        dropped = {"dropped": self._playing.quality.dropped} if self._playing.quality.dropped else {}
        self._told.say(E.SESSION_ENDED, **pipeline.counts, **dropped, **notes)

    def _play_next(self, end: int) -> None:
        """The next topology of the queue goes on where this one ended; the clock runs on."""
        self._playing.drop()
        self.topologies.go_on(self._turn_to_next(end))
