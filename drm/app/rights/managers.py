"""Content protection managers: where the rights come from. Run in the application.

`LicenseManager` asks a license server over HTTP and relays what it says, sealed or clear. `LocalKeysManager` hands in
keys that the user gave. Either does its work on a thread of its own and calls back exactly once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Final

from drm.app.components.renewal import RENEWING
from drm.app.rights.content_enabler import ContentEnabler
from drm.app.rights.enabler import EnableCallback, EnablerActivation, EnableResult
from drm.app.rights.license_forms import LicenseForm
from drm.app.rights.license_server import LicenseAccess
from drm.component import MediaSource
from drm.errors import DRMError, InvalidRequestError, LicenseError
from drm.hresult import HResult
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_jwk_set
from drm.rights.enablers import EnableType, LicensePath, URLTrustStatus
from drm.session.topology import Topology
from drm.trust.errors import ListTooOldError

__all__ = ["LicenseManager", "LocalKeysManager"]

_PATIENCE: Final = 4.0  # seconds of the automatic way, after which the manual one would keep people waiting too long


class LicenseManager:
    """Obtains licenses from one server: the enabler's automatic way first, the manual one once when that got nothing.

    A server that let people wait for seconds is not asked a second time.
    Without a URL of the user's there is no automatic way, and the URL that the media name is not trusted: nothing is
    sent there, and the enabler fails with E_FAIL.

    A server gets what EME's Clear Key has, `kids` and `type`, unless it says by itself that it takes the sealed form.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        cacert: str | None = None,
        form: LicenseForm = LicenseForm.AUTO,
    ) -> None:
        """`form`: what to ask for, where it is not to be learnt from the server. A form alone, without URL, is none."""
        self._access = LicenseAccess(url, headers=headers, cacert=cacert, form=form) if url else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the way that the keys came."""
        return tuple(self._access.notes) if self._access else ()

    def begin_enable_content(
        self,
        enabler_activate: EnablerActivation,
        topology: Topology[MediaSource],  # noqa: ARG002 - the contract's; one server serves every topology
        callback: EnableCallback,
        state: object = None,
    ) -> None:
        """Start a thread that runs the enabler, and return at once."""
        enabler = enabler_activate.activate_object()
        if enabler.get_enable_type() not in RENEWING:  # the license server has no components to give
            enabler = enabler_activate.activate_object(automatic=self._access)
        result = EnableResult(enabler_activate, state)

        def work() -> None:
            result.error = self._enable(enabler)
            callback(result)

        threading.Thread(target=work, name="license", daemon=True).start()

    def end_enable_content(self, result: EnableResult) -> None:
        """Raise what went wrong; nothing is held."""
        result.raise_for_status()

    def _enable(self, enabler: ContentEnabler) -> DRMError | None:
        """Take the ways that there are and return what went wrong."""
        try:
            if not enabler.is_automatic_supported:
                if enabler.get_enable_type() in RENEWING:
                    enabler.fail(_no_repository())
                else:
                    self._by_hand(enabler)
            else:
                enabler.automatic_enable()
                began = time.monotonic()
                is_left = enabler.wait_completed().status == HResult.NS_E_DRM_LICENSE_NOTACQUIRED
                # A registration has no manual way: the server itself says where it goes.
                is_license = enabler.get_enable_type() is EnableType.LICENSE_ACQUISITION
                if is_left and is_license and time.monotonic() - began < _PATIENCE:
                    self._by_hand(enabler)
        except DRMError as error:
            if not (isinstance(error, InvalidRequestError) and enabler.cancelled.is_set()):
                return error  # else this thread came too late, and the outcome says so
        except Exception as error:  # noqa: BLE001 - a callback that never comes would leave the session waiting
            return LicenseError(f"the license exchange failed: {type(error).__name__}: {error}")
        outcome = enabler.outcome
        return outcome if isinstance(outcome, DRMError) else None

    def _by_hand(self, enabler: ContentEnabler) -> None:
        """The manual way: monitor first, then send. Nothing goes to a URL that nobody vouches for."""
        found = enabler.get_enable_url()
        if found.trust_status is not URLTrustStatus.TRUSTED:
            enabler.fail(_refused(found.url, found.trust_status))
            return
        if not enabler.monitor_enable():
            return
        try:
            path, answer = (self._access or LicenseAccess(found.url)).obtain(enabler)
        except DRMError as error:
            enabler.fail(error)
        else:
            enabler.complete(answer, path)


class LocalKeysManager:
    """Hands in keys that the user gave; asks nobody."""

    def __init__(self, keys: Mapping[KeyId, ContentKey]) -> None:
        self._keys = dict(keys)

    def begin_enable_content(
        self,
        enabler_activate: EnablerActivation,
        topology: Topology[MediaSource],  # noqa: ARG002 - the contract's
        callback: EnableCallback,
        state: object = None,
    ) -> None:
        """Complete the enabler with a JWK Set of the keys, on a thread of its own as the contract has it."""
        result = EnableResult(enabler_activate, state)
        threading.Thread(target=self._enable, args=(result, callback), name="local-keys", daemon=True).start()

    def end_enable_content(self, result: EnableResult) -> None:
        """Raise what went wrong; nothing is held."""
        result.raise_for_status()

    def _enable(self, result: EnableResult, callback: EnableCallback) -> None:
        enabler = result.enabler_activate.activate_object()
        wanted = {kid: key for kid, key in self._keys.items() if kid in enabler.key_ids}
        # Every key goes when one is missing: its absence is then told by what is there instead.
        chosen = wanted if len(wanted) == len(enabler.key_ids) else self._keys
        try:
            enabler.complete(encode_jwk_set(chosen), LicensePath.LOCAL)
        except InvalidRequestError as late:  # it was cancelled meanwhile
            result.error = late
        callback(result)


def _no_repository() -> DRMError:
    return ListTooOldError(
        "the license demands a newer revocation list, and nothing says where it comes from",
        maybe="clearkey runs from its sources, or the package names no server",
        remedy="set CLEARKEY_COMPONENTS_URL, and CLEARKEY_COMPONENTS_ROOT for another authority than the package's",
    )


def _refused(url: str, status: URLTrustStatus) -> DRMError:
    if status is URLTrustStatus.TAMPERED:
        return DRMError(
            "the license URL of the media was altered after it was signed",
            seen=url,
            maybe="the file or its manifest was tampered with: nothing was sent",
            remedy="get the media anew",
        )
    return DRMError(
        "nobody vouches for the license URL that the media name",
        seen=url,
        maybe="anybody can write a URL into a file: nothing was sent",
        remedy="give --license-url, if you trust it",
    )
