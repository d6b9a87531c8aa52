"""A Media Session in the application's own process, for clear content (MFCreateMediaSession).

The core is the one that runs in a worker. Decoders and sinks come out of verified bytes through the component loader;
nothing here can decrypt, and a protected stream is refused before anything is asked of anybody.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol, Self, cast
from uuid import UUID

import msgspec

from drm.app.components.installed import pack_components
from drm.app.local_source import LocalSource
from drm.app.session_configuration import SessionConfiguration
from drm.app.sources import component_loader
from drm.app.topology_numbers import TopologyNumbers
from drm.class_ids import AV_DECODER
from drm.component import InputTrustAuthority, MediaSource
from drm.descriptors import close_quietly
from drm.errors import (
    InvalidArgumentError,
    IsolationError,
    SessionShutdownError,
    UnsupportedServiceError,
)
from drm.loader import Loader
from drm.rights.enablers import EnablerActivate
from drm.session.attributes import custom_loader, quality_manager
from drm.session.clock import PresentationClock
from drm.session.event_queue import BeginResult, EventCallback, EventQueue, Events, GetEventResult
from drm.session.events import MediaEvent, SessionCapability
from drm.session.media_session import MediaSession, SessionOptions, TimeFormat, check_position
from drm.session.services import RateControl, Service, service_of
from drm.session.session_source import SessionSource
from drm.session.topology import SetTopologyFlags, SinkActivate, Topology, check_flags, check_streams
from drm.session.topology_loader import TopologyLoader
from drm.shared_source import SharedSources
from drm.wire.specs import FullTopology

__all__ = ["LocalMediaSession", "create_media_session"]

_UNPROTECTED: Final = 0  # isolation level of an application


def create_media_session(configuration: SessionConfiguration | None = None) -> LocalMediaSession:
    """Make a Media Session in this process (MFCreateMediaSession).

    Of the configuration count global_time, quality_manager, topology_loader, low_latency, answer_limit and components;
    whatever is about rights or a worker has no effect. A topology loader that is not registered leaves the session with
    its own.

    Raises:
        UnknownComponentError: no component has the quality manager's class id.
        TrustError: a component is not what its manifest says.
    """
    return LocalMediaSession(configuration or SessionConfiguration())


class _LowLatency(Protocol):
    def set_low_latency(self) -> None: ...


class _Host:
    """Makes components in this process."""

    def __init__(self, loader: Loader, *, low_latency: bool) -> None:
        self._loader = loader
        self._low_latency = low_latency

    def create(self, class_id: UUID) -> object:
        made = self._loader.create(class_id)
        if self._low_latency and class_id == AV_DECODER:
            cast("_LowLatency", made).set_low_latency()
        return made


class _NoRights:
    """There is no protected environment here, so nobody is asked for rights."""

    def enable(self, authority: InputTrustAuthority, activate: EnablerActivate) -> None:  # noqa: ARG002 - the signature
        raise IsolationError("an application's own process plays no protected content")


class LocalMediaSession:
    """A session in this process, with the face of a `MediaSessionProxy`. A context manager: leaving it shuts it down.

    Commands queue and may be given on any thread, from inside an event callback too.
    """

    def __init__(self, configuration: SessionConfiguration) -> None:
        loader = component_loader()
        if configuration.components:
            loader = Loader.from_bundle(pack_components(configuration.components))
        host = _Host(loader, low_latency=configuration.low_latency)
        options = SessionOptions(configuration.global_time, quality_manager(host, configuration.quality_manager))
        self._answer_limit = configuration.answer_limit
        custom = custom_loader(host, configuration.topology_loader)
        resolver = self._resolver = TopologyLoader(
            host, _NoRights(), _UNPROTECTED, custom, answer_limit=self._answer_limit
        )
        self._queue = EventQueue()
        self._changing = threading.Lock()
        self._sources: dict[int, LocalSource] = {}  # by topology
        self._as_they_are: dict[int, Topology[MediaSource]] = {}
        self._numbers = TopologyNumbers()
        self._shared = SharedSources()
        self._core = MediaSession(resolver, self._event, self._interrupt, options)

    # ------------------------------------------------------------------ IMFMediaSession

    def set_topology(
        self, topology: Topology[MediaSource] | None, flags: SetTopologyFlags = SetTopologyFlags.NONE
    ) -> None:
        """Resolve a partial topology and queue it: SESSION_TOPOLOGY_SET (MediaSession.set_topology).

        Sinks get copies of the descriptors; the caller keeps its own. A topology may be set again.

        Raises:
            TopologyError, InvalidArgumentError: it can be seen at once that it cannot be played.
            SessionShutdownError: the session was shut down.
        """
        check_flags(flags)
        if topology is None:
            self._core.set_topology(None, flags)
            return
        if flags & SetTopologyFlags.CLEAR_CURRENT:
            self._core.clear_current(self._numbers.number_of(topology.topology_id))
            return
        media = topology.check()
        check_streams(topology, media)
        self._core.refuse_shut()
        with self._changing:
            number = self._numbers.take(topology)
            copied: Topology[SessionSource] | None = None
            try:
                reading = self._shared.cursor(media)
                source = LocalSource(reading, lambda: self._source_gone(number), self._answer_limit)
                copied = _copy(topology, number, source)
                if flags & SetTopologyFlags.NORESOLUTION:
                    self._as_they_are[number] = topology
                self._sources[number] = source
                self._core.set_topology(copied, flags)
            except BaseException:
                if copied is not None:
                    _close_descriptors(copied)
                self._source_gone(number)
                raise

    def clear_topologies(self) -> None:
        """Drop the topologies that wait; the current one goes on: SESSION_TOPOLOGIES_CLEARED."""
        self._core.clear_topologies()

    def start(
        self, position: int | tuple[int, int] | None = None, time_format: TimeFormat = TimeFormat.PRESENTATION
    ) -> None:
        """Play from `position` (100 ns), or from where the session stands: SESSION_STARTED (MediaSession.start)."""
        check_position(position, time_format)
        if isinstance(position, tuple):
            position = self._numbers.number_of(position[0]) or 0, position[1]
        self._core.start(position, time_format)

    def pause(self) -> None:
        """Stand still: SESSION_PAUSED."""
        self._core.pause()

    def stop(self) -> None:
        """Stop and go back to the beginning: SESSION_STOPPED."""
        self._core.stop()

    def set_rate(self, rate: float, *, thin: bool = False) -> None:
        """Play at another speed: SESSION_RATE_CHANGED (MediaSession.set_rate)."""
        self._core.set_rate(rate, thin=thin)

    def get_rate(self) -> float:
        """The rate of now."""
        return self._core.get_rate()

    def close(self) -> None:
        """End everything: SESSION_CLOSED, the last event."""
        self._core.close()

    def shutdown(self) -> None:
        """End the session. Blocks until nothing of it runs. Raises SessionShutdownError the second time."""
        self._core.refuse_shut()
        self._queue.shutdown()
        self._core.shutdown()

    def get_clock(self) -> PresentationClock:
        """The presentation clock; its sinks and timers are called on threads of the session."""
        return self._core.get_clock()

    def get_session_capabilities(self) -> SessionCapability:
        """What can be done now."""
        return self._core.get_session_capabilities()

    def get_full_topology(self, topology_id: int | None = None) -> FullTopology:
        """The resolved topology that is current (None), or one that waits (MediaSession.get_full_topology)."""
        return self._numbers.of_its_own_id(self._core.get_full_topology(self._numbers.number_of(topology_id)))

    def get_service(self, service: Service | UUID) -> RateControl:
        """RATE_CONTROL_SERVICE gives the rate control.

        Raises UnsupportedServiceError (MF_E_UNSUPPORTED_SERVICE) for any other: there is no PMP here.
        """
        self._core.refuse_shut()
        found = service_of(service)
        if found is not Service.RATE_CONTROL_SERVICE:
            raise UnsupportedServiceError(f"a session in the application's own process has no service {found.name}")
        return RateControl(self.set_rate, self.get_rate)

    # ------------------------------------------------------------------ IMFMediaEventGenerator

    def get_event(self, *, wait: bool = True, timeout: float | None = None) -> MediaEvent:
        """Return the next event (drm.session.event_queue.EventQueue.get_event)."""
        return self._queue.get_event(wait=wait, timeout=timeout)

    def begin_get_event(self, callback: EventCallback | None, state: object = None) -> BeginResult:
        """Have `callback` called with the next event (EventQueue.begin_get_event)."""
        return self._queue.begin_get_event(callback, state)

    def end_get_event(self, result: GetEventResult) -> MediaEvent:
        """Return the event of a result (EventQueue.end_get_event)."""
        return self._queue.end_get_event(result)

    def events(self) -> Events:
        """Iterate over events until SESSION_CLOSED, or until the session is shut down: `for` and `async for`."""
        return self._queue.events()

    def queue_event(self, event: MediaEvent) -> None:
        """Put an event of one's own into the queue."""
        self._queue.queue_event(event)

    def in_callback(self) -> bool:
        """False: no call of this session is refused anywhere."""
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(SessionShutdownError):
            self.shutdown()

    # ------------------------------------------------------------------ behind the face

    def _event(self, event: MediaEvent) -> None:
        value = event.value
        if isinstance(value, FullTopology):
            # With NORESOLUTION the payload is the very topology that was set.
            value = self._as_they_are.pop(value.topology_id, None) or self._numbers.of_its_own_id(value)
        event = msgspec.structs.replace(event, values=self._numbers.named(event.values), value=value)
        with suppress(SessionShutdownError):
            self._queue.queue_event(event)

    def _interrupt(self, for_good: bool) -> None:
        """Nobody is asked for rights; what may wait is a media source."""
        if for_good:
            self._resolver.interrupt()
            for source in list(self._sources.values()):
                source.cancel()

    def _source_gone(self, number: int) -> None:
        self._sources.pop(number, None)
        self._as_they_are.pop(number, None)
        self._numbers.over(number)


def _copy(topology: Topology[MediaSource], number: int, source: LocalSource) -> Topology[SessionSource]:
    """The same topology over the session's own source, with descriptors that are the session's to close."""
    copied: Topology[SessionSource] = Topology(
        source, project_start=topology.project_start, project_stop=topology.project_stop
    )
    copied.topology_id = number
    sinks: dict[SinkActivate, SinkActivate] = {}
    try:
        for sink in topology.sinks():
            sinks[sink] = _duplicated(sink)
    except BaseException:
        for sink in sinks.values():
            if sink.descriptor is not None:
                close_quietly(sink.descriptor)
        raise
    copied.branches = [
        replace(branch, outputs=tuple(sinks[output] for output in branch.outputs)) for branch in topology.branches
    ]
    return copied


def _duplicated(sink: SinkActivate) -> SinkActivate:
    if sink.descriptor is None:
        return sink
    try:
        return replace(sink, descriptor=os.dup(sink.descriptor))
    except OSError as error:
        raise InvalidArgumentError(
            "the descriptor of a sink cannot be used", seen=f"{sink.descriptor}: {error.strerror}"
        ) from None


def _close_descriptors(topology: Topology[SessionSource]) -> None:
    for sink in topology.sinks():
        if sink.descriptor is not None:
            close_quietly(sink.descriptor)
