"""Which archives a store holds: the best of each component that is listed, and none without use. Application only.

What runs is decided by the worker, from the same metadata and archives; this side sees to it that it finds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from uuid import UUID

from drm.app.components.writer import StoreWriter
from drm.errors import TrustError
from drm.trust.component_archive import unpack_archive
from drm.trust.entry import Entry
from drm.trust.errors import ComponentRevokedError, NotRenewableError
from drm.trust.manifest import DESCRIPTION, parse_description
from drm.trust.resolver import candidates, resolve
from drm.trust.verifier import VerifiedTrust

__all__ = ["Replacements"]

_KEPT_VERSIONS: Final = 3  # of a component: the best, and two in reserve should that one be damaged


class Replacements:
    """The archives at hand, and what is to become of them under metadata that was verified and is installed."""

    def __init__(
        self, trust: VerifiedTrust, api: int, stored: Mapping[str, bytes], bundled: Mapping[str, bytes]
    ) -> None:
        """`stored` and `bundled` map the sha256 that each archive claims to its bytes; neither is believed."""
        self._trust = trust
        self._api = api
        self._stored = dict(stored)
        self._bundled = bundled

    def wanted(self) -> list[Entry]:
        """Return what is to be downloaded: of each component the best version, where it is not whole at hand."""
        class_ids = sorted({entry.class_id for entry in self._trust.components if entry.api == self._api})
        best = [choice[0] for class_id in class_ids if (choice := candidates(self._trust, class_id, self._api))]
        at_hand = self._at_hand()
        return [entry for entry in best if not entry.is_content(at_hand.get(entry.sha256, b""))]

    def take(self, entries: Iterable[Entry], fetch: Callable[[Entry], bytes], writer: StoreWriter) -> None:
        """Download and store archives. One that is not what was signed does not keep the others from coming.

        Raises:
            TrustError: of the first that is not what was signed, after the others.
            DownloadError, OSError: at once.
        """
        refused: TrustError | None = None
        for entry in entries:
            try:
                data = fetch(entry)
                entry.component(data)
            except TrustError as error:
                refused = refused or error
                continue
            writer.put_blob(entry.sha256, data)
            self._stored[entry.sha256] = data
        if refused is not None:
            raise refused

    def settle(self, writer: StoreWriter, before: VerifiedTrust | None) -> None:
        """Remove archives that are of no use any more.

        Kept are the best few of what is listed, what readers of the generation `before` may look for, and a revoked
        copy without which nobody could tell that the component is revoked, rather than unknown.

        Raises:
            NotRenewableError: what is at hand of a component is revoked, and nothing that is published replaces it.
        """
        stuck: dict[UUID, ComponentRevokedError] = {}
        components = self._components_at_hand()
        for class_id in sorted(set(components.values())):
            try:
                resolve(self._trust, class_id, self._api, self._at_hand())
            except ComponentRevokedError as error:
                stuck[class_id] = error
            except TrustError:
                pass  # not known any more, or not for this API: for whoever asks for it to hear
        kept = _useful(self._trust) | (_useful(before) if before is not None else set())
        kept |= {sha256 for sha256, class_id in components.items() if class_id in stuck}
        writer.keep_blobs(kept)
        for revoked in stuck.values():
            if not revoked.is_renewable:
                raise NotRenewableError(
                    f"{revoked.what}, and nothing that is published takes its place",
                    seen=revoked.seen,
                    remedy=revoked.remedy,
                )

    def _at_hand(self) -> dict[str, bytes]:
        whole = {sha256: data for sha256, data in self._bundled.items() if _is_whole(sha256, data)}
        return self._stored | whole

    def _components_at_hand(self) -> dict[str, UUID]:
        """The class id of each whole archive, by what lists it or else by what it says of itself."""
        listed = {entry.sha256: entry.class_id for entry in self._trust.components}
        found: dict[str, UUID] = {}
        for sha256, data in self._at_hand().items():
            if not _is_whole(sha256, data):
                continue
            if sha256 in listed:
                found[sha256] = listed[sha256]
                continue
            try:
                found[sha256] = parse_description(unpack_archive(data)[DESCRIPTION], sha256).class_id
            except TrustError:
                continue
        return found


def _useful(trust: VerifiedTrust) -> set[str]:
    """The archives that may be loaded, and in whose place they would be: a store must not grow with every version."""
    kinds = {(entry.class_id, entry.api) for entry in trust.components}
    return {entry.sha256 for class_id, api in kinds for entry in candidates(trust, class_id, api)[:_KEPT_VERSIONS]}


def _is_whole(sha256: str, data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == sha256
