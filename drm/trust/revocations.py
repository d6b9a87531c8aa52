"""The revocation list: which copies of components must not run, why, and what takes their place.

Pure: bytes in, an indexed list out. The bytes come from a signed target, but are read as if they came from an enemy:
bounded, strictly typed, and refused as a whole when one entry makes no sense. Unknown members are ignored, so that
hints can be added; an entry without a matcher that is known here would revoke nothing, so it is an error.
"""

from __future__ import annotations

import enum
import hashlib
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec

from drm.trust.errors import ListFormatError, RevocationListError
from drm.trust.versions import VersionKey, version_key

__all__ = ["MAX_LIST", "Reason", "Renewal", "Revocation", "RevocationList", "parse_revocations"]

MAX_LIST: Final = 4 << 20  # bytes: about 20,000 entries
_FORMAT: Final = 1

_Hex256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Short = Annotated[str, msgspec.Meta(max_length=2000)]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Reason(enum.Enum):
    """Why something was revoked."""

    KEY_COMPROMISE = "key-compromise"
    FLAW = "flaw"
    LICENCE = "licence"
    SUPERSEDED = "superseded"


class Renewal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A hint for the user. What replaces a component is chosen from signed metadata, never from here."""

    version: _Short = ""
    page: _Short = ""  # text or an address


class Revocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry. It revokes what any one of its matchers matches."""

    id: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,64}$")]
    class_id: UUID | None = msgspec.field(default=None, name="clsid")
    sha256: tuple[_Hex256, ...] = ()  # of archives, whoever signed them
    versions: tuple[str, ...] = ()  # of clsid
    below: str | None = None  # every version of clsid under this one
    keyid: _Hex256 | None = None  # archives listed by a role that this key signed
    reason: Reason
    text: _Short = ""
    severity: Literal["block"] = "block"
    renewal: Renewal | None = None

    def __post_init__(self) -> None:
        for text in (*self.versions, *(() if self.below is None else (self.below,))):
            version_key(text)
        if (self.versions or self.below is not None) and self.class_id is None:
            raise ValueError(f"entry {self.id} names versions of no class id")
        if not (self.versions or self.below is not None or self.sha256 or self.keyid):
            raise ValueError(f"entry {self.id} matches nothing: it has no sha256, versions, below or keyid")

    def matches(self, class_id: UUID, version: VersionKey, sha256: str, key_ids: Collection[str]) -> bool:
        """Whether this entry revokes that archive. `key_ids`: of the keys that signed the role which lists it."""
        if sha256 in self.sha256 or (self.keyid is not None and self.keyid in key_ids):
            return True
        if class_id != self.class_id:
            return False
        if self.below is not None and version < version_key(self.below):
            return True
        return any(version == version_key(text) for text in self.versions)

    def describe(self) -> str:
        """The entry in a line for people."""
        said = f"{self.id}: {self.reason.value}"
        return f"{said}, {self.text}" if self.text else said


class _Head(msgspec.Struct, frozen=True):
    format: int


class _Body(msgspec.Struct, frozen=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=(1 << 53) - 1)]
    issued: _Time
    entries: tuple[Revocation, ...]


class RevocationList:
    """A list that was read: its number, its date, its entries, and a quick way to the entry that matters."""

    def __init__(self, version: int, issued: datetime, entries: tuple[Revocation, ...], content_digest: str) -> None:
        """Index the entries; use `parse_revocations`."""
        self.version = version
        self.issued = issued
        self.entries = entries
        self.content_digest = content_digest  # sha256 of everything but the date: one number, one digest
        self._by_sha256: dict[str, Revocation] = {}
        self._by_class: defaultdict[UUID, list[Revocation]] = defaultdict(list)
        self._by_key: dict[str, Revocation] = {}
        for entry in entries:
            for sha256 in entry.sha256:
                self._by_sha256.setdefault(sha256, entry)
            if entry.class_id is not None:
                self._by_class[entry.class_id].append(entry)
            if entry.keyid is not None:
                self._by_key.setdefault(entry.keyid, entry)

    def find(
        self, class_id: UUID, version: VersionKey, sha256: str, key_ids: Collection[str] = ()
    ) -> Revocation | None:
        """Return the entry that revokes this archive, or None. `key_ids`: see `Revocation.matches`."""
        if sha256 in self._by_sha256:
            return self._by_sha256[sha256]
        for entry in self._by_class.get(class_id, ()):
            if entry.matches(class_id, version, sha256, key_ids):
                return entry
        return next((self._by_key[key_id] for key_id in key_ids if key_id in self._by_key), None)


def parse_revocations(data: bytes) -> RevocationList:
    """Read a list.

    Raises:
        ListFormatError: its format is not 1; a newer version of this package may know it.
        RevocationListError: it is no list, too large, or an entry of it makes no sense.
    """
    if len(data) > MAX_LIST:
        raise RevocationListError(f"the revocation list has {len(data)} bytes, more than {MAX_LIST}")
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.format != _FORMAT:
            raise ListFormatError(
                f"the revocation list is of format {head.format}, and this version knows format {_FORMAT}",
                remedy="install a newer version of clearkey",
            )
        body = msgspec.json.decode(data, type=_Body)
        whole: dict[str, Any] = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RevocationListError(f"this is not a revocation list: {error}") from None
    if len({entry.id for entry in body.entries}) != len(body.entries):
        raise RevocationListError("two entries of the revocation list have one id")
    del whole["issued"]
    digest = hashlib.sha256(msgspec.json.encode(whole, order="deterministic")).hexdigest()
    return RevocationList(body.version, body.issued, body.entries, digest)
