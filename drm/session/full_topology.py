"""Full topologies as the session runs them: what a topology became when it was resolved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from drm.bounded_calls import BoundedCalls
from drm.component import Decoder, Decrypter, Frame, InputTrustAuthority, Sink, Transform
from drm.errors import DRMError, InvalidArgumentError
from drm.keys import KeyId
from drm.media import Sample, StreamDescriptor
from drm.session.policy_engine import TrustedPath
from drm.session.topology import SourceStreamNode
from drm.wire.specs import FullTopology

__all__ = ["Node", "ReportingSink", "ResolvedTopology", "SinkReport"]

_MAX_VALUES, _MAX_NAME, _MAX_EARLY = 16, 64, 16  # of a renderer event; of what is said before there is a place


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


class SinkReport(NamedTuple):
    """What a sink said by itself."""

    topology_id: int
    node_id: int  # of its output node in the full topology (MF_EVENT_OUTPUT_NODE)
    is_invalid: bool  # it can show nothing any more
    error: DRMError | None = None  # why
    values: Mapping[str, float] = {}  # else: what a renderer event says


class ReportingSink:
    """Keeps `drm.component.SinkEvents` for one sink. What it says before its topology is resolved waits until then."""

    def __init__(self, report: Callable[[SinkReport], None]) -> None:
        self._report = report
        self._place: tuple[int, int] | None = None
        self._early: list[tuple[bool, DRMError | None, Mapping[str, float]]] = []
        self._changing = threading.Lock()

    def invalidate(self, error: DRMError | None = None) -> None:
        """See SinkEvents."""
        self._say(True, error if isinstance(error, DRMError) else None, {})

    def renderer_event(self, values: Mapping[str, float]) -> None:
        """See SinkEvents. Raises InvalidArgumentError for what are not a few numbers with names."""
        told = dict(values)
        shown: dict[object, object] = dict(told.items())  # a component's: nothing checked its types
        numbers = all(isinstance(name, str) and isinstance(value, int | float) for name, value in shown.items())
        if not numbers or len(told) > _MAX_VALUES or any(len(name) > _MAX_NAME for name in told):
            raise InvalidArgumentError("a renderer event holds a few numbers with names")
        self._say(False, None, told)

    def found(self, topology_id: int, node_id: int) -> None:
        """This is where the sink stands."""
        with self._changing:
            self._place = topology_id, node_id
            early, self._early = self._early, []
        for said in early:
            self._report(SinkReport(topology_id, node_id, *said))

    def _say(self, is_invalid: bool, error: DRMError | None, values: Mapping[str, float]) -> None:
        with self._changing:
            if self._place is None:
                del self._early[_MAX_EARLY:]
                self._early.append((is_invalid, error, values))
                return
            place = self._place
        self._report(SinkReport(*place, is_invalid, error, values))


@dataclass(slots=True)
class ResolvedTopology:
    """A full topology, ready to run."""

    topology_id: int
    nodes: list[Node]
    sinks: list[Sink]
    notes: list[str]  # what a person should know about it
    full: FullTopology
    calls: BoundedCalls  # of its sinks, but for `write`
    straggler: threading.Thread | None = None  # was stopped, and has not come back from a sink

    @property
    def is_stuck(self) -> bool:
        """Whether a sink has not come back from what was called before: nobody else may touch it."""
        return self.calls.is_out or (self.straggler is not None and self.straggler.is_alive())

    @property
    def is_rateless(self) -> bool:
        """Whether every sink takes frames as fast as they come."""
        return all(self.calls("is_rateless", partial(getattr, sink, "is_rateless")) for sink in self.sinks)
