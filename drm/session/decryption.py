"""The decrypting step of the data path, and what it does when a key is not there yet."""

from __future__ import annotations

from collections.abc import Callable

from drm.errors import DRMError, InvalidRequestError, KeyMissingError
from drm.media import Sample, SampleCrypto
from drm.session.events import MediaEvent
from drm.session.full_topology import Node

__all__ = ["Decryption"]


class Decryption:
    """Used by one pipeline's thread; `stop` is any thread's."""

    def __init__(self, emit: Callable[[MediaEvent], None]) -> None:
        self._emit = emit
        self.asks_for_rights = False

    def stop(self) -> None:
        """The pipeline ends: wait for nobody any more."""

    def decrypt(self, node: Node, stored: memoryview, sample: Sample, crypto: SampleCrypto, target: memoryview) -> None:
        """Write the clear bytes of one sample to `target`. Raises what the decrypter raised, with its place."""
        if node.decrypter is None:
            raise InvalidRequestError("an encrypted sample reached a branch that has no decrypter")
        try:
            node.decrypter.decrypt_into(stored, crypto, target)
        except KeyMissingError as missing:
            # A key that rotates in may be named by its samples alone. It is asked for once, when its turn comes.
            self.asks_for_rights = True
            try:
                obtained = node.obtain is not None and node.obtain(crypto.key_ids)
            except DRMError as refused:
                refused.where = refused.where or _moment(node, sample)
                raise
            finally:
                self.asks_for_rights = False
            if not obtained:
                missing.where = missing.where or _moment(node, sample)
                raise
            node.decrypter.decrypt_into(stored, crypto, target)


def _moment(node: Node, sample: Sample) -> str:
    track = node.stream.track
    return f"track {track.track_id}, {sample.dts / max(1, track.timescale):.3f} s after its start"
