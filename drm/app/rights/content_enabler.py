"""Content enablers: one thing to be obtained, and the ways to it (IMFContentEnabler). Application only.

Rights acquisition happens here, outside the worker: the enabler carries opaque bytes there and back. What a sealed
license holds, the application cannot read. The contract of the manager that runs enablers: `drm.app.rights.enabler`.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable
from typing import Final, Protocol

from drm.errors import DRMError, InvalidArgumentError, InvalidRequestError, LicenseError, NotAvailableError
from drm.hresult import HResult
from drm.keys import KeyId
from drm.rights.enablers import EnablerActivate, EnableType, EnableURL, LicensePath, URLTrustStatus
from drm.session.event_queue import BeginResult, EventCallback, EventQueue, GetEventResult
from drm.session.events import MediaEvent, MediaEventType

__all__ = ["AutomaticWay", "ContentEnabler", "Outcome"]

Outcome = tuple[LicensePath, bytes] | DRMError
"""What an enabler came to: how the license travelled and the license itself, or why there is none."""


class AutomaticWay(Protocol):
    """A server that the enabler may ask by itself: named by the user or the package, never by the media."""

    @property
    def url(self) -> str:
        """Where the license request is POSTed."""

    def obtain(self, enabler: ContentEnabler) -> tuple[LicensePath, bytes]:
        """Send the enabler's data and return the answer; ends soon once `enabler.cancelled` is set.

        Raises:
            DRMError: what went wrong. NS_E_DRM_LICENSE_NOTACQUIRED: another way may do better.
        """


class _State(enum.Enum):
    IDLE = "not begun"
    AUTOMATIC = "under way by itself"
    NOT_ACQUIRED = "ended without a license; the manual way is left"
    MONITORING = "waiting for the manual way"
    COMPLETE = "complete"


_OPEN: Final = frozenset({_State.IDLE, _State.AUTOMATIC, _State.MONITORING})


class ContentEnabler:
    """One thing to be obtained: a license, or the registration of the device key. Any thread.

    Its events are ENABLER_PROGRESS, any number, and one ENABLER_COMPLETED for each way that is taken: both from its own
    generator and from the session's. When the session waits no longer, the enabler is cancelled.
    """

    def __init__(
        self,
        activate: EnablerActivate,
        queue_event: Callable[[MediaEvent], None],
        *,
        in_media: Callable[[], EnableURL | None] = lambda: None,
        is_held: Callable[[], bool] = lambda: False,
    ) -> None:
        """`queue_event`: the session's queue. `in_media`: the URL that the media name. `is_held`: no key is missing."""
        self._activate = activate
        self._queue_event = queue_event
        self._automatic: AutomaticWay | None = None
        self._in_media = in_media
        self._is_held = is_held
        self._events = EventQueue()
        self._lock = threading.RLock()
        self._state = _State.IDLE
        self._outcome: Outcome | None = None
        self.cancelled = threading.Event()

    # ------------------------------------------------------------------ IMFContentEnabler

    def get_enable_type(self) -> EnableType:
        """What is to be obtained."""
        return self._activate.type

    def get_enable_url(self) -> EnableURL:
        """Where the data go, and whether that may be trusted: only what the user named is.

        Raises NotAvailableError when nobody names one; an individualization has none of its own.
        """
        kind = self._activate.type
        if kind is not EnableType.INDIVIDUALIZATION and self._automatic is not None:
            return EnableURL(self._automatic.url, URLTrustStatus.TRUSTED)
        if kind is EnableType.LICENSE_ACQUISITION and (found := self._in_media()) is not None:
            return found
        raise NotAvailableError("this enabler names no URL")

    def get_enable_data(self) -> bytes:
        """The body to POST to the server. Raises NotAvailableError when there is none."""
        if not self._activate.data:
            raise NotAvailableError("this enabler has no data")
        return self._activate.data

    @property
    def is_automatic_supported(self) -> bool:
        """Whether `automatic_enable` can do it."""
        return self._automatic is not None

    def automatic_enable(self) -> None:
        """Begin to obtain it, on a thread of the enabler's own: ENABLER_PROGRESS, then ENABLER_COMPLETED.

        After the status NS_E_DRM_LICENSE_NOTACQUIRED the manual way is left: `monitor_enable`, then `complete`.

        Raises:
            NotAvailableError: it is not supported.
            InvalidRequestError: a way was begun before, or it was cancelled.
        """
        way = self._automatic
        if way is None:
            raise NotAvailableError("this enabler has no automatic way", remedy="give the license server's URL")
        with self._lock:
            self._refuse_unless(_State.IDLE)
            self._state = _State.AUTOMATIC
        threading.Thread(target=self._obtain, args=(way,), name="content-enabler", daemon=True).start()

    def monitor_enable(self) -> bool:
        """Say, before sending, that the manual way is taken; True: ENABLER_COMPLETED will follow, by `complete`.

        False (S_FALSE) is no error: the keys are there already, nothing needs to be sent, and no event comes.

        Raises InvalidRequestError while a way is under way, or when the enabler has failed.
        """
        with self._lock:
            if not isinstance(self._outcome, DRMError) and self._outcome is not None:
                return False
            if self._is_held():
                self._state, self._outcome = _State.COMPLETE, (LicensePath.NONE, b"")
                return False
            self._refuse_unless(_State.IDLE, _State.NOT_ACQUIRED)
            self._state, self._outcome = _State.MONITORING, None
            return True

    def cancel(self) -> None:
        """Give up: ENABLER_COMPLETED with a cancel status, unless it is complete already.

        The status is MF_E_OPERATION_CANCELLED, and NS_S_DRM_MONITOR_CANCELLED, a success code, for the manual way.
        Neither enables anything: the session goes on with an error.
        """
        with self._lock:
            self.cancelled.set()
            if self._state is _State.COMPLETE:
                return
            error = LicenseError("rights acquisition was cancelled", hresult=HResult.MF_E_OPERATION_CANCELLED)
            by_hand = self._state is _State.MONITORING
            self._settle(error, HResult.NS_S_DRM_MONITOR_CANCELLED if by_hand else error.hresult)

    # ------------------------------------------------------------------ IMFMediaEventGenerator

    def get_event(self, *, wait: bool = True, timeout: float | None = None) -> MediaEvent:
        """Return the enabler's next event (drm.session.event_queue.EventQueue.get_event)."""
        return self._events.get_event(wait=wait, timeout=timeout)

    def begin_get_event(self, callback: EventCallback | None, state: object = None) -> BeginResult:
        """Have `callback` called with the enabler's next event (EventQueue.begin_get_event)."""
        return self._events.begin_get_event(callback, state)

    def end_get_event(self, result: GetEventResult) -> MediaEvent:
        """Return the event of a result (EventQueue.end_get_event)."""
        return self._events.end_get_event(result)

    def wait_completed(self) -> MediaEvent:
        """Read events up to the next ENABLER_COMPLETED and return that."""
        while (event := self._events.get_event()).type != MediaEventType.ENABLER_COMPLETED:
            pass
        return event

    # ------------------------------------------------------------------ the way's side

    def take(self, way: AutomaticWay) -> None:
        """Learn of an automatic way, unless there is one."""
        self._automatic = self._automatic or way

    @property
    def key_ids(self) -> tuple[KeyId, ...]:
        """The key ids that it is about."""
        return self._activate.key_ids

    def progress(self, text: str) -> None:
        """Tell whoever watches how far it is: ENABLER_PROGRESS. After completion it says nothing."""
        with self._lock:
            if self._state in _OPEN:
                self._tell(MediaEvent(MediaEventType.ENABLER_PROGRESS, HResult.S_OK, {"text": text}))

    def complete(self, answer: bytes, path: LicensePath) -> None:
        """It was obtained by the manual way, or was at hand: `answer` is what the server sent.

        Raises InvalidRequestError when the enabler is complete, or under way by itself, and InvalidArgumentError for an
        answer that is none.
        """
        self._settle_by_hand(_license(path, answer))

    def fail(self, error: DRMError) -> None:
        """It was not obtained by the manual way. Raises InvalidRequestError as `complete`."""
        self._settle_by_hand(error)

    @property
    def outcome(self) -> Outcome:
        """What came of it; a manager that called back without completing it gets an error for its own."""
        with self._lock:
            if self._outcome is None:
                return DRMError("the content protection manager called back before the enabler was complete")
            return self._outcome

    def end(self, error: DRMError) -> None:
        """The manager has called back: what it left open ends with `error`, and says so."""
        with self._lock:
            if self._state in _OPEN:
                self.cancelled.set()
                self._settle(error)

    def _obtain(self, way: AutomaticWay) -> None:
        outcome: Outcome
        try:
            outcome = _license(*way.obtain(self))
        except DRMError as error:
            outcome = error
        except BaseException as error:  # noqa: BLE001 - without a word of it, whoever waits for the event would wait on
            outcome = LicenseError(f"the license exchange failed: {type(error).__name__}: {error}")
        with self._lock:
            if self._state is _State.AUTOMATIC:  # or it was cancelled
                self._settle(outcome)
                if isinstance(outcome, DRMError) and outcome.hresult == HResult.NS_E_DRM_LICENSE_NOTACQUIRED:
                    self._state = _State.NOT_ACQUIRED

    def _settle_by_hand(self, outcome: Outcome) -> None:
        with self._lock:
            self._refuse_unless(_State.IDLE, _State.MONITORING)
            self._settle(outcome)

    def _settle(self, outcome: Outcome, status: int | None = None) -> None:
        """Under the lock: this is what came of it."""
        self._state, self._outcome = _State.COMPLETE, outcome
        error = outcome if isinstance(outcome, DRMError) else None
        if status is None:
            status = error.hresult if error else HResult.S_OK
        record = error.to_record() if error else None
        self._tell(MediaEvent(MediaEventType.ENABLER_COMPLETED, status, {}, record))

    def _tell(self, event: MediaEvent) -> None:
        self._events.queue_event(event)
        self._queue_event(event)

    def _refuse_unless(self, *allowed: _State) -> None:
        if self._state not in allowed:
            raise InvalidRequestError(f"the enabler is {self._state.value}")


def _license(path: object, answer: object) -> tuple[LicensePath, bytes]:
    """Raise InvalidArgumentError for what no way to a license gives."""
    if not (isinstance(path, LicensePath) and isinstance(answer, bytes)):
        raise InvalidArgumentError(
            "a license is bytes, and the way that they came", seen=f"{type(path).__name__}, {type(answer).__name__}"
        )
    return path, answer
