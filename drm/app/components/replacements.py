"""Which archives a store holds: the best of each component that is listed, and none without use. Application only.

What runs is decided by the worker, from the same metadata and archives; this side sees to it that it finds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

from drm.app.components.writer import StoreWriter
from drm.errors import TrustError
from drm.trust.component_archive import MAX_TOGETHER, unpack_archive
from drm.trust.entry import Entry
from drm.trust.errors import ComponentDamagedError, ComponentRevokedError, NotRenewableError
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
        self._stored = {sha256: data for sha256, data in stored.items() if _is_whole(sha256, data)}
        self._bundled = bundled

    def take(self, fetch: Callable[[Entry], bytes], writer: StoreWriter) -> tuple[Entry, ...]:
        """Download and store of each component the best version that is sound, where it is not at hand. Return them.

        An archive that is not what was signed does not keep the others from coming, nor does one that was listed as
        something else than it is keep the next best of its component: that one is its publisher's mistake.

        Raises:
            TrustError: of the first archive that is not what was signed, after the others; or the best of all together
                are more than a worker takes.
            DownloadError, OSError: at once.
        """
        self._check_room()
        taken: list[Entry] = []
        refused: TrustError | None = None
        for choice in self._choices():
            for entry in choice:
                if self._is_sound(entry):
                    break
                if entry.sha256 in self._stored:
                    continue  # whole, and listed as something else than it is
                data = fetch(entry)
                if not entry.is_content(data):
                    refused = refused or ComponentDamagedError(
                        f"the archive of {entry.name} v{entry.version} is not the one that was signed"
                    )
                    break
                writer.put_blob(entry.sha256, data)  # a mislisted one, too: it is not to be fetched each time
                self._stored[entry.sha256] = data
                if self._is_sound(entry):
                    taken.append(entry)
                    break
        if refused is not None:
            raise refused
        return tuple(taken)

    def revoked(self) -> dict[UUID, ComponentRevokedError]:
        """Return what is at hand, revoked, and replaced by nothing that is at hand."""
        stuck: dict[UUID, ComponentRevokedError] = {}
        for class_id in sorted(set(self._components_at_hand().values())):
            try:
                resolve(self._trust, class_id, self._api, self._at_hand())
            except ComponentRevokedError as error:
                stuck[class_id] = error
            except TrustError:
                pass  # not known any more, or not for this API: for whoever asks for it to hear
        return stuck

    def settle(self, writer: StoreWriter, before: VerifiedTrust | None) -> None:
        """Remove archives that are of no use any more.

        Kept are, as far as a worker takes so much, the best few of what is listed, what readers of the generation
        `before` may look for, and a revoked copy without which nobody could tell that the component is revoked, rather
        than unknown.

        Raises:
            NotRenewableError: what is at hand of a component is revoked, and nothing that is published replaces it.
        """
        stuck = self.revoked()
        copies = [sha256 for sha256, class_id in self._components_at_hand().items() if class_id in stuck]
        useful = [*_by_use(self._trust), *(_by_use(before) if before is not None else ())]
        kept: set[str] = set()
        room = self._room()
        for sha256 in dict.fromkeys((*copies, *(entry.sha256 for entry in useful))):
            size = len(self._stored.get(sha256, b""))
            if size <= room and sha256 not in self._bundled:
                kept.add(sha256)
                room -= size
        writer.keep_blobs(kept)
        for revoked in stuck.values():
            if not revoked.is_renewable:
                raise NotRenewableError(
                    f"{revoked.what}, and nothing that is published takes its place",
                    seen=revoked.seen,
                    remedy=revoked.remedy,
                )

    def _choices(self) -> list[list[Entry]]:
        class_ids = sorted({entry.class_id for entry in self._trust.components if entry.api == self._api})
        return [candidates(self._trust, class_id, self._api) for class_id in class_ids]

    def _is_sound(self, entry: Entry) -> bool:
        """Whether a worker would take this one: it is at hand, whole, and what it is listed as."""
        try:
            entry.component(self._at_hand().get(entry.sha256, b""))
        except TrustError:
            return False
        return True

    def _room(self) -> int:
        """The bytes that a worker takes beside what came with the package."""
        return MAX_TOGETHER - sum(map(len, self._bundled.values()))

    def _check_room(self) -> None:
        best = sum(choice[0].length for choice in self._choices() if choice and choice[0].sha256 not in self._bundled)
        if best > self._room():
            raise TrustError(
                f"the published components have {best} bytes together, and a worker takes {self._room()}",
                remedy="tell their publisher: the list of what is revoked is in force, and none of them was fetched",
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


def _by_use(trust: VerifiedTrust) -> list[Entry]:
    """The archives that may be loaded, the best first, and in whose place they would be: a store must not grow."""
    kinds = sorted({(entry.class_id, entry.api) for entry in trust.components})
    choices = [candidates(trust, class_id, api)[:_KEPT_VERSIONS] for class_id, api in kinds]
    return [choice[rank] for rank in range(_KEPT_VERSIONS) for choice in choices if rank < len(choice)]


def _is_whole(sha256: str, data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == sha256
