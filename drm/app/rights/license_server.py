"""How an application reaches one license server for its enablers: the URL that the user gave. Application only."""

from __future__ import annotations

from collections.abc import Mapping

from drm.app.rights.enabler import ContentEnabler
from drm.app.rights.license_exchange import Answer, AnswerKind, exchange, individualize
from drm.errors import LicenseError
from drm.hresult import HResult
from drm.rights.enablers import EnableType, LicensePath

__all__ = ["LicenseAccess"]


class LicenseAccess:
    """One license server, shared by the enablers of a manager. Keeps `drm.app.rights.enabler.AutomaticWay`."""

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, cacert: str | None = None) -> None:
        """`headers` go with each request; they may hold a token and are never shown."""
        self.url = url
        self._headers = dict(headers or {})
        self._cacert = cacert
        self._individualize_url = ""  # where the server wants an unknown device to register

    def obtain(self, enabler: ContentEnabler) -> tuple[LicensePath, bytes]:
        """POST what the enabler has, a license request or a registration, and return what came back.

        Raises:
            LicenseError: with NS_E_DRM_NEEDS_INDIVIDUALIZATION when the device must be registered first; with
                NS_E_DRM_LICENSE_NOTACQUIRED when no answer came, or the server failed: another try may do better.
            KeyMissingError: the server does not hold the keys.
            InvalidArgumentError: the URL, a header or the CA file.
        """
        if enabler.get_enable_type() is EnableType.INDIVIDUALIZATION:
            return self._register(enabler)
        enabler.progress(f"asking {self.url} for {len(enabler.key_ids)} keys")
        answer = exchange(
            self.url, enabler.get_enable_data(), headers=self._headers, cacert=self._cacert, cancel=enabler.cancelled
        )
        if answer.kind is AnswerKind.NEEDS_INDIVIDUALIZATION:
            self._individualize_url = answer.individualize_url
            raise LicenseError(
                "the license server does not know this device yet", hresult=HResult.NS_E_DRM_NEEDS_INDIVIDUALIZATION
            )
        enabler.progress(_described(answer))
        return LicensePath.SEALED if answer.kind is AnswerKind.SEALED else LicensePath.CLEAR, answer.body

    def _register(self, enabler: ContentEnabler) -> tuple[LicensePath, bytes]:
        if not self._individualize_url:
            raise LicenseError(
                "there is no server to register this device with", hresult=HResult.MF_E_LICENSE_INCORRECT_RIGHTS
            )
        enabler.progress(f"registering this device at {self._individualize_url}")
        individualize(
            self._individualize_url,
            enabler.get_enable_data(),
            headers=self._headers,
            cacert=self._cacert,
            cancel=enabler.cancelled,
        )
        return LicensePath.NONE, b""


def _described(answer: Answer) -> str:
    form = "a sealed license" if answer.kind is AnswerKind.SEALED else "a plain JWK Set"
    return f"got {form} of {len(answer.body)} bytes"
