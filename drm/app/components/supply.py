"""Where the components of a worker come from: the package's bundle, the store, and a development authority.

Application only. What is gathered here is handed to the worker as it is: nothing of it is believed there. An update
goes to the store, and counts from the next snapshot on.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from drm.app.components.development import DevelopmentAuthority
from drm.app.components.generation import UNREADABLE, Generation
from drm.app.components.installed import component_folders
from drm.app.components.release import packaged_archives, packaged_generation, packaged_root, packaged_url
from drm.app.components.store import ComponentStore
from drm.app.components.trust import ComponentTrust
from drm.class_ids import BUILT_IN
from drm.errors import InvalidArgumentError
from drm.launch.device_key import home_folder
from drm.trust.authority.source_folder import archive_of
from drm.trust.component_archive import MAX_TOGETHER, unpack_archive
from drm.trust.manifest import DESCRIPTION, parse_description
from drm.trust.snapshot import StoredTrust, TrustSnapshot

if TYPE_CHECKING:
    from drm.app.components.updater import UpdateResult

__all__ = ["ComponentSupply"]

_LOOKS: Final = 3  # at a store that changes while it is read
_RELEASE: Final = "release"  # name of the store of what the package's own root vouches for


class ComponentSupply:
    """What one worker, or one command, may run. Any thread."""

    def __init__(self, trust: ComponentTrust | None = None, folders: Sequence[Path] = ()) -> None:
        """`folders` hold components of one's own, which a development authority signs: they make a session test-signed.

        Raises StorageError where the user's data folder cannot be written to.
        """
        trust = trust or ComponentTrust()
        self._trust = trust
        self._folders = tuple(folders)
        self._pinned = packaged_root() if trust.root is None else None
        self._root = trust.root if trust.root is not None else self._pinned  # an empty one is none that was left out
        self.repository = trust.repository or (packaged_url() if self._pinned is not None else "")
        name = _RELEASE if trust.root is None else hashlib.sha256(trust.root).hexdigest()[:16]
        self.store = ComponentStore(trust.store or home_folder() / "trust" / name)

    def snapshot(self) -> TrustSnapshot:
        """Gather everything at hand.

        Raises:
            TrustError: a folder holds no sound component.
            StorageError: a development authority is needed and cannot be kept.
            OSError: a component's file cannot be read, or is a link.
        """
        sources: list[StoredTrust] = []
        archives: dict[str, bytes] = {}
        if self._root is not None:
            floor = self.store.floor()  # first: what is read after it is at least as new
            current, archives = self._installed()
            files = current.files if current is not None else {}
            refreshed = current.refreshed if current is not None else None
            sources.append(StoredTrust(dict(files), self._trust.root, refreshed, floor))
        signed_here = self._signed_here()
        if signed_here:
            # First: of two archives of one version the developer's own is the one that is meant.
            sources.insert(0, DevelopmentAuthority(development_folder()).vouch(signed_here))
            archives |= {hashlib.sha256(archive).hexdigest(): archive for archive in signed_here}
        return TrustSnapshot(tuple(sources), tuple(archives.values()), (*BUILT_IN, *self._own_class_ids()))

    def current(self) -> Generation | None:
        """The metadata in force: the package's bundle, or what was stored since; the newer one."""
        stored = self.store.read()
        bundle = packaged_generation() if self._pinned is not None else None
        if stored is None or bundle is None:
            return stored or bundle
        if stored.order == UNREADABLE:
            return stored  # damaged, so it fails: the older bundle would make good again what was revoked since
        return max(bundle, stored, key=lambda generation: generation.order)

    def update(
        self,
        *,
        replacements: bool = True,
        progress: Callable[[str], None] | None = None,
        received: Callable[[str, int, int | None], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> UpdateResult:
        """Renew the stored metadata, and what it replaces, from the repository.

        Args:
            replacements: also fetch the archives that take the place of what is revoked, or of older versions.
            progress: gets a line of text for each step.
            received: gets a file's URL, the bytes that came, and how many there will be.
            cancel: ends the update soon.

        Raises:
            InvalidArgumentError: nothing says where to renew from.
            UpdateError, TrustError, StorageError: see drm.app.components.updater.
        """
        if self._root is None or not self.repository:
            raise InvalidArgumentError(
                "nothing says where components are renewed from",
                maybe="clearkey runs from its sources here, and a development authority signs those",
                remedy="give --url and --root, as the publisher of the components names them",
            )
        from drm.app.components.fetcher import ComponentFetcher  # noqa: PLC0415 - with TUF's client it takes 100 ms
        from drm.app.components.updater import update_components  # noqa: PLC0415

        bundled = self._pinned is not None
        with ComponentFetcher(
            self.store.folder / "tmp", cancel=cancel, progress=received, cacert=self._trust.cacert
        ) as fetcher:
            return update_components(
                self.store,
                self._root,
                self.repository,
                fetcher,
                base=packaged_generation() if bundled else None,
                present=packaged_archives if bundled else dict,
                replacements=replacements,
                progress=progress,
            )

    def _installed(self) -> tuple[Generation | None, dict[str, bytes]]:
        """Metadata and archives of one moment, though an update may be under way."""
        current = self.current()
        for _ in range(_LOOKS):
            archives = self.store.archives()
            room = MAX_TOGETHER - sum(map(len, archives.values()))
            for sha256, data in (packaged_archives() if self._pinned is not None else {}).items():
                if sha256 not in archives and len(data) <= room:
                    archives[sha256] = data
                    room -= len(data)
            before, current = current, self.current()
            if (before and before.number) == (current and current.number):
                break
        return current, archives

    def _signed_here(self) -> list[bytes]:
        """The archives that a development authority is to sign."""
        built_in = component_folders() if self._root is None or self._trust.development else []
        return [_archive_of(folder) for folder in (*built_in, *self._folders)]

    def _own_class_ids(self) -> list[UUID]:
        archives = [(_archive_of(folder), folder) for folder in self._folders]
        return [parse_description(unpack_archive(data)[DESCRIPTION], str(at)).class_id for data, at in archives]


def development_folder() -> Path:
    """The development authority's place: one for each place that clearkey runs from, or two checkouts would quarrel."""
    platform = Path(__file__).resolve().parents[3]
    return home_folder() / "trust" / "development" / hashlib.sha256(os.fsencode(platform)).hexdigest()[:12]


_packed: dict[Path, tuple[tuple[tuple[str, int, int], ...], bytes]] = {}


def _archive_of(folder: Path) -> bytes:
    """The archive of a component's folder, packed anew when any file of it changed. Raises TrustError, OSError."""
    seen = _signature(folder)
    known = _packed.get(folder)
    if known is None or known[0] != seen:
        known = _packed[folder] = seen, archive_of(folder)
    return known[1]


def _signature(folder: Path) -> tuple[tuple[str, int, int], ...]:
    found: list[tuple[str, int, int]] = []
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != "__pycache__":
                        pending.append(entry.path)
                elif entry.name.endswith((".py", ".toml")):
                    status = entry.stat(follow_symlinks=False)
                    found.append((entry.path, status.st_mtime_ns, status.st_size))
    return tuple(sorted(found))
