"""Topologies: which streams go to which sinks (IMFTopology, and its source and output nodes).

A topology made by an application is partial: decrypters and decoders are added when it is resolved. Output nodes hold
activation objects, never live sinks, because a sink lives where the session lives.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from drm.component import Decoder, Decrypter, InputTrustAuthority, Sink
from drm.errors import InvalidArgumentError, TopologyError
from drm.hresult import HResult
from drm.keys import KeyId
from drm.media import Sample, StreamDescriptor

__all__ = ["Branch", "Node", "ResolvedTopology", "SinkActivate", "Topology"]

_Source = TypeVar("_Source")
_ids = itertools.count(1)


@dataclass(frozen=True, slots=True, eq=False)
class SinkActivate:
    """An activation object for a sink: its class, its options, and the descriptor that it may write to.

    The descriptor stays the caller's; the worker gets a copy of it when the topology crosses.
    """

    class_id: UUID
    options: Mapping[str, object] = field(default_factory=dict)
    descriptor: int | None = None

    def encoded_options(self) -> bytes:
        """The options as the sink's `load` takes them."""
        return msgspec.json.encode(dict(self.options))


@dataclass(frozen=True, slots=True)
class Branch:
    """A source stream node and the output nodes that its frames go to."""

    stream: StreamDescriptor
    outputs: tuple[SinkActivate, ...]


class Topology(Generic[_Source]):
    """A partial topology over one media source.

    The source is a `MediaSource` where an application makes it, and what stands for that where the session runs.
    """

    def __init__(self, source: _Source | None) -> None:
        self.topology_id = next(_ids)
        self.source = source
        self.branches: list[Branch] = []

    def connect(self, stream: StreamDescriptor, *outputs: SinkActivate) -> None:
        """Let the frames of `stream` go to `outputs`. Raises InvalidArgumentError without any."""
        if not outputs:
            raise InvalidArgumentError("a stream that is connected goes to at least one output")
        self.branches.append(Branch(stream, outputs))

    def sinks(self) -> list[SinkActivate]:
        """Every output's activation object, each once."""
        return list(dict.fromkeys(sink for branch in self.branches for sink in branch.outputs))

    def check(self) -> _Source:
        """Return the source of a topology that can be resolved.

        Raises:
            TopologyError: MF_E_TOPO_MISSING_SOURCE.
            InvalidArgumentError: it has no branch.
        """
        if self.source is None:
            raise TopologyError("the topology has no media source", hresult=HResult.MF_E_TOPO_MISSING_SOURCE)
        if not self.branches:
            raise InvalidArgumentError("the topology is empty")
        return self.source


@dataclass(slots=True)
class Node:
    """One resolved branch: source stream, decrypter (or None), decoder, sinks."""

    stream: StreamDescriptor
    authority: InputTrustAuthority | None
    decrypter: Decrypter | None
    decoder: Decoder
    sinks: Sequence[Sink]
    obtain: Callable[[Sequence[KeyId]], bool] | None = None  # a license in mid-play; False: asked for before, in vain
    check: Callable[[Sample, memoryview], None] | None = None  # raises KeyWrongError: a key that rotated in is wrong


@dataclass(slots=True)
class ResolvedTopology:
    """A full topology, ready to run."""

    topology_id: int
    nodes: list[Node]
    sinks: list[Sink]
    notes: list[str]  # what a person should know about it
