"""One archive as signed metadata lists it. Pure; works in both processes."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Final
from uuid import UUID

import msgspec

from drm.trust.archive import Component
from drm.trust.component_archive import MAX_ARCHIVE, read_component
from drm.trust.errors import ComponentDamagedError, MetadataError
from drm.trust.manifest import ComponentDescription
from drm.trust.versions import VersionKey, version_key

__all__ = ["Entry", "Facts", "entry_of", "facts_of", "target_path"]

_DIFFERS: Final = "the archive says something else of itself than the metadata that lists it"


class Facts(msgspec.Struct, frozen=True):
    """What metadata says of an archive beside its hash, so that candidates are known without opening any."""

    clsid: UUID
    name: Annotated[str, msgspec.Meta(max_length=64)]
    version: Annotated[str, msgspec.Meta(max_length=40)]
    api: int
    entry_point: Annotated[str, msgspec.Meta(max_length=300)]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that a verified role lists."""

    class_id: UUID
    name: str
    version: str
    api: int
    entry_point: str
    sha256: str
    length: int  # bytes
    key_ids: tuple[str, ...]  # that signed the role which lists it

    @property
    def version_key(self) -> VersionKey:
        """What the version compares as."""
        return version_key(self.version)

    def is_content(self, data: bytes) -> bool:
        """Whether `data` is exactly the archive that was signed."""
        return len(data) == self.length and hmac.compare_digest(hashlib.sha256(data).hexdigest(), self.sha256)

    def component(self, data: bytes) -> Component:
        """Return the component in `data`, which must be the archive that was signed.

        Raises:
            ComponentDamagedError: it is not, or it is and describes itself otherwise than the metadata does.
            TrustError: it cannot be read as an archive.
        """
        where = f"{self.name} v{self.version}"
        if not self.is_content(data):
            raise ComponentDamagedError(f"the archive of {where} is not the one that was signed")
        component = read_component(data, where)
        described = facts_of(component.manifest)
        if described != Facts(self.class_id, self.name, self.version, self.api, self.entry_point):
            raise ComponentDamagedError(_DIFFERS, where=where)
        return component


def facts_of(described: ComponentDescription) -> Facts:
    """Return what metadata says of the component that describes itself so."""
    return Facts(described.class_id, described.name, described.version, described.api, described.entry_point)


def target_path(class_id: UUID, version: str) -> str:
    """The path under which metadata lists an archive."""
    return f"components/{class_id}/{version}.zip"


def entry_of(path: str, facts: object, sha256: str, length: int, key_ids: tuple[str, ...]) -> Entry:
    """Read what metadata says of the archive at `path`. Raises MetadataError where it contradicts itself."""
    try:
        said = msgspec.convert(facts, Facts)
        version_key(said.version)
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        raise MetadataError(f"metadata lists {path[:200]!r} without saying what it is: {error}") from None
    if path != target_path(said.clsid, said.version):
        raise MetadataError(f"metadata lists {said.name} v{said.version} at {path[:200]!r}, another one's place")
    if not 0 < length <= MAX_ARCHIVE:
        raise MetadataError(f"metadata lists {path} with {length} bytes; an archive has at most {MAX_ARCHIVE}")
    return Entry(
        class_id=said.clsid,
        name=said.name,
        version=said.version,
        api=said.api,
        entry_point=said.entry_point,
        sha256=sha256,
        length=length,
        key_ids=key_ids,
    )
