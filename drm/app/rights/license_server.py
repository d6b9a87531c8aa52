"""How an application reaches one license server for its enablers: the URL that the user gave. Application only."""

from __future__ import annotations

from collections.abc import Mapping

from drm.app.http.urls import shown_url
from drm.app.rights.content_enabler import ContentEnabler
from drm.app.rights.license_exchange import Answer, AnswerKind, exchange, individualize, without_pmp
from drm.app.rights.license_forms import LicenseForm, offers_sealed
from drm.errors import LicenseError, LicenseRefusedError
from drm.hresult import HResult
from drm.rights.enablers import EnableType, LicensePath

__all__ = ["LicenseAccess"]


class LicenseAccess:
    """One license server, shared by the enablers of a manager. Keeps `drm.app.rights.enabler.AutomaticWay`."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        cacert: str | None = None,
        form: LicenseForm = LicenseForm.AUTO,
    ) -> None:
        """`headers` go with each request; they may hold a token and are never shown. Nothing is sent yet."""
        self.url = url
        self.notes: list[str] = []  # what a user should know of the way that the keys came
        self._headers = dict(headers or {})
        self._cacert = cacert
        self._form = form
        self._takes_sealed: bool | None = None if form is LicenseForm.AUTO else form is LicenseForm.SEALED
        self._individualize_url = ""  # where the server wants an unknown device to register

    def obtain(self, enabler: ContentEnabler) -> tuple[LicensePath, bytes]:
        """POST what the enabler has, a license request or a registration, and return what came back.

        Which form of license is asked for is learnt once, before the first request for keys.

        Raises:
            LicenseError: with NS_E_DRM_NEEDS_INDIVIDUALIZATION when the device must be registered first; with
                NS_E_DRM_LICENSE_NOTACQUIRED when no answer came, or the server failed: another try may do better.
            LicenseRefusedError: the server said no, or gives plain licenses where sealed ones were demanded.
            KeyMissingError: the server does not hold the keys.
            InvalidArgumentError: the URL, a header or the CA file.
            StorageError: whether the server offered sealed licenses before cannot be read.
        """
        if enabler.get_enable_type() is EnableType.INDIVIDUALIZATION:
            return self._register(enabler)
        if self._takes_sealed is None:
            enabler.progress(f"asking {shown_url(self.url)} whether it takes the sealed form")
            self._takes_sealed = offers_sealed(
                self.url, headers=self._headers, cacert=self._cacert, cancel=enabler.cancelled
            )
        form = "in the sealed form" if self._takes_sealed else "in plain"
        enabler.progress(f"asking {shown_url(self.url)} for {len(enabler.key_ids)} keys {form}")
        answer = exchange(
            self.url,
            enabler.get_enable_data() if self._takes_sealed else without_pmp(enabler.get_enable_data()),
            headers=self._headers,
            cacert=self._cacert,
            cancel=enabler.cancelled,
            or_plain=self._form is not LicenseForm.SEALED,
        )
        if answer.kind is AnswerKind.NEEDS_INDIVIDUALIZATION:
            self._individualize_url = answer.individualize_url
            raise LicenseError(
                "the license server does not know this device yet", hresult=HResult.NS_E_DRM_NEEDS_INDIVIDUALIZATION
            )
        enabler.progress(_described(answer))
        if answer.kind is AnswerKind.SEALED:
            return LicensePath.SEALED, answer.body
        self._judge_plain(answer)
        return LicensePath.CLEAR, answer.body

    def _judge_plain(self, answer: Answer) -> None:
        """Refuse a plain answer where the user wants none, and say of any other why it is plain."""
        if self._form is LicenseForm.SEALED:
            raise LicenseRefusedError(
                "the license server gives a plain license, and only a sealed one was to be taken",
                where=shown_url(self.url),
                maybe="it is a Clear Key server that does not know the sealed form",
                remedy="leave --sealed out, or LicenseForm.SEALED, if plain licenses will do",
                hresult=HResult.MF_E_LICENSE_INCORRECT_RIGHTS,
            )
        if self._takes_sealed:
            why = f"refused the sealed form with status {answer.offence}" if answer.offence else "ignored it"
            self.notes.append(f"the license server says that it takes the sealed form, and {why}: its license is plain")

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
