"""Which archive stands for a class id: the highest version that is listed, not revoked, and whole. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from drm.errors import TrustError, UnknownComponentError, UnlistedFileError
from drm.trust.archive import Component
from drm.trust.component_archive import unpack_archive
from drm.trust.entry import Entry
from drm.trust.errors import ComponentDamagedError, ComponentRevokedError
from drm.trust.manifest import DESCRIPTION, ComponentDescription, parse_description
from drm.trust.renewal import RevocationReason, RevokedComponent
from drm.trust.revocations import Revocation
from drm.trust.versions import VersionKey, version_key

__all__ = ["Resolved", "Vouched", "Vouches", "candidates", "class_ids", "resolve"]


class Vouches(Protocol):
    """What lists archives and revokes them: verified metadata of one authority, or of several together."""

    @property
    def components(self) -> Sequence[Entry]:
        """What is listed."""

    def find_revocation(
        self, class_id: UUID, version: VersionKey, sha256: str, key_ids: Collection[str] = ()
    ) -> Revocation | None:
        """The entry that revokes this archive, or None."""

    def signers_beside(self, revocation: Revocation) -> Sequence[str]:
        """Ids of the keys that list archives for the authority on whose list this entry is; empty: for none of these.

        An archive that is listed no more was listed by them.
        """


class Vouched:
    """Several authorities together: each lists archives, and any of them revokes what any of them lists."""

    def __init__(self, sources: Sequence[Vouches]) -> None:
        """The first source's archives go before those of the others where versions are equal."""
        self._sources = tuple(sources)
        self.components = tuple(entry for source in sources for entry in source.components)

    def find_revocation(
        self, class_id: UUID, version: VersionKey, sha256: str, key_ids: Collection[str] = ()
    ) -> Revocation | None:
        """The first entry of any list that revokes this archive, or None."""
        found = (source.find_revocation(class_id, version, sha256, key_ids) for source in self._sources)
        return next((entry for entry in found if entry is not None), None)

    def signers_beside(self, revocation: Revocation) -> Sequence[str]:
        """Ids of the keys that list archives for the first authority on whose list this entry is."""
        found = (source.signers_beside(revocation) for source in self._sources)
        return next((key_ids for key_ids in found if key_ids), ())


@dataclass(frozen=True, slots=True)
class Resolved:
    """The archive that was chosen, and the component in it."""

    entry: Entry
    component: Component


def candidates(trust: Vouches, class_id: UUID, api: int) -> list[Entry]:
    """Return what may stand for the class id, best first: listed, of that platform API, not revoked."""
    listed = [entry for entry in trust.components if entry.class_id == class_id and entry.api == api]
    good = [entry for entry in listed if _revocation(trust, entry) is None]
    return sorted(good, key=lambda entry: entry.version_key, reverse=True)


def resolve(trust: Vouches, class_id: UUID, api: int, blobs: Mapping[str, bytes]) -> Resolved:
    """Choose the archive for `class_id` among `blobs`, which maps the sha256 that each claims to its bytes.

    The blobs come from a store that anybody may have written to: none is believed before its hash was compared.

    Raises:
        ComponentRevokedError: a whole copy is at hand and revoked, and no other can take its place.
        ComponentDamagedError: a good version is listed, and its archive is missing or not the one that was signed.
        UnlistedFileError: a whole copy is at hand, and nothing lists it.
        UnknownComponentError: nothing is known of this class id.
    """
    choice = candidates(trust, class_id, api)
    mislisted: TrustError | None = None
    for entry in choice:
        data = blobs.get(entry.sha256)
        if data is not None and entry.is_content(data):
            try:
                return Resolved(entry, entry.component(data))
            except TrustError as error:  # its publisher's mistake, which is not to stop what stood there before
                mislisted = mislisted or error
    at_hand = list(_at_hand(class_id, blobs))
    for described, sha256 in at_hand:
        # A copy that is listed still may be revoked by the key of the role that lists it.
        key_ids = next((entry.key_ids for entry in trust.components if entry.sha256 == sha256), ())
        revocation = trust.find_revocation(class_id, version_key(described.version), sha256, key_ids)
        if revocation is not None:
            signers = key_ids or trust.signers_beside(revocation)
            raise _revoked(described, sha256, revocation, signers, choice)
    lacking = [entry for entry in choice if not entry.is_content(blobs.get(entry.sha256, b""))]
    if lacking:
        raise _damaged(lacking[0])
    if mislisted is not None:
        raise mislisted
    if at_hand:
        described = at_hand[0][0]
        raise UnlistedFileError(f"no metadata lists the copy of {described.name} v{described.version} that is at hand")
    raise UnknownComponentError(f"no metadata lists a component of the class id {class_id} for platform API {api}")


def class_ids(blobs: Mapping[str, bytes], listed: Collection[Entry]) -> list[UUID]:
    """Return the class ids of whole archives that are at hand and not among `listed`."""
    known = {entry.sha256 for entry in listed}
    return [found.class_id for found, _ in _whole({sha: data for sha, data in blobs.items() if sha not in known})]


def _at_hand(class_id: UUID, blobs: Mapping[str, bytes]) -> Iterator[tuple[ComponentDescription, str]]:
    return ((found, sha256) for found, sha256 in _whole(blobs) if found.class_id == class_id)


def _whole(blobs: Mapping[str, bytes]) -> Iterator[tuple[ComponentDescription, str]]:
    """Give the whole copies of components: what a damaged one calls itself means nothing."""
    for sha256 in sorted(blobs):
        data = blobs[sha256]
        if hashlib.sha256(data).hexdigest() != sha256:
            continue
        try:
            described = parse_description(unpack_archive(data)[DESCRIPTION], sha256)
            version_key(described.version)
        except (TrustError, ValueError):
            continue
        yield described, sha256


def _revocation(trust: Vouches, entry: Entry) -> Revocation | None:
    return trust.find_revocation(entry.class_id, entry.version_key, entry.sha256, entry.key_ids)


def _revoked(
    described: ComponentDescription,
    sha256: str,
    revocation: Revocation,
    signers: Sequence[str],
    choice: list[Entry],
) -> ComponentRevokedError:
    hint = revocation.renewal.page if revocation.renewal and revocation.renewal.page else ""
    error = ComponentRevokedError(
        f"{described.name} v{described.version} is revoked",
        seen=revocation.describe(),
        maybe="" if choice else "it is not renewable: nothing that is published can take its place",
        remedy=f"update to version {choice[0].version}: `clearkey components update`" if choice else hint,
    )
    error.is_renewable = bool(choice)
    by_key = RevocationReason.COMPONENT_CERT_REVOKED if revocation.keyid is not None else RevocationReason(0)
    error.component = RevokedComponent(
        reason=RevocationReason.USER_MODE_COMPONENT_LOAD | RevocationReason.COMPONENT_REVOKED | by_key,
        header_hash=sha256,
        public_key_hash=revocation.keyid or next(iter(signers), ""),
        name=described.name,
        version=described.version,
        class_id=str(described.class_id),
        text=revocation.describe(),
        replacement=choice[0].version if choice else "",
    )
    return error


def _damaged(wanted: Entry) -> ComponentDamagedError:
    error = ComponentDamagedError(
        f"the archive of {wanted.name} v{wanted.version} is missing or not the one that was signed",
        remedy="run `clearkey components update`",
    )
    error.component = RevokedComponent(
        reason=RevocationReason.USER_MODE_COMPONENT_LOAD,
        header_hash=wanted.sha256,
        public_key_hash=wanted.key_ids[0] if wanted.key_ids else "",
        name=wanted.name,
        version=wanted.version,
        class_id=str(wanted.class_id),
        text="its archive is missing or damaged",
        replacement=wanted.version,
    )
    return error
