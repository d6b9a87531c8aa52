"""Which archive stands for a class id: the highest version that is listed, not revoked, and whole. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from drm.errors import TrustError, UnknownComponentError, UnlistedFileError
from drm.trust.archive import Component
from drm.trust.component_archive import unpack_archive
from drm.trust.entry import Entry
from drm.trust.errors import ComponentDamagedError, ComponentRevokedError
from drm.trust.manifest import DESCRIPTION, ComponentDescription, parse_description
from drm.trust.revocations import Revocation
from drm.trust.verifier import VerifiedTrust
from drm.trust.versions import version_key

__all__ = ["Resolved", "candidates", "resolve"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """The archive that was chosen, and the component in it."""

    entry: Entry
    component: Component


def candidates(trust: VerifiedTrust, class_id: UUID, api: int) -> list[Entry]:
    """Return what may stand for the class id, best first: listed, of that platform API, not revoked."""
    listed = [entry for entry in trust.components if entry.class_id == class_id and entry.api == api]
    good = [entry for entry in listed if _revocation(trust, entry) is None]
    return sorted(good, key=lambda entry: entry.version_key, reverse=True)


def resolve(trust: VerifiedTrust, class_id: UUID, api: int, blobs: Mapping[str, bytes]) -> Resolved:
    """Choose the archive for `class_id` among `blobs`, which maps the sha256 that each claims to its bytes.

    The blobs come from a store that anybody may have written to: none is believed before its hash was compared.

    Raises:
        ComponentRevokedError: a whole copy is at hand and revoked, and no other can take its place.
        ComponentDamagedError: a good version is listed, and its archive is missing or not the one that was signed.
        UnlistedFileError: a whole copy is at hand, and nothing lists it.
        UnknownComponentError: nothing is known of this class id.
    """
    choice = candidates(trust, class_id, api)
    for entry in choice:
        data = blobs.get(entry.sha256)
        if data is not None and entry.is_content(data):
            return Resolved(entry, entry.component(data))
    at_hand = list(_at_hand(class_id, blobs))
    for described, sha256 in at_hand:
        revocation = _why_revoked(trust, class_id, described, sha256)
        if revocation is not None:
            raise _revoked(described, revocation, choice)
    if choice:
        raise ComponentDamagedError(
            f"the archive of {choice[0].name} v{choice[0].version} is missing or not the one that was signed",
            remedy="run `clearkey components update`",
        )
    if at_hand:
        described = at_hand[0][0]
        raise UnlistedFileError(f"no metadata lists the copy of {described.name} v{described.version} that is at hand")
    raise UnknownComponentError(f"no metadata lists a component of the class id {class_id} for platform API {api}")


def _at_hand(class_id: UUID, blobs: Mapping[str, bytes]) -> Iterator[tuple[ComponentDescription, str]]:
    """Give the whole copies of a component: what a damaged one calls itself means nothing."""
    for sha256 in sorted(blobs):
        data = blobs[sha256]
        if hashlib.sha256(data).hexdigest() != sha256:
            continue
        try:
            described = parse_description(unpack_archive(data)[DESCRIPTION], sha256)
            version_key(described.version)
        except (TrustError, ValueError):
            continue
        if described.class_id == class_id:
            yield described, sha256


def _revocation(trust: VerifiedTrust, entry: Entry) -> Revocation | None:
    return trust.revocations.find(entry.class_id, entry.version_key, entry.sha256, entry.key_ids)


def _why_revoked(
    trust: VerifiedTrust, class_id: UUID, described: ComponentDescription, sha256: str
) -> Revocation | None:
    # A copy that is listed still may be revoked by the key of the role that lists it.
    key_ids = next((entry.key_ids for entry in trust.components if entry.sha256 == sha256), ())
    return trust.revocations.find(class_id, version_key(described.version), sha256, key_ids)


def _revoked(described: ComponentDescription, revocation: Revocation, choice: list[Entry]) -> ComponentRevokedError:
    hint = revocation.renewal.page if revocation.renewal and revocation.renewal.page else ""
    error = ComponentRevokedError(
        f"{described.name} v{described.version} is revoked",
        seen=revocation.describe(),
        maybe="" if choice else "it is not renewable: nothing that is published can take its place",
        remedy=f"update to version {choice[0].version}: `clearkey components update`" if choice else hint,
    )
    error.is_renewable = bool(choice)
    return error
