"""What is trusted, decided offline: from a pinned root and stored metadata to a list of archives and revocations.

Pure: bytes in, data out; no clock, no file, no network. The order is that of the client workflow of The Update
Framework (TUF) specification, section 5, with the stable metadata API of python-tuf doing all cryptography. Two things
differ from a client that downloads. Expiry is told, not judged: it governs taking new metadata, and what is installed
goes on working. And roles are read whole instead of one target being asked for, so that each entry is held against the
paths which its role was given.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    T,
    TargetFile,
    Targets,
    Timestamp,
)

from drm.hresult import HResult
from drm.trust.entry import Entry, entry_of
from drm.trust.errors import MetadataError, TrustAbsentError
from drm.trust.freshness import Freshness, freshness
from drm.trust.revocations import Revocation, RevocationList, parse_revocations
from drm.trust.versions import VersionKey

__all__ = [
    "COMPONENTS", "ISSUED", "LIST_FILE", "LIST_TARGET", "REVOCATIONS", "VerifiedTrust", "metadata_file", "root_file",
    "verify_trust",
]  # fmt: skip

COMPONENTS: Final = "components"  # the delegated role that lists archives
REVOCATIONS: Final = "revocations"  # the delegated role that signs the list, and nothing else
LIST_TARGET: Final = "revocations.json"
LIST_FILE: Final = "revocations.list"  # what the list is called among stored files
ISSUED: Final = "issued"  # the member of a timestamp that says when it was signed

_MAX_ROOTS: Final = 1024
_LARGEST: Final = {"root": 512 << 10, "timestamp": 16 << 10}  # bytes
_LARGEST_OTHER: Final = 5 << 20
_ROOT_FILE: Final = re.compile(r"root_history/([1-9][0-9]{0,8})\.root\.json")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


@dataclass(frozen=True, slots=True)
class VerifiedTrust:
    """Everything that the metadata vouches for."""

    components: tuple[Entry, ...]
    revocations: RevocationList
    issued: datetime  # UTC; when the publisher last signed that this is the newest there is
    versions: Mapping[str, int]  # of each role's metadata
    expiries: Mapping[str, datetime]  # UTC
    key_ids: Mapping[str, tuple[str, ...]]  # of each role, as its delegator lists them

    def find_revocation(
        self, class_id: UUID, version: VersionKey, sha256: str, key_ids: Collection[str] = ()
    ) -> Revocation | None:
        """The entry of the list that revokes this archive, or None."""
        return self.revocations.find(class_id, version, sha256, key_ids)

    def signers_beside(self, revocation: Revocation) -> tuple[str, ...]:
        """Ids of the keys that list archives, if this entry is on the list beside them."""
        return self.key_ids[COMPONENTS] if revocation in self.revocations.entries else ()

    def freshness(self, now: datetime) -> Freshness:
        """The state of the list and of what carries it; `now` as `trusted_now` gives it."""
        return freshness((self.expiries[role] for role in ("timestamp", "snapshot", REVOCATIONS)), now)


def root_file(version: int) -> str:
    """The name of a root among stored files."""
    return f"root_history/{version}.root.json"


def metadata_file(role: str) -> str:
    """The name of another role's metadata among stored files."""
    return f"{role}.json"


def verify_trust(pinned_root: bytes, files: Mapping[str, bytes]) -> VerifiedTrust:
    """Verify stored metadata against the root that came with the package.

    `files` maps names to bytes: `root_file(n)` for every root after the pinned one, `metadata_file(role)` for the
    timestamp, snapshot, targets and the two delegated roles, and LIST_FILE. Others are ignored.

    Raises:
        TrustAbsentError: there is not even a timestamp.
        MetadataError: something is missing, damaged, or not signed by who must sign it.
        RevocationListError: the list in its place cannot be read (ListFormatError: is of a newer format).
    """
    if metadata_file("timestamp") not in files:
        raise TrustAbsentError("there is no metadata of components", remedy="run `clearkey components update`")
    try:
        return _Chain(pinned_root, files).verified()
    except (RepositoryError, ValueError, TypeError, KeyError) as error:
        # The library reports a document of the wrong shape as any of these.
        raise MetadataError(
            f"stored metadata of components does not verify: {error}",
            maybe="a file of the store was damaged or exchanged",
            remedy="run `clearkey components update`",
        ) from None


class _Chain:
    """The state of one verification: each step trusts what the steps before it found."""

    def __init__(self, pinned_root: bytes, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._versions: dict[str, int] = {}
        self._expiries: dict[str, datetime] = {}
        self._key_ids: dict[str, tuple[str, ...]] = {}
        self._root = _parse(Root, pinned_root, "root")
        self._root.signed.verify_delegate("root", self._root.signed_bytes, self._root.signatures)

    def verified(self) -> VerifiedTrust:
        self._walk_roots()
        root = self._root.signed
        timestamp = self._role(Timestamp, "timestamp", root, None)
        snapshot = self._role(Snapshot, "snapshot", root, timestamp.signed.snapshot_meta).signed
        targets = self._role(Targets, "targets", root, snapshot.meta.get("targets.json")).signed
        components = self._role(Targets, COMPONENTS, targets, snapshot.meta.get(metadata_file(COMPONENTS)))
        revocations = self._role(Targets, REVOCATIONS, targets, snapshot.meta.get(metadata_file(REVOCATIONS)))
        listed = self._list(targets, revocations.signed)
        return VerifiedTrust(
            self._entries(targets, components),
            listed,
            _issued(timestamp.signed, listed),
            self._versions,
            self._expiries,
            self._key_ids,
        )

    def _walk_roots(self) -> None:
        """TUF 5.3: every next root is signed by the keys of the one before it and by its own."""
        for version in range(self._root.signed.version + 1, self._root.signed.version + 1 + _MAX_ROOTS):
            data = self._files.get(root_file(version))
            if data is None:
                break
            offered = _parse(Root, data, "root")
            if offered.signed.version != version:
                raise MetadataError(f"root {version} calls itself {offered.signed.version}")
            for signer in (self._root.signed, offered.signed):
                signer.verify_delegate("root", offered.signed_bytes, offered.signatures)
            self._root = offered
        root = self._root.signed
        for name in self._files:
            # The last that an old key signed is good under the old root too, so a gap must not just end the walk.
            later = _ROOT_FILE.fullmatch(name)
            if later and int(later[1]) > root.version:
                raise MetadataError(f"root {root.version + 1} is not there, and root {later[1]} is")
        self._note("root", root, tuple(root.roles["root"].keyids))

    def _role(self, kind: type[T], role: str, delegator: Root | Targets, meta: MetaFile | None) -> Metadata[T]:
        data = self._files.get(metadata_file(role))
        if data is None:
            raise MetadataError(f"there is no metadata of the role {role}")
        if role != "timestamp":
            if meta is None:
                raise MetadataError(f"the snapshot does not name the role {role}")
            if meta.length is None or "sha256" not in (meta.hashes or {}):
                # TUF lets both be left out; then old and new metadata of one version could be mixed.
                raise MetadataError(f"the role {role} is named without its length and sha256")
            meta.verify_length_and_hashes(data)
        metadata = _parse(kind, data, role)
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        if meta is not None and metadata.signed.version != meta.version:
            raise MetadataError(f"{role} is version {metadata.signed.version}, and {meta.version} is named")
        self._note(role, metadata.signed, tuple(delegator.get_delegated_role(role).keyids))
        return metadata

    def _note(self, role: str, signed: Signed, key_ids: tuple[str, ...]) -> None:
        self._versions[role] = signed.version
        self._expiries[role] = signed.expires
        self._key_ids[role] = key_ids

    def _entries(self, targets: Targets, components: Metadata[Targets]) -> tuple[Entry, ...]:
        delegated = targets.get_delegated_role(COMPONENTS)
        result = targets.get_verification_result(COMPONENTS, components.signed_bytes, components.signatures)
        key_ids = tuple(sorted(result.signed))
        return tuple(
            entry_of(path, target.custom, _sha256(target), target.length, key_ids)
            for path, target in sorted(components.signed.targets.items())
            if _is_delegated(delegated, path)  # a role may list what it likes; it counts where it was sent to
        )

    def _list(self, targets: Targets, revocations: Targets) -> RevocationList:
        target = revocations.targets.get(LIST_TARGET)
        if target is None or not _is_delegated(targets.get_delegated_role(REVOCATIONS), LIST_TARGET):
            raise MetadataError("the metadata names no revocation list", hresult=HResult.MF_E_GRL_ABSENT)
        data = self._files.get(LIST_FILE)
        if data is None:
            raise MetadataError("the revocation list is not there", hresult=HResult.MF_E_GRL_ABSENT)
        _sha256(target)
        target.verify_length_and_hashes(data)
        return parse_revocations(data)


def _parse(kind: type[T], data: bytes, role: str) -> Metadata[T]:
    limit = _LARGEST.get(role, _LARGEST_OTHER)
    if len(data) > limit:
        raise MetadataError(f"the metadata of {role} has {len(data)} bytes, more than {limit}")
    metadata = Metadata[T].from_bytes(data)
    if not isinstance(metadata.signed, kind):
        raise MetadataError(f"the metadata of {role} is of the type {metadata.signed.type}")
    return metadata


def _issued(timestamp: Timestamp, revocations: RevocationList) -> datetime:
    """The later of the two signed dates: that of the list, and the one that our publisher puts into each timestamp.

    TUF itself gives a timestamp no date but its end, so one that another publisher made may lack it.
    """
    said = timestamp.unrecognized_fields.get(ISSUED)
    try:
        return max(revocations.issued, msgspec.convert(said, _Time))
    except msgspec.ValidationError:
        return revocations.issued


def _is_delegated(role: object, path: str) -> bool:
    return isinstance(role, DelegatedRole) and role.is_delegated_path(path)


def _sha256(target: TargetFile) -> str:
    found = target.hashes.get("sha256", "")
    if not _SHA256.fullmatch(found):
        raise MetadataError(f"{target.path[:200]!r} is listed without its sha256")
    return found
