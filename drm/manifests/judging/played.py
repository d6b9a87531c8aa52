"""What was seen to play: each version of each player, with each form of manifest, each codec and each scheme.

The rows are in `played.json`, which `make players` writes and tests hold against the players themselves. In: nothing
but that file. Out: words for verdicts.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from importlib.resources import files
from typing import Final, Literal

import msgspec

from drm.manifests.forms import Player

__all__ = ["Played", "lines", "listed", "played"]

_NAMES: Final = {Player.SHAKA: "Shaka Player", Player.DASHJS: "dash.js", Player.HLSJS: "hls.js"}


class Played(msgspec.Struct, frozen=True):
    """One trial: fifty frames decoded and a picture that moves, or not."""

    player: str
    version: str
    form: str  # by its element or KEYFORMAT
    codec: str
    scheme: str
    plays: Literal["manifest", "config", "code", "keys", "no"]
    """With what from the application: nothing, the license URL, the license request as well, the keys themselves."""
    cause: str  # why not with less: the player's own code, or what it did instead

    @property
    def line(self) -> str:
        """The version without its last part, as people name it."""
        return self.version.rpartition(".")[0]


@functools.cache
def played() -> tuple[Played, ...]:
    """Every row."""
    data = (files("drm.manifests.judging") / "played.json").read_bytes()
    return msgspec.json.decode(data, type=tuple[Played, ...])


def lines(player: Player, form: str, plays: str = "manifest") -> str:
    """The versions of `player` that play every codec and scheme in this form with as much help: "4.7 and 5.2"."""
    found: dict[str, bool] = {}
    for row in played():
        if (row.player, row.form) == (_NAMES[player], form):
            found[row.line] = found.get(row.line, True) and row.plays == plays
    return listed(line for line, does in found.items() if does)


def listed(words: Iterable[str]) -> str:
    """Words as a sentence lists them."""
    *first, last = tuple(words) or ("",)
    return f"{', '.join(first)} and {last}" if first else last
