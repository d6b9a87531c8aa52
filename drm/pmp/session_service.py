"""Serves one Media Session to the application (other half: drm/app/session_proxy.py). Runs on the control thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, cast
from uuid import UUID

import msgspec

from drm.class_ids import SOURCE_RESOLVER
from drm.component import InputTrustAuthority
from drm.errors import DRMError, InterfaceError, TrustError, UnknownComponentError, WireError
from drm.pmp.clock_service import ClockService
from drm.pmp.component_trust import ComponentTrust
from drm.pmp.handed_descriptors import DescriptorError, take_outputs
from drm.pmp.host_service import HostService
from drm.pmp.remote_source import RemoteSource
from drm.pmp.rights_proxy import RightsProxy
from drm.pmp.source_proxy import SourceProxy
from drm.pmp.source_resolver import RemoteSources
from drm.session.events import MediaEvent, MediaEventType
from drm.session.media_session import MediaSession, SessionOptions, TimeFormat
from drm.session.quality import DropLateFrames, QualityManager
from drm.session.session_source import SessionSource
from drm.session.topology import SetTopologyFlags, SinkActivate, SourceStreamNode, Topology, TransformNode
from drm.session.topology_loader import CustomLoader, TopologyLoader
from drm.trust.snapshot import MAX_SNAPSHOT
from drm.trust.state import NOTHING_VERIFIED
from drm.wire import messages as wire
from drm.wire.channel import Channel, close_all
from drm.wire.ring import read_memfd

__all__ = ["SessionService"]

logger = logging.getLogger(__name__)

_MAX_ANSWER: Final = 1 << 20  # bytes of a license
_ENABLE_LIMIT: Final = 600.0  # seconds that rights acquisition may take; a person may be typing a password
_MAX_SOURCES: Final = 64  # topologies that are current, wait, or are not resolved yet
_LEAST_LIMIT, _MOST_LIMIT = 0.01, 86400.0  # seconds that an application may give its sources, sinks and loader
_NIL: Final = UUID(int=0)

_OfSource = wire.AttachRing | wire.Samples | wire.SourceStarted | wire.SourceTold | wire.SourceFailed


class SessionService:
    """Turns messages into calls on the session core, and its events into messages."""

    def __init__(
        self,
        number: int,
        spec: wire.SessionSpec,
        channel: Channel[wire.FromApp, wire.FromWorker],
        host: HostService,
        level: int,
        trust: ComponentTrust | None = None,
    ) -> None:
        """Raises UnknownComponentError for a quality manager that there is not; the session has a loader of its own.

        Either raises InterfaceError (E_NOINTERFACE) for a component that is something else.
        """
        self.host = host
        self._number = number
        self._channel = channel
        self._trust = trust
        self._rights = RightsProxy(number, channel.send, self._emit, _ENABLE_LIMIT, self._topology_of, self._renew)
        self._sources: dict[int, SourceProxy | RemoteSource] = {}
        self._remote = RemoteSources(number, channel.send, host, is_allowed=spec.remote_source_mode)
        host.serve(SOURCE_RESOLVER, self._remote.resolver)
        self._authorities: dict[int, list[int]] = {}  # object ids, by topology
        self._newest = 0  # topology; ids rise
        self._itself: wire.RemoteObject | None = None
        options = SessionOptions(spec.global_time, self._quality_manager(spec.quality_manager))
        custom = self._custom_loader(spec.topology_loader)
        state = trust.state if trust is not None else lambda: NOTHING_VERIFIED
        limit = self._answer_limit = min(max(spec.answer_limit, _LEAST_LIMIT), _MOST_LIMIT)
        self._loader = TopologyLoader(host, self._rights, level, custom, self._emit, state, limit)
        self._session = MediaSession(self._loader, self._emit, self._interrupt, options)
        self._session.get_clock().add_state_sink(ClockService(number, channel.send))
        self._on: dict[type, Callable[[Any, Sequence[int]], None]] = {
            wire.SetTopology: self._set_topology,
            wire.ClearTopologies: lambda _message, _fds: self._session.clear_topologies(),
            wire.Start: self._start,
            wire.Pause: lambda _message, _fds: self._session.pause(),
            wire.Stop: lambda _message, _fds: self._session.stop(),
            wire.SetRate: lambda message, _fds: self._session.set_rate(message.rate),
            wire.Close: self._close,
            wire.Query: self._query,
            wire.AttachRing: self._to_source,
            wire.Samples: self._to_source,
            wire.SourceStarted: self._to_source,
            wire.SourceTold: self._to_source,
            wire.SourceFailed: self._to_source,
            wire.EnablerAnswer: self._enabler_answer,
            wire.EnablerFailed: lambda message, _fds: self._rights.failed(message),
            wire.CreateSource: self._remote.create,
            wire.CancelCreation: lambda message, _fds: self._remote.cancel_creation(message),
            wire.ReleaseRemoteSource: lambda message, _fds: self._remote.release(message),
            wire.BytesRead: lambda message, _fds: self._remote.bytes_read(message),
        }

    def take(self, message: wire.FromApp, fds: Sequence[int]) -> None:
        """Do what a message of this session asks for. Raises WireError when no sound application would send it."""
        handler = self._on.get(type(message))
        if handler is None:
            raise WireError(f"nobody takes {type(message).__name__}")
        handler(message, fds)

    def shutdown(self) -> None:
        """End the session. Blocks until nothing of it runs any more."""
        self._interrupt(True)
        for source in list(self._sources.values()):
            source.cancel()
        self._remote.cancel()
        self._session.shutdown()
        self._remote.close()

    def _renew(self, snapshot: bytes) -> None:
        """Take newer metadata of components, and tell the application what came of it. Raises TrustError."""
        if self._trust is None:
            raise TrustError("this worker has verified no metadata that could be renewed")
        try:
            self._trust.renew(snapshot)
        finally:
            self._channel.send(wire.TrustChanged(self._trust.report()))

    def _emit(self, event: MediaEvent) -> None:
        topology = event.value if isinstance(event.value, wire.FullTopology) else None
        self._channel.send(wire.Event(self._number, event.type, event.status, event.values, event.error, topology))

    def _interrupt(self, for_good: bool) -> None:
        self._rights.interrupt(for_good=for_good)
        if for_good:
            self._loader.interrupt()

    # ------------------------------------------------------------------ attributes

    def _quality_manager(self, class_id: UUID | None) -> QualityManager | None:
        if class_id is None:
            return DropLateFrames()
        return None if class_id == _NIL else cast("QualityManager", self.host.create_of(class_id, "QualityManager"))

    def _custom_loader(self, class_id: UUID | None) -> CustomLoader | None:
        if class_id is None:
            return None
        try:
            return cast("CustomLoader", self.host.create_of(class_id, "CustomLoader"))
        except UnknownComponentError as error:
            # As Windows does: a loader that is not registered leaves the session with its own.
            logger.warning("the topology loader is not used: %s", error.what)
            return None

    # ------------------------------------------------------------------ commands and questions

    def _set_topology(self, message: wire.SetTopology, fds: Sequence[int]) -> None:
        flags, spec = SetTopologyFlags(message.flags), message.topology
        if spec is None:
            close_all(fds)
            if flags & SetTopologyFlags.CLEAR_CURRENT:
                self._session.clear_current(message.topology_id or None)
            else:
                self._session.set_topology(None, flags)
            return
        held = list(fds)
        try:
            topology = self._topology(spec, held)
        except (InterfaceError, DescriptorError) as error:  # a mistake of the application: this session's alone
            close_all(held)
            self._emit(MediaEvent(MediaEventType.SESSION_TOPOLOGY_SET, error.hresult, {}, error.to_record()))
            self._channel.send(wire.ReleaseSource(self._number, spec.topology_id))
            return
        except BaseException:
            close_all(held)
            raise
        try:
            self._session.set_topology(topology, flags)
        except DRMError as error:  # the application looks at all of this before it sends anything
            close_all(held)
            raise WireError(f"the topology cannot be set: {error.what}") from None

    def _topology(self, spec: wire.TopologySpec, fds: list[int]) -> Topology[SessionSource]:
        """Build it; of `fds` those are left that its sinks have now, and all if it fails: the caller closes them."""
        if any(not -1 <= sink.descriptor < len(fds) for sink in spec.sinks):
            raise WireError("a sink names a descriptor that did not come")
        if spec.topology_id <= self._newest or len(self._sources) >= _MAX_SOURCES:
            raise WireError(f"topology {spec.topology_id} was there before, or too many are")
        self._newest = spec.topology_id
        fed = {index for branch in spec.branches for index in branch.sinks}
        named = [sink.descriptor if index in fed else -1 for index, sink in enumerate(spec.sinks)]
        outputs_of_sinks = take_outputs(named, fds)
        authorities = {
            branch.stream.track.track_id: self.host.authority(branch.authority)
            for branch in spec.branches
            if branch.authority
        }
        spec = self._remote.completed(spec)
        source: SourceProxy | RemoteSource
        if spec.source:
            source = self._remote.source(spec, self._source_closed)
        else:
            source = SourceProxy(
                self._channel.send, self._number, spec, authorities, self._source_closed, self._answer_limit
            )
        topology: Topology[SessionSource] = Topology(
            source, project_start=spec.project_start, project_stop=spec.project_stop
        )
        topology.topology_id = spec.topology_id
        sinks = [
            SinkActivate(sink.class_id, _options(sink.options), descriptor)
            for sink, descriptor in zip(spec.sinks, outputs_of_sinks, strict=True)
        ]
        for branch in spec.branches:
            outputs = [sinks[index] for index in branch.sinks if 0 <= index < len(sinks)]
            node = SourceStreamNode(branch.stream, media_start=branch.media_start, media_stop=branch.media_stop)
            transforms = [TransformNode(each.class_id, _options(each.options)) for each in branch.transforms]
            topology.connect(node, *outputs, transforms=transforms)
        self._sources[spec.topology_id] = source
        self._authorities[spec.topology_id] = [branch.authority for branch in spec.branches if branch.authority]
        return topology

    def _topology_of(self, authority: InputTrustAuthority) -> int:
        """On a thread of the session: whose stream it serves."""
        return next((number for number, source in list(self._sources.items()) if source.holds(authority)), 0)

    def _source_closed(self, topology_id: int) -> None:
        """On the session's thread: the topology is over; its authorities, which are reset, are good for no other."""
        self._sources.pop(topology_id, None)
        for object_id in self._authorities.pop(topology_id, ()):
            self.host.release(object_id)

    def _to_source(self, message: _OfSource, fds: Sequence[int]) -> None:
        source = self._sources.get(message.topology_id)
        if isinstance(source, SourceProxy):
            source.take(message, fds)
            return
        close_all(fds)
        if source is not None:
            raise WireError(f"{type(message).__name__} is about topology {message.topology_id}, whose source is here")
        if not 0 < message.topology_id <= self._newest:  # else it was released while this was under way
            raise WireError(f"{type(message).__name__} is about topology {message.topology_id}, which was never set")

    def _start(self, message: wire.Start, _fds: Sequence[int]) -> None:
        try:
            time_format = TimeFormat(message.time_format)
            if time_format is TimeFormat.SEGMENT_OFFSET:
                self._session.start((message.topology_id, message.position or 0), time_format)
            else:
                self._session.start(message.position, time_format)
        except ValueError as error:  # InvalidArgumentError is one too
            raise WireError(f"a start that no application sends: {error}") from None

    def _close(self, _message: wire.Close, _fds: Sequence[int]) -> None:
        for source in list(self._sources.values()):
            source.cancel()
        self._session.close()

    def _query(self, message: wire.Query, _fds: Sequence[int]) -> None:
        session = self._session
        value: int | float | None = None
        topology: wire.FullTopology | None = None
        named: wire.RemoteObject | None = None
        system_time: int | None = None
        match message.what:
            case "time":
                value = session.get_clock().get_time()
            case "correlated-time":
                value, system_time = session.get_clock().get_correlated_time()
            case "clock-rate":
                value = session.get_clock().rate
            case "clock-state":
                value = int(session.get_clock().get_state())
            case "rate":
                value = session.get_rate()
            case "capabilities":
                value = int(session.get_session_capabilities())
            case "full-topology":
                topology = session.get_full_topology(message.topology_id)
            case "remote-object":
                named = self._itself = self._itself or self.host.hold(session, _NIL)
            case _:
                raise WireError(f"nobody answers {message.what!r}")
        self._channel.send(wire.Returned(message.call, named, value=value, topology=topology, system_time=system_time))

    def _enabler_answer(self, message: wire.EnablerAnswer, fds: Sequence[int]) -> None:
        try:
            limit = MAX_SNAPSHOT if self._rights.waits_for_trust else _MAX_ANSWER
            answer = read_memfd(fds[0], message.size, limit) if fds else message.answer
        finally:
            close_all(fds)
        self._rights.answered(message.ticket, message.path, answer)


def _options(data: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(data, type=dict[str, object])
    except msgspec.DecodeError:
        raise WireError("the options of a node are not a JSON object") from None
