"""Full topologies as the session runs them: what a topology became when it was resolved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from drm.component import Decoder, Decrypter, Frame, InputTrustAuthority, Sink, Transform
from drm.keys import KeyId
from drm.media import Sample, StreamDescriptor
from drm.session.policy_engine import TrustedPath
from drm.session.topology import SourceStreamNode
from drm.wire.specs import FullTopology

__all__ = ["Node", "ResolvedTopology"]


@dataclass(slots=True)
class Node:
    """One resolved branch: source stream, decrypter (or None), decoder, transforms, sinks."""

    source: SourceStreamNode
    authority: InputTrustAuthority | None
    decrypter: Decrypter | None
    decoder: Decoder
    sinks: Sequence[Sink]
    transforms: Sequence[Transform] = ()
    trust: TrustedPath | None = None  # of a protected branch: what was agreed with its outputs, and can change
    check: Callable[[Sample, memoryview], None] | None = None  # raises KeyWrongError: a key that rotated in is wrong
    unjudged: dict[KeyId, float] = field(default_factory=dict)  # keys in use that no sync sample told of; since when
    ahead: dict[int, list[Frame]] = field(default_factory=dict)  # what the decoder gave for its first samples, by dts

    @property
    def stream(self) -> StreamDescriptor:
        """The source node's stream."""
        return self.source.stream


@dataclass(slots=True)
class ResolvedTopology:
    """A full topology, ready to run."""

    topology_id: int
    nodes: list[Node]
    sinks: list[Sink]
    notes: list[str]  # what a person should know about it
    full: FullTopology
    straggler: threading.Thread | None = None  # was stopped, and has not come back from a sink

    @property
    def is_stuck(self) -> bool:
        """Whether a sink is still being written to by what was stopped: nobody else may touch it."""
        return self.straggler is not None and self.straggler.is_alive()

    @property
    def is_rateless(self) -> bool:
        """Whether every sink takes frames as fast as they come."""
        return all(sink.is_rateless for sink in self.sinks)
