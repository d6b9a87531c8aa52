"""The queue behind every event generator (IMFMediaEventGenerator, IMFMediaEventQueue), observed on Windows in detail.

One subscriber at a time: a pending `begin_get_event` is a claim on the next event, and a second one is refused.
"""

from __future__ import annotations

import collections
import contextlib
import enum
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from drm.errors import (
    DRMError,
    InvalidArgumentError,
    MultipleBeginError,
    MultipleSubscribersError,
    NoEventsAvailableError,
    SessionShutdownError,
)
from drm.hresult import HResult
from drm.session.events import MediaEvent, MediaEventType

__all__ = [
    "BeginResult",
    "EventCallback",
    "EventQueue",
    "Events",
    "GetEventResult",
]

logger = logging.getLogger(__name__)

_MAX_QUEUED: Final = 1024  # events that nobody reads, beyond which the oldest of those that tell no outcome goes
_NO_OUTCOME: Final = frozenset(
    {MediaEventType.ENABLER_PROGRESS, MediaEventType.QUALITY_NOTIFY, MediaEventType.RENDERER_EVENT}
)
_STEP: Final = 0.5  # seconds that an asynchronous reader leaves a thread waiting


class BeginResult(enum.IntEnum):
    """What `begin_get_event` came to."""

    STARTED = HResult.S_OK
    ALREADY_PENDING = HResult.MF_S_MULTIPLE_BEGIN  # the same callback with the same state: one call will come


@dataclass(eq=False, slots=True)
class GetEventResult:
    """The asynchronous result that a callback is given (IMFAsyncResult): pass it to `end_get_event`."""

    state: object
    event: MediaEvent | None  # None: the queue was shut down


EventCallback = Callable[[GetEventResult], None]


@dataclass(slots=True)
class _Pending:
    callback: EventCallback
    state: object


class EventQueue:
    """First in, first out, from any thread to any thread."""

    def __init__(self, guard: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext) -> None:
        """`guard` is entered around each callback: a session proxy marks its thread there."""
        self._guard = guard
        self._events: collections.deque[MediaEvent] = collections.deque()
        self._changed = threading.Condition()
        self._shut = False
        self._last: MediaEvent | None = None  # after which nothing comes any more
        self._pending: _Pending | None = None
        self._handed_out: list[GetEventResult] = []
        self._caller: threading.Thread | None = None
        self._due: collections.deque[tuple[EventCallback, GetEventResult]] = collections.deque()

    @property
    def unread(self) -> int:
        """How many events wait to be read. No outcome is dropped: it is for whoever adds them to bound their number."""
        return len(self._events)

    def queue_event(self, event: MediaEvent) -> None:
        """Append an event. Raises SessionShutdownError after `shutdown`."""
        with self._changed:
            self._refuse_shut()
            if len(self._events) >= _MAX_QUEUED:
                self._drop_progress()
            self._events.append(event)
            self._serve_pending()
            self._changed.notify_all()

    def end(self, event: MediaEvent) -> None:
        """Append the last event: once it is read, whoever asks for more is told of its error instead of waiting.

        Raises SessionShutdownError after `shutdown`.
        """
        self.queue_event(event)
        with self._changed:
            self._last = event
            self._changed.notify_all()

    def _refuse_ended(self) -> None:
        """Under the lock. Raises what ended the queue, once all of it was read."""
        if self._last is not None and not self._events:
            self._last.raise_for_status()

    def _drop_progress(self) -> None:
        for index, event in enumerate(self._events):
            if event.type in _NO_OUTCOME:
                del self._events[index]
                return

    def get_event(self, *, wait: bool = True, timeout: float | None = None) -> MediaEvent:
        """Return the oldest event, waiting for one up to `timeout` seconds.

        Raises:
            NoEventsAvailableError: there is none, or none in time.
            MultipleSubscribersError: a `begin_get_event` has a claim on the next one.
            SessionShutdownError: the queue was shut down.
        """
        with self._changed:
            self._refuse_shut()
            if self._pending is not None:
                raise MultipleSubscribersError("a callback waits for the next event")
            self._refuse_ended()
            if wait:
                self._changed.wait_for(lambda: self._events or self._shut or self._last, timeout)
            self._refuse_shut()
            self._refuse_ended()
            if not self._events:
                raise NoEventsAvailableError("no event is waiting" if not wait else f"no event within {timeout} s")
            return self._events.popleft()

    # ------------------------------------------------------------------ with a callback

    def begin_get_event(self, callback: EventCallback | None, state: object = None) -> BeginResult:
        """Have `callback` called once, on a thread of the queue's own, with the result for the next event.

        Raises:
            InvalidArgumentError: there is no callback.
            SessionShutdownError: the queue was shut down.
            MultipleBeginError: the same callback waits already, with another state.
            MultipleSubscribersError: another one does.
        """
        if callback is None:
            raise InvalidArgumentError("a callback is needed")
        with self._changed:
            self._refuse_shut()
            if (pending := self._pending) is not None:
                if pending.callback != callback:
                    raise MultipleSubscribersError("another callback waits for the next event")
                if pending.state is not state and pending.state != state:
                    raise MultipleBeginError("this callback waits for the next event, with another state")
                return BeginResult.ALREADY_PENDING
            self._refuse_ended()
            self._pending = _Pending(callback, state)
            self._serve_pending()
        return BeginResult.STARTED

    def end_get_event(self, result: GetEventResult) -> MediaEvent:
        """Return the event of a result, once.

        Raises:
            SessionShutdownError: the queue was shut down.
            DRMError: the result is not one of this queue's, or was used (E_FAIL).
        """
        with self._changed:
            self._refuse_shut()
            if result not in self._handed_out or result.event is None:
                raise DRMError("this result was not handed out by this queue, or was used already")
            self._handed_out.remove(result)
            return result.event

    def _serve_pending(self) -> None:
        """Under the lock: if somebody waits and something is there, bring the two together."""
        if self._pending is None or not (self._events or self._shut):
            return
        pending, self._pending = self._pending, None
        result = GetEventResult(pending.state, self._events.popleft() if self._events else None)
        self._handed_out = [*self._handed_out[-_MAX_QUEUED:], result]
        self._due.append((pending.callback, result))
        if self._caller is None:
            self._caller = threading.Thread(target=self._call, name="event-callbacks", daemon=True)
            self._caller.start()

    def _call(self) -> None:
        while True:
            with self._changed:
                if not self._due:
                    self._caller = None
                    return
                callback, result = self._due.popleft()
            try:
                with self._guard():
                    callback(result)
            except Exception:  # the caller's own fault: later events still find their callback
                logger.exception("an event callback failed")

    # ------------------------------------------------------------------ as Python has it

    def events(self) -> Events:
        """Iterate over events as they come, until SESSION_CLOSED has been given out or the queue is shut down.

        `for` and `async for` both work.
        """
        return Events(self)

    def shutdown(self) -> None:
        """Let every waiting caller go with an error, and drop what nobody read. Idempotent."""
        with self._changed:
            self._shut = True
            self._events.clear()
            self._serve_pending()
            self._changed.notify_all()

    def _refuse_shut(self) -> None:
        if self._shut:
            raise SessionShutdownError("the event queue was shut down")


class Events:
    """Events as they come, for both kinds of loop."""

    def __init__(self, queue: EventQueue) -> None:
        self._queue = queue

    def __iter__(self) -> Iterator[MediaEvent]:
        while True:
            try:
                event = self._queue.get_event()
            except SessionShutdownError:
                return
            yield event
            if event.type == MediaEventType.SESSION_CLOSED:
                return

    async def __aiter__(self) -> AsyncIterator[MediaEvent]:
        import asyncio  # noqa: PLC0415 - only who uses it pays for it; a worker must not have it

        while True:
            try:
                event = await asyncio.to_thread(self._queue.get_event, timeout=_STEP)
            except NoEventsAvailableError:
                continue
            except SessionShutdownError:
                return
            yield event
            if event.type == MediaEventType.SESSION_CLOSED:
                return
