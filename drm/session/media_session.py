"""The Media Session: one queue of commands, carried out one after another; results are events (IMFMediaSession).

The same core runs in the worker, behind `session_service`, and in an application for clear content. Commands only
queue; the outcome is the status of the named event.
"""

from __future__ import annotations

import enum
import logging
import queue
import threading
from collections.abc import Callable

from drm.errors import DRMError, InvalidRequestError, SessionError, SessionShutdownError
from drm.hresult import HResult
from drm.session.clock import PresentationClock
from drm.session.events import MediaEvent, MediaEventType, SessionCapability, TopologyStatus
from drm.session.pipeline import Pipeline, SessionSource, component_failed
from drm.session.topology import ResolvedTopology, Topology
from drm.session.topology_loader import TopologyLoader

__all__ = ["MediaSession", "SessionState"]

logger = logging.getLogger(__name__)

_Command = Callable[[], None]


class SessionState(enum.Enum):
    """Where a session stands between two commands."""

    STOPPED = "stopped"
    STARTED = "started"
    PAUSED = "paused"
    CLOSED = "closed"
    SHUT_DOWN = "shut down"


_NEXT = {
    SessionState.STOPPED: {SessionState.STOPPED, SessionState.STARTED, SessionState.CLOSED, SessionState.SHUT_DOWN},
    SessionState.STARTED: {SessionState.STOPPED, SessionState.PAUSED, SessionState.CLOSED, SessionState.SHUT_DOWN},
    SessionState.PAUSED: {SessionState.STOPPED, SessionState.STARTED, SessionState.CLOSED, SessionState.SHUT_DOWN},
    SessionState.CLOSED: {SessionState.SHUT_DOWN},
    SessionState.SHUT_DOWN: set[SessionState](),
}

_READY = SessionCapability.START
_RUNNING = SessionCapability.START | SessionCapability.PAUSE


class MediaSession:
    """A session over one topology at a time."""

    def __init__(
        self, loader: TopologyLoader, emit: Callable[[MediaEvent], None], interrupt: Callable[[], None] | None = None
    ) -> None:
        """`emit` takes each event, on any thread. `interrupt` ends a wait for rights when the session closes."""
        self._loader = loader
        self._emit_event = emit
        self._interrupt = interrupt
        self._shut = False
        self._closing = False
        self._state = SessionState.STOPPED
        self._source: SessionSource | None = None
        self._topology: ResolvedTopology | None = None
        self._pipeline: Pipeline | None = None
        self._capabilities = SessionCapability(0)
        self.clock = PresentationClock()
        self._commands: queue.SimpleQueue[_Command | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="media-session", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------ commands: they queue and return

    def set_topology(self, topology: Topology[SessionSource]) -> None:
        """Resolve `topology` and make it current: SESSION_TOPOLOGY_SET."""
        self._queue(lambda: self._set_topology(topology))

    def start(self) -> None:
        """Play, from the beginning or from where it was paused: SESSION_STARTED."""
        self._queue(self._start)

    def pause(self) -> None:
        """Stand still and keep the position: SESSION_PAUSED."""
        self._queue(self._pause)

    def stop(self) -> None:
        """Stop and go back to the beginning: SESSION_STOPPED."""
        self._queue(self._stop)

    def close(self) -> None:
        """End everything: SESSION_CLOSED, the last event."""
        self._closing = True
        if self._interrupt is not None:
            self._interrupt()
        self._queue(self._close)

    def shutdown(self) -> None:
        """Release everything at once, without an event. Blocks until nothing runs any more; idempotent."""
        if not self._shut:
            self._shut = True  # jumps the queue: commands that still wait are not carried out
            if self._interrupt is not None:
                self._interrupt()
            self._commands.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # ------------------------------------------------------------------ the session's own thread

    def _queue(self, command: _Command) -> None:
        if self._shut:
            raise SessionShutdownError("the session was shut down")
        self._commands.put(command)

    def _serve(self) -> None:
        while (command := self._commands.get()) is not None and not self._shut:
            command()
        self._release()
        self._advance(SessionState.SHUT_DOWN)

    def _advance(self, wanted: SessionState) -> None:
        if wanted not in _NEXT[self._state]:
            raise InvalidRequestError(f"a {self._state.value} session cannot become {wanted.value}")
        self._state = wanted

    def _set_topology(self, topology: Topology[SessionSource]) -> None:
        if self._state is not SessionState.STOPPED:
            self._fail(MediaEventType.SESSION_TOPOLOGY_SET, InvalidRequestError(f"the session is {self._state.value}"))
            return
        self._release()
        try:
            self._source = topology.check()
            self._topology = self._loader.resolve(topology)
        except DRMError as error:
            self._fail(MediaEventType.SESSION_TOPOLOGY_SET, error)
            return
        except Exception as error:  # noqa: BLE001 - a component's own fault must end as an event, not as silence
            self._fail(MediaEventType.SESSION_TOPOLOGY_SET, component_failed(error))
            return
        told = {"notes": "; ".join(self._topology.notes)} if self._topology.notes else {}
        self._emit(MediaEventType.SESSION_TOPOLOGY_SET, topology=topology.topology_id, **told)
        self._emit(MediaEventType.SESSION_NOTIFY_PRESENTATION_TIME, start_time=0, offset=0)
        self._set_capabilities(_READY)
        self._status(TopologyStatus.READY)

    def _start(self) -> None:
        try:
            if self._topology is None or self._source is None:
                raise InvalidRequestError("there is no topology to start")
            if self._state is SessionState.CLOSED:
                raise InvalidRequestError("the session is closed")
            if self._pipeline is None:
                self._pipeline = Pipeline(self._topology, self._source, self.clock, self._pipeline_finished)
                self._status(TopologyStatus.STARTED_SOURCE)
            if self._state is not SessionState.STARTED:
                self._advance(SessionState.STARTED)
            self._set_capabilities(_RUNNING)
            self.clock.start()
        except DRMError as error:
            self._fail(MediaEventType.SESSION_STARTED, error)
            return
        self._emit(MediaEventType.SESSION_STARTED, presentation_time_offset=0)
        self._pipeline.start()

    def _pause(self) -> None:
        if self._topology is None or self._state is SessionState.CLOSED:
            self._fail(MediaEventType.SESSION_PAUSED, InvalidRequestError("there is nothing to pause"))
        elif self._pipeline is None or self._state is SessionState.STOPPED:
            stopped = SessionError("a stopped session cannot be paused", hresult=HResult.MF_E_SESSION_PAUSEWHILESTOPPED)
            self._fail(MediaEventType.SESSION_PAUSED, stopped)
        else:
            self._pipeline.pause()
            self.clock.pause()
            if self._state is SessionState.STARTED:
                self._advance(SessionState.PAUSED)
            self._set_capabilities(_READY)
            self._emit(MediaEventType.SESSION_PAUSED)

    def _stop(self) -> None:
        if self._topology is None or self._state is SessionState.CLOSED:
            self._fail(MediaEventType.SESSION_STOPPED, InvalidRequestError("there is nothing to stop"))
            return
        if self._pipeline is not None and self._pipeline.asks_for_rights and self._interrupt is not None:
            self._interrupt()
        self._end_pipeline()
        # What its sinks wrote so far cannot be unwritten: to play again, a new topology is set.
        self._release()
        self._set_capabilities(SessionCapability(0))
        self._emit(MediaEventType.SESSION_STOPPED)

    def _close(self) -> None:
        if self._state is SessionState.CLOSED:
            self._fail(MediaEventType.SESSION_CLOSED, InvalidRequestError("the session is closed already"))
            return
        self._release()
        self._advance(SessionState.CLOSED)
        self._set_capabilities(SessionCapability(0))
        self._emit(MediaEventType.SESSION_CLOSED)

    def _pipeline_finished(self, error: DRMError | None) -> None:
        """On the pipeline's thread, at its very end."""
        if self._closing and error is not None:
            return  # `close` cancelled the source: SESSION_CLOSED says all there is to say
        self._commands.put(lambda: self._presentation_ended(error))

    def _presentation_ended(self, error: DRMError | None) -> None:
        topology = self._topology
        if topology is None or self._pipeline is None:
            return
        counts: dict[str, int] = {}
        if error is None:
            self._emit(MediaEventType.END_OF_PRESENTATION)
            try:
                for index, sink in enumerate(topology.sinks):
                    counts |= {f"sink{index}.{name}": count for name, count in sink.close().items()}
            except DRMError as failure:
                error = failure
            except Exception as failure:  # noqa: BLE001 - a full disk or a broken pipe under the sink ends as an event
                error = component_failed(failure)
        notes = "; ".join(self._pipeline.notes)
        self._end_pipeline()
        # A sink that is closed cannot be opened again: a restart needs a topology of its own.
        self._release()
        if error is not None:
            kind = MediaEventType.POLICY_ERROR if error.exit_code == 6 else MediaEventType.ERROR
            self._set_capabilities(SessionCapability(0))
            self._fail(kind, error)
            return
        self._status(TopologyStatus.ENDED, topology)
        self._set_capabilities(SessionCapability(0))
        self._emit(MediaEventType.SESSION_ENDED, **counts, **({"notes": notes} if notes else {}))

    # ------------------------------------------------------------------ small parts

    def _end_pipeline(self) -> None:
        if self._pipeline is not None:
            self._pipeline.stop()
            self._pipeline = None
        self.clock.stop()
        if self._state in {SessionState.STARTED, SessionState.PAUSED}:
            self._advance(SessionState.STOPPED)

    def _release(self) -> None:
        if self._pipeline is not None:
            self._pipeline.stop()
            self._pipeline = None
        if self._state in {SessionState.STARTED, SessionState.PAUSED}:
            self._state = SessionState.STOPPED
        if self._topology is not None:
            for node in self._topology.nodes:
                if node.authority is not None:
                    node.authority.reset()
            self._topology = None

    def _set_capabilities(self, now: SessionCapability) -> None:
        if now != self._capabilities:
            delta = now ^ self._capabilities
            self._capabilities = now
            self._emit(MediaEventType.SESSION_CAPABILITIES_CHANGED, capabilities=int(now), delta=int(delta))

    def _status(self, status: TopologyStatus, topology: ResolvedTopology | None = None) -> None:
        current = topology or self._topology
        assert current is not None
        self._emit(MediaEventType.SESSION_TOPOLOGY_STATUS, status=int(status), topology=current.topology_id)

    def _emit(self, kind: MediaEventType, **values: float | str) -> None:
        self._emit_event(MediaEvent(kind, HResult.S_OK, values))

    def _fail(self, kind: MediaEventType, error: DRMError) -> None:
        logger.info("%s: %s", kind.name, error.what)
        self._emit_event(MediaEvent(kind, error.hresult, {}, error.to_record()))
