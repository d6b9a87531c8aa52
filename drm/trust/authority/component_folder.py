"""Sign a component: put its archive among those that wait to be published."""

from __future__ import annotations

from pathlib import Path

from drm.errors import AuthorityError
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.source_folder import archive_of
from drm.trust.component_archive import read_component
from drm.trust.manifest import DESCRIPTION, ComponentDescription
from drm.whole_file import write_whole

__all__ = ["sign"]


def sign(home: AuthorityHome, source: Path) -> tuple[ComponentDescription, Path]:
    """Put the archive of a component (a folder or an archive) among those that wait. Return what it is, and where.

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
        write_whole(path, data, only_writer=True)
    return described, path
