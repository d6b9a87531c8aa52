"""The key ring: the only owner of content keys in the path. Worker only.

One ring serves all authorities of one session, so that a license that names the keys of sound and picture is asked
for once. A key lives here and, as a key schedule, inside the ciphers made from it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from drm.cenc.decrypt import SampleDecrypter
from drm.cenc.dialect import Dialect
from drm.cenc.engines import engine
from drm.errors import KeyMissingError
from drm.keys import ContentKey, KeyId
from drm.policy import Policy
from drm.rights import LicensePath

__all__ = ["Entry", "KeyRing"]


@dataclass(slots=True)
class Entry:
    """One key with the license that it came in."""

    key: ContentKey
    policy: Policy
    path: LicensePath


class KeyRing:
    """Keys by KID. Any thread."""

    def __init__(self, engine_name: str, dialects: Iterable[str] = ()) -> None:
        self._engine_name = engine_name
        self._dialects = frozenset(Dialect(name) for name in dialects)
        self._entries: dict[KeyId, Entry] = {}
        self._lock = threading.Lock()

    def add(self, keys: dict[KeyId, ContentKey], policy: Policy, path: LicensePath) -> None:
        """Take the keys of a license; a newer license for a KID replaces the older one."""
        with self._lock:
            for key_id, key in keys.items():
                replaced = self._entries.get(key_id)
                self._entries[key_id] = Entry(key, policy, path)
                if replaced is not None and replaced.key is not key:
                    replaced.key.wipe()

    def key_ids(self) -> tuple[KeyId, ...]:
        """The KIDs that there are keys for."""
        with self._lock:
            return tuple(self._entries)

    def missing(self, key_ids: Iterable[KeyId]) -> tuple[KeyId, ...]:
        """Those of `key_ids` that there is no key for."""
        with self._lock:
            return tuple(key_id for key_id in key_ids if key_id not in self._entries)

    def entry(self, key_id: KeyId) -> Entry:
        """Return one entry. Raises KeyMissingError, which names the KID."""
        with self._lock:
            found = self._entries.get(key_id)
        if found is None:
            raise KeyMissingError(
                f"no key for KID {key_id}",
                seen="a sample names this KID, and no license has its key",
                remedy=f"--key {key_id}:KEY, or a license server that knows this KID",
                kids=(str(key_id),),
            )
        return found

    def cipher(self, key_id: KeyId) -> SampleDecrypter:
        """Return a cipher for one key. Raises KeyMissingError."""
        return SampleDecrypter(self.entry(key_id).key, engine=engine(self._engine_name), dialects=self._dialects)

    def wipe(self) -> None:
        """Forget every key (best effort: Python and the ciphers made copies)."""
        with self._lock:
            for entry in self._entries.values():
                entry.key.wipe()
            self._entries.clear()
