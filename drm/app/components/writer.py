"""What the one writer of a component store may do to it. Application only.

Every change is made in tmp/, written through to the disk, and then given its name by one rename: a process that is
killed, or a machine that is switched off, leaves the old or the new, and at worst something in tmp/.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from drm.app.components.generation import STATE_FILE, RefreshState
from drm.whole_file import sync_folder

__all__ = ["BLOBS", "CURRENT", "GENERATIONS", "SCRATCH", "StoreWriter", "number_shown"]

BLOBS: Final = "blobs"
CURRENT: Final = "current"
GENERATIONS: Final = "generations"
SCRATCH: Final = "tmp"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,15}")
_SHOWN: Final = re.compile(rf"{GENERATIONS}/([1-9][0-9]{{0,16}})")
_OLDER: Final = 2  # generations before the current one that are kept, for readers that are in them


def number_shown(target: str) -> int | None:
    """The number of the generation that CURRENT shows when it is a link to `target`; None: it is no link of ours."""
    match = _SHOWN.fullmatch(target)
    return int(match[1]) if match else None


class StoreWriter:
    """Writes to a store whose lock the caller holds; `ComponentStore.writing` gives one. Everything raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._generations = folder / GENERATIONS
        self._blobs = folder / BLOBS
        self._scratch = folder / SCRATCH

    def prepare(self) -> None:
        """Make the folders, and empty the one for scratch."""
        for folder in (self._generations, self._blobs, self._scratch):
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
        number = max(self._numbers(), default=0) + 1
        draft.rename(self._generations / str(number))
        sync_folder(self._generations)
        link = self._draft()
        link.symlink_to(Path(GENERATIONS) / str(number))
        self._put(link, self._folder / CURRENT)
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
        """Remove generations that are too old, and those that a killed writer never showed."""
        try:
            shown = number_shown(str((self._folder / CURRENT).readlink()))
        except OSError:
            return
        if shown is None:
            return
        older = sorted((number for number in self._numbers() if number < shown), reverse=True)
        for number in set(self._numbers()) - {shown, *older[:_OLDER]}:
            aside = self._draft()  # a reader then misses all of it, and not one file
            (self._generations / str(number)).rename(aside)
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

    def _numbers(self) -> Iterator[int]:
        return (int(path.name) for path in self._generations.iterdir() if _NUMBER.fullmatch(path.name))


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
