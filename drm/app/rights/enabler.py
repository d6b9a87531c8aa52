"""How a content protection manager gets its enablers, and the contract that it keeps. Application only.

IMFActivate of an enabler, IMFContentProtectionManager. What an enabler does is `drm.app.rights.content_enabler`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from drm.app.rights.content_enabler import AutomaticWay, ContentEnabler, Outcome
from drm.component import MediaSource
from drm.errors import DRMError, InterfaceError
from drm.rights.enablers import EnablerActivate, EnableURL
from drm.session.events import MediaEvent
from drm.session.topology import Topology

__all__ = ["ContentProtectionManager", "EnableCallback", "EnableResult", "EnablerActivation"]


class EnablerActivation:
    """The activation object of an enabler (IMFActivate)."""

    def __init__(
        self,
        activate: EnablerActivate,
        queue_event: Callable[[MediaEvent], None],
        in_media: Callable[[], EnableURL | None] = lambda: None,
        is_held: Callable[[], bool] = lambda: False,
        automatic: AutomaticWay | None = None,
    ) -> None:
        """See ContentEnabler. `automatic`: the way that goes before any that `activate_object` is given."""
        self._activate = activate
        self._way = automatic
        self._queue_event = queue_event
        self._in_media = in_media
        self._is_held = is_held
        self._lock = threading.Lock()
        self._enabler: ContentEnabler | None = None
        self._newest: ContentEnabler | None = None  # also after it was let go of

    def activate_object(
        self, interface: str | type = "ContentEnabler", *, automatic: AutomaticWay | None = None
    ) -> ContentEnabler:
        """Return the enabler (IMFActivate::ActivateObject); the same one until it is shut down or detached.

        The first call that has an `automatic` is the one that counts.

        Raises InterfaceError (E_NOINTERFACE) for another interface than ContentEnabler.
        """
        name = interface if isinstance(interface, str) else interface.__name__
        if name != ContentEnabler.__name__:
            raise InterfaceError(f"this activation object makes a content enabler, and no {name}")
        with self._lock:
            if self._enabler is None:
                self._enabler = self._newest = ContentEnabler(
                    self._activate, self._queue_event, in_media=self._in_media, is_held=self._is_held
                )
            for way in (self._way, automatic):
                if way is not None:
                    self._enabler.take(way)
            return self._enabler

    def shutdown_object(self) -> None:
        """End the enabler that was made: it is cancelled, if it is not complete (IMFActivate::ShutdownObject).

        The next `activate_object` makes another one.
        """
        with self._lock:
            enabler, self._enabler = self._enabler, None
        if enabler is not None:
            enabler.cancel()

    def detach_object(self) -> None:
        """Let go of the enabler, which goes on; another is made next time (IMFActivate::DetachObject)."""
        with self._lock:
            self._enabler = None

    # ------------------------------------------------------------------ the session's side

    @property
    def outcome(self) -> Outcome:
        """What the enabler that was made last came to."""
        with self._lock:
            enabler = self._newest
        return (enabler or self.activate_object()).outcome

    def cancel(self) -> None:
        """The session waits no longer: the enabler that was made last is cancelled, or the first one before its use."""
        with self._lock:
            enabler = self._newest
        (enabler or self.activate_object()).cancel()

    def end(self, error: DRMError) -> None:
        """The manager has called back, or refused: what it left open ends with `error`."""
        with self._lock:
            enabler = self._newest
        if enabler is not None:
            enabler.end(error)


@dataclass(eq=False, slots=True)
class EnableResult:
    """The asynchronous result that a manager makes for one enabler and calls back with (IMFAsyncResult)."""

    enabler_activate: EnablerActivation
    state: object = None  # what `begin_enable_content` was given
    error: DRMError | None = None  # a failure that came after `begin_enable_content` had returned

    def raise_for_status(self) -> None:
        """Raise the error, if there is one."""
        if self.error is not None:
            raise self.error


EnableCallback = Callable[[EnableResult], None]
"""What a manager calls, on any thread of its own; raises InvalidRequestError when it is not owed."""


class ContentProtectionManager(Protocol):
    """IMFContentProtectionManager: implemented by the application, given as a session attribute.

    The session calls one `begin_enable_content` at a time, and none while the callback of the last is owed.
    """

    def begin_enable_content(
        self,
        enabler_activate: EnablerActivation,
        topology: Topology[MediaSource],
        callback: EnableCallback,
        state: object = None,
    ) -> None:
        """Begin to obtain what the enabler is for, and return at once: it must not block, and is reported if it does.

        If it returns, `callback` must be called exactly once, with an EnableResult for this activation, however it
        ends; an enabler that is cancelled is an end too. If it raises, the callback must not be called: the failure
        is that of the session's event.

        Args:
            enabler_activate: makes the enabler.
            topology: the application's own, which waits for this.
            callback: takes the result; blocking calls of the session are refused meanwhile.
            state: None always, to be handed back in the result.
        """

    def end_enable_content(self, result: EnableResult) -> None:
        """Return if the content was enabled, raise what went wrong if not. Called inside the callback, on its thread.

        The place to drop what was held for the enabler. Must not block.
        """
