"""The automatic way of the enablers that renew components and revocation lists. Application only.

Untrusted plumbing: it fetches and writes files. Whether they are any good, the worker says when it verifies them.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

from drm.app.components.supply import ComponentSupply
from drm.app.rights.content_enabler import ContentEnabler
from drm.app.rights.enabler import EnablerActivation
from drm.errors import UpdateError
from drm.rights.enablers import EnablerActivate, EnableType, LicensePath
from drm.trust.renewal import Renewals, parse_renewals
from drm.trust.snapshot import TrustSnapshot, pack_snapshot

__all__ = ["RENEWING", "ComponentUpdate", "renewal_activation"]

RENEWING: Final = frozenset({EnableType.UPDATE_UNTRUSTED_COMPONENT, EnableType.UPDATE_REVOCATION_INFORMATION})
"""What is obtained from a component repository, and not from a license server."""

_STEP: Final = 0.1  # of a file, between two words of how far it is


class ComponentUpdate:
    """One repository, as an enabler asks it. Keeps `drm.app.rights.enabler.AutomaticWay`."""

    def __init__(self, supply: ComponentSupply) -> None:
        self.url = supply.repository
        self._supply = supply

    def obtain(self, enabler: ContentEnabler) -> tuple[LicensePath, bytes]:
        """Renew the revocation list and, for a component, fetch what replaces it. Return the metadata, for the worker.

        Raises UpdateError, TrustError, StorageError: see drm.app.components.updater.
        """
        try:
            self._supply.update(
                replacements=enabler.get_enable_type() is EnableType.UPDATE_UNTRUSTED_COMPONENT,
                progress=enabler.progress,
                received=_Steps(enabler).note,
                cancel=enabler.cancelled,
            )
        except UpdateError as error:
            error.what = f"{error.what}, and {_need(parse_renewals(enabler.get_enable_data()))}"
            error.remedy = "run `clearkey components update` when the server answers, and play again"
            raise
        snapshot = self._supply.snapshot()
        return LicensePath.NONE, pack_snapshot(TrustSnapshot(snapshot.sources))


def _need(renewals: Renewals) -> str:
    """Why something is to be renewed, in words."""
    if renewals.components:
        return ", ".join(f"{one.name} v{one.version} must not run as it is ({one.text})" for one in renewals.components)
    if renewals.list_demanded:
        return (
            f"the license demands revocation list {renewals.list_demanded} where list {renewals.list_held} is in force"
        )
    if renewals.list_held:
        return f"the license demands a newer revocation list than list {renewals.list_held}, which is in force"
    return "no component runs before its metadata is here and verified"


class _Steps:
    """Tells of a file now and then, not of every read."""

    def __init__(self, enabler: ContentEnabler) -> None:
        self._enabler = enabler
        self._url = ""
        self._next = 0.0

    def note(self, url: str, got: int, total: int | None) -> None:
        """`got` bytes of `url` are here, of `total`."""
        if url != self._url:
            self._url, self._next = url, _STEP
        share = got / total if total else 0.0
        if share >= self._next:
            self._next = share + _STEP
            name = unquote(urlsplit(url).path.rpartition("/")[2])
            self._enabler.progress(f"{name}: {got} of {total} bytes")


def renewal_activation(activate: EnablerActivate, supply: ComponentSupply) -> EnablerActivation:
    """Return the activation object that a failed creation carries (ppEnablerActivate): no session takes its events."""
    way = ComponentUpdate(supply) if supply.repository else None
    return EnablerActivation(activate, lambda _event: None, automatic=way)
