"""What people call components, archives and keys: each name that is shown is one that is understood."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

import msgspec
from tuf.api.metadata import Metadata, Targets

from drm.errors import InvalidArgumentError
from drm.trust.authority.home import AuthorityHome
from drm.trust.entry import Facts
from drm.trust.revocations import Revocation
from drm.trust.verifier import COMPONENTS

__all__ = ["Named", "describe", "names_of", "what_is_named"]

_VERSIONED: Final = re.compile(r"(?P<name>[^\s]+?)(?:\s+v?|-)(?P<version>[0-9]+(?:\.[0-9]+){1,3})(?:\.zip)?")
_HEX: Final = re.compile(r"[0-9a-f]{8,64}")
_WHOLE: Final = 64  # hex digits


class Named(msgspec.Struct, frozen=True):
    """What somebody's words stand for, as the matchers of a revocation."""

    class_id: UUID | None = None
    versions: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    keyid: str | None = None


def names_of(home: AuthorityHome) -> dict[UUID, str]:
    """Return the names of all components that are published or were so lately. Raises TrustError, OSError."""
    found: dict[UUID, str] = {}
    for path in sorted((home.trees.published / "metadata").glob(f"*.{COMPONENTS}.json")):
        for target in Metadata[Targets].from_file(str(path)).signed.targets.values():
            facts = msgspec.convert(target.custom, Facts)
            found[facts.clsid] = facts.name
    return found | {entry.class_id: entry.name for entry in home.trust().components}


def describe(revocation: Revocation, names: dict[UUID, str]) -> str:
    """Return an entry of the list in a line for people: what it revokes by name, and why."""
    called = names.get(revocation.class_id, str(revocation.class_id)) if revocation.class_id else ""
    said = [f"{called} v{version}" for version in revocation.versions]
    said += [f"{called} below v{revocation.below}"] if revocation.below else []
    said += [f"the archive {sha256[:12]}" for sha256 in revocation.sha256]
    said += [f"what the key {revocation.keyid[:12]} signed"] if revocation.keyid else []
    why = f"{revocation.reason.value}, {revocation.text}" if revocation.text else revocation.reason.value
    return f"{revocation.id}: {', '.join(said)} ({why})"


def what_is_named(home: AuthorityHome, words: str) -> Named:
    """Return what `words` stand for.

    That is a component's name or class id, also with a version; an archive or a key, by its hash or the beginning of
    it; or the name of a file that waits.

    Raises:
        InvalidArgumentError: it is nobody's name, or that of several.
        TrustError: what is published does not verify.
    """
    words = " ".join(words.split())
    names = names_of(home)
    versioned = _VERSIONED.fullmatch(words)
    if versioned and (class_id := _class_id(versioned["name"], names)):
        return Named(class_id, (versioned["version"],))
    if class_id := _class_id(words, names):
        return Named(class_id)
    if _HEX.fullmatch(words.lower()):
        return _hashed(home, words.lower())
    raise InvalidArgumentError(
        f"{words[:100]!r} is the name of nothing that was published",
        remedy="take a name, a class id, a hash or a key as `clearkey authority status` shows it",
    )


def _class_id(words: str, names: dict[UUID, str]) -> UUID | None:
    try:
        return UUID(words)
    except ValueError:
        return next((class_id for class_id, name in names.items() if name == words), None)


def _hashed(home: AuthorityHome, words: str) -> Named:
    trust = home.trust()
    archives = {entry.sha256 for entry in trust.components if entry.sha256.startswith(words)}
    held = (*home.keys.held(), *(key_id for key_ids in trust.key_ids.values() for key_id in key_ids))
    keys = {key_id for key_id in held if key_id.startswith(words)}
    if len(archives) + len(keys) > 1:
        raise InvalidArgumentError(f"{words!r} begins several names", remedy="give more digits of it")
    if archives:
        return Named(sha256=tuple(archives))
    if keys:
        return Named(keyid=keys.pop())
    if len(words) == _WHOLE:
        return Named(sha256=(words,))  # of anybody's archive
    raise InvalidArgumentError(f"no archive and no key begins with {words!r}", remedy="give all 64 digits of it")
