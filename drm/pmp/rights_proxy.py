"""Stands, in the worker, for the content protection manager of the application.

Rights acquisition runs outside the worker, in the application (IMFContentProtectionManager::BeginEnableContent). The
session waits here for what the enabler brings; what it brings goes to the input trust authority unread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from drm.component import InputTrustAuthority
from drm.errors import DRMError, InvalidRequestError, LicenseError, WireError, error_from_record
from drm.hresult import HResult, succeeded
from drm.rights.enablers import EnablerActivate, EnableType, LicensePath
from drm.session.events import MediaEvent, MediaEventType
from drm.wire.messages import BeginEnableContent, CancelEnabler, EnablerFailed, FromWorker

__all__ = ["RightsProxy"]


class RightsProxy:
    """One wait at a time: a correct manager never sees a nested call."""

    def __init__(
        self,
        session: int,
        send: Callable[[FromWorker], None],
        emit: Callable[[MediaEvent], None],
        limit: float,
        topology_of: Callable[[InputTrustAuthority], int] = lambda _authority: 0,
        renew: Callable[[bytes], None] = lambda _snapshot: None,
    ) -> None:
        """`limit`: seconds that an enabler may take. `topology_of`: the id of the topology that an authority is for.

        `renew` takes newer metadata of the components, for what it is, and raises what is wrong with it.
        """
        self._session = session
        self._send = send
        self._emit = emit
        self._limit = limit
        self._topology_of = topology_of
        self._renew = renew
        self._changed = threading.Condition()
        self._ticket = 0
        self._open: int | None = None
        self._outcome: tuple[LicensePath, bytes] | DRMError | None = None
        self._interrupted = False
        self._cancelled = False  # what waits now, not what comes later
        self._one = threading.Lock()
        self.waits_for_trust = False  # what comes next is no license, and may be larger

    def enable(self, authority: InputTrustAuthority, activate: EnablerActivate) -> None:
        """Ask the application, wait, and give the authority what came.

        Raises:
            DRMError: what the enabler failed with, or what the authority found wrong with its answer.
        """
        if activate.type is EnableType.UPDATE_REVOCATION_INFORMATION:
            with self._one:
                self._renew_trust(authority, activate)
            return
        individualize = activate.type is EnableType.INDIVIDUALIZATION
        start, completed = (
            (MediaEventType.INDIVIDUALIZATION_START, MediaEventType.INDIVIDUALIZATION_COMPLETED)
            if individualize
            else (MediaEventType.LICENSE_ACQUISITION_START, MediaEventType.LICENSE_ACQUISITION_COMPLETED)
        )
        kids = ", ".join(map(str, activate.key_ids))
        # One after another: a topology that is set and one that plays may both need rights.
        with self._one:
            self._emit(MediaEvent(start, HResult.S_OK, {"kids": kids}))
            try:
                path = self._ask(authority, activate)
            except DRMError as error:
                self._emit(MediaEvent(completed, error.hresult, {"kids": kids}, error.to_record()))
                raise
            self._emit(MediaEvent(completed, HResult.S_OK, {"kids": kids, "license_path": path.value}))

    def _renew_trust(self, authority: InputTrustAuthority, activate: EnablerActivate) -> None:
        """No license is asked for: of this the application's own enabler events tell."""
        self.waits_for_trust = True
        try:
            outcome = self._wait(activate, self._topology_of(authority))
        finally:
            self.waits_for_trust = False
        if isinstance(outcome, DRMError):
            raise outcome
        _path, snapshot = outcome
        if snapshot:
            self._renew(snapshot)

    def _ask(self, authority: InputTrustAuthority, activate: EnablerActivate) -> LicensePath:
        outcome = self._wait(activate, self._topology_of(authority))
        if isinstance(outcome, DRMError):
            if outcome.hresult == HResult.NS_E_DRM_NEEDS_INDIVIDUALIZATION:
                authority.needs_individualization()
                return LicensePath.NONE
            raise outcome
        path, answer = outcome
        if activate.type is EnableType.INDIVIDUALIZATION:
            authority.individualized()
            return LicensePath.NONE
        if path is LicensePath.NONE:
            # The enabler found that nothing needs to be sent: the next request for access shows whether that is so.
            return authority.license_path
        authority.accept(activate, answer, path)
        return authority.license_path  # what the authority saw for itself, not what the application said

    def _wait(self, activate: EnablerActivate, topology_id: int) -> tuple[LicensePath, bytes] | DRMError:
        """Have the application begin, and return what comes. Raises when nothing does, and calls the enabler off."""
        with self._changed:
            self._refuse_ended()
            self._ticket += 1
            self._open = ticket = self._ticket
            self._outcome = None
            self._cancelled = False
        self._send(BeginEnableContent(self._session, ticket, activate, topology_id))
        outcome = self._settled()
        if outcome is not None:
            return outcome
        self._send(CancelEnabler(self._session, ticket))
        if self._interrupted or self._cancelled:
            raise _cancelled()
        raise LicenseError(f"the content protection manager gave no answer within {self._limit:.0f} seconds")

    def _settled(self) -> tuple[LicensePath, bytes] | DRMError | None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._outcome is not None or self._interrupted or self._cancelled, self._limit
            )
            self._open = None
            return self._outcome

    def _refuse_ended(self) -> None:
        if self._interrupted:
            raise _cancelled()

    def interrupt(self, *, for_good: bool) -> None:
        """End the wait of now; with `for_good`, every later one too: the session closes."""
        with self._changed:
            self._interrupted |= for_good
            self._cancelled = True
            self._changed.notify_all()

    # ------------------------------------------------------------------ the control thread's side

    def answered(self, ticket: int, path: LicensePath, answer: bytes) -> None:
        """The enabler brought something."""
        self._settle(ticket, (path, answer))

    def failed(self, message: EnablerFailed) -> None:
        """The enabler failed. The status of a cancelled monitor is a success code, and enables nothing all the same."""
        error = error_from_record(message.error)
        if succeeded(error.hresult):
            error.hresult = (
                HResult.MF_E_OPERATION_CANCELLED
                if error.hresult == HResult.NS_S_DRM_MONITOR_CANCELLED
                else HResult.E_FAIL
            )
        self._settle(message.ticket, error)

    def _settle(self, ticket: int, outcome: tuple[LicensePath, bytes] | DRMError) -> None:
        with self._changed:
            if not 0 < ticket <= self._ticket:
                raise WireError(f"ticket {ticket} was never given out")
            if ticket == self._open and self._outcome is None:
                self._outcome = outcome
                self._changed.notify_all()


def _cancelled() -> InvalidRequestError:
    return InvalidRequestError("rights acquisition was cancelled", hresult=HResult.MF_E_OPERATION_CANCELLED)
