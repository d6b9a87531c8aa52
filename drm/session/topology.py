"""Topologies: which streams go to which sinks, through what (IMFTopology and its nodes).

A topology made by an application is partial: decrypters and decoders are added when it is resolved. Output nodes hold
activation objects, never live sinks, because a sink lives where the session lives. Times are in units of 100 ns.
"""

from __future__ import annotations

import enum
import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from drm.component import MediaSource
from drm.errors import DRMError, InvalidArgumentError, TopologyError
from drm.hresult import HResult
from drm.media import StreamDescriptor

__all__ = [
    "Branch",
    "OutputNode",
    "SetTopologyFlags",
    "SinkActivate",
    "SourceStreamNode",
    "Topology",
    "TransformNode",
    "check_flags",
    "check_streams",
    "require_protected_environment",
]

_Source = TypeVar("_Source")
_ids = itertools.count(1)


class SetTopologyFlags(enum.IntFlag):
    """MFSESSION_SETTOPOLOGY_FLAGS; they can be combined."""

    NONE = 0
    IMMEDIATE = 1  # stop the current presentation and drop those that wait
    NORESOLUTION = 2  # it is a full topology already
    CLEAR_CURRENT = 4  # clear the current one, if the argument is None or that one


@dataclass(frozen=True, slots=True, eq=False)
class SinkActivate:
    """An activation object for a sink: its class, its options, and the descriptor that it may write to.

    The descriptor stays the caller's; the session gets a copy of it when the topology is set. A session in a worker
    takes the writing end of a pipe, or a regular file that was opened for writing alone, and each for one sink.
    """

    class_id: UUID
    options: Mapping[str, object] = field(default_factory=dict)
    descriptor: int | None = None

    def encoded_options(self) -> bytes:
        """The options as the sink's `load` takes them."""
        return msgspec.json.encode(dict(self.options))


OutputNode = SinkActivate
"""An output node is the activation object of its sink (MF_TOPOLOGY_OUTPUT_NODE)."""


@dataclass(frozen=True, slots=True, eq=False)
class TransformNode:
    """A step between source and outputs, by the class id of its component (MF_TOPOLOGY_TRANSFORM_NODE)."""

    class_id: UUID
    options: Mapping[str, object] = field(default_factory=dict)

    def encoded_options(self) -> bytes:
        """The options as the transform's `load` takes them."""
        return msgspec.json.encode(dict(self.options))


@dataclass(frozen=True, slots=True)
class SourceStreamNode:
    """One stream of the source, and the part of it that is played (MF_TOPOLOGY_SOURCESTREAM_NODE)."""

    stream: StreamDescriptor
    is_selected: bool = True
    media_start: int = 0  # MF_TOPONODE_MEDIASTART
    media_stop: int | None = None  # MF_TOPONODE_MEDIASTOP; None: to its end


def require_protected_environment(streams: Iterable[StreamDescriptor | SourceStreamNode]) -> bool:
    """Whether a presentation with these streams needs a protected environment (MFRequireProtectedEnvironment).

    One protected stream is enough, even one that is not selected: which streams play can change, the process cannot.
    """
    return any((each.stream if isinstance(each, SourceStreamNode) else each).is_protected for each in streams)


@dataclass(frozen=True, slots=True)
class Branch:
    """A source stream node, the transforms behind it, and the output nodes that its frames go to."""

    source: SourceStreamNode
    outputs: tuple[SinkActivate, ...]
    transforms: tuple[TransformNode, ...] = ()

    @property
    def stream(self) -> StreamDescriptor:
        """The source node's stream."""
        return self.source.stream


class Topology(Generic[_Source]):
    """A topology over one media source.

    The source is a `MediaSource` where an application makes it, and what stands for that where the session runs.
    `project_start` and `project_stop` place it on the time line of an editing session (MF_TOPOLOGY_PROJECTSTART,
    MF_TOPOLOGY_PROJECTSTOP), and are for sessions with global time alone.
    """

    def __init__(
        self, source: _Source | None, *, project_start: int | None = None, project_stop: int | None = None
    ) -> None:
        self.topology_id = next(_ids)
        self.source = source
        self.branches: list[Branch] = []
        self.project_start = project_start
        self.project_stop = project_stop
        self.held: set[int] = set()  # descriptors in the hands of sinks that did not come back

    def connect(
        self,
        stream: StreamDescriptor | SourceStreamNode,
        *outputs: SinkActivate,
        transforms: Sequence[TransformNode] = (),
    ) -> None:
        """Let the frames of `stream` go through `transforms` to `outputs`. Raises InvalidArgumentError without any."""
        if not outputs:
            raise InvalidArgumentError("a stream that is connected goes to at least one output")
        node = stream if isinstance(stream, SourceStreamNode) else SourceStreamNode(stream)
        self.branches.append(Branch(node, outputs, tuple(transforms)))

    def sinks(self) -> list[SinkActivate]:
        """Every output's activation object, each once."""
        return list(dict.fromkeys(sink for branch in self.branches for sink in branch.outputs))

    def check(self) -> _Source:
        """Return the source of a topology that can be resolved.

        Raises:
            TopologyError: MF_E_TOPO_MISSING_SOURCE, MF_E_TOPO_STREAM_DESCRIPTOR_NOT_SELECTED, or an output node that
                holds no activation object (MF_E_TOPO_UNSUPPORTED).
            InvalidArgumentError: it has no branch, or two sinks that write to one descriptor.
        """
        if self.source is None:
            raise TopologyError("the topology has no media source", hresult=HResult.MF_E_TOPO_MISSING_SOURCE)
        if not self.branches:
            raise InvalidArgumentError("the topology is empty")
        for branch in self.branches:
            if not branch.source.is_selected:
                raise TopologyError(
                    f"stream {branch.stream.track.track_id} is not selected",
                    hresult=HResult.MF_E_TOPO_STREAM_DESCRIPTOR_NOT_SELECTED,
                )
            for output in branch.outputs:
                if not isinstance(output, SinkActivate):
                    raise TopologyError(
                        "an output node holds a live sink, not the activation object of one",
                        seen=type(output).__name__,
                        hresult=HResult.MF_E_TOPO_UNSUPPORTED,
                    )
        descriptors = [sink.descriptor for sink in self.sinks() if sink.descriptor is not None]
        if len(set(descriptors)) != len(descriptors):
            raise InvalidArgumentError(
                "two sinks write to one descriptor",
                seen=", ".join(map(str, descriptors)),
                remedy="give each sink a descriptor of its own",
            )
        return self.source

    def check_times(self, *, global_time: bool) -> None:
        """Raise TopologyError (MF_E_TOPO_INVALID_TIME_ATTRIBUTES) for times that this kind of session does not take."""
        placed = self.project_start is not None and self.project_stop is not None
        absent = self.project_start is None and self.project_stop is None
        wrong = ""
        if global_time and not placed:
            wrong = "a session with global time wants project start and project stop"
        elif not global_time and not absent:
            wrong = "project times are for sessions with global time"
        elif not 0 <= (self.project_start or 0) < (self.project_stop or sys.maxsize):
            wrong = "project stop must come after project start"
        for branch in self.branches:
            node = branch.source
            if node.media_start < 0 or (node.media_stop is not None and node.media_stop <= node.media_start):
                wrong = "media stop must come after media start"
        if wrong:
            raise TopologyError(wrong, hresult=HResult.MF_E_TOPO_INVALID_TIME_ATTRIBUTES)


def check_flags(flags: SetTopologyFlags) -> None:
    """Raise InvalidArgumentError (E_INVALIDARG) for flags of set_topology that nobody knows."""
    if unknown := int(flags) & ~sum(SetTopologyFlags):
        raise InvalidArgumentError("nobody knows this flag of set_topology", seen=f"{unknown:#x}")


def check_streams(topology: Topology[MediaSource], source: MediaSource) -> None:
    """Raise TopologyError for a topology over streams that its source does not have.

    MF_E_TOPO_MISSING_PRESENTATION_DESCRIPTOR: the source has none at all; MF_E_TOPO_MISSING_STREAM_DESCRIPTOR: not
    this one. A source that says nothing any more is found out by the start.
    """
    try:
        streams = source.streams()
    except DRMError:
        return
    if not streams:
        raise TopologyError("the source presents no stream", hresult=HResult.MF_E_TOPO_MISSING_PRESENTATION_DESCRIPTOR)
    known = {stream.track.track_id for stream in streams}
    for branch in topology.branches:
        if branch.stream.track.track_id not in known:
            raise TopologyError(
                f"the source has no stream {branch.stream.track.track_id}",
                seen=f"its streams: {', '.join(map(str, sorted(known)))}",
                hresult=HResult.MF_E_TOPO_MISSING_STREAM_DESCRIPTOR,
            )
