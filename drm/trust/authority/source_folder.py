"""A component's folder as its author has it, read once: what was read is what is hashed, packed, signed and run."""

from __future__ import annotations

import os
from pathlib import Path

from drm.errors import TrustError
from drm.trust.component_archive import MAX_ARCHIVE, MAX_MEMBER, pack_archive
from drm.trust.manifest import DESCRIPTION, MAX_FILES

__all__ = ["archive_of", "read_folder"]


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return the files of a component, `component.toml` and modules, by their names relative to its folder.

    Raises:
        TrustError: there is no component.toml, or too many or too large files.
        OSError: a file cannot be read, or is a link.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix == ".py" or path == folder / DESCRIPTION]
    if len(paths) > MAX_FILES:
        raise TrustError(f"a component holds {len(paths)} files, more than {MAX_FILES}", where=str(folder))
    if folder / DESCRIPTION not in paths:
        raise TrustError(f"there is no {DESCRIPTION} in this folder", where=str(folder))
    return {path.relative_to(folder).as_posix(): _read(path, MAX_MEMBER) for path in paths}


def archive_of(source: Path) -> bytes:
    """Return the archive of a component's folder, or the archive that `source` is. Raises as `read_folder`."""
    return pack_archive(read_folder(source)) if source.is_dir() else _read(source, MAX_ARCHIVE)


def _read(path: Path, limit: int) -> bytes:
    """Read a file once, whole, and no link."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise TrustError(f"a component's file has more than {limit} bytes", where=str(path))
    return data
