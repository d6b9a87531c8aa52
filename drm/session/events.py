"""Media events and their queue (IMFMediaEvent, IMFMediaEventGenerator), with the numbers of mfobjects.idl."""

from __future__ import annotations

import collections
import enum
import threading
import time
from collections.abc import Iterator
from typing import Final

import msgspec

from drm.errors import DRMError, ErrorRecord, NoEventsAvailableError, SessionShutdownError, error_from_record
from drm.hresult import HResult, name_of, succeeded

__all__ = ["EventQueue", "MediaEvent", "MediaEventType", "SessionCapability", "TopologyStatus"]

_MAX_QUEUED: Final = 1024  # events that nobody reads; the oldest progress goes first


class MediaEventType(enum.IntEnum):
    """The events that this session raises. Names are those of the headers without their `ME` prefix."""

    ERROR = 1
    SESSION_TOPOLOGY_SET = 101
    SESSION_STARTED = 103
    SESSION_PAUSED = 104
    SESSION_STOPPED = 105
    SESSION_CLOSED = 106
    SESSION_ENDED = 107
    SESSION_CAPABILITIES_CHANGED = 110
    SESSION_TOPOLOGY_STATUS = 111
    SESSION_NOTIFY_PRESENTATION_TIME = 112
    LICENSE_ACQUISITION_START = 114
    LICENSE_ACQUISITION_COMPLETED = 115
    INDIVIDUALIZATION_START = 116
    INDIVIDUALIZATION_COMPLETED = 117
    ENABLER_PROGRESS = 118
    ENABLER_COMPLETED = 119
    POLICY_ERROR = 120
    END_OF_PRESENTATION = 211
    POLICY_SET = 403


class TopologyStatus(enum.IntEnum):
    """MF_TOPOSTATUS."""

    READY = 100
    STARTED_SOURCE = 200
    ENDED = 400


class SessionCapability(enum.IntFlag):
    """MFSESSIONCAP_*."""

    START = 1
    SEEK = 2
    PAUSE = 4


class MediaEvent(msgspec.Struct, frozen=True):
    """What happened, whether it went well, and its attributes.

    `time` is the moment at which it was made in its process, in seconds of the monotonic clock, which all processes
    of a machine share.
    """

    type: int
    status: int = HResult.S_OK
    values: dict[str, int | float | str] = {}
    error: ErrorRecord | None = None
    time: float = msgspec.field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        """The event's name, or its number."""
        try:
            return MediaEventType(self.type).name
        except ValueError:
            return str(self.type)

    def raise_for_status(self) -> None:
        """Raise what the failed operation would have raised, had it been synchronous. Successes return."""
        if succeeded(self.status):
            return
        if self.error is not None:
            raise error_from_record(self.error)
        raise DRMError(f"{self.name} failed with {name_of(self.status)}", hresult=self.status)


class EventQueue:
    """First in, first out, from any thread to any thread (IMFMediaEventQueue)."""

    def __init__(self) -> None:
        self._events: collections.deque[MediaEvent] = collections.deque()
        self._changed = threading.Condition()
        self._shut = False

    def queue_event(self, event: MediaEvent) -> None:
        """Append an event. Raises SessionShutdownError after `shutdown`."""
        with self._changed:
            if self._shut:
                raise SessionShutdownError("the event queue was shut down")
            if len(self._events) >= _MAX_QUEUED:
                self._drop_progress()
            self._events.append(event)
            self._changed.notify_all()

    def _drop_progress(self) -> None:
        for index, event in enumerate(self._events):
            if event.type == MediaEventType.ENABLER_PROGRESS:
                del self._events[index]
                return
        self._events.popleft()

    def get_event(self, *, wait: bool = True, timeout: float | None = None) -> MediaEvent:
        """Return the oldest event, waiting for one up to `timeout` seconds.

        Raises:
            NoEventsAvailableError: there is none, or none in time.
            SessionShutdownError: the queue was shut down.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._events or self._shut, timeout)
            if self._shut:
                raise SessionShutdownError("the event queue was shut down")
            if not self._events:
                raise NoEventsAvailableError("no event is waiting" if not wait else f"no event within {timeout} s")
            return self._events.popleft()

    def events(self) -> Iterator[MediaEvent]:
        """Iterate over events as they come, until SESSION_CLOSED has been given out or the queue is shut down."""
        while True:
            try:
                event = self.get_event()
            except SessionShutdownError:
                return
            yield event
            if event.type == MediaEventType.SESSION_CLOSED:
                return

    def shutdown(self) -> None:
        """Let every waiting caller go with an error. Idempotent."""
        with self._changed:
            self._shut = True
            self._events.clear()
            self._changed.notify_all()
