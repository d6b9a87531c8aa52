"""Resolve a partial topology: decrypters and decoders in their places, trusted paths, keys that are right.

What the protected media path demands before a decrypter may work is `drm.session.policy_engine`. All of it comes before
the session reports the topology as set, so that a topology that was set will play.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

import msgspec

from drm.bounded_calls import ANSWER_LIMIT, BoundedCalls
from drm.class_ids import AV_DECODER, CLEARKEY_ITA, VIDEO_CONSTRICTOR
from drm.component import Decoder, Decrypter, EventfulSink, InputTrustAuthority, PacketBuffer, Sink, Transform
from drm.descriptors import close_quietly
from drm.errors import (
    DRMError,
    InvalidArgumentError,
    IsolationError,
    MediaError,
    NotProtectedError,
    TopologyError,
    UnsupportedMediaError,
)
from drm.hresult import HResult
from drm.media import Sample, StreamDescriptor, TrackInfo
from drm.rights.output_policy import constricted
from drm.session.events import MediaEvent
from drm.session.full_topology import Node, ReportingSink, ResolvedTopology, SinkReport
from drm.session.key_check import KeyVerdict, check_keys, place, raise_for_verdict, tells_of
from drm.session.policy_engine import ComponentHost, PolicyEngine, RightsBroker, trusted_outputs
from drm.session.session_source import SessionSource
from drm.session.topology import Branch, SinkActivate, Topology, TransformNode
from drm.trust.state import NOTHING_VERIFIED, TrustState
from drm.wire.specs import FullTopology, NodeKind, TopologyNode

__all__ = ["ComponentHost", "CustomLoader", "RightsBroker", "TopologyLoader"]

_AHEAD: Final = 4  # samples of a stream that are decoded before it is started


class CustomLoader(Protocol):
    """A topology loader of one's own (IMFTopoLoader): a component, named by MF_SESSION_TOPOLOADER."""

    def load_topology(self, topology: Topology[SessionSource]) -> Topology[SessionSource]:
        """Return the topology to resolve: this one, changed, or another over the same source."""


@dataclass(slots=True)
class TopologyLoader:
    """Resolves topologies for one session."""

    host: ComponentHost
    rights: RightsBroker
    level: int  # isolation level of this process
    custom: CustomLoader | None = None
    emit: Callable[[MediaEvent], None] = lambda _event: None
    trust: Callable[[], TrustState] = lambda: NOTHING_VERIFIED  # what this process's components are worth now
    answer_limit: float = ANSWER_LIMIT  # seconds that a sink or a loader of one's own may take for a call
    report: Callable[[SinkReport], None] = lambda _report: None  # takes what sinks say by themselves, on any thread
    _engine: PolicyEngine = field(init=False)
    _reporting: dict[SinkActivate, ReportingSink] = field(init=False, default_factory=dict)  # of what is resolved now

    def __post_init__(self) -> None:
        self._engine = PolicyEngine(self.host, self.rights, self.level, self.emit, self.trust)

    def interrupt(self) -> None:
        """Wait for no output any more: the session ends. Any thread."""
        self._engine.interrupted.set()

    def resolve(self, topology: Topology[SessionSource], *, as_it_is: bool = False) -> ResolvedTopology:
        """Return the full topology. `as_it_is`: the application says that it is one already (NORESOLUTION).

        Decrypters are put in all the same: no application can name one.

        Raises:
            IsolationError: protected content, and this process is no protected environment.
            KeyMissingError, KeyWrongError, PolicyError, LicenseError, MediaError, TopologyError.
        """
        calls = BoundedCalls("a component", self.answer_limit)
        try:
            return self._resolve(topology, as_it_is=as_it_is, calls=calls)
        except BaseException:
            self._reporting.clear()
            calls.close()
            raise

    def _resolve(self, topology: Topology[SessionSource], *, as_it_is: bool, calls: BoundedCalls) -> ResolvedTopology:
        given, source = topology, topology.check()
        topology_id = topology.topology_id
        handed = {sink.descriptor for sink in topology.sinks()}
        is_over = self._engine.interrupted.is_set
        if (custom := self.custom) is not None and not as_it_is:
            topology = calls("load_topology", lambda: custom.load_topology(given), is_over)
            try:
                topology.check()
            except (TopologyError, InvalidArgumentError) as error:
                error.hresult = HResult.MF_E_TOPOLOGY_VERIFICATION_FAILED  # what was set was sound
                raise
        self._refuse_unprotected(topology)
        sinks = {activate: self._sink(activate, calls) for activate in topology.sinks()}
        nodes = [self._node(source, branch, sinks, calls, as_it_is=as_it_is) for branch in topology.branches]
        notes = self._check_keys(source, nodes)
        for activate, sink in sinks.items():
            branches = zip(topology.branches, nodes, strict=True)
            shown = [_shown(node) for branch, node in branches if activate in branch.outputs]
            try:
                calls("open", functools.partial(sink.open, shown, activate.descriptor), is_over)
            finally:
                if calls.is_out and activate.descriptor is not None:
                    given.held.add(activate.descriptor)
        for descriptor in handed - {activate.descriptor for activate in sinks}:
            if descriptor is not None:  # the loader of one's own left its sink out, and no other will close it
                close_quietly(descriptor)
        full = FullTopology(topology_id, tuple(_described(topology, nodes)))
        outputs = [node.node_id for node in full.nodes if node.kind is NodeKind.OUTPUT]
        for activate, node_id in zip(sinks, outputs, strict=True):  # either is in the order in which branches name them
            if (reporting := self._reporting.pop(activate, None)) is not None:
                reporting.found(topology_id, node_id)
        return ResolvedTopology(topology_id, nodes, list(sinks.values()), notes, full, calls)

    def _refuse_unprotected(self, topology: Topology[SessionSource]) -> None:
        for branch in topology.branches:
            if branch.stream.is_protected:
                self._refuse_level(branch.stream)

    def _refuse_level(self, stream: StreamDescriptor) -> None:
        if self.level < 1:
            raise IsolationError(
                "protected content does not play in an unprotected process",
                where=place(stream.track),
                seen=f"isolation level {self.level}",
                remedy="clearkey doctor",
            )

    def _sink(self, activate: SinkActivate, calls: BoundedCalls) -> Sink:
        sink = cast("Sink", self.host.create(activate.class_id))
        is_over = self._engine.interrupted.is_set
        calls("load", lambda: sink.load(activate.encoded_options()), is_over)
        if isinstance(sink, EventfulSink):
            reporting = self._reporting[activate] = ReportingSink(self.report)
            calls("set_events", functools.partial(sink.set_events, reporting), is_over)
        return sink

    def _node(
        self,
        source: SessionSource,
        branch: Branch,
        sinks_by: Mapping[SinkActivate, Sink],
        calls: BoundedCalls,
        *,
        as_it_is: bool,
    ) -> Node:
        stream = branch.stream
        sinks = [sinks_by[activate] for activate in branch.outputs]
        if as_it_is and AV_DECODER not in {node.class_id for node in branch.transforms}:
            raise TopologyError("a full topology names its decoder", where=place(stream.track))
        decoder = self._decoder()
        transforms = [self._transform(node) for node in branch.transforms if node.class_id != AV_DECODER]
        decrypter, authority = None, source.authority(stream.track.track_id)
        if authority is not None:
            with contextlib.suppress(NotProtectedError):  # then the path goes on without one
                decrypter = authority.get_decrypter()
        elif stream.is_protected:
            raise TopologyError(
                "a protected stream has no input trust authority",
                where=place(stream.track),
                hresult=HResult.MF_E_TOPO_CANNOT_FIND_DECRYPTOR,
            )
        trust = None
        if authority is not None and decrypter is not None:
            self._refuse_level(stream)
            outputs = trusted_outputs(stream.track, transforms, sinks, calls)
            trust = self._engine.protect(authority, decrypter, stream.track, transforms, outputs)
        try:
            decoder.open(stream.track)
        except UnsupportedMediaError as error:
            error.hresult = HResult.MF_E_TOPO_CODEC_NOT_FOUND
            raise
        return Node(branch.source, authority, decrypter, decoder, sinks, transforms, trust)

    def _transform(self, node: TransformNode) -> Transform:
        made = cast("Transform", self.host.create(node.class_id))
        made.load(node.encoded_options())
        return made

    def _decoder(self) -> Decoder:
        return cast("Decoder", self.host.create(AV_DECODER))

    def _check_keys(self, source: SessionSource, nodes: Sequence[Node]) -> list[str]:
        notes = []
        for node in nodes:
            if node.decrypter is None or node.authority is None:
                continue
            track = node.stream.track
            rehearsal = node.authority.get_decrypter()
            rehearsal.is_rehearsal = True
            rehearsal.policy_set(0)
            first: list[Sample] = []
            verdicts = check_keys(
                track,
                [
                    kid for kid in track.key_ids if any(kid.value)
                ],  # of content whose keys rotate: no sample has KID zero
                _from_the_start(source, track.track_id, first),
                rehearsal,
                self._decoder,
                others=node.authority.key_ids,
                beside=_decoded_ahead(node, first),
            )
            node.check = self._late_check(node, rehearsal, node.authority, verdicts)
            for verdict in verdicts:
                _judge(node.authority, verdict)
                if verdict.is_doubtful:
                    notes.append(
                        f"{place(track)}: {verdict.seen}; damaged media, or another dialect, "
                        "which `clearkey keys check` names"
                    )
        return notes

    def _late_check(
        self, node: Node, decrypter: Decrypter, authority: InputTrustAuthority, verdicts: Sequence[KeyVerdict]
    ) -> Callable[[Sample, memoryview], None]:
        """What looks at the first sync sample of each KID that comes up in mid-play, before its frame is shown.

        To look for all of them beforehand, a whole film would have to be read. A key that begins inside a group of
        pictures stays on `node.unjudged` until a sync sample tells of it.
        """
        track, unjudged = node.stream.track, node.unjudged  # not the node, which holds what is made here: no circle
        checked = {verdict.key_id for verdict in verdicts if verdict.checked}

        def check(sample: Sample, stored: memoryview) -> None:
            assert sample.crypto is not None
            if sample.crypto.key_id in checked and not sample.crypto.others:
                return
            for key_id in sample.crypto.key_ids:
                if key_id not in checked and tells_of(sample, key_id):
                    if not sample.is_sync:
                        unjudged.setdefault(key_id, sample.dts / max(1, track.timescale))
                        continue
                    checked.add(key_id)
                    unjudged.pop(key_id, None)
                    found = check_keys(
                        track, [key_id], lambda: _alone(sample, stored), decrypter, self._decoder, authority.key_ids
                    )
                    for verdict in found:
                        _judge(authority, verdict, f"{sample.dts / max(1, track.timescale):.3f} s after the start")

        return check


def _judge(authority: InputTrustAuthority, verdict: KeyVerdict, where: str = "") -> None:
    """Have the license count what decoders refused, once for each verdict. Raises for a key that does not do."""
    if verdict.failed:
        authority.decoder_refused((verdict.key_id,))
    raise_for_verdict(verdict, where=where)


def _decoded_ahead(node: Node, first: Sequence[Sample]) -> Callable[[PacketBuffer, Sample], None]:
    """Have the decoder that plays decode the first samples too, on its own threads, while their key is checked.

    From the beginning of the stream on, and as long as little is held.
    """

    def decode(buffer: PacketBuffer, sample: Sample) -> None:
        if (node.ahead or sample is first[0]) and len(node.ahead) < _AHEAD:
            with contextlib.suppress(MediaError):  # damaged: it will say so again when it is played
                node.ahead[sample.dts] = node.decoder.decode(buffer, sample)

    return decode


def _alone(sample: Sample, stored: memoryview) -> Iterator[tuple[Sample, memoryview]]:
    yield sample, stored


def _from_the_start(
    source: SessionSource, stream_id: int, first: list[Sample]
) -> Callable[[], Iterator[tuple[Sample, memoryview]]]:
    """Go through the stream from its start; the very first sample is noted in `first`."""

    def samples() -> Iterator[tuple[Sample, memoryview]]:
        source.select([stream_id])
        while found := source.read(stream_id):
            sample, stored = found
            if not first:
                first.append(sample)
            with contextlib.closing(_Released(source, stream_id)), stored:
                yield sample, stored

    return samples


class _Released:
    """Tells the source, at the end of a `with`, that the bytes in hand are no longer needed."""

    def __init__(self, source: SessionSource, stream_id: int) -> None:
        self._source = source
        self._stream_id = stream_id

    def close(self) -> None:
        with contextlib.suppress(DRMError):
            self._source.done(self._stream_id)


def _shown(node: Node) -> TrackInfo:
    """The track as sinks get it: its pictures may have been scaled down."""
    track = node.stream.track
    if node.trust is None or not node.trust.constriction:
        return track
    width, height = constricted(track.width, track.height, node.trust.constriction)
    return msgspec.structs.replace(track, width=width, height=height)


def _described(topology: Topology[SessionSource], nodes: Sequence[Node]) -> Iterator[TopologyNode]:
    """Every node of the full topology, each after those that feed it."""
    ids = itertools.count(1)
    outputs: dict[SinkActivate, list[int]] = {}
    for branch, node in zip(topology.branches, nodes, strict=True):
        last = next(ids)
        yield TopologyNode(last, NodeKind.SOURCE_STREAM, stream_id=node.stream.track.track_id)
        steps = [(NodeKind.DECODER, AV_DECODER)]
        if node.decrypter is not None:
            steps.insert(0, (NodeKind.DECRYPTER, CLEARKEY_ITA))
        steps += [(NodeKind.TRANSFORM, each.class_id) for each in branch.transforms if each.class_id != AV_DECODER]
        if len(node.transforms) > len(steps) - (2 if node.decrypter is not None else 1):
            steps.append((NodeKind.TRANSFORM, VIDEO_CONSTRICTOR))
        for kind, class_id in steps:
            before, last = last, next(ids)
            yield TopologyNode(last, kind, (before,), class_id=class_id)
        for activate in branch.outputs:
            outputs.setdefault(activate, []).append(last)
    for activate, inputs in outputs.items():
        yield TopologyNode(next(ids), NodeKind.OUTPUT, tuple(inputs), class_id=activate.class_id)
