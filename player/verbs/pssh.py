"""`clearkey pssh`: make, read, compare and insert pssh boxes. Sub-verbs are imported when they are called."""

from __future__ import annotations

import importlib
from typing import Final

import click

__all__ = ["command"]

_SUBVERBS: Final = {
    "show": ("player.pssh_read", "show the pssh boxes and key ids of a file, a manifest, base64 or hex"),
    "compare": ("player.pssh_read", "say how two inputs differ in key ids and systems"),
    "make": ("player.pssh_make", "make boxes for key ids"),
    "insert": ("player.pssh_make", "put a box of the common system into a file that lacks one"),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_SUBVERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _SUBVERBS:
            return None
        found = importlib.import_module(_SUBVERBS[cmd_name][0]).COMMANDS[cmd_name]
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl([(name, words) for name, (_module, words) in _SUBVERBS.items()])


@click.command("pssh", cls=_LazyGroup)
def command() -> None:
    """Make, read, compare and insert pssh boxes: what a file or a manifest tells protection systems about its keys."""
