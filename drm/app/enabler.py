"""Content enablers and the manager that runs them (IMFContentEnabler, IMFContentProtectionManager). Application only.

Rights acquisition happens here, outside the worker: the enabler carries opaque bytes there and back. What a sealed
license holds, the application cannot read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from drm.errors import DRMError, InvalidRequestError, LicenseError
from drm.hresult import HResult
from drm.keys import KeyId
from drm.rights import EnablerActivate, EnableType, LicensePath
from drm.session.events import MediaEvent, MediaEventType

__all__ = ["ContentEnabler", "ContentProtectionManager", "EnableCallback", "EnablerActivation"]


class ContentEnabler:
    """One thing to be obtained: a license, or the registration of the device key."""

    def __init__(self, activate: EnablerActivate, queue_event: Callable[[MediaEvent], None]) -> None:
        self._activate = activate
        self._queue_event = queue_event
        self._lock = threading.Lock()
        self._outcome: tuple[LicensePath, bytes] | DRMError | None = None
        self.cancelled = threading.Event()

    def get_enable_type(self) -> EnableType:
        """What is to be obtained."""
        return self._activate.type

    def get_enable_data(self) -> bytes:
        """The body to POST to the server."""
        return self._activate.data

    @property
    def key_ids(self) -> tuple[KeyId, ...]:
        """The key ids that it is about."""
        return self._activate.key_ids

    def progress(self, text: str) -> None:
        """Tell whoever watches the session how far it is: ENABLER_PROGRESS. After completion it says nothing."""
        with self._lock:
            if self._outcome is not None:
                return
        self._queue_event(MediaEvent(MediaEventType.ENABLER_PROGRESS, HResult.S_OK, {"text": text}))

    def complete(self, answer: bytes, path: LicensePath) -> None:
        """It was obtained: `answer` is what the server sent. Raises InvalidRequestError the second time."""
        self._settle((path, answer))

    def fail(self, error: DRMError) -> None:
        """It was not obtained. Raises InvalidRequestError the second time."""
        self._settle(error)

    def cancel(self) -> None:
        """Give up: completes with a cancel status unless it is complete already."""
        self.cancelled.set()
        with self._lock:
            if self._outcome is not None:
                return
        self.fail(LicenseError("rights acquisition was cancelled", hresult=HResult.MF_E_OPERATION_CANCELLED))

    @property
    def outcome(self) -> tuple[LicensePath, bytes] | DRMError:
        """What came of it; a manager that called back without completing it gets an error for its own."""
        with self._lock:
            if self._outcome is None:
                return DRMError("the content protection manager called back before the enabler was complete")
            return self._outcome

    def _settle(self, outcome: tuple[LicensePath, bytes] | DRMError) -> None:
        with self._lock:
            if self._outcome is not None:
                raise InvalidRequestError("the enabler is complete already")
            self._outcome = outcome
        error = outcome if isinstance(outcome, DRMError) else None
        status = error.hresult if error else HResult.S_OK
        record = error.to_record() if error else None
        self._queue_event(MediaEvent(MediaEventType.ENABLER_COMPLETED, status, {}, record))


class EnablerActivation:
    """The activation object of an enabler (IMFActivate)."""

    def __init__(self, activate: EnablerActivate, queue_event: Callable[[MediaEvent], None]) -> None:
        self._enabler = ContentEnabler(activate, queue_event)

    def activate_object(self) -> ContentEnabler:
        """Return the enabler; the same one each time."""
        return self._enabler


EnableCallback = Callable[[EnablerActivation], None]
"""What the manager calls, once, on any thread of its own, when the enabler is complete."""


class ContentProtectionManager(Protocol):
    """IMFContentProtectionManager: implemented by the application."""

    def begin_enable_content(self, activation: EnablerActivation, callback: EnableCallback) -> None:
        """Start to obtain it, and return at once.

        If this returns, `callback` must be called exactly once; if it raises, it must not be called.
        """

    def end_enable_content(self, activation: EnablerActivation) -> None:
        """Called by the session inside the callback: drop what was held for it. Must not block."""
