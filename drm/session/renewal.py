"""New licenses ahead of the end of old ones, while playback goes on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Final

from drm.errors import DRMError
from drm.keys import KeyId
from drm.rights.enablers import EnablerActivate
from drm.session.full_topology import Node
from drm.session.policy_engine import TrustedPath

__all__ = ["Renewal"]

logger = logging.getLogger(__name__)

_LOOK: Final = 0.25  # seconds between two looks at the licenses' ends
_AGAIN: Final = 1.0  # seconds after an attempt that failed; until its end the old license does


class Renewal:
    """One attempt at a time, on a thread of its own. The pipeline's thread looks, and never waits."""

    def __init__(self) -> None:
        self._next = 0.0
        self._thread: threading.Thread | None = None
        self._refused: DRMError | None = None  # why a license that came must not be played under

    def look(self, node: Node, key_ids: Iterable[KeyId]) -> None:
        """Ask for a new license if it is time. Raises what is wrong with one that came."""
        if self._refused is not None:
            raise self._refused
        now = time.monotonic()
        if now < self._next or node.authority is None or node.trust is None:
            return
        self._next = now + _LOOK
        if self._thread is not None and self._thread.is_alive():
            return
        activate = node.authority.renewal(key_ids)
        if activate is not None:
            self._thread = threading.Thread(
                target=self._renew, args=(node.trust, activate), name="license-renewal", daemon=True
            )
            self._thread.start()

    def _renew(self, path: TrustedPath, activate: EnablerActivate) -> None:
        try:
            path.enable(activate)
        except DRMError as error:  # the events of rights acquisition told of it
            logger.info("a license was not renewed: %s", error.what)
            self._next = time.monotonic() + _AGAIN
            return
        try:
            path.request_access()
        except DRMError as error:
            self._refused = error
