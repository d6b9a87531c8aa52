"""Versions of components, compared as numbers. Imports nothing of ours; works in both processes."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

__all__ = ["VersionKey", "version_key"]

VersionKey: TypeAlias = tuple[int, int, int, int]

_VERSION: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){1,3}")


def version_key(text: str) -> VersionKey:
    """Return what `text` compares as: 1.2, 1.2.0 and 01.2 are one version, so none of them evades the others' fate.

    Raises:
        ValueError: not two to four numbers with dots.
    """
    if not _VERSION.fullmatch(text):
        raise ValueError(f"a version is two to four numbers with dots, not {text[:80]!r}")
    first, second, third, fourth = ([int(part) for part in text.split(".")] + [0, 0])[:4]
    return first, second, third, fourth
