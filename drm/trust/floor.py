"""The highest numbers that were ever installed, so that nothing older is taken even when stored metadata is gone.

Pure; works in both processes. The application keeps it beside the metadata and is believed in it: a floor can only
refuse. Numbers count while a key that signed them still signs: whoever stole a key can sign any number, and the remedy
for that is new keys, which begin where they like (the TUF specification, 5.3.11: recovery from a fast-forward attack).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from drm.trust.errors import MetadataError, RevocationListError, RollbackError
from drm.trust.verifier import COMPONENTS, REVOCATIONS, VerifiedTrust, verify_trust

__all__ = ["Floor", "parse_floor", "verify_stored"]

_Number = Annotated[int, msgspec.Meta(ge=0)]

# Whose keys a role's number hangs on. What a snapshot vouches for begins anew with new snapshot keys, as TUF has it.
_SIGNERS: Final = {
    "timestamp": ("timestamp",),
    "targets": ("targets", "snapshot"),
    COMPONENTS: (COMPONENTS, "snapshot"),
    REVOCATIONS: (REVOCATIONS, "snapshot"),
}


class Floor(msgspec.Struct, frozen=True):
    """What was installed."""

    versions: dict[str, _Number]  # of each role's metadata
    key_ids: dict[str, tuple[str, ...]]  # of each role
    list_version: _Number  # the number of the list itself, not of the metadata that signs it
    list_digest: str  # of the list without its date: one number, one digest

    @classmethod
    def of(cls, trust: VerifiedTrust) -> Floor:
        """The floor after `trust` was taken; it passed the floor before, so no number is lower without new keys."""
        return cls(
            dict(sorted(trust.versions.items())),
            {role: tuple(key_ids) for role, key_ids in sorted(trust.key_ids.items())},
            trust.revocations.version,
            trust.revocations.content_digest,
        )

    def check(self, trust: VerifiedTrust, *, is_new: bool) -> None:
        """Return if `trust` is not older than what was installed. `is_new`: it comes from a server.

        A root that was seen is binding for what is new alone: installed metadata outlives an exchange of keys.

        Raises:
            RollbackError: it is older.
            RevocationListError: its list has the number of one that was seen, and says something else.
        """
        seen_root = self.versions.get("root", 0)
        if is_new and trust.versions["root"] < seen_root:
            raise RollbackError(f"root {trust.versions['root']} is offered where root {seen_root} was seen")
        for role, signers in _SIGNERS.items():
            seen, offered = self.versions.get(role, 0), trust.versions[role]
            if offered < seen and all(self._still_signs(trust, signer) for signer in signers):
                raise RollbackError(f"{role} {offered} is offered where {role} {seen} was seen")
        if not self._still_signs(trust, REVOCATIONS):
            return
        number = trust.revocations.version
        if number < self.list_version:
            raise RollbackError(f"revocation list {number} is offered where list {self.list_version} was seen")
        if number == self.list_version and trust.revocations.content_digest != self.list_digest:
            raise RevocationListError(f"two different revocation lists have the number {number}")

    def encode(self) -> bytes:
        """Return what `parse_floor` reads."""
        return msgspec.json.encode(self)

    def _still_signs(self, trust: VerifiedTrust, role: str) -> bool:
        """Whether a key of the role then is one now. One is enough: an exchange of keys may list old and new."""
        return not set(self.key_ids.get(role, ())).isdisjoint(trust.key_ids[role])


def parse_floor(data: bytes) -> Floor | None:
    """Read a floor; None: what is there is none."""
    try:
        return msgspec.json.decode(data, type=Floor)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def verify_stored(root: bytes, files: Mapping[str, bytes], floor: bytes | None) -> VerifiedTrust:
    """Verify stored metadata, and hold it to the floor that lies beside it (None: there is none).

    Raises:
        MetadataError: the floor cannot be read, or forbids this (RollbackError); as `verify_trust` besides.
        TrustAbsentError, RevocationListError: as `verify_trust`.
    """
    trust = verify_trust(root, files)
    if floor is None:
        return trust
    seen = parse_floor(floor)
    if seen is None:
        raise MetadataError(
            "what was installed of components before is not known any more, so an older list could pass for the newest",
            maybe="files of the store were lost or emptied",
            remedy="run `clearkey components update`",
        )
    try:
        seen.check(trust, is_new=False)
    except MetadataError as error:
        error.maybe = "the store lost its newest generation, as in a copy or a backup that was put back"
        error.remedy = "run `clearkey components update`"
        raise
    return trust
