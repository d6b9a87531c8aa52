"""Sends topologies to the worker, and feeds it from their sources as long as they are needed."""

from __future__ import annotations

import threading

import msgspec

from drm.app.remote_mode.source import RemoteMediaSource, RemoteReading
from drm.app.remote_mode.sources import RemoteSources, named, place_of
from drm.app.source_service import SourceService, characteristics_of, duration_of
from drm.app.topology_numbers import TopologyNumbers
from drm.app.worker_link import WorkerLink
from drm.component import MediaSource, PMPClient, PMPHost, ToldSource
from drm.errors import InvalidArgumentError, WireError
from drm.session.topology import SetTopologyFlags, Topology
from drm.shared_source import SharedSources
from drm.wire import messages as wire
from drm.wire.messages import FullTopology

__all__ = ["TopologySender"]


class TopologySender:
    """The application's half of the topologies of one session."""

    def __init__(self, link: WorkerLink, session: int, remote: RemoteSources | None = None) -> None:
        """`remote`: the sources of a session in remote source mode, which plays no others."""
        self._link = link
        self._session = session
        self._remote = remote
        self._services: dict[int, SourceService | RemoteReading] = {}  # by number, as what follows
        self._as_they_are: dict[int, Topology[MediaSource]] = {}
        self._shared = SharedSources()
        self._sending = threading.Lock()  # the worker wants numbers that rise
        self.numbers = TopologyNumbers()

    def send(
        self, topology: Topology[MediaSource], source: MediaSource, host: PMPHost | None, flags: SetTopologyFlags
    ) -> None:
        """Have the source make its authorities, send the topology, and serve its samples from now on.

        Raises:
            TopologyError: the source lives where this session's sources do not (MF_E_TOPO_UNSUPPORTED).
            DRMError: what the source, or the worker, raised.
        """
        in_worker = place_of(source, self._remote)
        authorities = _authorities(topology, source, host) if host is not None and not in_worker else {}
        sinks = topology.sinks()
        branches = tuple(
            wire.BranchSpec(
                named(branch.stream) if in_worker else branch.stream,
                authorities.get(branch.stream.track.track_id, 0),
                tuple(sinks.index(sink) for sink in branch.outputs),
                branch.source.media_start,
                branch.source.media_stop,
                tuple(wire.TransformSpec(each.class_id, each.encoded_options()) for each in branch.transforms),
            )
            for branch in topology.branches
        )
        fds: list[int] = []
        specs = []
        for sink in sinks:
            index = -1 if sink.descriptor is None else len(fds)
            fds += [] if sink.descriptor is None else [sink.descriptor]
            specs.append(wire.SinkSpec(sink.class_id, sink.encoded_options(), index))
        able, duration = int(characteristics_of(source)), duration_of(source)
        streams = [branch.stream for branch in topology.branches]
        with self._sending:
            number = self.numbers.take(topology)
            spec = wire.TopologySpec(
                number,
                branches,
                tuple(specs),
                able,
                duration,
                topology.project_start,
                topology.project_stop,
                in_worker,
                isinstance(source, ToldSource),
            )
            try:
                _check(spec)
            except BaseException:
                self._over(number)
                raise
            if flags & SetTopologyFlags.NORESOLUTION:
                self._as_they_are[number] = topology
            service: SourceService | RemoteReading
            if isinstance(source, RemoteMediaSource):
                service = RemoteReading(source)
            else:
                service = SourceService(self._shared.cursor(source), streams, self._link.send, self._session, number)
            self._services[number] = service
            try:
                self._link.send(wire.SetTopology(self._session, spec, int(flags)), fds)
                service.start()
            except BaseException:
                service.close()
                self._over(number)
                raise

    def _over(self, number: int) -> SourceService | RemoteReading | None:
        self._as_they_are.pop(number, None)
        self.numbers.over(number)
        return self._services.pop(number, None)

    def topology(self, number: int) -> Topology[MediaSource]:
        """The application's own topology of this number, 0 being the newest. Raises WireError for one that is over."""
        found = self.numbers.topology(number or self.numbers.newest)
        if found is None:
            raise WireError(f"the worker speaks of topology {number}, which is not set")
        return found

    def payload(self, full: FullTopology | None) -> object:
        """What SESSION_TOPOLOGY_SET carries: the very topology that was set with NORESOLUTION, else the full one."""
        if full is None:
            return None
        return self._as_they_are.pop(full.topology_id, None) or self.numbers.of_its_own_id(full)

    def take(self, message: wire.NeedSamples | wire.SelectStreams | wire.TellSource | wire.ReleaseSource) -> None:
        """On the reader's thread: pass it to the source's thread. Raises WireError for what no sound worker sends."""
        service = self._services.get(message.topology_id)
        if service is None:
            if not 0 < message.topology_id <= self.numbers.newest:
                raise WireError(f"the worker asks for samples of topology {message.topology_id}, which was never set")
        elif isinstance(message, wire.ReleaseSource):
            self._over(message.topology_id)
            service.stop()
        else:
            service.request(message)

    def stop(self) -> None:
        """Stop serving, and do not wait for it."""
        while self._services:
            self._services.popitem()[1].stop()

    def close(self) -> None:
        """Stop serving. Blocks until no source is read any more."""
        while self._services:
            self._services.popitem()[1].close()


def _check(spec: wire.TopologySpec) -> None:
    """Raise InvalidArgumentError for what cannot cross: a worker would end over it, and with it whatever else plays."""
    try:
        msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=wire.TopologySpec)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise InvalidArgumentError("the topology describes what none can", seen=str(error)) from None


def _authorities(topology: Topology[MediaSource], source: MediaSource, host: PMPHost) -> dict[int, int]:
    """Let the source make its trust authorities in the worker: stream id to object id."""
    if isinstance(source, PMPClient):
        source.set_pmp_host(host)
    made = {}
    for branch in topology.branches:
        if branch.stream.is_protected:
            stream_id = branch.stream.track.track_id
            authority = source.get_input_trust_authority(stream_id)
            if authority is not None:
                made[stream_id] = authority.object_id
    return made
