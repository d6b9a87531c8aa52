"""What messages carry: references to objects of the worker, sessions and topologies as they cross."""

from __future__ import annotations

import enum
from uuid import UUID

import msgspec

from drm.bounded_calls import ANSWER_LIMIT
from drm.media import StreamDescriptor

__all__ = [
    "BranchSpec",
    "FullTopology",
    "NodeKind",
    "RemoteObject",
    "SessionSpec",
    "SinkSpec",
    "SourceState",
    "Spec",
    "TopologyNode",
    "TopologySpec",
    "TransformSpec",
]


class Spec(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What all of it shares: arrays, no unknown fields."""


class RemoteObject(Spec, frozen=True):
    """A reference to an object in the worker. Ids are handed out by the worker and never used again."""

    object_id: int
    class_id: UUID


class SinkSpec(Spec, frozen=True):
    """The activation object of an output node: what the worker makes the sink from."""

    class_id: UUID
    options: bytes  # JSON, read by the sink
    descriptor: int = -1  # index among the descriptors beside the message; -1: none


class TransformSpec(Spec, frozen=True):
    """A transform node: the class id of its component."""

    class_id: UUID
    options: bytes  # JSON, read by the transform


class BranchSpec(Spec, frozen=True):
    """One stream of the source and the sinks that its frames go to."""

    stream: StreamDescriptor
    authority: int  # object id of its ITA; 0: the stream is clear
    sinks: tuple[int, ...]  # indexes into TopologySpec.sinks
    media_start: int = 0  # units of 100 ns
    media_stop: int | None = None
    transforms: tuple[TransformSpec, ...] = ()


class TopologySpec(Spec, frozen=True):
    """A partial topology as it crosses to the worker: decrypters and decoders are the worker's to add."""

    topology_id: int
    branches: tuple[BranchSpec, ...]
    sinks: tuple[SinkSpec, ...]
    characteristics: int = 0  # of the source (drm.component.SourceCharacteristic)
    duration: int = 0  # of the source, units of 100 ns
    project_start: int | None = None
    project_stop: int | None = None
    source: int = 0  # object id of a media source in the worker; then branches name their streams by track id alone
    is_told: bool = False  # the source wants to know of pause and stop


class SessionSpec(Spec, frozen=True):
    """The session attributes that act in the worker."""

    dialects: tuple[str, ...] = ()  # readings of Common Encryption that its decrypters follow
    global_time: bool = False  # MF_SESSION_GLOBAL_TIME
    quality_manager: UUID | None = None  # MF_SESSION_QUALITY_MANAGER: the nil UUID means none; None, the default one
    topology_loader: UUID | None = None  # MF_SESSION_TOPOLOADER; None: the session's own
    remote_source_mode: bool = False  # MF_SESSION_REMOTE_SOURCE_MODE
    answer_limit: float = ANSWER_LIMIT  # seconds that a source, a sink or a loader may take for a call


class SourceState(enum.StrEnum):
    """What a media source is told of the session that reads from it."""

    PAUSED = "paused"
    STOPPED = "stopped"


class NodeKind(enum.StrEnum):
    """MF_TOPOLOGY_TYPE, with the two transforms that resolution adds told apart."""

    SOURCE_STREAM = "source stream"
    DECRYPTER = "decrypter"
    DECODER = "decoder"
    TRANSFORM = "transform"
    OUTPUT = "output"


class TopologyNode(Spec, frozen=True):
    """One node of a full topology. `inputs` are the ids of the nodes that feed it."""

    node_id: int
    kind: NodeKind
    inputs: tuple[int, ...] = ()
    stream_id: int = 0  # of a source stream node
    class_id: UUID | None = None


class FullTopology(Spec, frozen=True):
    """A resolved topology as others are told of it: all its nodes, none of its objects."""

    topology_id: int
    nodes: tuple[TopologyNode, ...]

    def of_kind(self, kind: NodeKind) -> tuple[TopologyNode, ...]:
        """The nodes of one kind."""
        return tuple(node for node in self.nodes if node.kind is kind)
