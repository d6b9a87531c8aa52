"""The decrypting step of the data path: what it does when a key is not there yet, or its license ends or changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from drm.errors import DRMError, InvalidRequestError, KeyMissingError, LicenseExpiredError, PolicyChangedError
from drm.media import Sample, SampleCrypto
from drm.session.events import MediaEvent
from drm.session.full_topology import Node
from drm.session.renewal import Renewal

__all__ = ["Decryption"]

_CURABLE: Final = (KeyMissingError, LicenseExpiredError, PolicyChangedError)
_MAX_CHANGES: Final = 8  # of one sample's policy, before it is decrypted


class Decryption:
    """Used by one pipeline's thread; `stop` is any thread's."""

    def __init__(self, emit: Callable[[MediaEvent], None]) -> None:
        self._emit = emit
        self._stopping = threading.Event()
        self._renewal = Renewal()
        self.asks_for_rights = False
        self.lacking: DRMError | None = None  # what kept a key away, the last time: it may come yet

    def stop(self) -> None:
        """The pipeline ends: wait for nobody any more."""
        self._stopping.set()

    def decrypt(self, node: Node, stored: memoryview, sample: Sample, crypto: SampleCrypto, target: memoryview) -> None:
        """Write the clear bytes of one sample to `target`. Raises what the decrypter raised, with its place.

        It stands still while a license is asked for, and while outputs apply a stricter policy.
        """
        if node.decrypter is None:
            raise InvalidRequestError("an encrypted sample reached a branch that has no decrypter")
        try:
            node.decrypter.decrypt_into(stored, crypto, target)
        except _CURABLE as first:
            try:
                self._decrypt_later(node, stored, crypto, target, first)
            except DRMError as refused:
                refused.where = ", ".join(filter(None, (_moment(node, sample), refused.where)))
                raise
        self._renewal.look(node, crypto.key_ids)

    def _decrypt_later(
        self, node: Node, stored: memoryview, crypto: SampleCrypto, target: memoryview, reason: DRMError
    ) -> None:
        assert node.decrypter is not None
        for _ in range(_MAX_CHANGES):
            self._settle(node, crypto, reason)
            try:
                node.decrypter.decrypt_into(stored, crypto, target)
            except _CURABLE as again:
                reason = again
            else:
                return
        raise reason

    def _settle(self, node: Node, crypto: SampleCrypto, reason: DRMError) -> None:
        """Do what the decrypter waits for. Raises `reason` when there is nothing to be done."""
        if node.trust is None:
            raise reason
        if isinstance(reason, PolicyChangedError):
            node.trust.change(reason.policies, self._emit, self._stopping)
            return
        # A key that rotates in may be named by its samples alone. It is asked for when its turn comes; so is a license
        # in the place of one that is over.
        self.asks_for_rights = True
        try:
            node.trust.obtain(crypto.key_ids)
        except DRMError as error:
            self.lacking = error
            if isinstance(reason, LicenseExpiredError) and error.exit_code != reason.exit_code:
                self.lacking = reason  # this is why it stands; what kept another one away is told beside it
                reason.seen = f"no other came: {error.what}"
                raise reason from None
            raise
        finally:
            self.asks_for_rights = False


def _moment(node: Node, sample: Sample) -> str:
    track = node.stream.track
    return f"track {track.track_id}, {sample.dts / max(1, track.timescale):.3f} s after its start"
