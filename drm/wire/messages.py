"""Every message between the application and the PMP worker: a closed, typed set for each direction.

What is not listed here cannot be said. Both sides treat the other as hostile: each field is required or has a
default that means "absent", unknown fields are refused, and a message that does not decode ends the channel.
"""

from __future__ import annotations

from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from drm.errors import ErrorRecord
from drm.media import Sample, StreamDescriptor
from drm.protection import ProtectionReport
from drm.rights import EnablerActivate, LicensePath

__all__ = [
    "MAX_FDS",
    "MAX_INLINE",
    "MAX_MESSAGE",
    "AttachRing",
    "BeginEnableContent",
    "BranchSpec",
    "Close",
    "CreateObject",
    "EnablerAnswer",
    "EnablerFailed",
    "Event",
    "FromApp",
    "FromWorker",
    "LoadComponents",
    "NeedSamples",
    "Pause",
    "Ping",
    "Raised",
    "Ready",
    "RemoteObject",
    "Returned",
    "Samples",
    "SelectStreams",
    "SetTopology",
    "Shutdown",
    "SinkSpec",
    "SourceFailed",
    "Start",
    "Stop",
    "TopologySpec",
]

MAX_MESSAGE: Final = 64 << 10  # bytes; SEQPACKET delivers a message whole or not at all
MAX_INLINE: Final = 32 << 10  # bytes of a license or of initialization data that travel inside a message
MAX_FDS: Final = 16  # descriptors beside one message


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What all messages share: arrays, no unknown fields."""


class RemoteObject(_Message, frozen=True):
    """A reference to an object in the worker. Ids are handed out by the worker and never used again."""

    object_id: int
    class_id: UUID


class SinkSpec(_Message, frozen=True):
    """The activation object of an output node: what the worker makes the sink from."""

    class_id: UUID
    options: bytes  # JSON, read by the sink
    descriptor: int = -1  # index among the descriptors beside the message; -1: none


class BranchSpec(_Message, frozen=True):
    """One stream of the source and the sinks that its frames go to."""

    stream: StreamDescriptor
    authority: int  # object id of its ITA; 0: the stream is clear
    sinks: tuple[int, ...]  # indexes into TopologySpec.sinks


class TopologySpec(_Message, frozen=True):
    """A partial topology as it crosses to the worker: decrypters and decoders are the worker's to add."""

    topology_id: int
    branches: tuple[BranchSpec, ...]
    sinks: tuple[SinkSpec, ...]


# --------------------------------------------------------------------------------- application to worker


class LoadComponents(_Message, frozen=True, tag="load-components"):
    """The bundle of components, in the one descriptor beside the message."""

    call: int
    size: int


class CreateObject(_Message, frozen=True, tag="create-object"):
    """PMPHost.create_object. `stream` is what the object loads before it is returned."""

    call: int
    class_id: UUID
    stream: bytes


class SetTopology(_Message, frozen=True, tag="set-topology"):
    """IMFMediaSession::SetTopology. The sinks' descriptors come beside it."""

    topology: TopologySpec


class Start(_Message, frozen=True, tag="start"):
    """IMFMediaSession::Start at the current position."""


class Pause(_Message, frozen=True, tag="pause"):
    """IMFMediaSession::Pause."""


class Stop(_Message, frozen=True, tag="stop"):
    """IMFMediaSession::Stop."""


class Close(_Message, frozen=True, tag="close"):
    """IMFMediaSession::Close."""


class Shutdown(_Message, frozen=True, tag="shutdown"):
    """IMFMediaSession::Shutdown; the worker ends after it."""


class Ping(_Message, frozen=True, tag="ping"):
    """Are you there? The control thread answers with `Returned`, whatever else goes on in the worker."""

    call: int


class AttachRing(_Message, frozen=True, tag="attach-ring"):
    """The shared memory in which a stream's samples arrive, in the one descriptor beside the message."""

    stream_id: int
    size: int  # bytes


class Samples(_Message, frozen=True, tag="samples"):
    """Samples of one stream. `offset` of each counts from the start of the stream's ring."""

    epoch: int
    stream_id: int
    samples: tuple[Sample, ...]
    end: bool  # nothing follows in this epoch


class SourceFailed(_Message, frozen=True, tag="source-failed"):
    """The media source could not go on."""

    epoch: int
    error: ErrorRecord


class EnablerAnswer(_Message, frozen=True, tag="enabler-answer"):
    """What the content enabler brought: opaque to the application when it is sealed.

    A larger answer than MAX_INLINE comes in the one descriptor beside the message; `answer` is then empty.
    """

    ticket: int
    path: LicensePath
    answer: bytes
    size: int


class EnablerFailed(_Message, frozen=True, tag="enabler-failed"):
    """The content enabler could not bring what was asked; with E-INDIVIDUALIZE, the device is not known yet."""

    ticket: int
    error: ErrorRecord


FromApp: TypeAlias = (
    LoadComponents
    | CreateObject
    | SetTopology
    | Start
    | Pause
    | Stop
    | Close
    | Shutdown
    | Ping
    | AttachRing
    | Samples
    | SourceFailed
    | EnablerAnswer
    | EnablerFailed
)
"""All that the worker accepts."""


# --------------------------------------------------------------------------------- worker to application


class Ready(_Message, frozen=True, tag="ready"):
    """The worker is locked down; `report` is what it found when it probed itself."""

    report: ProtectionReport


class Returned(_Message, frozen=True, tag="returned"):
    """A call went well. `object` is set for `create-object`, `digests` for `load-components`."""

    call: int
    object: RemoteObject | None = None
    digests: dict[str, str] = {}


class Raised(_Message, frozen=True, tag="raised"):
    """A call failed."""

    call: int
    error: ErrorRecord


class Event(_Message, frozen=True, tag="event"):
    """A media event of the session. `values` are its attributes, as the event's documentation names them."""

    kind: int
    status: int
    values: dict[str, int | float | str]
    error: ErrorRecord | None = None


class SelectStreams(_Message, frozen=True, tag="select-streams"):
    """Deliver these streams from the start; everything of an older epoch is void."""

    epoch: int
    stream_ids: tuple[int, ...]


class NeedSamples(_Message, frozen=True, tag="need-samples"):
    """Credit: `count` more samples may come, and the worker is done with the ring up to `released` bytes in all."""

    epoch: int
    stream_id: int
    count: int
    released: int


class BeginEnableContent(_Message, frozen=True, tag="begin-enable-content"):
    """Rights are missing: IMFContentProtectionManager::BeginEnableContent is the application's to do."""

    ticket: int
    activate: EnablerActivate


FromWorker: TypeAlias = Ready | Returned | Raised | Event | SelectStreams | NeedSamples | BeginEnableContent
"""All that the application accepts."""
