"""A published tree as its readers see it: the files that a client would store, verified as a client verifies them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Snapshot, TargetFile, Targets, Timestamp

from drm.errors import TrustError
from drm.trust.authority.staged_repository import DELEGATED, newest_version
from drm.trust.component_archive import MAX_TOGETHER
from drm.trust.entry import Entry
from drm.trust.errors import MetadataError
from drm.trust.manifest import PLATFORM_API
from drm.trust.resolver import candidates
from drm.trust.verifier import (
    COMPONENTS,
    LIST_FILE,
    LIST_TARGET,
    REVOCATIONS,
    VerifiedTrust,
    metadata_file,
    root_file,
    verify_trust,
)

__all__ = ["archive_file", "check_published", "kept_files", "root_bytes", "stored_files"]

_KEPT_VERSIONS: Final = 3  # of metadata: a client that began before the last change still finds what it asks for


def root_bytes(tree: Path, version: int | None = None) -> bytes:
    """Return a published root: the newest, or that of a version. Raises OSError."""
    return (tree / "metadata" / f"{version or newest_version(tree, 'root')}.root.json").read_bytes()


def archive_file(tree: Path, entry: Entry) -> Path:
    """Where a published archive lies."""
    return tree / "targets" / "components" / str(entry.class_id) / f"{entry.sha256}.{entry.version}.zip"


def stored_files(tree: Path) -> dict[str, bytes]:
    """Return what a client stores after an update from this tree, by the names that `verify_trust` takes.

    Raises:
        MetadataError: the tree lacks a file that its own metadata names, or one cannot be read.
    """
    try:
        return _stored_files(tree)
    except (RepositoryError, OSError, KeyError, ValueError, AttributeError) as error:
        raise MetadataError(f"the published tree is not whole: {error}", where=str(tree)) from None


def check_published(tree: Path, pinned_root: bytes | None = None) -> VerifiedTrust:
    """Verify a tree with the client's own verifier, from its first root or a pinned one, and read every archive.

    Raises:
        MetadataError: the metadata does not verify.
        TrustError: an archive is missing, damaged or describes itself otherwise than the metadata does; or the best of
            all components are more than a worker takes.
    """
    trust = verify_trust(pinned_root or root_bytes(tree, 1), stored_files(tree))
    for entry in trust.components:
        try:
            entry.component(archive_file(tree, entry).read_bytes())
        except OSError as error:
            raise MetadataError(
                f"the archive of {entry.name} v{entry.version} is listed and not there: {error}"
            ) from None
        if revocation := trust.revocations.find(entry.class_id, entry.version_key, entry.sha256, entry.key_ids):
            raise MetadataError(f"{entry.name} v{entry.version} is listed and revoked at once: {revocation.describe()}")
    kinds = {(entry.class_id, entry.api) for entry in trust.components}
    together = sum(candidates(trust, class_id, api)[0].length for class_id, api in kinds if api == PLATFORM_API)
    if together > MAX_TOGETHER:
        raise TrustError(
            f"the newest versions of all components have {together} bytes together, more than {MAX_TOGETHER}",
            remedy="publish smaller ones: a worker is given all of them",
        )
    return trust


def kept_files(tree: Path) -> set[Path]:
    """Return the files, by path in the tree, that the next tree still needs: none that no metadata names any more."""
    kept = {Path("metadata") / "timestamp.json"}
    kept |= {path.relative_to(tree) for path in (tree / "metadata").glob("*.root.json")}
    for role in ("snapshot", "targets", *DELEGATED):
        newest = newest_version(tree, role)
        for version in range(max(1, newest - _KEPT_VERSIONS + 1), newest + 1):
            path = tree / "metadata" / f"{version}.{role}.json"
            if path.exists():
                kept.add(path.relative_to(tree))
                if role in DELEGATED:
                    kept |= {_target_file(target) for target in _targets(path).targets.values()}
    return kept


def _stored_files(tree: Path) -> dict[str, bytes]:
    metadata = tree / "metadata"
    files = {root_file(n): root_bytes(tree, n) for n in range(1, newest_version(tree, "root") + 1)}
    files[metadata_file("timestamp")] = (metadata / "timestamp.json").read_bytes()
    timestamp = Metadata[Timestamp].from_bytes(files[metadata_file("timestamp")]).signed
    files[metadata_file("snapshot")] = (metadata / f"{timestamp.snapshot_meta.version}.snapshot.json").read_bytes()
    snapshot = Metadata[Snapshot].from_bytes(files[metadata_file("snapshot")]).signed
    for role in ("targets", COMPONENTS, REVOCATIONS):
        version = snapshot.meta[f"{role}.json"].version
        files[metadata_file(role)] = (metadata / f"{version}.{role}.json").read_bytes()
    target = Metadata[Targets].from_bytes(files[metadata_file(REVOCATIONS)]).signed.targets[LIST_TARGET]
    files[LIST_FILE] = (tree / _target_file(target)).read_bytes()
    return files


def _targets(path: Path) -> Targets:
    return Metadata[Targets].from_file(str(path)).signed


def _target_file(target: TargetFile) -> Path:
    return Path("targets") / target.get_prefixed_paths()[0]
