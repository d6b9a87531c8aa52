"""Serves the session's wish for rights: calls the application's content protection manager and sends what it brought.

Other half: drm/pmp/rights_proxy.py. Rights acquisition runs in the application, outside the worker.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from drm.app.enabler import ContentProtectionManager, EnablerActivation
from drm.app.worker_link import WorkerLink
from drm.errors import DRMError, KeyMissingError
from drm.hresult import HResult
from drm.rights import LicensePath
from drm.session.events import MediaEvent, MediaEventType
from drm.wire import messages as wire
from drm.wire.ring import sealed_memfd

__all__ = ["RightsService"]


class RightsService:
    """One session's."""

    def __init__(
        self,
        manager: ContentProtectionManager | None,
        link: WorkerLink,
        session: int,
        queue_event: Callable[[MediaEvent], None],
    ) -> None:
        self._manager = manager
        self._link = link
        self._session = session
        self._queue_event = queue_event
        self._paths: list[LicensePath] = []

    @property
    def license_path(self) -> LicensePath:
        """How the keys came: the weakest way, when streams differ."""
        order = (LicensePath.LOCAL, LicensePath.CLEAR, LicensePath.SEALED)
        return next((path for path in order if path in self._paths), LicensePath.NONE)

    def saw(self, message: wire.Event) -> None:
        """An event of the session: a license that came is noted."""
        path = message.values.get("license_path")
        if message.kind == MediaEventType.LICENSE_ACQUISITION_COMPLETED and isinstance(path, str):
            with suppress(ValueError):
                self._paths.append(LicensePath(path))

    def begin(self, message: wire.BeginEnableContent) -> None:
        """On the reader's thread: have the manager begin."""
        manager = self._manager
        try:
            if manager is None:
                kids = ", ".join(str(kid) for kid in message.activate.key_ids)
                raise KeyMissingError(
                    f"no key for KID {kids}",
                    seen="the content is protected, and neither keys nor a license server were given",
                    remedy="--key KID:KEY, --keys-file FILE or --license-url URL",
                    kids=tuple(str(kid) for kid in message.activate.key_ids),
                    hresult=HResult.MF_E_NO_CONTENT_PROTECTION_MANAGER,
                )

            def called_back(done: EnablerActivation) -> None:
                manager.end_enable_content(done)
                self._finish(message.ticket, done)

            with self._link.calling_back():
                manager.begin_enable_content(EnablerActivation(message.activate, self._queue_event), called_back)
        except DRMError as error:
            self._answer(wire.EnablerFailed(self._session, message.ticket, error.to_record()))
        except Exception as error:  # noqa: BLE001 - the application's own manager; the session must not wait for it
            fault = DRMError(f"the content protection manager failed: {type(error).__name__}: {error}")
            self._answer(wire.EnablerFailed(self._session, message.ticket, fault.to_record()))

    def _finish(self, ticket: int, activation: EnablerActivation) -> None:
        outcome = activation.activate_object().outcome
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
