"""Collects the installed components: every folder with a component.toml. Application only.

Each file is read once, and what was read is what is hashed, packed and run: there is no second look at the disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import drm
from drm.trust.archive import Component, pack
from drm.trust.authority.source_folder import archive_of, read_folder
from drm.trust.manifest import DESCRIPTION, parse_description

__all__ = ["collect_archives", "collect_components", "component_folders", "pack_components"]


def component_folders(parent: Path | None = None) -> list[Path]:
    """Return the folders of the components below `parent`, which holds `ita` and `drm`.

    Without it: of those that are installed with this package.
    """
    root = Path(drm.__file__ or "").resolve().parent.parent if parent is None else parent
    folders = (root / "ita", *sorted((root / "drm" / "components").glob("*/")))
    return [folder for folder in folders if (folder / DESCRIPTION).is_file()]


def collect_archives(more: Iterable[Path] = ()) -> list[bytes]:
    """Return the archive of each installed component, and of those in `more`: folders, or archives made of them.

    A folder of your own holds what drm/components/hash_sink does: `component.toml`, and modules that import one another
    under the package that the description names, drm.components.NAME.

    Raises:
        TrustError: one of them is unsound.
        OSError: a file cannot be read, or is a link.
    """
    return [archive_of(source) for source in (*component_folders(), *more)]


def collect_components(parent: Path | None = None) -> list[Component]:
    """Return the components in `component_folders(parent)`. Raises as `collect_archives`."""
    return [_component(folder) for folder in component_folders(parent)]


def pack_components(more: Iterable[Path] = ()) -> bytes:
    """Return the installed components, and those in the folders `more`, as the bundle that a worker takes.

    Raises as `collect_archives`.
    """
    return pack([*collect_components(), *(_component(folder) for folder in more)])


def _component(folder: Path) -> Component:
    """Read a component; its files take the places that its own description claims, wherever the folder lies."""
    files = read_folder(folder)
    described = parse_description(files[DESCRIPTION], str(folder))
    return Component.of(described, {described.folder + place: data for place, data in files.items()})
