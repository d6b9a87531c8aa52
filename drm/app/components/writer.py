"""What the one writer of a component store may do to it. Application only.

Every change is made in tmp/, written through to the disk, and then given its name by one rename: a process that is
killed, or a machine that is switched off, leaves the old or the new, and at worst something in tmp/.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from drm.app.components.generation import STATE_FILE, RefreshState
from drm.whole_file import sync_folder

__all__ = ["BLOBS", "FLOOR", "GENERATIONS", "REFRESH", "SCRATCH", "StoreWriter", "newest_number"]

BLOBS: Final = "blobs"
FLOOR: Final = "floor.json"
GENERATIONS: Final = "generations"
REFRESH: Final = "refresh"
SCRATCH: Final = "tmp"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_OLDER: Final = 2  # generations before the current one that are kept, for readers that are in them


def newest_number(names: Iterable[str]) -> int:
    """The number of the current generation among the names in GENERATIONS: the highest; 0: there is none."""
    return max((int(name) for name in names if _NUMBER.fullmatch(name)), default=0)


class StoreWriter:
    """Writes to a store whose lock the caller holds; `ComponentStore.writing` gives one. Everything raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._generations = folder / GENERATIONS
        self._blobs = folder / BLOBS
        self._scratch = folder / SCRATCH
        self.refresh = folder / REFRESH  # the folder of TUF's client: what it verified, in whatever became of an update

    def prepare(self) -> None:
        """Make the folders, and empty the one for scratch."""
        for folder in (self._generations, self._blobs, self.refresh, self._scratch):
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                folder.unlink()
            folder.mkdir(mode=0o700, exist_ok=True)
        for path in self._scratch.iterdir():
            _remove(path)
        self._prune()

    def clean(self) -> None:
        """Empty the scratch folder, as far as it can be."""
        with suppress(OSError):
            for path in self._scratch.iterdir():
                _remove(path)

    def scratch(self) -> Path:
        """Return a new folder for what is being made; it is removed in the end."""
        folder = self._draft()
        folder.mkdir(mode=0o700)
        return folder

    def install(self, files: Mapping[str, bytes], state: RefreshState) -> int:
        """Make `files` the current generation and return its number. They are not verified here."""
        return self.show(self.stage(files, state))

    def stage(self, files: Mapping[str, bytes], state: RefreshState) -> Path:
        """Write a generation that nobody sees yet, through to the disk; `show` makes it the current one."""
        draft = self.scratch()
        folders = {draft}
        for name, data in (*files.items(), (STATE_FILE, msgspec.json.encode(state))):
            path = draft / name
            if path.parent not in folders:
                path.parent.mkdir(mode=0o700)
                folders.add(path.parent)
            _write(path, data)
        for folder in folders:
            sync_folder(folder)
        return draft

    def show(self, draft: Path) -> int:
        """Make a staged generation the current one, remove those that are too old, and return its number."""
        number = self._newest() + 1
        draft.rename(self._generations / str(number))
        sync_folder(self._generations)
        self._prune()
        return number

    def note_refresh(self, number: int, state: RefreshState) -> None:
        """Record when a server last confirmed the generation `number`."""
        self._replace(self._generations / str(number) / STATE_FILE, msgspec.json.encode(state))

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a file of the store's own folder, if it is a plain one and no longer than `limit` bytes."""
        try:
            with os.fdopen(os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                data = file.read(limit + 1)
        except OSError:
            return None
        return data if len(data) <= limit else None

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the store's own folder."""
        self._replace(self._folder / name, data)

    def put_blob(self, sha256: str, data: bytes) -> None:
        """Store an archive, whatever stood in its place. The caller has verified it."""
        self._replace(self._blobs / sha256, data)

    def keep_blobs(self, kept: Collection[str]) -> None:
        """Remove everything beside the archives but those `kept`."""
        for path in self._blobs.iterdir():
            if path.name not in kept:
                _remove(path)

    def _prune(self) -> None:
        """Remove generations that are too old, and whatever else is none."""
        newest = self._newest()
        kept = {str(number) for number in range(newest - _OLDER, newest + 1)}
        for path in list(self._generations.iterdir()):
            if path.name not in kept:
                aside = self._draft()  # a reader then misses all of it, and not one file
                path.rename(aside)
                _remove(aside)

    def _replace(self, path: Path, data: bytes) -> None:
        draft = self._draft()
        _write(draft, data)
        self._put(draft, path)

    def _put(self, draft: Path, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            path.rename(self._draft())  # nothing of ours: a file cannot be renamed over it
        draft.rename(path)
        sync_folder(path.parent)

    def _draft(self) -> Path:
        return self._scratch / uuid4().hex

    def _newest(self) -> int:
        return newest_number(path.name for path in self._generations.iterdir())


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
