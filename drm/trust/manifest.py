"""What a component is: its description (component.toml), and the manifest that lists its files by sha256.

Pure. A manifest vouches for bytes: nothing of a component runs that did not come back from `verified`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import sys
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Final
from uuid import UUID

import msgspec

from drm.errors import AlteredFileError, ShadowingError, TrustError, UnlistedFileError, WrongNamespaceError

__all__ = [
    "DESCRIPTION",
    "MAX_FILES",
    "PLATFORM_API",
    "ComponentDescription",
    "ComponentManifest",
    "parse_description",
    "parse_manifest",
]

DESCRIPTION: Final = "component.toml"  # the file in a component's folder that describes it
MAX_FILES: Final = 256  # of one component
PLATFORM_API: Final = 1  # of the protocols in drm.component, as this version has them
_MAX_MANIFEST: Final = 256 << 10  # bytes
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_VERSION = re.compile(r"\d{1,6}(\.\d{1,6}){1,3}")
_ENTRY_POINT = re.compile(r"((ita|drm\.components\.[a-z][a-z0-9_]*)(?:\.[a-z_][a-z0-9_]*)*):([A-Za-z_][A-Za-z0-9_]*)")
_FILE = re.compile(r"[A-Za-z0-9_]+(?:/[A-Za-z0-9_]+)*\.(?:py|toml)")

_Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class ComponentDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a component says of itself."""

    name: str
    class_id: UUID
    version: str  # dotted numbers
    api: int  # of the protocols in drm.component that it keeps
    entry_point: str  # "package.module:Class"
    requires: tuple[str, ...] = ()  # modules that it imports from outside its own folder and the standard library

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > 64:
            raise ValueError(f"a component's name is lower-case words with '-' between, not {self.name[:80]!r}")
        if not _VERSION.fullmatch(self.version):
            raise ValueError(f"a version is two to four numbers with dots, not {self.version[:80]!r}")
        if not _ENTRY_POINT.fullmatch(self.entry_point):
            raise ValueError(
                f"an entry point is ita.module:Class or drm.components.name.module:Class, not {self.entry_point[:80]!r}"
            )

    @property
    def package(self) -> str:
        """The Python package that the component owns: `ita`, or one in `drm.components`."""
        parts = self.module.split(".")
        return ".".join(parts[: 1 if parts[0] == "ita" else 3])

    @property
    def folder(self) -> str:
        """The folder that the component owns, relative to the platform's parent folder; ends in '/'."""
        return self.package.replace(".", "/") + "/"

    @property
    def module(self) -> str:
        """The module of the entry point."""
        return self.entry_point.partition(":")[0]

    @property
    def class_name(self) -> str:
        """The class of the entry point."""
        return self.entry_point.partition(":")[2]


class ComponentManifest(ComponentDescription, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A component's description, and every file of it by sha256 (64 hex digits)."""

    files: dict[str, _Sha256]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.files) > MAX_FILES:
            raise ValueError(f"{self.name} lists {len(self.files)} files, more than {MAX_FILES}")
        for path in self.files:
            self.check_place(path)

    def check_place(self, path: str) -> None:
        """Return if `path` is a place for a file of this component. Raises ShadowingError or WrongNamespaceError."""
        if path.startswith(self.folder) and _FILE.fullmatch(path):
            return
        root = PurePosixPath(path).parts[0].partition(".")[0] if path else ""
        if root in sys.stdlib_module_names or (root == "drm" and not path.startswith("drm/components/")):
            raise ShadowingError(
                f"{self.name} v{self.version} holds {path[:200]!r}, a module that is not a component's"
            )
        raise WrongNamespaceError(f"{self.name} v{self.version} holds {path[:200]!r}, outside {self.folder}")

    def verified(self, path: str, data: bytes) -> bytes:
        """Return `data` if it is the listed content of `path`.

        Raises:
            UnlistedFileError: the manifest lists no such path.
            AlteredFileError: it does, with another content.
        """
        listed = self.files.get(path)
        if listed is None:
            raise UnlistedFileError(f"{self.name} v{self.version} lists no {path[:200]!r}")
        if not hmac.compare_digest(listed, hashlib.sha256(data).hexdigest()):
            raise AlteredFileError(f"{path} is not the file that {self.name} v{self.version} lists")
        return data

    def encode(self) -> bytes:
        """The manifest as bytes, the same for the same content."""
        return msgspec.json.encode(self, order="deterministic")

    @property
    def digest(self) -> str:
        """Sha256 of the encoded manifest, 64 hex digits: what reports and licenses call this component by."""
        return hashlib.sha256(self.encode()).hexdigest()

    @classmethod
    def listing(cls, described: ComponentDescription, files: Mapping[str, bytes]) -> ComponentManifest:
        """Make the manifest of a component from its files. Raises TrustError for one that is out of place."""
        hashes = {path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())}
        fields = {name: getattr(described, name) for name in ComponentDescription.__struct_fields__}
        try:
            return cls(**fields, files=hashes)
        except ValueError as error:
            raise TrustError(str(error)) from None


def parse_manifest(data: bytes) -> ComponentManifest:
    """Read an encoded manifest. Raises TrustError."""
    if len(data) > _MAX_MANIFEST:
        raise TrustError(f"a component's manifest has {len(data)} bytes, more than {_MAX_MANIFEST}")
    try:
        return msgspec.json.decode(data, type=ComponentManifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TrustError(f"this is not a component's manifest: {error}") from None


def parse_description(data: bytes, where: str) -> ComponentDescription:
    """Read a component.toml; `where` names it in the error. Raises TrustError."""
    try:
        return msgspec.toml.decode(data, type=ComponentDescription)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TrustError(f"the component's description cannot be read: {error}", where=where) from None
