"""Media events (IMFMediaEvent), with the numbers of mfobjects.idl. Their queue is `drm.session.event_queue`."""

from __future__ import annotations

import enum
import time
from typing import Final

import msgspec

from drm.errors import DRMError, ErrorRecord, error_from_record
from drm.hresult import HResult, name_of, succeeded

__all__ = ["MediaEvent", "MediaEventType", "SessionCapability", "TopologyStatus"]


class MediaEventType(enum.IntEnum):
    """Names are those of the headers without their `ME` prefix."""

    UNKNOWN = 0  # never raised
    ERROR = 1
    EXTENDED_TYPE = 2
    NON_FATAL_ERROR = 3
    SESSION_TOPOLOGY_SET = 101
    SESSION_TOPOLOGIES_CLEARED = 102
    SESSION_STARTED = 103
    SESSION_PAUSED = 104
    SESSION_STOPPED = 105
    SESSION_CLOSED = 106
    SESSION_ENDED = 107
    SESSION_RATE_CHANGED = 108
    SESSION_SCRUB_SAMPLE_COMPLETE = 109
    SESSION_CAPABILITIES_CHANGED = 110
    SESSION_TOPOLOGY_STATUS = 111
    SESSION_NOTIFY_PRESENTATION_TIME = 112
    NEW_PRESENTATION = 113
    LICENSE_ACQUISITION_START = 114
    LICENSE_ACQUISITION_COMPLETED = 115
    INDIVIDUALIZATION_START = 116
    INDIVIDUALIZATION_COMPLETED = 117
    ENABLER_PROGRESS = 118
    ENABLER_COMPLETED = 119
    POLICY_ERROR = 120
    BUFFERING_STARTED = 122
    BUFFERING_STOPPED = 123
    CONNECT_START = 124
    CONNECT_END = 125
    RECONNECT_START = 126
    RECONNECT_END = 127
    RENDERER_EVENT = 128
    SESSION_STREAM_SINK_FORMAT_CHANGED = 129
    SOURCE_STARTED = 201
    STREAM_STARTED = 202
    SOURCE_SEEKED = 203
    STREAM_SEEKED = 204
    NEW_STREAM = 205
    UPDATED_STREAM = 206
    SOURCE_STOPPED = 207
    STREAM_STOPPED = 208
    SOURCE_PAUSED = 209
    STREAM_PAUSED = 210
    END_OF_PRESENTATION = 211
    END_OF_STREAM = 212
    MEDIA_SAMPLE = 213
    STREAM_TICK = 214
    SOURCE_RATE_CHANGED = 217
    STREAM_SINK_STARTED = 301
    STREAM_SINK_STOPPED = 302
    STREAM_SINK_PAUSED = 303
    STREAM_SINK_RATE_CHANGED = 304
    STREAM_SINK_REQUEST_SAMPLE = 305
    STREAM_SINK_MARKER = 306
    STREAM_SINK_PREROLLED = 307
    STREAM_SINK_SCRUB_SAMPLE_COMPLETE = 308
    QUALITY_NOTIFY = 311
    SINK_INVALIDATED = 312
    TRUST_UNKNOWN = 400
    POLICY_CHANGED = 401
    CONTENT_PROTECTION_MESSAGE = 402
    POLICY_SET = 403


class TopologyStatus(enum.IntEnum):
    """MF_TOPOSTATUS: for one topology they come in rising order."""

    INVALID = 0
    READY = 100
    STARTED_SOURCE = 200
    DYNAMIC_CHANGED = 210
    SINK_SWITCHED = 300
    ENDED = 400


class SessionCapability(enum.IntFlag):
    """MFSESSIONCAP_*."""

    START = 1
    SEEK = 2
    PAUSE = 4
    RATE_FORWARD = 16
    RATE_REVERSE = 32
    DOES_NOT_USE_NETWORK = 64


class MediaEvent(msgspec.Struct, frozen=True):
    """What happened, whether it went well, and its attributes.

    `time` is the moment at which it was made in its process, in seconds of the monotonic clock, which all processes
    of a machine share. `value` is the payload of the few events that have one: a topology, a policy, a rate.
    """

    type: int
    status: int = HResult.S_OK
    values: dict[str, int | float | str] = {}
    error: ErrorRecord | None = None
    time: float = msgspec.field(default_factory=time.monotonic)
    value: object = None

    @property
    def name(self) -> str:
        """The event's name, or its number."""
        try:
            return MediaEventType(self.type).name
        except ValueError:
            return str(self.type)

    def raise_if_fatal(self) -> None:
        """Raise as `raise_for_status` does, but for events of attempts at rights: another attempt may follow these.

        Whoever waits for an event calls this on each that comes before it. A failed start is never followed by an end.
        """
        if self.type not in _ATTEMPTS:
            self.raise_for_status()

    def raise_for_status(self) -> None:
        """Raise what the failed operation would have raised, had it been synchronous. Successes return."""
        if succeeded(self.status):
            return
        if self.error is not None:
            raise error_from_record(self.error)
        raise DRMError(f"{self.name} failed with {name_of(self.status)}", hresult=self.status)


# Rights may be had the second time (individualization, then the license); when not, the topology's own event fails.
_ATTEMPTS: Final = {
    MediaEventType.NON_FATAL_ERROR,
    MediaEventType.LICENSE_ACQUISITION_COMPLETED,
    MediaEventType.INDIVIDUALIZATION_COMPLETED,
    MediaEventType.ENABLER_PROGRESS,
    MediaEventType.ENABLER_COMPLETED,
}
