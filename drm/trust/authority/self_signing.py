"""A developer's own authority: makes itself, signs whatever it is given, and heals itself. It protects nothing.

What it vouches for is test-signed, and a license can refuse that. Its keys lie unencrypted beside what they sign.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from drm.errors import DRMError
from drm.trust.authority.create import create_authority
from drm.trust.authority.home import LOCK, AuthorityHome
from drm.trust.authority.published import check_published, root_bytes, stored_files
from drm.trust.authority.publishing import publish_archives
from drm.trust.authority.staged_repository import ROLES
from drm.trust.authority.ticking import next_tick, tick
from drm.trust.component_archive import read_component
from drm.trust.verifier import COMPONENTS, VerifiedTrust
from drm.trust.versions import version_key

__all__ = ["SelfSigned", "sign_all"]

_LIFE: Final = 3650  # days
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SelfSigned:
    """What the authority published."""

    files: dict[str, bytes]  # by the names that `verify_trust` takes
    root: bytes
    listed: frozenset[str]  # sha256 of archives
    revoked: frozenset[str]  # of those that were asked for
    tree: str  # its place in the folder, which is what the link `repository` holds
    renew: datetime  # when some of it will have spent half of its life


def sign_all(
    folder: Path, archives: Collection[bytes], spare: Collection[str], now: Callable[[], datetime]
) -> SelfSigned:
    """Sign those of `archives` that are not signed yet and are not revoked; one that is revoked is left out.

    The caller holds a lock of its own in `folder`. Where the authority is damaged, all of the folder but the names in
    `spare` is removed, and it is made anew.

    Raises:
        TrustError: an archive is unsound.
        AuthorityError: two archives are one version of a component; another process is changing the authority.
        OSError: the folder cannot be written to.
    """
    home = AuthorityHome(folder, str, encrypted=False, now=now)
    _make_sound(home, {LOCK, *spare})
    trust = home.trust()
    wanted = [data for data in archives if not _is_revoked(trust, data)]
    if wanted:
        publish_archives(home, wanted)
    tick(home)
    tree = home.trees.published  # this one, whatever is published by now
    trust, moment = check_published(tree), now()
    return SelfSigned(
        files=stored_files(tree),
        root=root_bytes(tree),
        listed=frozenset(entry.sha256 for entry in trust.components),
        revoked=frozenset(hashlib.sha256(data).hexdigest() for data in archives if _is_revoked(trust, data)),
        tree=str(tree.relative_to(folder)),
        renew=moment + next_tick(trust, home.lifetimes, moment),
    )


def _make_sound(home: AuthorityHome, spare: set[str]) -> None:
    try:
        if home.trees.number():
            _check(home)
            return
    except (DRMError, OSError) as error:
        logger.warning("the development authority in %s is damaged and is made anew: %s", home.folder, error)
    for path in home.folder.iterdir():
        if path.name not in spare:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    create_authority(home, root_keys=1, root_threshold=1, days=dict.fromkeys(ROLES, _LIFE))
    logger.warning("made a development authority in %s: sessions say test-signed", home.folder)


def _check(home: AuthorityHome) -> None:
    """Raise where what is published does not verify, or what signs the next change is not whole."""
    home.trust()
    _read = (home.lifetimes, home.unfinished)
    repository = home.reading()
    for role in ROLES:
        repository.check_keys(role)


def _is_revoked(trust: VerifiedTrust, data: bytes) -> bool:
    manifest = read_component(data, "an archive").manifest
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        version = version_key(manifest.version)
    except ValueError:
        return False  # and cannot be published, which says why
    return trust.revocations.find(manifest.class_id, version, sha256, trust.key_ids[COMPONENTS]) is not None
