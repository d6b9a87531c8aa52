"""What the PMP worker says to the application. What is not listed here cannot be said."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from drm.errors import ErrorRecord
from drm.protection import ProtectionReport, TrustReport
from drm.rights.enablers import EnablerActivate
from drm.wire.remote_sources import ByteStreamClosed, ReadBytes, SourceCreated, SourceNotCreated
from drm.wire.specs import FullTopology, RemoteObject, Spec

__all__ = [
    "BeginEnableContent",
    "CancelEnabler",
    "Event",
    "FromWorker",
    "NeedSamples",
    "Raised",
    "Ready",
    "ReleaseSource",
    "Returned",
    "SelectStreams",
    "TrustChanged",
]


class Ready(Spec, frozen=True, tag="ready"):
    """The worker is locked down; `report` is what it found when it probed itself."""

    report: ProtectionReport


class TrustChanged(Spec, frozen=True, tag="trust-changed"):
    """A session renewed the metadata of components: what the worker's components are by that."""

    trust: TrustReport


class Returned(Spec, frozen=True, tag="returned"):
    """A call went well. What is set depends on the call."""

    call: int
    object: RemoteObject | None = None  # create-object
    digests: dict[str, str] = msgspec.field(default_factory=dict)  # load-components, load-trust
    value: int | float | None = None  # query
    topology: FullTopology | None = None  # query for a full topology
    trust: TrustReport | None = None  # load-trust


class Raised(Spec, frozen=True, tag="raised"):
    """A call failed. `enabler`: what would put it right (ppEnablerActivate)."""

    call: int
    error: ErrorRecord
    enabler: EnablerActivate | None = None


class Event(Spec, frozen=True, tag="event"):
    """A media event of the session. `values` are its attributes, as the event's documentation names them."""

    session: int
    kind: int
    status: int
    values: dict[str, int | float | str]
    error: ErrorRecord | None = None
    topology: FullTopology | None = None  # the payload of SESSION_TOPOLOGY_SET


class SelectStreams(Spec, frozen=True, tag="select-streams"):
    """Deliver these streams from `position` (100 ns); everything of an older epoch is void."""

    session: int
    topology_id: int
    epoch: int
    stream_ids: tuple[int, ...]
    position: int = 0


class ReleaseSource(Spec, frozen=True, tag="release-source"):
    """The topology is over: nothing of its source is read any more."""

    session: int
    topology_id: int


class NeedSamples(Spec, frozen=True, tag="need-samples"):
    """Credit: `count` more samples may come, and the worker is done with the ring up to `released` bytes in all."""

    session: int
    topology_id: int
    epoch: int
    stream_id: int
    count: int
    released: int


class BeginEnableContent(Spec, frozen=True, tag="begin-enable-content"):
    """Rights are missing: IMFContentProtectionManager::BeginEnableContent is the application's to do."""

    session: int
    ticket: int
    activate: EnablerActivate
    topology_id: int = 0  # the pending topology that needs it; 0: the one that plays


class CancelEnabler(Spec, frozen=True, tag="cancel-enabler"):
    """The session waits no longer for what this ticket was given out for (IMFContentEnabler::Cancel)."""

    session: int
    ticket: int


FromWorker: TypeAlias = (
    Ready
    | TrustChanged
    | Returned
    | Raised
    | Event
    | SelectStreams
    | NeedSamples
    | ReleaseSource
    | BeginEnableContent
    | CancelEnabler
    | SourceCreated
    | SourceNotCreated
    | ReadBytes
    | ByteStreamClosed
)
"""All that the application accepts."""
