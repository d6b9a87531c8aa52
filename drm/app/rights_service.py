"""Serves the session's wish for rights: calls the application's content protection manager and sends what it brought.

Other half: drm/pmp/rights_proxy.py. Rights acquisition runs in the application, outside the worker. The worker is not
trusted: it gets one enabler at a time, for a topology that the application has set.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from drm.app.components.renewal import RENEWING
from drm.app.rights.content_enabler import AutomaticWay, Outcome
from drm.app.rights.enabler import ContentProtectionManager, EnablerActivation
from drm.app.rights.manager_call import ManagerCall
from drm.app.rights.media_url import url_in_media
from drm.app.worker_link import WorkerLink
from drm.component import MediaSource
from drm.errors import DRMError, ErrorRecord, KeyMissingError, LicenseError, WireError
from drm.hresult import HResult
from drm.keys import KeyId
from drm.rights.enablers import LicensePath
from drm.session.events import MediaEvent, MediaEventType
from drm.session.topology import Topology
from drm.wire import messages as wire
from drm.wire.ring import sealed_memfd

__all__ = ["RightsService"]

_GRACE: Final = 5.0  # seconds for which a new enabler waits for the callback of one that was cancelled


class RightsService:
    """One session's."""

    def __init__(
        self,
        manager: ContentProtectionManager | None,
        link: WorkerLink,
        session: int,
        queue_event: Callable[[MediaEvent], None],
        topology: Callable[[int], Topology[MediaSource]],
        renewal: AutomaticWay | None = None,
    ) -> None:
        """`topology` finds one that was set by its id, 0 being the newest, and raises WireError for any other.

        `renewal` is the way to newer metadata of components.
        """
        self._manager = manager
        self._link = link
        self._session = session
        self._queue_event = queue_event
        self._topology = topology
        self._renewal = renewal
        self._lock = threading.Lock()
        self._at_work: ManagerCall | None = None  # the manager owes a callback for it
        self._next: ManagerCall | None = None  # begun once that has come
        self._grace: threading.Timer | None = None
        self._newest = 0  # ticket; they rise
        self._is_closed = False
        self._paths: list[LicensePath] = []
        self._held: set[KeyId] = set()  # what licenses came for, and was not asked for again since

    @property
    def license_path(self) -> LicensePath:
        """How the keys came: the weakest way, when streams differ."""
        order = (LicensePath.LOCAL, LicensePath.CLEAR, LicensePath.SEALED)
        return next((path for path in order if path in self._paths), LicensePath.NONE)

    def saw(self, message: wire.Event) -> None:
        """An event of the session: a license that came is noted."""
        if message.kind == MediaEventType.LICENSE_ACQUISITION_COMPLETED and message.status == HResult.S_OK:
            with suppress(ValueError):
                self._paths.append(LicensePath(str(message.values.get("license_path"))))
            with suppress(ValueError), self._lock:
                self._held.update(KeyId.parse(kid) for kid in str(message.values.get("kids", "")).split(", "))

    # ------------------------------------------------------------------ on the reader's thread

    def begin(self, message: wire.BeginEnableContent) -> None:
        """Have the manager begin, on another thread. Raises WireError for what no sound worker asks."""
        topology = self._topology(message.topology_id)
        key_ids = message.activate.key_ids
        with self._lock:
            waits = self._at_work if self._at_work is not None and not self._at_work.is_dropped else self._next
            if waits is not None or message.ticket <= self._newest:
                # Each would start a thread and a license exchange here.
                raise WireError("the worker asks for an enabler while one is at work")
            self._newest = message.ticket
            self._held.difference_update(key_ids)
            if self._is_closed:
                return
            if self._manager is not None:
                activation = EnablerActivation(
                    message.activate,
                    self._queue_event,
                    lambda: url_in_media(topology.source),
                    lambda: self._held.issuperset(key_ids) and message.activate.type not in RENEWING,
                    self._renewal if message.activate.type in RENEWING else None,
                )
                enabling = ManagerCall(
                    message.ticket,
                    self._manager,
                    activation,
                    topology,
                    guard=self._link.calling_back,
                    report=self._report,
                    ended=self._ended,
                )
                self._line_up(enabling)
                return
        self._answer(wire.EnablerFailed(self._session, message.ticket, _no_manager(key_ids)))

    def _line_up(self, enabling: ManagerCall) -> None:
        if self._at_work is None:
            self._at_work = enabling
            enabling.begin()
            return
        self._next = enabling
        self._grace = threading.Timer(_GRACE, self._refuse, (enabling,))
        self._grace.daemon = True
        self._grace.start()

    def cancel(self, message: wire.CancelEnabler) -> None:
        """The session waits for this enabler no longer. Raises WireError for one that never was."""
        with self._lock:
            if not 0 < message.ticket <= self._newest:
                raise WireError(f"the worker cancels enabler {message.ticket}, which never was")
            dropped = self._at_work
            if self._next is not None and self._next.ticket == message.ticket:
                self._drop_next()
                return
        if dropped is not None and dropped.ticket == message.ticket:
            dropped.drop()

    def close(self) -> None:
        """The session ends: the enabler at work is cancelled. What its manager still says is heard by nobody."""
        with self._lock:
            self._is_closed = True
            self._drop_next()
            dropped = self._at_work
        if dropped is not None:
            dropped.drop()

    def _drop_next(self) -> ManagerCall | None:
        """Under the lock."""
        dropped, self._next = self._next, None
        if self._grace is not None:
            self._grace.cancel()
        return dropped

    # ------------------------------------------------------------------ on the manager's threads

    def _ended(self, enabling: ManagerCall, outcome: Outcome | None) -> None:
        with self._lock:  # first: once the answer is there, the worker may ask for the next thing
            following = self._at_work = self._drop_next()
        if following is not None:
            following.begin()
        elif outcome is not None:
            self._send(enabling.ticket, outcome)

    def _refuse(self, enabling: ManagerCall) -> None:
        with self._lock:
            if self._next is not enabling:
                return
            self._next = None
        busy = LicenseError(
            "the content protection manager has not called back for an enabler that was cancelled",
            seen=f"nothing within {_GRACE:g} s",
            hresult=HResult.E_FAIL,
        )
        self._answer(wire.EnablerFailed(self._session, enabling.ticket, busy.to_record()))

    def _report(self, error: DRMError) -> None:
        self._queue_event(MediaEvent(MediaEventType.NON_FATAL_ERROR, error.hresult, {}, error.to_record()))

    def _send(self, ticket: int, outcome: Outcome) -> None:
        if isinstance(outcome, DRMError):
            self._answer(wire.EnablerFailed(self._session, ticket, outcome.to_record()))
            return
        path, answer = outcome
        if len(answer) <= wire.MAX_INLINE:
            self._answer(wire.EnablerAnswer(self._session, ticket, path, answer, len(answer)))
            return
        fd = sealed_memfd("license", answer)
        try:
            self._answer(wire.EnablerAnswer(self._session, ticket, path, b"", len(answer)), [fd])
        finally:
            os.close(fd)

    def _answer(self, message: wire.FromApp, fds: list[int] | None = None) -> None:
        with suppress(DRMError):  # the worker is gone, and the reader says so
            self._link.send(message, fds or ())


def _no_manager(key_ids: tuple[KeyId, ...]) -> ErrorRecord:
    names = tuple(str(kid) for kid in key_ids)
    return KeyMissingError(
        f"no key for KID {', '.join(names)}",
        seen="the content is protected, and neither keys nor a license server were given",
        remedy="--key KID:KEY, --keys-file FILE or --license-url URL",
        kids=names,
        hresult=HResult.MF_E_NO_CONTENT_PROTECTION_MANAGER,
    ).to_record()
