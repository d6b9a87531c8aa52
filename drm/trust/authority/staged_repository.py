"""A tree of metadata that is being changed: python-tuf's repository over files, with signing and its thresholds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from securesystemslib.signer import Key
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.repository import Repository

from drm.errors import SigningKeyMissingError
from drm.trust.authority.lifetimes import Lifetimes
from drm.trust.authority.signing_keys import KeyFolders
from drm.trust.revocations import RevocationList, parse_revocations
from drm.trust.verifier import COMPONENTS, ISSUED, LIST_TARGET, REVOCATIONS
from drm.whole_file import write_whole

__all__ = ["DELEGATED", "ROLES", "StagedRepository", "newest_version"]

DELEGATED: Final[Mapping[str, str]] = {COMPONENTS: "components/*/*", REVOCATIONS: LIST_TARGET}  # role -> its paths
ROLES: Final = ("root", "targets", *DELEGATED, "snapshot", "timestamp")
_HASHES: Final = ["sha256"]


def newest_version(tree: Path, role: str) -> int:
    """The highest version of a role's metadata in a tree; 0: there is none."""
    pattern = re.compile(rf"([1-9][0-9]*)\.{role}\.json")
    found = (pattern.fullmatch(path.name) for path in (tree / "metadata").iterdir())
    return max((int(match[1]) for match in found if match), default=0)


class StagedRepository(Repository):
    """Edits a tree that nobody reads yet. `tuf.repository` is not declared stable, so this stays thin."""

    def __init__(self, tree: Path, keys: KeyFolders, lifetimes: Lifetimes, now: Callable[[], datetime]) -> None:
        self.tree = tree
        self.also_sign: dict[str, list[Key]] = {}
        """Keys that sign for a role beside those that its delegator lists by the end: the ones that are rotated away.

        A client that has the old root, because the new one came a moment after it asked, accepts what they signed.
        """
        self.step = 1
        """How far the number of what is signed rises, but for a root's."""
        self._keys = keys
        self._lifetimes = lifetimes
        self._now = now

    # ---------------------------------------------------------------------------------- tuf.repository's interface
    def open(self, role: str) -> Metadata:  # type: ignore[type-arg]  # as declared there
        """Load the newest version of a role's metadata, or make what its first version begins as."""
        path = self._newest(role)
        if path is not None:
            return Metadata.from_file(str(path))
        blank = self._blank(role)
        blank.version = 0  # `close` makes it 1
        return Metadata(blank)

    def close(self, role: str, md: Metadata) -> None:  # type: ignore[type-arg]  # as declared there
        """Sign the next version and write it. Raises SigningKeyMissingError when the threshold is not reached."""
        previous = self._read(role)
        md.signed.version += 1 if role == "root" else self.step
        now = self._now().replace(microsecond=0)
        md.signed.expires = now + self._lifetimes.of(role)
        if role == "timestamp":
            md.signed.unrecognized_fields[ISSUED] = f"{now:%Y-%m-%dT%H:%M:%SZ}"
        md.signatures.clear()
        delegators = [self._delegator(role, md.signed)]
        if role == "root" and previous is not None:
            delegators.insert(0, previous.signed)
        keys = {key.keyid: key for delegator in delegators for key in _keys_of(delegator, role)}
        keys |= {key.keyid: key for key in self.also_sign.get(role, [])}
        for key in keys.values():
            signer = self._keys.signer(key)
            if signer is not None:
                md.sign(signer, append=True)
        for delegator in delegators:
            self._check_signed(delegator, role, md)
        name = "timestamp.json" if role == "timestamp" else f"{md.signed.version}.{role}.json"
        write_whole(self.tree / "metadata" / name, md.to_bytes(), follow_links=False, only_writer=True)

    @property
    def targets_infos(self) -> dict[str, MetaFile]:
        """What the snapshot says of targets metadata, with length and hash."""
        return {f"{role}.json": self._info(role) for role in ("targets", *DELEGATED)}

    @property
    def snapshot_info(self) -> MetaFile:
        """What the timestamp says of the snapshot, with length and hash."""
        return self._info("snapshot")

    # ---------------------------------------------------------------------------------------------------- our words
    def begin(self, keys: Mapping[str, list[Key]], thresholds: Mapping[str, int]) -> None:
        """Write the first version of every role but the list's own content: `keys` by role, thresholds where not 1."""
        with self.edit_root() as root:
            for role in ("root", "targets", "snapshot", "timestamp"):
                root.roles[role].threshold = thresholds.get(role, 1)
                for key in keys[role]:
                    root.add_key(key, role)
        with self.edit_targets() as targets:
            delegated = {
                role: DelegatedRole(role, [], thresholds.get(role, 1), terminating=True, paths=[paths])
                for role, paths in DELEGATED.items()
            }
            targets.delegations = Delegations({}, delegated)
            for role in DELEGATED:
                for key in keys[role]:
                    targets.add_key(key, role)
        with self.edit_targets(COMPONENTS):
            pass

    def add_archive(self, path: str, data: bytes, facts: Mapping[str, object], components: Targets) -> None:
        """Put an archive into the tree and list it."""
        target = TargetFile.from_data(path, data, _HASHES)
        target.unrecognized_fields["custom"] = dict(facts)
        components.targets[path] = target
        self._place(target, data)

    def set_list(self, data: bytes) -> None:
        """Make `data` the revocation list."""
        target = TargetFile.from_data(LIST_TARGET, data, _HASHES)
        with self.edit_targets(REVOCATIONS) as revocations:
            revocations.targets = {LIST_TARGET: target}
        self._place(target, data)

    def renew(self, role: str) -> None:
        """Sign the next version of a role's metadata with nothing changed but its end."""
        with self.edit(role):
            pass

    def root_bytes(self) -> bytes:
        """The newest root as it is published."""
        path = self._newest("root")
        assert path is not None
        return path.read_bytes()

    def put_root(self, md: Metadata[Root]) -> None:
        """Put a root into the tree that was signed elsewhere."""
        path = self.tree / "metadata" / f"{md.signed.version}.root.json"
        write_whole(path, md.to_bytes(), follow_links=False, only_writer=True)

    def published_list(self) -> RevocationList:
        """The revocation list in the tree."""
        target = self.targets(REVOCATIONS).targets[LIST_TARGET]
        return parse_revocations((self.tree / "targets" / target.get_prefixed_paths()[0]).read_bytes())

    def finish(self, *, renew_snapshot: bool = False) -> None:
        """Sign a snapshot of what changed, and the timestamp of that, last of all."""
        self.do_snapshot(force=renew_snapshot)
        self.do_timestamp(force=True)

    def delegated_role(self, role: str) -> Role:
        """The keys and the threshold of a role."""
        return self._delegator(role, self.open(role).signed).get_delegated_role(role)

    def can_sign(self, role: str) -> bool:
        """Whether enough of the role's keys are here."""
        wanted = self.delegated_role(role)
        return sum(self._keys.has(key_id) for key_id in wanted.keyids) >= wanted.threshold

    def check_keys(self, role: str) -> None:
        """Open the role's keys. Raises SigningKeyMissingError where one is not here, StorageError, PassphraseError."""
        for key in _keys_of(self._delegator(role, self.open(role).signed), role):
            if self._keys.signer(key) is None:
                raise SigningKeyMissingError(f"a signing key of the role {role} is not here")

    # ------------------------------------------------------------------------------------------------------- within
    def _blank(self, role: str) -> Signed:
        # The library's own beginnings of snapshot and timestamp name version 1 of what they cover, without length or
        # hash, and would keep it so. They must begin with nothing, and with the truth.
        if role == "root":
            return Root(consistent_snapshot=True)
        if role == "snapshot":
            return Snapshot(meta={})
        if role == "timestamp":
            return Timestamp(snapshot_meta=self.snapshot_info)
        return Targets()

    def _newest(self, role: str) -> Path | None:
        if role == "timestamp":
            path = self.tree / "metadata" / "timestamp.json"
            return path if path.exists() else None
        version = newest_version(self.tree, role)
        return self.tree / "metadata" / f"{version}.{role}.json" if version else None

    def _read(self, role: str) -> Metadata | None:  # type: ignore[type-arg]  # of any role
        path = self._newest(role)
        return None if path is None else Metadata.from_file(str(path))

    def _delegator(self, role: str, signed: Signed) -> Root | Targets:
        if role == "root":
            assert isinstance(signed, Root)
            return signed
        return self.targets() if role in DELEGATED else self.root()

    def _check_signed(self, delegator: Root | Targets, role: str, md: Metadata) -> None:  # type: ignore[type-arg]
        try:
            delegator.verify_delegate(role, md.signed_bytes, md.signatures)
        except UnsignedMetadataError:
            wanted = delegator.get_delegated_role(role)
            absent = [key_id for key_id in wanted.keyids if not self._keys.has(key_id)]
            raise SigningKeyMissingError(
                f"{role} is signed by {wanted.threshold} of {len(wanted.keyids)} keys, and too few of them are here",
                seen=f"not here: {', '.join(absent)}",
                remedy="name their folder with --keys, or carry a file to them: `clearkey authority root-request`"
                if role == "root"
                else "name the folder where they are with --keys",
            ) from None

    def _info(self, role: str) -> MetaFile:
        path = self._newest(role)
        assert path is not None, role
        return MetaFile.from_data(int(path.name.partition(".")[0]), path.read_bytes(), _HASHES)

    def _place(self, target: TargetFile, data: bytes) -> None:
        path = self.tree / "targets" / target.get_prefixed_paths()[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data, follow_links=False, only_writer=True)


def _keys_of(delegator: Root | Targets, role: str) -> Iterator[Key]:
    return (delegator.get_key(key_id) for key_id in delegator.get_delegated_role(role).keyids)
