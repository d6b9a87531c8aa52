"""What the application says to the PMP worker. What is not listed here cannot be said."""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

from drm.errors import ErrorRecord
from drm.media import Sample
from drm.rights.enablers import LicensePath
from drm.wire.remote_sources import BytesRead, CancelCreation, CreateSource, ReleaseRemoteSource
from drm.wire.specs import SessionSpec, Spec, TopologySpec

__all__ = [
    "ActivateClass",
    "AttachRing",
    "ClearTopologies",
    "Close",
    "CreateObject",
    "CreateSession",
    "DeviceKey",
    "EnablerAnswer",
    "EnablerFailed",
    "Exit",
    "FromApp",
    "LoadComponents",
    "LoadTrust",
    "LockProcess",
    "Pause",
    "Ping",
    "Query",
    "ReleaseObject",
    "Samples",
    "SetRate",
    "SetTopology",
    "Shutdown",
    "SourceFailed",
    "SourceStarted",
    "SourceTold",
    "Start",
    "Stop",
]


class DeviceKey(Spec, frozen=True, tag="device-key"):
    """The device key, in the one descriptor beside the message: once, before all else, and only to a locked worker."""


class LoadComponents(Spec, frozen=True, tag="load-components"):
    """Components that nobody vouches for, in the one descriptor beside the message: for an unprotected worker alone."""

    call: int
    size: int
    are_warmed: bool = False  # import them all now: the worker stays, and nobody waits for it yet


class LoadTrust(Spec, frozen=True, tag="load-trust"):
    """Stored metadata and archives (drm.trust.snapshot), in the one descriptor beside the message.

    The first one is what the worker chooses its components from. By later ones it judges what it has.
    """

    call: int
    size: int
    are_warmed: bool = False  # import them all now: the worker stays, and nobody waits for it yet


class CreateSession(Spec, frozen=True, tag="create-session"):
    """A new Media Session in this worker. Session ids are the application's to choose, rising."""

    call: int
    session: int
    spec: SessionSpec


class LockProcess(Spec, frozen=True, tag="lock-process"):
    """IMFPMPServer::LockProcess, or UnlockProcess: while locks are held, the worker waits before it ends."""

    call: int
    unlock: bool = False


class CreateObject(Spec, frozen=True, tag="create-object"):
    """PMPHost.create_object. `stream` is what the object loads before it is returned; None: it loads nothing."""

    call: int
    session: int  # the session whose environment it is made in; 0: the server's own
    class_id: UUID
    stream: bytes | None
    interface: str = ""  # the protocol that it must keep, by name; empty: any


class ActivateClass(Spec, frozen=True, tag="activate-class"):
    """PMPHost.activate_class (IMFPMPHostApp::ActivateClassById). `stream` is an initialization stream."""

    call: int
    session: int
    name: str  # of a component, or a class id as text
    stream: bytes
    interface: str = ""


class ReleaseObject(Spec, frozen=True, tag="release-object"):
    """The application needs the object no more."""

    session: int
    object_id: int


class SetTopology(Spec, frozen=True, tag="set-topology"):
    """IMFMediaSession::SetTopology. The sinks' descriptors come beside it. Without a topology: by the flags alone."""

    session: int
    topology: TopologySpec | None
    flags: int = 0
    topology_id: int = 0  # with CLEAR_CURRENT: the topology that is to be cleared, if it is the current one; 0: any


class ClearTopologies(Spec, frozen=True, tag="clear-topologies"):
    """IMFMediaSession::ClearTopologies."""

    session: int


class Start(Spec, frozen=True, tag="start"):
    """IMFMediaSession::Start. A position of None: where the session stands."""

    session: int
    position: int | None = None  # units of 100 ns, or entries
    time_format: str = "presentation"
    topology_id: int = 0  # with the format "segment offset"


class Pause(Spec, frozen=True, tag="pause"):
    """IMFMediaSession::Pause."""

    session: int


class Stop(Spec, frozen=True, tag="stop"):
    """IMFMediaSession::Stop."""

    session: int


class Close(Spec, frozen=True, tag="close"):
    """IMFMediaSession::Close."""

    session: int


class SetRate(Spec, frozen=True, tag="set-rate"):
    """IMFRateControl::SetRate."""

    session: int
    rate: float


class Query(Spec, frozen=True, tag="query"):
    """A question to a session that has its answer at once: `what` is one of QUERIES."""

    call: int
    session: int
    what: str
    topology_id: int | None = None  # for "full-topology": one that waits


class Shutdown(Spec, frozen=True, tag="shutdown"):
    """IMFMediaSession::Shutdown. After the last session's, the worker ends."""

    call: int
    session: int


class Exit(Spec, frozen=True, tag="exit"):
    """The application needs the worker no more: it ends as soon as nobody holds a lock, or after seconds."""


class Ping(Spec, frozen=True, tag="ping"):
    """Are you there? The control thread answers with `Returned`, whatever else goes on in the worker."""

    call: int


class AttachRing(Spec, frozen=True, tag="attach-ring"):
    """The shared memory in which a stream's samples arrive, in the one descriptor beside the message."""

    session: int
    topology_id: int
    stream_id: int
    size: int  # bytes


class Samples(Spec, frozen=True, tag="samples"):
    """Samples of one stream. `offset` of each counts from the start of the stream's ring."""

    session: int
    topology_id: int
    epoch: int
    stream_id: int
    samples: tuple[Sample, ...]
    end: bool  # nothing follows in this epoch


class SourceStarted(Spec, frozen=True, tag="source-started"):
    """The media source delivers what was selected: the answer to `SelectStreams`."""

    session: int
    topology_id: int
    epoch: int


class SourceTold(Spec, frozen=True, tag="source-told"):
    """The source was told of a pause or a stop; `error` is what it raised."""

    session: int
    topology_id: int
    number: int
    error: ErrorRecord | None = None


class SourceFailed(Spec, frozen=True, tag="source-failed"):
    """The media source could not start, or could not go on."""

    session: int
    topology_id: int
    epoch: int
    error: ErrorRecord


class EnablerAnswer(Spec, frozen=True, tag="enabler-answer"):
    """What the content enabler brought: opaque to the application when it is sealed.

    A larger answer than MAX_INLINE comes in the one descriptor beside the message; `answer` is then empty.
    """

    session: int
    ticket: int
    path: LicensePath
    answer: bytes
    size: int


class EnablerFailed(Spec, frozen=True, tag="enabler-failed"):
    """The content enabler could not bring what was asked; with E-INDIVIDUALIZE, the device is not known yet."""

    session: int
    ticket: int
    error: ErrorRecord


FromApp: TypeAlias = (
    DeviceKey
    | LoadComponents
    | LoadTrust
    | CreateSession
    | LockProcess
    | CreateObject
    | ActivateClass
    | ReleaseObject
    | SetTopology
    | ClearTopologies
    | Start
    | Pause
    | Stop
    | SetRate
    | Close
    | Shutdown
    | Exit
    | Query
    | Ping
    | AttachRing
    | Samples
    | SourceStarted
    | SourceTold
    | SourceFailed
    | EnablerAnswer
    | EnablerFailed
    | CreateSource
    | CancelCreation
    | ReleaseRemoteSource
    | BytesRead
)
"""All that the worker accepts."""
