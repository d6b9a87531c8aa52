"""The license server of a test run: a process of its own that learns keys while it runs. Runs in the application."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer
from license_server.store.opening import open_store
from license_server.store.wrapping import find_kek

__all__ = ["FixtureServer"]


class FixtureServer(LicenseServer):
    """A license server over a store in a folder of the test run. `url`, `license_url` and `log()` as LicenseServer."""

    def __init__(self, folder: Path, keys: Mapping[KeyId, ContentKey]) -> None:
        self._store = folder / "keys.db"
        super().__init__(keys=keys, store=self._store)

    def add_key(self, kid: KeyId | str, key: ContentKey | str) -> None:
        """Have the running server know one more key, from its next request on. In any notation.

        Raises:
            InvalidArgumentError: the server knows another key of this KID, or that is no KID or key.
        """
        __tracebackhide__ = True
        kid = KeyId.parse(kid) if isinstance(kid, str) else kid
        key = ContentKey.parse(key) if isinstance(key, str) else key
        with open_store(self._store, find_kek(self._store, None)) as store:
            held = store.keys.get_many([kid]).get(kid)
            if held is not None and held.key != key:
                raise InvalidArgumentError(
                    f"the license server of this run knows another key of KID {kid}; clearkey_servers starts one of "
                    "the test's own"
                )
            store.keys.add({kid: key})
