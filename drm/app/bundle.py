"""Collects the installed components: every folder with a component.toml, as manifest and bytes. Application only.

Each file is read once, and what was read is what is hashed, packed and run: there is no second look at the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
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
    return [_component(folder) for folder in folders if (folder / DESCRIPTION).is_file()]


def pack_components(more: Iterable[Path] = ()) -> bytes:
    """Return the installed components as the bundle that a worker takes, and with them those in the folders `more`.

    A folder of your own holds what drm/components/hash_sink does: `component.toml`, and modules that import one another
    under the package that the description names, drm.components.NAME. Raises as `collect_components`.
    """
    return pack([*collect_components(), *(_component(folder) for folder in more)])


def _component(folder: Path) -> Component:
    """Read a component; its files take the places that its own description claims, wherever the folder lies."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix == ".py" or path == folder / DESCRIPTION]
    if len(paths) > MAX_FILES:
        raise TrustError(f"a component holds {len(paths)} files, more than {MAX_FILES}", where=str(folder))
    if folder / DESCRIPTION not in paths:
        raise TrustError(f"there is no {DESCRIPTION} in this folder", where=str(folder))
    read = {path.relative_to(folder).as_posix(): _read(path) for path in paths}
    described = parse_description(read[DESCRIPTION], str(folder))
    return Component.of(described, {described.folder + place: data for place, data in read.items()})


def _read(path: Path) -> bytes:
    """Read a file once, whole, and no link."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        data = file.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise TrustError(f"a component's file has more than {_MAX_FILE} bytes", where=str(path))
    return data
