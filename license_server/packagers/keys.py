"""The keys that packagers ask for, in the key store: made at the first request, and the same ever after."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from license_server.packagers.key_server import Slot
from license_server.store.keys import KeyStore, Place

__all__ = ["StoredPackagerKeys"]


class StoredPackagerKeys:
    """Implements `PackagerKeySource`. Safe for several threads and processes.

    A key that an operator stored for the same content, track and period is the one that is given. A new one gets its
    KID from these three, so that of two requests at once the database lets one make it, and the other reads it.
    """

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    def keys_of(self, content: str, slots: Sequence[Slot]) -> list[tuple[KeyId, ContentKey]]:
        """See `PackagerKeySource`. Raises StorageError for a row that does not unwrap."""
        known = {(row.place.track, row.place.period): row.kid for row in self._keys.rows(content)}
        kids = [known.get((slot.track, slot.period)) or _fresh_kid(content, slot) for slot in slots]
        held = self._keys.get_many(kids)
        missing = {kid: Place(content, slot.track, slot.period) for kid, slot in zip(kids, slots, strict=True)
                   if kid not in held}  # fmt: skip
        if missing:
            try:
                self._keys.add({kid: ContentKey(secrets.token_bytes(16)) for kid in missing}, places=missing)
            except InvalidArgumentError:
                self._add_singly(missing)
            held |= self._keys.get_many(list(missing))
        return [(kid, held[kid].key) for kid in kids]

    def _add_singly(self, missing: dict[KeyId, Place]) -> None:
        """Another request made some of them in between."""
        for kid, place in missing.items():
            try:
                self._keys.add({kid: ContentKey(secrets.token_bytes(16))}, places={kid: place})
            except InvalidArgumentError:
                continue


def _fresh_kid(content: str, slot: Slot) -> KeyId:
    named = f"clearkey packager\0{content}\0{slot.track}\0{'' if slot.period is None else slot.period}"
    return KeyId(hashlib.sha256(named.encode()).digest()[:16])
