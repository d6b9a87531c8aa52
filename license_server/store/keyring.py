"""The key-encryption keys of a store: one wraps, and any of them opens.

While the keys are wrapped anew, rows of both kinds lie in the database. A server that meets a row of a KEK that it does
not know looks into its key files again: the new KEK is in FILE.new until the last row is done, and then in FILE, with
the one before it in FILE.old.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from drm.errors import StorageError
from drm.keys import ContentKey, KeyId
from license_server.store.wrapping import Kek, find_kek, kek_path, read_kek

__all__ = ["Keyring", "find_keyring", "predecessor", "successor"]


class Keyring:
    """Opens wrapped keys. Safe for several threads.

    `read_again` returns the KEKs as they are now, the current one first.
    """

    def __init__(self, keks: Sequence[Kek], read_again: Callable[[], Sequence[Kek]] | None = None) -> None:
        self._lock = threading.Lock()
        self._read_again = read_again
        self._keks = {kek.id: kek for kek in keks}
        self._current = keks[0]

    @property
    def current(self) -> Kek:
        """The one that wraps."""
        return self._current

    @property
    def ids(self) -> frozenset[str]:
        """Of all that open."""
        return frozenset(self._keks)

    def unwrap(self, kid: KeyId, kek_id: str, wrapped: bytes) -> ContentKey:
        """Return the key of a row. Raises StorageError."""
        kek = self._keks.get(kek_id) or self._refreshed(kek_id)
        return kek.unwrap(kid, wrapped)

    def opens(self, kek_id: str) -> bool:
        """Whether rows of this KEK can be opened, now that the key files were looked at again."""
        try:
            return bool(self._keks.get(kek_id) or self._refreshed(kek_id))
        except StorageError:
            return False

    def _refreshed(self, kek_id: str) -> Kek:
        if self._read_again is not None:
            keks = self._read_again()
            with self._lock:
                self._keks = {kek.id: kek for kek in keks}
                self._current = keks[0]
        if kek_id in self._keks:
            return self._keks[kek_id]
        raise StorageError(
            "the keys of the store are wrapped with another key-encryption key",
            seen=f"theirs is {kek_id}, the one {self._current.source} is {self._current.id}",
            remedy="name the right one with --kek-file or CLEARKEY_KEK",
        )


def successor(path: Path) -> Path:
    """Where the next KEK of the key file `path` lies while the keys are wrapped anew."""
    return path.with_name(path.name + ".new")


def predecessor(path: Path) -> Path:
    """Where the KEK lies that was in the key file `path` before."""
    return path.with_name(path.name + ".old")


def find_keyring(store: Path | None, kek_file: Path | None) -> Keyring:
    """Return the KEKs of a store: as `find_kek` finds the one, and those that lie beside its file.

    `store` is None for a database that is not a file here. Raises StorageError.
    """
    kek = find_kek(store, kek_file)
    path = kek_path(store, kek_file)
    if path is None:
        return Keyring([kek])
    return Keyring(_read_all(path), lambda: _read_all(path))


def _read_all(path: Path) -> list[Kek]:
    names = (successor(path), path, predecessor(path))
    return [read_kek(name) for name in names if name.exists()] or [read_kek(path)]
