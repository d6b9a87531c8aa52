"""Every message between the application and the PMP worker: a closed, typed set for each direction.

Both sides treat the other as hostile: each field is required or has a default that means "absent", unknown fields are
refused, and a message that does not decode ends the channel. Messages name the session that they are about, and those
of a source the topology too.
"""

from __future__ import annotations

from typing import Final

from drm.wire.from_app import (
    ActivateClass,
    AttachRing,
    ClearTopologies,
    Close,
    CreateObject,
    CreateSession,
    EnablerAnswer,
    EnablerFailed,
    Exit,
    FromApp,
    LoadComponents,
    LoadTrust,
    LockProcess,
    Pause,
    Ping,
    Query,
    ReleaseObject,
    Samples,
    SetRate,
    SetTopology,
    Shutdown,
    SourceFailed,
    SourceStarted,
    Start,
    Stop,
)
from drm.wire.from_worker import (
    BeginEnableContent,
    CancelEnabler,
    Event,
    FromWorker,
    NeedSamples,
    Raised,
    Ready,
    ReleaseSource,
    Returned,
    SelectStreams,
    TrustChanged,
)
from drm.wire.remote_sources import (
    BytesRead,
    ByteStreamClosed,
    ByteStreamSpec,
    CancelCreation,
    CreateSource,
    ReadBytes,
    ReleaseRemoteSource,
    SourceCreated,
    SourceNotCreated,
)
from drm.wire.specs import (
    BranchSpec,
    FullTopology,
    NodeKind,
    RemoteObject,
    SessionSpec,
    SinkSpec,
    TopologyNode,
    TopologySpec,
    TransformSpec,
)

__all__ = [
    "MAX_FDS",
    "MAX_INLINE",
    "MAX_MESSAGE",
    "QUERIES",
    "ActivateClass",
    "AttachRing",
    "BeginEnableContent",
    "BranchSpec",
    "ByteStreamClosed",
    "ByteStreamSpec",
    "BytesRead",
    "CancelCreation",
    "CancelEnabler",
    "ClearTopologies",
    "Close",
    "CreateObject",
    "CreateSession",
    "CreateSource",
    "EnablerAnswer",
    "EnablerFailed",
    "Event",
    "Exit",
    "FromApp",
    "FromWorker",
    "FullTopology",
    "LoadComponents",
    "LoadTrust",
    "LockProcess",
    "NeedSamples",
    "NodeKind",
    "Pause",
    "Ping",
    "Query",
    "Raised",
    "ReadBytes",
    "Ready",
    "ReleaseObject",
    "ReleaseRemoteSource",
    "ReleaseSource",
    "RemoteObject",
    "Returned",
    "Samples",
    "SelectStreams",
    "SessionSpec",
    "SetRate",
    "SetTopology",
    "Shutdown",
    "SinkSpec",
    "SourceCreated",
    "SourceFailed",
    "SourceNotCreated",
    "SourceStarted",
    "Start",
    "Stop",
    "TopologyNode",
    "TopologySpec",
    "TransformSpec",
    "TrustChanged",
]

MAX_MESSAGE: Final = 64 << 10  # bytes; SEQPACKET delivers a message whole or not at all
MAX_INLINE: Final = 32 << 10  # bytes of a license or of initialization data that travel inside a message
MAX_FDS: Final = 16  # descriptors beside one message
QUERIES: Final = ("time", "clock-state", "rate", "capabilities", "full-topology", "remote-object")
