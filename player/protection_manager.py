"""Content protection managers: where the rights come from. Run in the application.

`LicenseManager` asks a license server over HTTP and relays what it says, sealed or clear. `LocalKeysManager` hands in
keys that the user gave. Either does its work on a thread of its own and calls back exactly once.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from drm.app.enabler import ContentEnabler, EnableCallback, EnablerActivation
from drm.app.license_exchange import Answer, AnswerKind, exchange, individualize
from drm.clearkey import encode_jwk_set
from drm.errors import DRMError, LicenseError
from drm.hresult import HResult
from drm.keys import ContentKey, KeyId
from drm.rights import EnableType, LicensePath

__all__ = ["LicenseManager", "LocalKeysManager"]


class LicenseManager:
    """Obtains licenses from one server."""

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, cacert: str | None = None) -> None:
        self._url = url
        self._headers = dict(headers or {})
        self._cacert = cacert
        self._individualize_url = ""

    def begin_enable_content(self, activation: EnablerActivation, callback: EnableCallback) -> None:
        """Start a thread that talks to the server, and return at once."""
        threading.Thread(target=self._enable, args=(activation, callback), name="license", daemon=True).start()

    def end_enable_content(self, activation: EnablerActivation) -> None:
        """Nothing is held."""

    def _enable(self, activation: EnablerActivation, callback: EnableCallback) -> None:
        enabler = activation.activate_object()
        try:
            if enabler.get_enable_type() is EnableType.INDIVIDUALIZATION:
                self._individualize(enabler)
            else:
                self._acquire(enabler)
        except DRMError as error:
            enabler.fail(error)
        except Exception as error:  # noqa: BLE001 - a callback that never comes would leave the session waiting
            enabler.fail(LicenseError(f"the license exchange failed: {type(error).__name__}: {error}"))
        callback(activation)

    def _acquire(self, enabler: ContentEnabler) -> None:
        enabler.progress(f"asking {self._url} for {len(enabler.key_ids)} keys")
        answer = exchange(
            self._url, enabler.get_enable_data(), headers=self._headers, cacert=self._cacert, cancel=enabler.cancelled
        )
        if answer.kind is AnswerKind.NEEDS_INDIVIDUALIZATION:
            self._individualize_url = answer.individualize_url
            raise LicenseError(
                "the license server does not know this device yet", hresult=HResult.NS_E_DRM_NEEDS_INDIVIDUALIZATION
            )
        enabler.progress(_described(answer))
        path = LicensePath.SEALED if answer.kind is AnswerKind.SEALED else LicensePath.CLEAR
        enabler.complete(answer.body, path)

    def _individualize(self, enabler: ContentEnabler) -> None:
        if not self._individualize_url:
            raise LicenseError("there is no server to register this device with")
        enabler.progress(f"registering this device at {self._individualize_url}")
        individualize(
            self._individualize_url,
            enabler.get_enable_data(),
            headers=self._headers,
            cacert=self._cacert,
            cancel=enabler.cancelled,
        )
        enabler.complete(b"", LicensePath.NONE)


class LocalKeysManager:
    """Hands in keys that the user gave; asks nobody."""

    def __init__(self, keys: Mapping[KeyId, ContentKey]) -> None:
        self._keys = dict(keys)

    def begin_enable_content(self, activation: EnablerActivation, callback: EnableCallback) -> None:
        """Complete the enabler with a JWK Set of the keys, on a thread of its own as the contract has it."""
        threading.Thread(target=self._enable, args=(activation, callback), name="local-keys", daemon=True).start()

    def end_enable_content(self, activation: EnablerActivation) -> None:
        """Nothing is held."""

    def _enable(self, activation: EnablerActivation, callback: EnableCallback) -> None:
        enabler = activation.activate_object()
        wanted = {kid: key for kid, key in self._keys.items() if kid in enabler.key_ids}
        # Every key goes when one is missing: its absence is then told by what is there instead.
        chosen = wanted if len(wanted) == len(enabler.key_ids) else self._keys
        enabler.complete(encode_jwk_set(chosen), LicensePath.LOCAL)
        callback(activation)


def _described(answer: Answer) -> str:
    form = "a sealed license" if answer.kind is AnswerKind.SEALED else "a plain JWK Set"
    return f"got {form} of {len(answer.body)} bytes"
