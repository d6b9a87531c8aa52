"""What the PMP worker says to the application. What is not listed here cannot be said."""

from __future__ import annotations

import enum
from typing import TypeAlias

import msgspec

from drm.errors import ErrorRecord
from drm.protection import ProtectionReport, TrustReport
from drm.rights.enablers import EnablerActivate
from drm.wire.remote_sources import ByteStreamClosed, ReadBytes, SourceCreated, SourceNotCreated
from drm.wire.specs import FullTopology, RemoteObject, SourceState, Spec

__all__ = [
    "BeginEnableContent",
    "CancelEnabler",
    "ClockChange",
    "ClockChanged",
    "Event",
    "FromWorker",
    "NeedSamples",
    "Raised",
    "Ready",
    "ReleaseSource",
    "Returned",
    "SelectStreams",
    "TellSource",
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
    system_time: int | None = None  # query for a correlated time: units of 100 ns
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


class ClockChange(enum.StrEnum):
    """What became of a session's clock: the methods of IMFClockStateSink."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESTART = "restart"
    RATE = "rate"


class ClockChanged(Spec, frozen=True, tag="clock-changed"):
    """The session's presentation clock changed. `start` is the time at which it runs from, `rate` its new rate."""

    session: int
    change: ClockChange
    start: int = 0  # units of 100 ns
    rate: float = 1.0


class SelectStreams(Spec, frozen=True, tag="select-streams"):
    """Deliver these streams from `position` (100 ns); everything of an older epoch is void."""

    session: int
    topology_id: int
    epoch: int
    stream_ids: tuple[int, ...]
    position: int = 0


class TellSource(Spec, frozen=True, tag="tell-source"):
    """The session was paused or stopped: a source that wants to know is told, and the answer is SourceTold."""

    session: int
    topology_id: int
    number: int  # of the telling; they rise
    state: SourceState


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
    | ClockChanged
    | SelectStreams
    | NeedSamples
    | TellSource
    | ReleaseSource
    | BeginEnableContent
    | CancelEnabler
    | SourceCreated
    | SourceNotCreated
    | ReadBytes
    | ByteStreamClosed
)
"""All that the application accepts."""
