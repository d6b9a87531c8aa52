"""`clearkey pssh`: make, read, compare and insert pssh boxes. Sub-verbs are imported when they are called."""

from __future__ import annotations

from typing import Final

from player.lazy_group import lazy_group

__all__ = ["command"]

_SUBVERBS: Final = {
    "show": ("player.verbs.pssh.read", "show the pssh boxes and key ids of a file, a manifest, base64 or hex"),
    "compare": ("player.verbs.pssh.read", "say how two inputs differ in key ids and systems"),
    "make": ("player.verbs.pssh.make", "make boxes for key ids"),
    "insert": ("player.verbs.pssh.make", "put a box of the common system into a file that lacks one"),
}


@lazy_group("pssh", _SUBVERBS)
def command() -> None:
    """Make, read, compare and insert pssh boxes: what a file or a manifest tells protection systems about its keys."""
