"""Collects the installed components: every folder with a component.toml, as manifest and bytes. Application only.

Each file is read once, and what was read is what is hashed, packed and run: there is no second look at the disk.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import drm
from drm.errors import TrustError
from drm.trust.archive import Component, pack
from drm.trust.manifest import DESCRIPTION, MAX_FILES, parse_description

__all__ = ["collect_components", "pack_components"]

_MAX_FILE: Final = 1 << 20  # bytes of one source file


def collect_components(parent: Path | None = None) -> list[Component]:
    """Return the components below `parent`, which holds `ita` and `drm`; without it, those installed with this package.

    Raises:
        TrustError: one of them is unsound.
        OSError: a file cannot be read, or is a link.
    """
    root = Path(drm.__file__ or "").resolve().parent.parent if parent is None else parent
    folders = (root / "ita", *sorted((root / "drm" / "components").glob("*/")))
    return [_component(folder, root) for folder in folders if (folder / DESCRIPTION).is_file()]


def pack_components() -> bytes:
    """Return the installed components as the bundle that a worker takes. Raises as `collect_components`."""
    return pack(collect_components())


def _component(folder: Path, root: Path) -> Component:
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix == ".py" or path == folder / DESCRIPTION]
    if len(paths) > MAX_FILES:
        raise TrustError(f"a component holds {len(paths)} files, more than {MAX_FILES}", where=str(folder))
    files = {path.relative_to(root).as_posix(): _read(path) for path in paths}
    described = parse_description(files[(folder / DESCRIPTION).relative_to(root).as_posix()], str(folder))
    return Component.of(described, files)


def _read(path: Path) -> bytes:
    """Read a file once, whole, and no link."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        data = file.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise TrustError(f"a component's file has more than {_MAX_FILE} bytes", where=str(path))
    return data
