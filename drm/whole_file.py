"""A file that is either whole or not there: written beside its place, synced, renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["atomic_file", "atomic_path"]


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give the path of a new, empty file that takes the place of `path` when the block ends well.

    Otherwise nothing is left of it. Readers see the old file or the new one, also across a power cut. For writers that
    want a path; others take `atomic_file`. Raises OSError as writing does.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """The same, open for writing and reading."""
    with atomic_path(path) as beside, beside.open("r+b") as file:
        yield file


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last. Not every file system can; then the file is at least whole."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
