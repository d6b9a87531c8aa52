"""A component as its author has it: a folder of files, read once, or an archive that was made of one."""

from __future__ import annotations

import os
from pathlib import Path

from drm.errors import TrustError
from drm.trust.authority.durable import write_file
from drm.trust.authority.errors import AuthorityError
from drm.trust.authority.home import AuthorityHome
from drm.trust.component_archive import MAX_ARCHIVE, MAX_MEMBER, pack_archive, read_component
from drm.trust.manifest import DESCRIPTION, MAX_FILES, ComponentDescription

__all__ = ["archive_of", "sign"]


def archive_of(source: Path) -> bytes:
    """Return the archive of a component's folder, or the archive that `source` is.

    Raises:
        TrustError: it is unsound.
        OSError: a file cannot be read, or is a link.
    """
    if not source.is_dir():
        return _read(source, MAX_ARCHIVE)
    paths = [path for path in sorted(source.rglob("*")) if path.suffix == ".py" or path == source / DESCRIPTION]
    if len(paths) > MAX_FILES:
        raise TrustError(f"a component holds {len(paths)} files, more than {MAX_FILES}", where=str(source))
    if source / DESCRIPTION not in paths:
        raise TrustError(f"there is no {DESCRIPTION} in this folder", where=str(source))
    return pack_archive({path.relative_to(source).as_posix(): _read(path, MAX_MEMBER) for path in paths})


def sign(home: AuthorityHome, source: Path) -> tuple[ComponentDescription, Path]:
    """Put the archive of a component among those that wait to be published. Return what it is, and where.

    The signature itself is the hash in the metadata that `publish` signs: an archive carries none of its own, and what
    metadata does not list is not trusted.
    """
    with home.writing(("sign", str(source))):
        data = archive_of(source)
        described = read_component(data, str(source)).manifest
        published = home.trust()
        for entry in published.components:
            if (entry.class_id, entry.version) == (described.class_id, described.version):
                if not entry.is_content(data):
                    raise AuthorityError(
                        f"another content of {described.name} v{described.version} is published",
                        where=str(source / DESCRIPTION),
                        remedy="raise the version: one version is one content",
                    )
                home.notes.append(f"{described.name} v{described.version} is published already")
        home.waiting.mkdir(exist_ok=True)
        path = home.waiting / f"{described.name}-{described.version}.zip"
        write_file(path, data)
    return described, path


def _read(path: Path, limit: int) -> bytes:
    """Read a file once, whole, and no link."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise TrustError(f"a component's file has more than {limit} bytes", where=str(path))
    return data
