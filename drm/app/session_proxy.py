"""The proxy of a Media Session that lives in a PMP worker (other half: drm/pmp/session_service.py).

`create_pmp_media_session` is MFCreatePMPMediaSession. The proxy takes commands and gives events; keys and clear
samples never come back over it.
"""

from __future__ import annotations

import threading
import warnings
from contextlib import suppress
from types import TracebackType
from typing import Final, Self
from uuid import UUID

import msgspec

from drm.app.clock_proxy import ClockProxy, ClockWatch
from drm.app.components.renewal import ComponentUpdate
from drm.app.host_proxy import HostProxy, RemoteProxy, RemoteSourceHost
from drm.app.remote_mode.sources import RemoteSources
from drm.app.rights_service import RightsService
from drm.app.server import PMPServer, require_context
from drm.app.session_configuration import PMPSessionFlags, SessionConfiguration
from drm.app.topology_sender import TopologySender
from drm.app.worker_link import whole
from drm.component import MediaSource
from drm.errors import DRMError, SessionShutdownError, UnsupportedServiceError, WireError
from drm.protection import ProtectionReport
from drm.rights.enablers import LicensePath
from drm.session.event_queue import BeginResult, EventCallback, EventQueue, Events, GetEventResult
from drm.session.events import MediaEvent, MediaEventType, SessionCapability
from drm.session.media_session import TimeFormat, check_position
from drm.session.services import RateControl, Service, service_of
from drm.session.topology import SetTopologyFlags, Topology, check_flags, check_streams
from drm.session.transport import check_rate
from drm.wire import messages as wire
from drm.wire.messages import FullTopology

__all__ = ["MediaSessionProxy", "PMPSessionFlags", "SessionConfiguration", "create_pmp_media_session"]

_MAX_UNREAD: Final = 1 << 16  # events that nobody reads, beyond which a worker counts as unsound


def create_pmp_media_session(
    flags: PMPSessionFlags = PMPSessionFlags.NONE, configuration: SessionConfiguration | None = None
) -> MediaSessionProxy:
    """Make a Media Session in a PMP worker, a new one or that of the server context, and return the session's proxy.

    MFCreatePMPMediaSession. Not to be called from inside a callback of another session of the same worker.

    Raises:
        IsolationError: this machine does not give the level that is demanded.
        ComponentRevokedError: a component that is needed is revoked (MF_E_COMPONENT_REVOKED). `enabler_activate` makes
            the content enabler that obtains its replacement; then a second call succeeds.
        RestartRequiredError: one that runs in the worker of the server context was revoked since
            (MF_E_PROCESS_RESTART_REQUIRED): a new worker is needed.
        TrustError: another reason why a component must not run; with an enabler where one puts that right.
        PMPProcessDiedError: the worker did not come up.
        InvalidArgumentError: flags or attributes that do not go together.
        InvalidRequestError: this thread is inside a callback of the worker that the server context names.
        UnknownComponentError: no component is the quality manager that is named. For a topology loader that there is
            not, the session has its own, as on Windows.
    """
    return MediaSessionProxy(flags, configuration or SessionConfiguration())


class MediaSessionProxy:
    """A session in another process. Use it as a context manager: leaving it shuts the session down.

    What waits for the worker's answer (questions, objects of `get_service`, `shutdown`, a `set_topology` whose source
    makes objects) must not be called from inside a callback of the same worker, and raises InvalidRequestError there: a
    content protection manager's `begin_enable_content`, or what `begin_get_event` was given. After the worker's death
    each call raises PMPProcessDiedError; `shutdown` does its work all the same.
    """

    def __init__(self, flags: PMPSessionFlags, configuration: SessionConfiguration) -> None:
        worker = configuration.worker(flags)
        if configuration.server_context is not None:
            unprotected = bool(flags & PMPSessionFlags.UNPROTECTED_PROCESS)
            require_context(configuration.server_context, configuration.min_level, unprotected=unprotected)
        self._configuration = configuration
        self._server = configuration.server_context or PMPServer(worker, is_kept=False)
        link = self._server.link
        self._queue = EventQueue(link.calling_back)
        self._clock = ClockWatch()
        self._is_shut = True  # so far
        self._changing = threading.Lock()

        def begin(number: int) -> None:
            self._remote = RemoteSources(link, number) if configuration.remote_source_mode else None
            self._topologies = topologies = TopologySender(link, number, self._remote)
            manager = configuration.content_protection_manager
            supply = self._server.supply
            renewal = ComponentUpdate(supply) if supply is not None and supply.repository else None
            self._rights = RightsService(manager, link, number, self._queue_quietly, topologies.topology, renewal)

        try:
            self._number = self._server.attach(self, configuration.spec(), begin)
        except BaseException:
            if configuration.server_context is None:
                self._server.shutdown()
            raise
        self._is_shut = False

    # ------------------------------------------------------------------ IMFMediaSession

    def set_topology(
        self, topology: Topology[MediaSource] | None, flags: SetTopologyFlags = SetTopologyFlags.NONE
    ) -> None:
        """Send a partial topology to the worker: SESSION_TOPOLOGY_SET tells how it went.

        A source that is a `PMPClient` is told its host first, and makes its trust authorities inside the worker.

        Raises:
            TopologyError, InvalidArgumentError: it can be seen at once that it cannot be played.
            DRMError: what the source, or an object that it made in the worker, raised.
        """
        check_flags(flags)
        if topology is None or flags & SetTopologyFlags.CLEAR_CURRENT:
            number = self._topologies.numbers.number_of(topology.topology_id) if topology else None
            self._send(wire.SetTopology(self._number, None, int(flags), number or 0))
            return
        source = topology.check()
        topology.check_times(global_time=self._configuration.global_time)
        check_streams(topology, source)
        self._refuse_shut()
        # An unprotected worker gets no authority: it refuses protected streams before anything is asked of anybody.
        host = HostProxy(self._server.link, self._number) if self.protection_report.level > 0 else None
        self._topologies.send(topology, source, host, flags)

    def clear_topologies(self) -> None:
        """Drop the topologies that wait; the current one goes on: SESSION_TOPOLOGIES_CLEARED."""
        self._send(wire.ClearTopologies(self._number))

    def start(
        self, position: int | tuple[int, int] | None = None, time_format: TimeFormat = TimeFormat.PRESENTATION
    ) -> None:
        """Play from `position` (100 ns), or from where the session stands: SESSION_STARTED (MediaSession.start)."""
        check_position(position, time_format)
        self._refuse_shut()
        topology_id, moment = position if isinstance(position, tuple) else (None, position)
        number = self._topologies.numbers.number_of(topology_id)
        self._send(wire.Start(self._number, moment, time_format.value, number or 0))

    def pause(self) -> None:
        """Stand still: SESSION_PAUSED."""
        self._send(wire.Pause(self._number))

    def stop(self) -> None:
        """Stop and go back to the beginning: SESSION_STOPPED."""
        self._send(wire.Stop(self._number))

    def set_rate(self, rate: float, *, thin: bool = False) -> None:
        """Play at another speed: SESSION_RATE_CHANGED (MediaSession.set_rate)."""
        check_rate(rate, thin=thin)
        self._refuse_shut()
        self._send(wire.SetRate(self._number, rate))

    def get_rate(self) -> float:
        """The rate of now."""
        return float(self._query("rate").value or 0)

    def close(self) -> None:
        """End everything: SESSION_CLOSED, the last event."""
        self._send(wire.Close(self._number))

    def shutdown(self) -> None:
        """End the session, and the worker with its last one. Blocks until nothing of it runs.

        Raises SessionShutdownError the second time, InvalidRequestError from inside a callback of this worker, and
        nothing else.
        """
        self._server.link.check_thread()
        with self._changing:
            self._refuse_shut()
            self._is_shut = True
        self._queue.shutdown()
        self._clock.shutdown()
        self._rights.close()
        self._server.detach(self._number)
        self._topologies.close()
        if self._remote is not None:
            self._remote.close()

    def get_clock(self) -> ClockProxy:
        """The presentation clock."""
        self._refuse_shut()
        return ClockProxy(self._query, self._clock)

    def get_session_capabilities(self) -> SessionCapability:
        """What can be done now."""
        return SessionCapability(whole(self._query("capabilities")))

    def get_full_topology(self, topology_id: int | None = None) -> FullTopology:
        """The resolved topology that is current (None), or one that waits (MediaSession.get_full_topology)."""
        found = self._query("full-topology", self._topologies.numbers.number_of(topology_id)).topology
        if found is None:
            raise WireError("the worker answers without the topology that it was asked for")
        return self._topologies.numbers.of_its_own_id(found)

    def get_service(
        self, service: Service | UUID
    ) -> HostProxy | RemoteSourceHost | PMPServer | RateControl | RemoteProxy:
        """PMP_SERVICE gives the host, PMP_SERVER_CONTEXT the server, RATE_CONTROL_SERVICE the rate control.

        REMOTE_PROXY gives what names the other halves of this proxy.

        Raises UnsupportedServiceError (MF_E_UNSUPPORTED_SERVICE) for any other.
        """
        self._refuse_shut()
        match service_of(service):
            case Service.PMP_SERVICE:
                host = HostProxy(self._server.link, self._number)
                return host if self._remote is None else RemoteSourceHost(host, self._remote)
            case Service.PMP_SERVER_CONTEXT:
                return self._server
            case Service.RATE_CONTROL_SERVICE:
                return RateControl(self.set_rate, self.get_rate)
            case Service.REMOTE_PROXY:
                return RemoteProxy(self._server.link, self._number)
            case other:
                raise UnsupportedServiceError(f"the session has no service {other.name}")

    # ------------------------------------------------------------------ IMFMediaEventGenerator

    def get_event(self, *, wait: bool = True, timeout: float | None = None) -> MediaEvent:
        """Return the next event (drm.session.event_queue.EventQueue.get_event)."""
        return self._queue.get_event(wait=wait, timeout=timeout)

    def begin_get_event(self, callback: EventCallback | None, state: object = None) -> BeginResult:
        """Have `callback` called with the next event (EventQueue.begin_get_event). It must not block on the worker."""
        if callback is not None:  # whoever waits this way may hold nothing else of the session
            self._server.keep(self._number, self)
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

    # ------------------------------------------------------------------ more of the session

    def in_callback(self) -> bool:
        """Whether this thread is inside a callback of the worker, where blocking calls are refused (InSendMessage)."""
        return self._server.link.in_callback()

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._server.pid

    @property
    def protection_report(self) -> ProtectionReport:
        """What the worker probed, with the components that it verified and how the keys came."""
        return msgspec.structs.replace(self._server.protection_report, license_path=self.license_path.value)

    @property
    def license_path(self) -> LicensePath:
        """How the keys came: the weakest way, when streams differ."""
        return self._rights.license_path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(SessionShutdownError):
            self.shutdown()

    def __del__(self) -> None:
        """Say so when it was forgotten, and end it without waiting, on whatever thread this comes."""
        if not getattr(self, "_is_shut", True):
            warnings.warn(
                f"media session {self._number} was never shut down", ResourceWarning, source=self, stacklevel=2
            )
            self._is_shut = True
            self._server.abandon(self._number)
            self._clock.shutdown()
            self._topologies.stop()
            if self._remote is not None:
                self._remote.end(SessionShutdownError("the session was shut down"))

    def _send(self, message: wire.FromApp) -> None:
        self._refuse_shut()
        self._server.link.send(message)

    def _query(self, what: str, topology_id: int | None = None) -> wire.Returned:
        self._refuse_shut()
        return self._server.link.call(lambda call: wire.Query(call, self._number, what, topology_id))

    def _refuse_shut(self) -> None:
        if self._is_shut:
            raise SessionShutdownError("the session was shut down")

    # ------------------------------------------------------------------ on the reader's thread

    def take(self, message: wire.FromWorker) -> None:
        """A message of this session. Must not block."""
        match message:
            case wire.Event():
                self._event(message)
            case wire.ClockChanged():
                self._clock.changed(message)
            case wire.NeedSamples() | wire.SelectStreams() | wire.TellSource() | wire.ReleaseSource():
                self._topologies.take(message)
            case wire.BeginEnableContent():
                self._rights.begin(message)
            case wire.CancelEnabler():
                self._rights.cancel(message)
            case wire.SourceCreated() | wire.SourceNotCreated() | wire.ReadBytes() | wire.ByteStreamClosed():
                if self._remote is None:
                    raise WireError("the worker speaks of media sources of its own, and has none")
                self._remote.take(message)
            case _:
                raise WireError(f"the worker sends {type(message).__name__} when nothing of the kind is due")

    def worker_ended(self, error: DRMError) -> None:
        """The worker is gone: every later call raises `error`, and one event says so, the last."""
        self._rights.close()
        self._topologies.stop()
        if self._remote is not None:
            self._remote.end(error)
        with suppress(SessionShutdownError):
            self._queue.end(MediaEvent(MediaEventType.ERROR, error.hresult, {}, error.to_record()))

    def _event(self, message: wire.Event) -> None:
        if self._queue.unread >= _MAX_UNREAD:
            raise WireError(f"the worker sent {_MAX_UNREAD} events that nobody has read")
        self._rights.saw(message)
        value: object = message.topology
        if message.kind == MediaEventType.SESSION_TOPOLOGY_SET:
            value = self._topologies.payload(message.topology)
        elif message.kind == MediaEventType.SESSION_RATE_CHANGED:
            value = message.values.get("rate")
        values = self._topologies.numbers.named(message.values)
        self._queue_quietly(MediaEvent(message.kind, message.status, values, message.error, value=value))

    def _queue_quietly(self, event: MediaEvent) -> None:
        with suppress(SessionShutdownError):
            self._queue.queue_event(event)
