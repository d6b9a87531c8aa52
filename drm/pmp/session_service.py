"""Serves the Media Session to the application: the worker's control thread (other half: drm/app/session_proxy.py).

The control thread reads the channel and never decodes media, so that it answers while a long decode runs.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from drm.errors import DRMError, ErrorRecord, IsolationError, WireError
from drm.hresult import HResult
from drm.loader import Loader
from drm.pmp.host_service import HostService
from drm.pmp.rights_proxy import RightsProxy
from drm.pmp.source_proxy import SourceProxy
from drm.protection import ProtectionReport
from drm.session.events import MediaEvent
from drm.session.media_session import MediaSession
from drm.session.pipeline import SessionSource
from drm.session.topology import SinkActivate, Topology
from drm.session.topology_loader import TopologyLoader
from drm.wire import messages as wire
from drm.wire.channel import Channel, close_all, worker_channel
from drm.wire.ring import read_memfd

__all__ = ["serve"]

logger = logging.getLogger(__name__)

_MAX_BUNDLE: Final = 64 << 20  # bytes of all components together
_MAX_ANSWER: Final = 1 << 20  # bytes of a license
_ENABLE_LIMIT: Final = 600.0  # seconds that rights acquisition may take; a person may be typing a password


class _Environment(msgspec.Struct, eq=False, weakref=True):
    """What this worker tells its trust authorities about itself (drm.component.ProtectedEnvironment)."""

    protection: ProtectionReport
    device_key: bytes | None
    engine: str
    dialects: tuple[str, ...]
    digests: dict[str, str]
    tracer: Callable[[], int]

    @property
    def level(self) -> int:
        return self.protection.level

    def report(self) -> dict[str, object]:
        """Raises IsolationError when a debugger or tracer has come since the lock: then no license is asked for."""
        if self.level and (tracer := self.tracer()):
            raise IsolationError(
                f"process {tracer} traces the PMP worker, so no license is asked for",
                remedy="end the debugger or tracer",
                hresult=HResult.NS_E_DRM_DEBUGGING_NOT_ALLOWED,
            )
        found: dict[str, object] = msgspec.to_builtins(self.protection)
        return found

    def component_digests(self) -> dict[str, str]:
        return self.digests


def serve(
    channel_fd: int,
    report: ProtectionReport,
    device_key: bytes | None,
    tracer: Callable[[], int],
    engine: str = "cryptography",
    dialects: tuple[str, ...] = (),
) -> None:
    """Serve one session until it is shut down or the application is gone. Runs locked down.

    `tracer` gives the process id of whoever traces this one now, or 0; it is asked before each license.
    """
    channel = worker_channel(socket.socket(fileno=channel_fd))
    try:
        channel.send(wire.Ready(report))
        SessionService(channel, _Environment(report, device_key, engine, dialects, {}, tracer)).run()
    except DRMError as error:
        # No traceback: the application broke the protocol or ended, and neither is a fault of this code.
        logger.warning("the channel to the application failed: %s", error.what)
    finally:
        channel.close()


class SessionService:
    """Turns messages into calls on the session core, and its events into messages."""

    def __init__(self, channel: Channel[wire.FromApp, wire.FromWorker], environment: _Environment) -> None:
        self._channel = channel
        self._environment = environment
        self._host = HostService(environment)
        self._rights = RightsProxy(channel.send, self._emit, _ENABLE_LIMIT)
        self._source: SourceProxy | None = None
        loader = TopologyLoader(self._host, self._rights, environment.level)
        self._session = MediaSession(loader, self._emit, self._interrupt)
        self._serving = True
        self._on: dict[type, Callable[[Any, Sequence[int]], None]] = {
            wire.LoadComponents: self._load_components,
            wire.CreateObject: self._create_object,
            wire.SetTopology: self._set_topology,
            wire.Start: lambda _message, _fds: self._session.start(),
            wire.Pause: lambda _message, _fds: self._session.pause(),
            wire.Stop: lambda _message, _fds: self._session.stop(),
            wire.Close: lambda _message, _fds: self._session.close(),
            wire.Shutdown: self._shutdown,
            wire.Ping: lambda message, _fds: self._channel.send(wire.Returned(message.call)),
            wire.AttachRing: self._attach_ring,
            wire.Samples: lambda message, _fds: self._the_source().feed(message),
            wire.SourceFailed: lambda message, _fds: self._the_source().failed(message),
            wire.EnablerAnswer: self._enabler_answer,
            wire.EnablerFailed: lambda message, _fds: self._rights.failed(message),
        }

    def run(self) -> None:
        """Read messages until the session is shut down or the application closes its end."""
        try:
            while self._serving and (received := self._channel.receive()) is not None:
                message, fds = received
                takes_fds = isinstance(
                    message, wire.LoadComponents | wire.SetTopology | wire.AttachRing | wire.EnablerAnswer
                )
                if fds and not takes_fds:
                    close_all(fds)
                    raise WireError(f"descriptors came beside {type(message).__name__}")
                self._on[type(message)](message, fds)
        finally:
            self._interrupt()
            self._session.shutdown()

    def _emit(self, event: MediaEvent) -> None:
        self._channel.send(wire.Event(event.type, event.status, event.values, event.error))

    def _interrupt(self) -> None:
        self._rights.interrupt()
        if self._source is not None:
            self._source.cancel()

    def _shutdown(self, _message: wire.Shutdown, _fds: Sequence[int]) -> None:
        self._serving = False

    def _load_components(self, message: wire.LoadComponents, fds: Sequence[int]) -> None:
        try:
            if len(fds) != 1:
                raise WireError("the bundle of components comes in one descriptor")
            loader = Loader.from_bundle(read_memfd(fds[0], message.size, _MAX_BUNDLE))
            self._host.load(loader)
            self._environment.digests = loader.digests()
        except DRMError as error:
            self._raised(message.call, error)
        else:
            self._channel.send(wire.Returned(message.call, None, self._environment.digests))
        finally:
            close_all(fds)

    def _create_object(self, message: wire.CreateObject, _fds: Sequence[int]) -> None:
        try:
            made = self._host.create_object(message.class_id, message.stream)
        except DRMError as error:
            self._raised(message.call, error)
        except Exception as error:  # noqa: BLE001 - a component's own fault is the caller's error, not the worker's end
            self._raised(message.call, DRMError(f"the component failed: {type(error).__name__}: {error}"))
        else:
            self._channel.send(wire.Returned(message.call, made))

    def _raised(self, call: int, error: DRMError) -> None:
        record: ErrorRecord = error.to_record()
        self._channel.send(wire.Raised(call, record))

    def _set_topology(self, message: wire.SetTopology, fds: Sequence[int]) -> None:
        spec = message.topology
        if any(not -1 <= sink.descriptor < len(fds) for sink in spec.sinks):
            close_all(fds)
            raise WireError("a sink names a descriptor that did not come")
        if self._source is not None:
            close_all(fds)
            raise WireError("this worker has a topology already")
        authorities = {
            branch.stream.track.track_id: self._host.authority(branch.authority)
            for branch in spec.branches
            if branch.authority
        }
        stream_ids = [branch.stream.track.track_id for branch in spec.branches]
        self._source = SourceProxy(self._channel.send, authorities, stream_ids)
        topology: Topology[SessionSource] = Topology(self._source)
        topology.topology_id = spec.topology_id
        sinks = [
            SinkActivate(sink.class_id, _options(sink.options), fds[sink.descriptor] if sink.descriptor >= 0 else None)
            for sink in spec.sinks
        ]
        for branch in spec.branches:
            outputs = [sinks[index] for index in branch.sinks if 0 <= index < len(sinks)]
            topology.connect(branch.stream, *outputs)
        self._session.set_topology(topology)

    def _attach_ring(self, message: wire.AttachRing, fds: Sequence[int]) -> None:
        if self._source is None:
            close_all(fds)
            raise WireError("a ring came before the topology")
        self._source.attach(message, fds)

    def _the_source(self) -> SourceProxy:
        if self._source is None:
            raise WireError("samples came before the topology")
        return self._source

    def _enabler_answer(self, message: wire.EnablerAnswer, fds: Sequence[int]) -> None:
        try:
            answer = read_memfd(fds[0], message.size, _MAX_ANSWER) if fds else message.answer
        finally:
            close_all(fds)
        self._rights.answered(message.ticket, message.path, answer)


def _options(data: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(data, type=dict[str, object])
    except msgspec.DecodeError:
        raise WireError("the options of a sink are not a JSON object") from None
