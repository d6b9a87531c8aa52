"""Components as bytes: one deterministic bundle of manifests and files, packed and unpacked without I/O.

The packer is not trusted. A component that `unpack` returns is whole: every file that its manifest lists is there,
as listed, once, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from drm.errors import DuplicateFileError, TrustError
from drm.trust.manifest import ComponentDescription, ComponentManifest, parse_manifest

__all__ = ["MAX_BUNDLE", "Component", "pack", "unpack"]

MAX_BUNDLE: Final = 16 << 20  # bytes
_MAX_COMPONENTS: Final = 64


class _Packed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    manifest: bytes
    members: list[tuple[str, bytes]]  # pairs and no map: in a map, the second of two equal names would win unseen


class _Bundle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="components-1"):
    components: list[_Packed]


_decoder = msgspec.msgpack.Decoder(_Bundle)


class Component:
    """A manifest and exactly the files that it lists, verified when it was made."""

    def __init__(self, manifest: ComponentManifest, members: Iterable[tuple[str, bytes]]) -> None:
        """Verify every member. Raises the TrustError that names the first fault."""
        files: dict[str, bytes] = {}
        for path, data in members:
            manifest.check_place(path)
            if path in files:
                raise DuplicateFileError(f"{manifest.name} v{manifest.version} holds {path} twice")
            files[path] = manifest.verified(path, data)
        if lacking := manifest.files.keys() - files.keys():
            raise TrustError(f"{manifest.name} v{manifest.version} lacks {min(lacking)}, which it lists")
        self._manifest = manifest
        self._files = files

    @classmethod
    def of(cls, described: ComponentDescription, files: Mapping[str, bytes]) -> Component:
        """Make a component of files that are trusted as they are. Raises TrustError for one that is out of place."""
        return cls(ComponentManifest.listing(described, files), files.items())

    @property
    def manifest(self) -> ComponentManifest:
        """What vouches for the files."""
        return self._manifest

    @property
    def files(self) -> Mapping[str, bytes]:
        """Verified bytes by path relative to the platform's parent folder."""
        return self._files


def pack(components: Iterable[Component]) -> bytes:
    """Return the bundle: the same bytes for the same components, in whatever order they come."""
    ordered = sorted(components, key=lambda component: component.manifest.name)
    packed = [_Packed(c.manifest.encode(), sorted(c.files.items())) for c in ordered]
    return msgspec.msgpack.encode(_Bundle(packed))


def unpack(data: bytes) -> list[Component]:
    """Read a bundle and verify all of it. Raises TrustError."""
    if len(data) > MAX_BUNDLE:
        raise TrustError(f"a bundle of components has {len(data)} bytes, more than {MAX_BUNDLE}")
    try:
        bundle = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TrustError(f"this is not a bundle of components: {error}") from None
    if len(bundle.components) > _MAX_COMPONENTS:
        raise TrustError(f"a bundle holds {len(bundle.components)} components, more than {_MAX_COMPONENTS}")
    return [Component(parse_manifest(packed.manifest), packed.members) for packed in bundle.components]
