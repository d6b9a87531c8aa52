"""Write what a release carries: the root that its workers pin, and what an authority publishes, as a client stores it.

root.json     the pinned root; it is what makes a package take the bundle for its own
bundle/       metadata by the names of drm.trust.verifier, blobs/<sha256>, and url, where all of it is renewed from
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from drm.errors import AuthorityError, InvalidArgumentError
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.published import archive_file, check_published, root_bytes, stored_files
from drm.trust.authority.staged_repository import newest_version
from drm.trust.component_archive import read_component
from drm.trust.entry import Entry
from drm.trust.manifest import PLATFORM_API
from drm.trust.resolver import candidates
from drm.trust.verifier import root_file
from drm.whole_file import sync_folder, write_whole

__all__ = ["Bundle", "refuse_other_content", "write_bundle"]

_ROOT: Final = "root.json"
_BUNDLE: Final = "bundle"
_LONGEST_URL: Final = 2048


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was written."""

    root: int  # number of the pinned root
    list_version: int
    entries: tuple[Entry, ...]  # whose archives are in it


def write_bundle(
    home: AuthorityHome, target: Path, *, needed: Collection[UUID], root: int | None = None, url: str = ""
) -> Bundle:
    """Write root.json and bundle/ into the folder `target`, in the place of those there; no key is needed.

    Everything is verified first, as a worker does it. Whoever is killed on the way leaves the former bundle, the new
    one, or no root.json.

    Args:
        home: the authority.
        target: the folder that is to hold them, drm/trust of what a wheel is built from.
        needed: class ids for which a component must be published.
        root: number of the root to pin; None: the newest.
        url: where the package renews its components from; metadata/ and targets/ are below it.

    Raises:
        AuthorityError: nothing published stands for one of the class ids, or there is no such root.
        InvalidArgumentError: the URL or the folder is none.
        TrustError: what is published does not verify.
        OSError: it cannot be written.
    """
    if url and (not url.isascii() or len(url) > _LONGEST_URL or not url.startswith(("https://", "http://"))):
        raise InvalidArgumentError(f"components are renewed from an http or https URL, not {url[:80]!r}")
    if not target.is_dir():
        raise InvalidArgumentError(f"there is no folder {target}")
    home.trust()  # says so where there is no authority
    tree = home.trees.published
    newest = newest_version(tree, "root")
    number = root or newest
    if number > newest:
        raise AuthorityError(f"there is no root {number}", seen=f"the newest is root {newest}")
    pinned = root_bytes(tree, number)
    trust = check_published(tree, pinned)
    entries = tuple(entry for entry in trust.components if entry.api == PLATFORM_API)
    for class_id in needed:
        if not candidates(trust, class_id, PLATFORM_API):
            raise AuthorityError(
                f"nothing that is published stands for the class id {class_id}, without which nothing plays",
                remedy="publish the folders ita and drm/components/*",
            )
    # The pinned root stands among the later ones: which of two generations is newer is seen by the highest.
    older = {root_file(n) for n in range(1, number)}
    files = {name: data for name, data in stored_files(tree).items() if name not in older}
    files |= {f"blobs/{entry.sha256}": archive_file(tree, entry).read_bytes() for entry in entries}
    if url:
        files["url"] = url.encode() + b"\n"
    _replace(target, pinned, files)
    return Bundle(number, trust.revocations.version, entries)


def refuse_other_content(home: AuthorityHome, archives: Collection[bytes]) -> None:
    """Return if each of these archives is the best that is published of its component: what a worker would run.

    Raises:
        AuthorityError: it is not; names all of them.
        TrustError: an archive is unsound, or what is published does not verify.
    """
    trust = home.trust()
    other = []
    for data in archives:
        manifest = read_component(data, "this checkout").manifest
        best = candidates(trust, manifest.class_id, manifest.api)
        if not best or not best[0].is_content(data):
            published = f"v{best[0].version}" if best else "none"
            other.append(f"{manifest.name} v{manifest.version} ({published} is published)")
    if other:
        raise AuthorityError(
            f"this checkout holds other components than are published: {', '.join(other)}",
            remedy="publish them, with a higher version where the content changed; or pack what is published, with "
            "--as-published",
        )


def _replace(target: Path, root: bytes, files: dict[str, bytes]) -> None:
    new, old = target / f".{_BUNDLE}.new", target / f".{_BUNDLE}.old"
    for left in (new, old):
        if left.exists():
            shutil.rmtree(left)
    try:
        for name, data in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(new / name, data, only_writer=True)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        raise
    (target / _ROOT).unlink(missing_ok=True)
    sync_folder(target)
    if (target / _BUNDLE).exists():
        (target / _BUNDLE).rename(old)
    new.rename(target / _BUNDLE)
    write_whole(target / _ROOT, root, only_writer=True)
    if old.exists():
        shutil.rmtree(old)
