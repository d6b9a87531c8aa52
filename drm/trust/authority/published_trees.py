"""The published files: numbered trees of which one is shown, so that readers see a change whole or not at all.

repository -> trees/7        what a server serves: metadata/ and targets/
trees/7/                     never changed once it is shown; files are shared between trees as hard links
trees/8/                     being made
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
        """The number of the tree that is shown; 0: none yet. Raises StorageError."""
        try:
            target = self.shown.readlink()
        except FileNotFoundError:
            return 0
        except OSError:
            raise StorageError(f"{self.shown} is not the link that it must be") from None
        if target.parent.name != _TREES or not _NUMBER.fullmatch(target.name):
            raise StorageError(f"{self.shown} shows {target}, which is none of the authority's trees")
        return int(target.name)

    def folder(self, number: int) -> Path:
        """The place of a tree."""
        return self._home / _TREES / str(number)

    def stage(self, number: int, is_kept: Callable[[Path], bool]) -> Path:
        """Make the tree `number` of those files of the shown one that `is_kept` (by path in the tree). Return it."""
        new = self.folder(number)
        self.discard(number)
        for part in ("metadata", "targets"):
            (new / part).mkdir(parents=True)
        shown = self.number()
        if shown:
            old = self.folder(shown)
            for path in sorted(old.rglob("*")):
                place = path.relative_to(old)
                if path.is_file() and not path.name.startswith(".") and is_kept(place):
                    (new / place).parent.mkdir(parents=True, exist_ok=True)
                    try:
                        os.link(path, new / place)
                    except OSError:  # a file system without hard links
                        shutil.copyfile(path, new / place)
        return new

    def discard(self, number: int) -> None:
        """Remove a tree that is not shown."""
        if self.folder(number).exists():
            shutil.rmtree(self.folder(number))

    def show(self, number: int) -> None:
        """Let readers see the tree `number` from now on."""
        for folder in [path for path in self.folder(number).rglob("*") if path.is_dir()]:
            sync_folder(folder)
        sync_folder(self.folder(number).parent)
        draft = self._home / f".{_LINK}.new"
        draft.unlink(missing_ok=True)
        draft.symlink_to(Path(_TREES) / str(number))
        draft.rename(self.shown)
        sync_folder(self._home)

    def prune(self) -> None:
        """Remove all trees but the one that is shown and the one before it, in which readers may still be."""
        shown = self.number()
        for path in sorted((self._home / _TREES).glob("*")):
            if path.name not in (str(shown), str(shown - 1)):
                shutil.rmtree(path)
