"""The published files: numbered trees of which the highest is published, so that a change is there whole or not at all.

trees/7/                     what is published: metadata/ and targets/; files are shared between trees as hard links
trees/.8/                    being made
repository -> trees/7        the door for a server, made again whenever it does not lead there

Nothing hangs on a link: in a copy of the folder that was made without any, `repository` is a folder, and the next
change puts the link back.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from drm.errors import StorageError
from drm.whole_file import sync_folder

__all__ = ["Trees"]

_LINK: Final = "repository"
_TREES: Final = "trees"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")


class Trees:
    """The trees of one authority. The caller holds the authority's lock while it changes any."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.shown = home / _LINK  # what a server serves

    def number(self) -> int:
        """The number of the tree that is published; 0: none yet."""
        folder = self._home / _TREES
        names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
        return max((int(name) for name in names if _NUMBER.fullmatch(name)), default=0)

    @property
    def published(self) -> Path:
        """The place of the tree that is published."""
        return self.folder(self.number())

    def folder(self, number: int) -> Path:
        """The place of a tree."""
        return self._home / _TREES / str(number)

    def stage(self, number: int, is_kept: Callable[[Path], bool], source: Path | None = None) -> Path:
        """Make the tree `number` of those files that `is_kept` (by path in the tree). Return it.

        They come from the folder `source`; without one, from the published tree, if there is one.
        """
        new = self._draft(number)
        self.discard(number)
        for part in ("metadata", "targets"):
            (new / part).mkdir(parents=True)
        old = source or self.published
        if old.is_dir():
            for path in sorted(old.rglob("*")):
                place = path.relative_to(old)
                if path.is_file() and not path.name.startswith(".") and is_kept(place):
                    (new / place).parent.mkdir(parents=True, exist_ok=True)
                    _share(path, new / place) if old == self.published else shutil.copyfile(path, new / place)
        return new

    def discard(self, number: int) -> None:
        """Remove a tree that is not published."""
        if self._draft(number).exists():
            shutil.rmtree(self._draft(number))

    def show(self, number: int) -> None:
        """Publish the tree `number`."""
        draft = self._draft(number)
        for folder in [path for path in draft.rglob("*") if path.is_dir()]:
            sync_folder(folder)
        sync_folder(draft)
        draft.rename(self.folder(number))
        sync_folder(draft.parent)
        self.open_door()

    def open_door(self) -> None:
        """Let `shown` lead to the published tree. Raises StorageError where something of another's is in its place."""
        wanted = Path(_TREES) / str(self.number())
        if self.shown.is_symlink() and self.shown.readlink() == wanted:
            return
        aside = self._home / f".{_LINK}.old"
        if self.shown.is_dir() and not self.shown.is_symlink():
            if {path.name for path in self.shown.iterdir()} - {"metadata", "targets"}:
                raise StorageError(
                    "there are files of another's where the published files are to be served from",
                    where=str(self.shown),
                    remedy=f"move {self.shown} away",
                )
            self.shown.rename(aside)  # a copy of a tree, by whoever copied the authority without its links
        draft = self._home / f".{_LINK}.new"
        draft.unlink(missing_ok=True)
        draft.symlink_to(wanted)
        draft.rename(self.shown)
        sync_folder(self._home)
        if aside.exists():
            shutil.rmtree(aside)

    def prune(self) -> None:
        """Remove all trees but the one that is published and the one before it, in which readers may still be."""
        number = self.number()
        for path in sorted((self._home / _TREES).iterdir()):
            if path.name not in (str(number), str(number - 1)):
                shutil.rmtree(path)

    def _draft(self, number: int) -> Path:
        return self._home / _TREES / f".{number}"


def _share(path: Path, other: Path) -> None:
    try:
        os.link(path, other)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, other)
